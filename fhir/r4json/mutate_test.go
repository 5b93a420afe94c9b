package r4json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir/r4json"
)

// node is a JSON value that can be taken apart and put together in ways that no serialiser would.
type node struct {
	kind byte // '{', '[' or anything else for a token
	text string
	name string // within an object, in quotes
	in   []*node
}

// parse reads a valid document.
func parse(data []byte) *node {
	p := &parser{data: data}
	return p.value()
}

type parser struct {
	data []byte
	at   int
}

func (p *parser) next() byte {
	for strings.IndexByte(" \t\r\n,:", p.data[p.at]) >= 0 {
		p.at++
	}
	return p.data[p.at]
}

func (p *parser) value() *node {
	n := &node{kind: p.next()}
	if n.kind != '{' && n.kind != '[' {
		n.text = p.token()
		return n
	}
	for p.at++; p.next() != n.kind+2; { // } and ] stand two after { and [
		name := ""
		if n.kind == '{' {
			name = p.token()
		}
		child := p.value()
		child.name = name
		n.in = append(n.in, child)
	}
	p.at++
	return n
}

func (p *parser) token() string {
	if p.next() == '"' {
		start := p.at
		for p.at++; p.data[p.at] != '"'; p.at++ {
			if p.data[p.at] == '\\' {
				p.at++
			}
		}
		p.at++
		return string(p.data[start:p.at])
	}
	start := p.at
	for ; p.at < len(p.data) && strings.IndexByte(" \t\r\n,:]}", p.data[p.at]) < 0; p.at++ {
	}
	return string(p.data[start:p.at])
}

func (n *node) write(b *bytes.Buffer) {
	if n.kind != '{' && n.kind != '[' {
		b.WriteString(n.text)
		return
	}
	b.WriteByte(n.kind)
	for i, child := range n.in {
		if i > 0 {
			b.WriteByte(',')
		}
		if n.kind == '{' {
			b.WriteString(child.name)
			b.WriteByte(':')
		}
		child.write(b)
	}
	b.WriteByte(n.kind + 2)
}

func (n *node) all(list []*node) []*node {
	list = append(list, n)
	for _, child := range n.in {
		list = child.all(list)
	}
	return list
}

func (n *node) clone() *node {
	c := *n
	c.in = slices.Clone(n.in)
	for i := range c.in {
		c.in[i] = c.in[i].clone()
	}
	return &c
}

// values are what a mutant may have in place of another value.
var values = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `1.50`, `1e400`, `1e99`, `01`, `1.`, `.5`, `2147483648`, `4294967296`, `99999999999999999999`, `""`, `" "`, `"a"`, `"a  b"`, `"a b"`,
	`"\u0000"`, `"\u000b"`, `"\u00e9"`, `"\ud800"`, `"\ud83d\ude00"`, `"\x"`, "\"\xff\"", `"a_b"`, `{}`, `[]`, `[null]`, `[""]`, `[{}]`, `"FINAL"`, `"final"`, `"entered_in_error"`,
	`"2026"`, `"2026-02"`, `"2026-02-29"`, `"2024-02-29"`, `"2026-02-20T06:00:00"`, `"2026-02-20T06:00Z"`, `"2026-02-20T06:00:00Z"`, `"2026-02-20T06:00:00.123456789+14:00"`,
	`"2026-02-20T06:00:60Z"`, `"2026-02-20T24:00:00Z"`, `"2300-01-01T00:00:00.5Z"`, `"0000-01-01"`, `"-2026-01-01"`, `"2026-02-20T06:00:00-00:00"`, `"2026-02-20T06:00:00+14:01"`,
	`"06:00:00"`, `"06:00"`, `"23:59:59.9999999"`, `"Patient/1"`, `"Patient/1/_history/2"`, `"Patient/1/_history/a b"`, `"Sequence/1"`, `"Thing/1"`, `"#x"`, `"#"`, `"Group/1"`,
	`"Organization/1"`, `"http://a/b"`, `"http://a b"`, `"http://[::1"`, `"http://a:x/"`, `"urn:oid:1.2"`, `"urn://a:x"`, `"%zz"`, `":"`, `"https://g.co/fhir/StructureDefinition/primitiveHasNoValue"`,
	`"AA=="`, `"AA="`, `"A A="`, `"AB=="`, `"QQ\u003d="`, `{"reference":"Patient/1"}`, `{"id":"x"}`, `{"extension":[{"url":"http://a/b","valueString":"x"}]}`,
	`[{"id":"x"}]`, `[null,{"id":"x"}]`, `{"extension":[]}`, `{"coding":[{"code":"x"}]}`, `{"value":1}`, `{"resourceType":"Patient"}`, `{"resourceType":"None"}`,
}

