package wire

import "embed"

// Schemas are the JSON Schemas of what is published, one file a message type and version: schemas/alert.v1.json, schemas/aggregate.v1.json,
// schemas/pooled.v1.json and schemas/finding.v1.json, to which they refer.
//
//go:embed schemas/*.json
var Schemas embed.FS
