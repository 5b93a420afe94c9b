// Package fhir is the only package that knows FHIR. It turns the bytes of R4 resources into facts of a timeline, and says of every resource what
// becomes of it.
//
// A resource is looked at in this order, and most stop early:
//
//  1. One strict pass over the bytes (prescan.go): size, depth, number of tokens, duplicate keys, element names in another case. The
//     parser behind takes time that grows with the square of the nesting, and accepts some of what is refused here.
//  2. Type, code and status (look.go): what no rule of a loaded protocol reads costs microseconds and goes no further.
//  3. The elements that rules read are parsed and validated into google/fhir/go's protos (project.go): by package r4json, and what that is not
//     sure of by google/fhir/go itself. The other elements of the resource are known by name and not looked into: a malformed telephone number
//     must not lose a neutrophil count, and the parser's cost grows with every element.
//  4. The parsed resource becomes a fact (observation.go, medication.go, adverse.go, subject.go), or a fact with a reason, or a dead letter.
//
// What becomes of which resource is tabulated in docs/feeds.md; reviewed verdicts on public example files are in testdata/decisions.tsv.
package fhir

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"

	"github.com/trialwatch/trialwatch/fhir/r4json"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Config says how a site's resources are read. The zero value reads every known concept in UTC.
type Config struct {
	Zone     *time.Location  // of values with a date only; nil = UTC
	BaseURLs []string        // the site's own FHIR base URLs, stripped from references
	Concepts []Concept       // added to the shipped codes (codes.yaml)
	Reads    map[string]bool // concepts that some loaded protocol reads; nil = all
	Limits   Limits          // zero fields take the value of [DefaultLimits]
	// Sites are what is different at some sites, by name. Of any other site the fields above say all.
	Sites map[string]Site
}

// Site is what is different at one site. The zero value is nothing.
type Site struct {
	Zone     *time.Location // nil = that of [Config]
	BaseURLs []string       // beside those of [Config]
	Concepts []Concept      // beside the shipped ones and those of [Config]
	// Identifiers are the systems of identifiers that name a patient; none = all. An identifier of another system, such as an insurer's, joins nobody.
	Identifiers []IdentifierSystem
	// Units are spellings of the site by analyte, each for one of the analyte's family in rules/unit.
	Units map[string]map[string]string
	// Normal are limits of normal by analyte, for results that name none.
	Normal map[string]Range
}

// IdentifierSystem is a system of identifiers and other names of the same one.
type IdentifierSystem struct {
	System  string   `yaml:"system"`
	Aliases []string `yaml:"aliases"`
}

// Range is limits of normal in the canonical unit of an analyte, nil where there is none.
type Range struct{ Low, High *decimal.Number }

// Concept names a measurement, drug or procedure by codes and words.
type Concept struct {
	Name  string   `yaml:"name"`
	Codes []string `yaml:"codes"` // "system|code"
	Texts []string `yaml:"texts"` // lower-case words, found whole in a text or display; only for drugs and procedures
	// Starts are as Texts, but only where a text begins with them: what follows other words may be what a drug is dissolved in.
	Starts []string `yaml:"starts"`
	// Except are words that make a text one of something else: "interleukin-2 receptor antagonist" is no interleukin-2.
	Except []string `yaml:"except"`
	// Unit makes the concept a measurement of that kind, by its canonical unit: see [unit.Kind]. "" for concepts that are known anyway.
	Unit string `yaml:"-"`
}

// Limits bound what one resource may cost.
type Limits struct {
	ResourceBytes int // bytes of one resource or Bundle entry
	Depth         int // nested objects and arrays
	Tokens        int // JSON tokens
	StringBytes   int // bytes of one string
	ArrayLen      int // elements of one array, members of one object
}

// DefaultLimits are far above what an EHR sends of one resource.
func DefaultLimits() Limits {
	return Limits{ResourceBytes: 256 << 10, Depth: 32, Tokens: 50_000, StringBytes: 64 << 10, ArrayLen: 2000}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ v, d *int }{
		{&l.ResourceBytes, &d.ResourceBytes}, {&l.Depth, &d.Depth}, {&l.Tokens, &d.Tokens}, {&l.StringBytes, &d.StringBytes}, {&l.ArrayLen, &d.ArrayLen},
	} {
		if *f.v <= 0 {
			*f.v = *f.d
		}
	}
	return l
}

