package fhir

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

const scanned = `{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"751-8","display":"é \u00e9 \ud83d\ude00 \"q\" \\"}]},
	"extension":[{"url":"u","valueDecimal":-1.50e-3},{"url":"v","valueBoolean":true},null,{},[]],"_status":{"id":"x"},"zzz":0 , "valueInteger":12}`

// agree fails if the quick pass accepts what the strict one refuses, or reads it otherwise.
func agree(t *testing.T, data []byte, lim Limits) (quick bool) {
	t.Helper()
	doc := quickscan(data, lim)
	if doc == nil {
		return false
	}
	want, p := strictscan(data, lim)
	if p != nil {
		t.Errorf("passed, but %s (%s): %.3000q", p.reason, p.detail, data)
		return true
	}
	if !slices.EqualFunc(doc.members, want.members, func(a, b member) bool { return a.name == b.name && bytes.Equal(a.value, b.value) }) {
		t.Errorf("other members in %.3000q", data)
	}
	compact := jsontext.Value(bytes.Clone(data))
	if err := compact.Compact(); err != nil || !bytes.Equal(compact, appendCompact(nil, data)) {
		t.Errorf("compacted otherwise (%v): %.3000q", err, data)
	}
	if doc.digest(data) != sum(compact) {
		t.Errorf("another digest than without blanks: %.3000q", data)
	}
	return true
}

// The quick pass accepts nothing that the strict one refuses, whatever is done to a resource and however tight the limits are.
func TestQuickscanAgrees(t *testing.T) {
	seeds := [][]byte{[]byte(scanned), []byte(charted)}
	if !agree(t, seeds[0], DefaultLimits()) || !agree(t, seeds[1], DefaultLimits()) {
		t.Fatal("the quick pass is not sure of a good resource")
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	bits := []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\x00", "\xff", "0", "-", "e", ".", `"id":1,`, `"Status":1,`, `\ud83d`, `\u0000`, "é", "true", "null"}
	quick := 0
	const rounds = 100_000
	for range rounds {
		data := bytes.Clone(seeds[rnd.IntN(len(seeds))])
		for range 1 + rnd.IntN(2) {
			i := rnd.IntN(len(data))
			switch rnd.IntN(3) {
			case 0:
				data = slices.Insert(data, i, []byte(bits[rnd.IntN(len(bits))])...)
			case 1:
				data = slices.Delete(data, i, min(len(data), i+1+rnd.IntN(3)))
			case 2:
				data = slices.Replace(data, i, i+1, []byte(bits[rnd.IntN(len(bits))])...)
			}
		}
		lim := DefaultLimits()
		if rnd.IntN(3) == 0 {
			lim = Limits{ResourceBytes: 200 + rnd.IntN(2000), Depth: 1 + rnd.IntN(8), Tokens: 10 + rnd.IntN(300), StringBytes: 1 + rnd.IntN(80), ArrayLen: 1 + rnd.IntN(30)}
		}
		if agree(t, data, lim) {
			quick++
		}
	}
	t.Logf("%d of %d were passed", quick, rounds)
	if quick < rounds/20 {
		t.Error("too few were passed for the comparison to say anything")
	}
}

// On the public corpora too; nearly all that is good is passed quickly.
func TestQuickscanAgreesOnCorpora(t *testing.T) {
	root := os.Getenv("TRIALWATCH_SHARED")
	if root == "" {
		t.Skip("TRIALWATCH_SHARED is not set: it names the directory with public example files that are not copied into the project")
	}
	good, quick := 0, 0
	for _, pattern := range []string{"fhir-corpus/*/*.json", "badinput/*/*", "badinput/*/*/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				continue // a directory
			}
			if agree(t, data, DefaultLimits()) {
				quick++
			}
			if _, p := strictscan(data, DefaultLimits()); p == nil {
				good++
			}
		}
	}
	t.Logf("%d documents pass the strict scan, %d of them the quick one", good, quick)
}

// BenchmarkPrescan shows in one run what the quick passes save.
func BenchmarkPrescan(b *testing.B) {
	data := []byte(charted)
	spread := jsontext.Value(bytes.Clone(data))
	if err := spread.Indent(); err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		do   func()
	}{
		{"scan=quick", func() { quickscan(data, DefaultLimits()) }},
		{"scan=strict", func() { strictscan(data, DefaultLimits()) }},
		{"digest=own", func() { digestOf(spread) }},
		{"digest=jsontext", func() {
			v := jsontext.Value(bytes.Clone(spread))
			if v.Compact() == nil {
				sum(v)
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				way.do()
			}
		})
	}
}
