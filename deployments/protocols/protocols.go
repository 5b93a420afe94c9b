// Package protocols holds the trials that are shipped with trialwatch.
package protocols

import (
	"embed"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// FS holds one folder a trial: <study>/protocol.yaml, and its stories in <study>/scenarios (see internal/scenario).
//
//go:embed */protocol.yaml */scenarios/*.txtar
var FS embed.FS

// Shipped is the file of the trial that demo and serve use when none is named.
const Shipped = "til-il2/protocol.yaml"

// TIL returns the shipped trial.
func TIL() (*protocol.Protocol, error) {
	data, err := FS.ReadFile(Shipped)
	if err != nil {
		return nil, err
	}
	return protocol.Parse(Shipped, data)
}
