// Package offlinetest gives tests an evaluator of the shipped trial, or of another.
package offlinetest

import (
	"testing"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// New returns an evaluator of the shipped trial that has read nothing yet.
func New(t testing.TB) *offline.Evaluator {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	return Of(t, p)
}

// Of returns an evaluator of another trial.
func Of(t testing.TB, p *protocol.Protocol) *offline.Evaluator {
	t.Helper()
	decoder, err := app.NewDecoder([]*protocol.Protocol{p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return offline.New(decoder, []*protocol.Protocol{p})
}