// mutator makes documents that are nearly valid.
type mutator struct {
	rnd   *rand.Rand
	seeds []*node
	names []string
}

func newMutator(seed uint64, seeds [][]byte) *mutator {
	m := &mutator{rnd: rand.New(rand.NewPCG(seed, 6))}
	known := map[string]bool{}
	for _, s := range seeds {
		n := parse(s)
		m.seeds = append(m.seeds, n)
		for _, child := range n.all(nil) {
			if child.name != "" && !known[child.name] {
				known[child.name] = true
				m.names = append(m.names, child.name)
			}
		}
	}
	return m
}

// mutant is a seed with one to three changes.
func (m *mutator) mutant() []byte {
	n := m.seeds[m.rnd.IntN(len(m.seeds))].clone()
	for range 1 + m.rnd.IntN(3) {
		m.change(n)
	}
	var b bytes.Buffer
	n.write(&b)
	data := b.Bytes()
	if m.rnd.IntN(5) == 0 {
		data = m.garble(data)
	}
	return data
}

// change changes a value, a name, or which members there are.
func (m *mutator) change(root *node) {
	all := root.all(nil)
	n := all[m.rnd.IntN(len(all))]
	token := func() *node { return &node{text: values[m.rnd.IntN(len(values))], name: n.name} }
	switch m.rnd.IntN(10) {
	case 0, 1:
		*n = *token()
	case 2: // the value of another element
		from := all[m.rnd.IntN(len(all))].clone()
		from.name = n.name
		*n = *from
	case 3:
		if len(n.in) > 0 {
			i := m.rnd.IntN(len(n.in))
			n.in = slices.Delete(n.in, i, i+1)
		}
	case 4:
		if len(n.in) > 0 {
			n.in = append(n.in, n.in[m.rnd.IntN(len(n.in))].clone())
		}
	case 5:
		if n.name != "" {
			n.name = m.names[m.rnd.IntN(len(m.names))]
		}
	case 6: // what a primitive has beside its value
		if len(n.in) > 0 && n.kind == '{' {
			child := n.in[m.rnd.IntN(len(n.in))]
			b := token()
			b.name = `"_` + strings.TrimPrefix(child.name, `"`)
			n.in = slices.Insert(n.in, m.rnd.IntN(len(n.in)+1), b)
		}
	case 7:
		if len(n.name) > 3 {
			n.name = m.otherName(n.name)
		}
	case 8:
		if len(n.text) > 2 {
			b := []byte(n.text)
			b[m.rnd.IntN(len(b))] = "0123456789-:T.Zz+ /#\\\"aF"[m.rnd.IntN(24)]
			n.text = string(b)
		}
	case 9: // one into a list, or a list into one
		if n.kind == '[' && len(n.in) > 0 {
			one := n.in[0].clone()
			one.name = n.name
			*n = *one
		} else {
			*n = node{kind: '[', in: []*node{n.clone()}, name: n.name}
		}
	}
}

