package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema protocol|site|finding|alert|aggregate|pooled|explanation|protocol-diff",
		Short: "Print the JSON Schema of a protocol file or of what is published",
		Long: `schema prints the JSON Schema (draft 2020-12) of

  protocol       a protocol file, for completion and errors while you type
  site           a site file, likewise
  finding        a line of evaluate, and the data of an alert
  alert          a message on alerts.> (CloudEvents)
  aggregate      a message on aggregates.>
  pooled         a message on pooled.>
  explanation    a line of explain
  protocol-diff  a line of protocol diff

An editor with a YAML language server reads the schema of a protocol if the first line of the file says
  # yaml-language-server: $schema=protocol.schema.json`,
		Example: `  trialwatch schema protocol > protocol.schema.json
  trialwatch schema alert | jq .properties`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			data, ok := map[string][]byte{"protocol": protocol.Schema, "site": sitefile.Schema}[args[0]]
			if !ok {
				var err error
				if data, err = publishedSchema(args[0]); err != nil {
					return err
				}
			}
			_, err := c.OutOrStdout().Write(data)
			return err
		},
		ValidArgs: append([]string{"protocol", "site"}, published()...),
	}
}

// published are the kinds of messages that have a schema.
func published() []string {
	names, err := fs.Glob(wire.Schemas, "schemas/*.v1.json")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(name, "schemas/"), ".v1.json")
	}
	return names
}

func publishedSchema(name string) ([]byte, error) {
	if !slices.Contains(published(), name) {
		return nil, usageError{fmt.Errorf("there is no schema of %q: want protocol, site, %s", name, strings.Join(published(), ", "))}
	}
	return wire.Schemas.ReadFile("schemas/" + name + ".v1.json")
}
