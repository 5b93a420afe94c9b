// Placeholder so that others compile; the author of this package deletes this file.
package web

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

type Options struct {
	Logger            zerolog.Logger
	Title, StudyTitle string
	Zone              *time.Location
	Demo              bool
}
type Hub struct{}

func NewHub(Options) *Hub                      { return &Hub{} }
func (h *Hub) Panel(data []byte) error         { return nil }
func (h *Hub) Alert(data []byte) error         { return nil }
func (h *Hub) Handler() http.Handler           { return http.NotFoundHandler() }
func (h *Hub) Run(ctx context.Context) error   { <-ctx.Done(); return nil }