func (m *mutator) otherName(name string) string {
	switch m.rnd.IntN(4) {
	case 0:
		return `"` + strings.ToUpper(name[1:2]) + name[2:]
	case 1:
		return `"_` + name[1:]
	case 2:
		return strings.ToLower(name)
	}
	return fmt.Sprintf(`"\u%04x`, name[1]) + name[2:]
}

// garble changes bytes without regard to what they say.
func (m *mutator) garble(data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + m.rnd.IntN(3) {
		if len(data) == 0 {
			break
		}
		i := m.rnd.IntN(len(data))
		switch m.rnd.IntN(4) {
		case 0:
			data[i] = byte(m.rnd.IntN(256))
		case 1:
			data = slices.Delete(data, i, min(len(data), i+1+m.rnd.IntN(4)))
		case 2:
			data = slices.Insert(data, i, "{}[],:\"\\ \n\x00\xef0e"[m.rnd.IntN(14)])
		case 3:
			data = data[:i]
		}
	}
	return data
}

// seedDocuments are what mutants are made of: our examples, and a generated document of every resource type.
func seedDocuments(t testing.TB) [][]byte {
	var seeds [][]byte
	for _, data := range examples(t) {
		seeds = append(seeds, data)
	}
	slices.SortFunc(seeds, bytes.Compare)
	for i, typ := range resourceTypes() {
		g := &generator{rnd: rand.New(rand.NewPCG(uint64(i), 1))}
		if data := g.document(typ); len(data) < 4<<10 {
			seeds = append(seeds, data)
		}
	}
	return seeds
}

// mutants makes n mutants and returns how many were decoded, and the disagreements.
func mutants(t testing.TB, n int, seed uint64) (decoded int, reasons map[r4json.Reason]int, wrong []error) {
	d, u := newDecoder(t), judge(t)
	m := newMutator(seed, seedDocuments(t))
	reasons = map[r4json.Reason]int{}
	for range n {
		data := m.mutant()
		reason, err := differ(d, u, data)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%w\n%.4000q", err, data))
		}
		reasons[reason]++
	}
	return reasons[r4json.None], reasons, wrong
}

// What is nearly valid is where two readers differ. TRIALWATCH_MUTANTS makes the run longer.
func TestMutantsAgree(t *testing.T) {
	n, seed := 20_000, uint64(1)
	if testing.Short() {
		n = 2000
	}
	if s := os.Getenv("TRIALWATCH_MUTANTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("TRIALWATCH_MUTANTS: %v", err)
		}
		seed = rand.Uint64()
	}
	decoded, reasons, wrong := mutants(t, n, seed)
	t.Logf("seed %d: %d mutants, %d decoded, %d disagreements; by reason %v", seed, n, decoded, len(wrong), reasons)
	for i, err := range wrong {
		if i == 5 {
			break
		}
		t.Error(err)
	}
	if decoded < n/10 {
		t.Errorf("only %d of %d mutants were decoded: nothing is shown by the others", decoded, n)
	}
}

// With a check removed the differential test fails: it can see what it is for.
func TestCanary(t *testing.T) {
	if _, _, wrong := mutants(t, 2000, 1); len(wrong) > 0 { // makes the plans
		t.Fatal(wrong[0])
	}
	for _, check := range []string{"required", "targets"} {
		restore := r4json.Forget(check)
		_, _, wrong := mutants(t, 2000, 1)
		restore()
		t.Logf("without %s: %d disagreements", check, len(wrong))
		if len(wrong) == 0 {
			t.Errorf("without %s no disagreement is found", check)
		}
	}
}

// FuzzDifferential looks for bytes on which the two readers differ.
func FuzzDifferential(f *testing.F) {
	for _, s := range seedDocuments(f) {
		f.Add(s)
	}
	m := newMutator(2, seedDocuments(f))
	for range 500 {
		f.Add(m.mutant())
	}
	d, u := newDecoder(f), judge(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := differ(d, u, data); err != nil {
			t.Error(err)
		}
	})
}
