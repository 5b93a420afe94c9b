package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
)

func schemas(t *testing.T) func(name string, body []byte) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	names, err := fs.Glob(wire.Schemas, "schemas/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := wire.Schemas.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.AddResource("https://trialwatch.dev/schemas/"+path.Base(name), doc); err != nil {
			t.Fatal(err)
		}
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range names {
		s, err := c.Compile("https://trialwatch.dev/schemas/" + path.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		compiled[path.Base(name)] = s
	}
	return func(name string, body []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return compiled[name].Validate(v)
	}
}

// Everything that a cohort with all its mess makes us say fits the published schemas.
func TestMessagesFitTheirSchemas(t *testing.T) {
	validate := schemas(t)
	e := offlinetest.New(t)
	var feed bytes.Buffer
	for _, ev := range sim.Cohort(sim.Config{Seed: 5, PatientsPerArm: 3}) {
		if json.Valid(ev.Data) {
			fmt.Fprintf(&feed, `{"receivedAt":%q,"resource":%s}`+"\n", ev.At.Format(time.RFC3339Nano), ev.Data)
		}
	}
	if err := e.Read("cohort", &feed, nil); err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	check := func(name string, v any) {
		t.Helper()
		body, err := wire.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(name, body); err != nil {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
		checked[name]++
	}
	r := e.At(e.Latest())
	for _, f := range r.Findings {
		check("finding.v1.json", f)
	}
	for _, panel := range r.Panels {
		check("aggregate.v1.json", panel)
	}
	if err := e.History(e.Latest(), func(ev alert.Event) error {
		check("alert.v1.json", wire.NewCloudEvent(ev))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if checked["finding.v1.json"] < 20 || checked["alert.v1.json"] < 100 || checked["aggregate.v1.json"] != len(aggregate.Names) {
		t.Errorf("checked only %v", checked)
	}
}

// The schemas refuse what they should: a check that accepts everything would pass every message.
func TestSchemasRefuse(t *testing.T) {
	validate := schemas(t)
	for name, bodies := range map[string][]string{
		"finding.v1.json": {`{}`, `{"kind":"alert"}`},
		"alert.v1.json":   {`{"specversion":"1.0","id":"a@0","source":"/x","type":"trialwatch.alert.gone.v1","subject":"a","time":"now","datacontenttype":"application/json","data":{}}`},
		"aggregate.v1.json": {
			`{"kind":"aggregate","study":"s","panel":"toxicity","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":""}}`,
			`{"kind":"aggregate","study":"s","panel":"feed","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"subject":"S-001"}`,
		},
	} {
		for _, body := range bodies {
			if validate(name, []byte(body)) == nil {
				t.Errorf("%s accepts %s", name, body)
			}
		}
	}
}

// Tokens of subjects: every text comes back, and no two texts share one.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "~", "S-001", "a.b", "*", ">", "a b", "ü", "\x00", "~41", "A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := wire.Token(s)
		if got := wire.Untoken(token); got != s {
			t.Errorf("%q → %q → %q", s, token, got)
		}
		for i := range len(token) {
			if c := token[i]; c <= ' ' || c == '.' || c == '*' || c == '>' || c > '~' {
				t.Errorf("%q → %q is no token", s, token)
			}
		}
		if token == "" {
			t.Errorf("%q gives an empty token", s)
		}
	})
}