// Decoder reads resources. Create it with [New]; safe for concurrent use.
type Decoder struct {
	cfg      Config
	concepts *concepts
	protos   *r4json.Decoder
	// unmarshal parses and validates; it is a method of protos, but where a test compares.
	unmarshal func(data []byte) (*bundlepb.ContainedResource, error)

	systems  map[string]string       // of identifiers that name a patient → the name that they go by; nil = all
	families map[string]*unit.Family // with a site's spellings
	normal   map[string]Range
	sites    map[string]*Decoder

	relevance string
}

// New returns a decoder. It fails if a concept has a code that is not "system|code", or a site a unit that is none.
func New(cfg Config) (*Decoder, error) {
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	cfg.Limits = cfg.Limits.orDefault()
	sites := cfg.Sites
	cfg.Sites = nil
	d, err := newDecoder(cfg)
	if err != nil {
		return nil, err
	}
	d.relevance = relevance(&cfg, sites)
	d.sites = map[string]*Decoder{}
	for name, s := range sites {
		if d.sites[name], err = d.at(&s); err != nil {
			return nil, fmt.Errorf("site %s: %w", name, err)
		}
	}
	return d, nil
}

// Relevance names what the decoder makes facts of: two decoders of one name keep the same resources, and the same values of each. With another name some of what
// was not relevant to the one may be to the other.
func (d *Decoder) Relevance() string { return d.relevance }

// alsoRelevant is what this decoder makes facts of and an earlier one did not, whatever its codes: it changes the name, so that what is stored is read again.
const alsoRelevant = "orders that name their drug by a Medication"

