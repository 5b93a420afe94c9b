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
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/review"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
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

// read reads a cohort with all its mess.
func read(t *testing.T, e *offline.Evaluator) {
	t.Helper()
	var feed bytes.Buffer
	for _, ev := range sim.Cohort(sim.Config{Seed: 5, PatientsPerArm: 3}) {
		if json.Valid(ev.Data) {
			fmt.Fprintf(&feed, `{"receivedAt":%q,"resource":%s}`+"\n", ev.At.Format(time.RFC3339Nano), ev.Data)
		}
	}
	if err := e.Read("cohort", &feed, nil); err != nil {
		t.Fatal(err)
	}
}

// Everything that a cohort with all its mess makes us say fits the published schemas.
func TestMessagesFitTheirSchemas(t *testing.T) {
	validate := schemas(t)
	e := offlinetest.New(t)
	read(t, e)
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
	pooled := aggregate.Pool(e.Protocols()[0], r.Panels)
	for _, p := range pooled {
		check("pooled.v1.json", p)
	}
	suppressing := *e.Protocols()[0]
	suppressing.Blinding = &protocol.Blinding{SuppressBelow: 3}
	bounds := 0
	for _, p := range aggregate.Suppress(&suppressing, pooled, nil, func(int) int { return 0 }).Panels() {
		check("pooled.v1.json", p)
		bounds += len(p.Bounds)
	}
	if bounds < 5 {
		t.Errorf("only %d bounds checked", bounds)
	}
	if err := e.History(e.Latest(), func(ev alert.Event) error {
		check("alert.v1.json", wire.NewCloudEvent(ev))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if checked["finding.v1.json"] < 20 || checked["alert.v1.json"] < 100 || checked["aggregate.v1.json"] != len(aggregate.Names) || checked["pooled.v1.json"] != 2*len(aggregate.Pooled) {
		t.Errorf("checked only %v", checked)
	}
}

// Every patient of a cohort is explained, and two protocols compared, in lines of their schemas.
func TestToolsFitTheirSchemas(t *testing.T) {
	validate := schemas(t)
	e := offlinetest.New(t)
	read(t, e)
	_, subjects := e.Explain("", e.Latest())
	steps, holds, slots := 0, 0, 0
	for _, subject := range subjects {
		found, _ := e.Explain(subject, e.Latest())
		for _, x := range found {
			body, err := wire.Encode(x)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate("explanation.v1.json", body); err != nil {
				t.Errorf("%s: %v", subject, err)
			}
			for i := range x.Courses {
				slots += len(x.Courses[i].Slots)
			}
			for i := range x.Findings {
				steps, holds = steps+len(x.Findings[i].Steps), holds+len(x.Findings[i].Holds)
			}
		}
	}
	if len(subjects) < 4 || steps == 0 || holds == 0 || slots == 0 {
		t.Errorf("%d subjects with %d steps, %d holds and %d slots: the test sees too little", len(subjects), steps, holds, slots)
	}

	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	old, err := protocol.Parse("old.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{{`ctcae: "5.0"`, `ctcae: "6.0"`}, {"    minGap: PT6H ", "    minGap: PT5H "}} {
		if !bytes.Contains(text, []byte(edit[0])) {
			t.Fatalf("%q is not in the protocol", edit[0])
		}
		text = bytes.Replace(text, []byte(edit[0]), []byte(edit[1]), 1)
	}
	amended, err := protocol.Parse("new.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	d := review.Differ(old, amended)
	d.Events, d.AsOf = []string{"cohort"}, e.Latest()
	f := e.At(e.Latest()).Findings
	d.Findings = []offline.FindingChange{
		{Change: offline.Vanishes, What: []string{}, Old: &f[0]}, {Change: offline.Changes, What: []string{"grade 4 → 3"}, Old: &f[1], New: &f[1]},
	}
	var lines bytes.Buffer
	out := offline.NewPrinter(&lines)
	d.Print(out)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range bytes.Lines(lines.Bytes()) {
		var l struct{ Kind string }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		kinds[l.Kind]++
		if err := validate("protocol-diff.v1.json", line); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
	}
	for _, kind := range []string{"protocol-diff", "rule-change", "past-change", "term-change", "finding-change"} {
		if kinds[kind] == 0 {
			t.Errorf("no line of kind %s: %v", kind, kinds)
		}
	}
}

// The schemas refuse what they should: a check that accepts everything would pass every message.
func TestSchemasRefuse(t *testing.T) {
	validate := schemas(t)
	for name, bodies := range map[string][]string{
		"finding.v1.json":       {`{}`, `{"kind":"alert"}`},
		"alert.v1.json":         {`{"specversion":"1.0","id":"a@0","source":"/x","type":"trialwatch.alert.gone.v1","subject":"a","time":"now","datacontenttype":"application/json","data":{}}`},
		"explanation.v1.json":   {`{}`, `{"kind":"explanation"}`},
		"protocol-diff.v1.json": {`{}`, `{"kind":"rule-change"}`, `{"kind":"rule-change","path":"p","op":"gone","old":"","new":""}`, `{"kind":"another"}`},
		"pooled.v1.json": {
			`{"kind":"pooled","study":"s","panel":"toxicity","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"all":{"arm":"arm-1","n":1}}`,
			`{"kind":"pooled","study":"s","panel":"stay","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"suppressBelow":5,"all":{"n":1}}`,
			`{"kind":"pooled","study":"s","panel":"stay","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"suppressBelow":5,"bounds":[{"count":"stayed","atLeast":5,"of":14,"asOf":"2026-02-19T06:00:00Z","offset":1}]}`,
			`{"kind":"pooled","study":"s","panel":"toxicity","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"all":{"n":1},"arms":[]}`,
			`{"kind":"pooled","study":"s","panel":"survival","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"},"all":{"n":1}}`,
			`{"kind":"pooled","study":"s","panel":"stay","asOf":"2026-02-19T06:00:00Z","protocol":{"version":"1","hash":"0000000000000000000000000000000000000000000000000000000000000000"}}`,
		},
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