func relevance(cfg *Config, sites map[string]Site) string {
	type codes struct {
		Concepts []Concept
		Units    map[string]map[string]string
	}
	of := map[string]codes{}
	for name, s := range sites {
		of[name] = codes{s.Concepts, s.Units}
	}
	h := sha256.New()
	h.Write(codesYAML)
	if err := json.NewEncoder(h).Encode([]any{cfg.Reads, cfg.Concepts, of, alsoRelevant}); err != nil {
		panic("fhir: plain data: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// at returns the decoder of one site.
func (d *Decoder) at(s *Site) (*Decoder, error) {
	cfg := d.cfg
	cfg.Zone = cmp.Or(s.Zone, cfg.Zone)
	cfg.BaseURLs = slices.Concat(cfg.BaseURLs, s.BaseURLs)
	cfg.Concepts = slices.Concat(cfg.Concepts, s.Concepts)
	here, err := newDecoder(cfg)
	if err != nil {
		return nil, err
	}
	here.normal = s.Normal
	for _, id := range s.Identifiers {
		if here.systems == nil {
			here.systems = map[string]string{}
		}
		for _, name := range append([]string{id.System}, id.Aliases...) {
			here.systems[name] = id.System
		}
	}
	here.families = map[string]*unit.Family{}
	for analyte, spellings := range s.Units {
		family, ok := unit.Of(analyte)
		if !ok {
			return nil, fmt.Errorf("fhir: units of %q, which is no analyte", analyte)
		}
		if here.families[analyte], err = family.With(spellings); err != nil {
			return nil, fmt.Errorf("fhir: %w", err)
		}
	}
	return here, nil
}

// family is the units of an analyte as this site writes them.
func (d *Decoder) family(analyte string) *unit.Family {
	if f := d.families[analyte]; f != nil {
		return f
	}
	if f := d.concepts.own[analyte]; f != nil {
		return f
	}
	f, _ := unit.Of(analyte)
	return f
}

func newDecoder(cfg Config) (*Decoder, error) {
	concepts, err := newConcepts(cfg.Concepts)
	if err != nil {
		return nil, err
	}
	protos, err := r4json.New(cfg.Zone.String())
	if err != nil {
		return nil, fmt.Errorf("fhir: %w", err)
	}
	return &Decoder{cfg: cfg, concepts: concepts, protos: protos, unmarshal: protos.UnmarshalR4}, nil
}

// Parses counts the resources that were parsed, by the reason for which package r4json left them to google/fhir; "none" are those that it did not.
func (d *Decoder) Parses() map[string]uint64 {
	m := map[string]uint64{}
	for reason, n := range d.protos.Counts() {
		m[reason.String()] = n
	}
	return m
}

// Message is one resource or Bundle as it arrived.
type Message struct {
	Data []byte
	Site string
	// ReceivedAt is the receipt. Where it is zero it is taken from the resource: meta.lastUpdated, else issued, else the clinical time,
	// else period.start, else the Unix epoch; a Bundle's entry without lastUpdated takes the Bundle's.
	ReceivedAt time.Time
}

// Kind is what became of a resource.
type Kind int

// Kinds.
const (
	NotRelevant Kind = iota // no rule of any loaded protocol can read it
	Accepted                // it is a fact, perhaps with a reason why its value is not used
	DeadLetter              // it has no place on a timeline
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case NotRelevant:
		return "not-relevant"
	case Accepted:
		return "accepted"
	case DeadLetter:
		return "dead-letter"
	}
	panic(fmt.Sprintf("fhir: unknown kind %d", int(k)))
}

// Reason is why a resource is a dead letter.
type Reason string

// Reasons. They are part of subjects and metrics: do not rename them.
const (
	ReasonNotJSON              Reason = "not-json"              // no JSON, or more than one value
	ReasonTooLarge             Reason = "too-large"             // beyond a limit of bytes
	ReasonTooDeep              Reason = "too-deep"              // nested beyond the limit
	ReasonTooComplex           Reason = "too-complex"           // more tokens, array elements or members than the limit
	ReasonDuplicateKey         Reason = "duplicate-key"         // one name twice in an object: two readers would see two resources
	ReasonBadName              Reason = "bad-name"              // an element name in another case, or escaped
	ReasonNotFHIR              Reason = "not-fhir"              // no R4 resourceType
	ReasonR5                   Reason = "r5"                    // the shape of R5
	ReasonInvalidResource      Reason = "invalid-resource"      // does not validate as R4
	ReasonInvalidCode          Reason = "invalid-code"          // a status that is not exactly one of R4's codes
	ReasonInvalidTime          Reason = "invalid-time"          // a time without an offset, or out of range
	ReasonNoID                 Reason = "no-id"                 // without an id no version can replace another
	ReasonNoPatient            Reason = "no-patient"            // nobody to whom it belongs
	ReasonNoTime               Reason = "no-time"               // no clinical time, or less than a day of precision
	ReasonNoStudy              Reason = "no-study"              // a ResearchSubject of no study
	ReasonMedicationUnresolved Reason = "medication-unresolved" // a reference to a Medication that is not in the resource
	ReasonUnknownModifier      Reason = "unknown-modifier"      // a modifierExtension: it may turn the meaning round
	ReasonImplicitRules        Reason = "implicit-rules"        // rules that we do not know
)

// Outcome is what became of one resource.
type Outcome struct {
	Kind Kind
	// Fact is what the resource says. For a dead letter it is a fact of state Refused where type and id could be read, else nil: an older
	// version of the resource becomes doubtful.
	Fact       *timeline.Fact
	Reason     Reason       // of a dead letter
	Detail     string       // of a dead letter: what and where, never text from the resource beyond codes and units
	Ref        timeline.Ref // as far as it could be read
	ReceivedAt time.Time    // as far as it could be read
	Entry      int          // index in the Bundle, -1 for a bare resource
	Raw        []byte       // the bytes of this resource or entry
}

// problem is a dead letter in the making.
type problem struct {
	reason Reason
	detail string
}

func refuse(reason Reason, format string, args ...any) *problem {
	return &problem{reason, fmt.Sprintf(format, args...)}
}

// showCode shows a code that is wrong only in its writing ("Final", "not_done "); any other word may be somebody's name.
func showCode(s string, codes []string) string {
	fold := strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(s)))
	switch {
	case s == "":
		return "is missing"
	case slices.Contains(codes, fold):
		return quote(s)
	}
	return "is none of R4"
}

// quote makes a code or unit from a resource safe to show: printable ASCII, at most 40 bytes.
func quote(s string) string {
	b := make([]byte, 0, 42)
	for i := 0; i < len(s) && i < 40; i++ {
		c := s[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	if len(s) > 40 {
		return `"` + string(b) + `…"`
	}
	return `"` + string(b) + `"`
}
