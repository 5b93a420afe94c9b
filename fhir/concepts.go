package fhir

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

//go:embed codes.yaml
var codesYAML []byte

// concepts finds names by code and by word.
type concepts struct {
	byCode  map[coding]string
	own     map[string]*unit.Family // measurements of a protocol's own
	either  map[coding]bool         // codes that name a quantity without saying whether it is a mass or moles
	drugs   []words                 // drugs and procedures
	systems map[string]bool         // code systems in which some drug or procedure is known
	routes  map[coding]string
	routeBy []words
	stays   []words // of the class of an Encounter
	// indications are what a drug may be given for.
	indications []words
}

type coding struct{ system, code string }

type words struct {
	name                  string
	texts, starts, except []string
}

// measured reports whether a concept is a quantity.
func (c *concepts) measured(name string) bool {
	_, ok := unit.Of(name)
	return ok || c.own[name] != nil
}

// isDrug reports whether a concept is a drug or procedure.
func (c *concepts) isDrug(name string) bool {
	return name != "" && name != timeline.Inpatient && !c.measured(name) && !strings.HasPrefix(name, timeline.TumorResponse)
}

// siblings reports whether two concepts are one quantity as a mass and in moles.
func siblings(a, b string) bool {
	f, ok := unit.Of(a)
	return ok && f.Sibling != "" && f.Sibling == b
}

// shippedCodes is codes.yaml.
type shippedCodes struct {
	Concepts []Concept `yaml:"concepts"`
	Routes   []Concept `yaml:"routes"`
	Reasons  []Concept `yaml:"indications"`
}

func readShipped() (shipped shippedCodes, err error) {
	if err := yaml.UnmarshalWithOptions(codesYAML, &shipped, yaml.Strict()); err != nil {
		return shipped, fmt.Errorf("fhir: codes.yaml: %w", err)
	}
	return shipped, nil
}

// Shipped returns the concepts that are known without any protocol or site file.
func Shipped() ([]Concept, error) {
	shipped, err := readShipped()
	return shipped.Concepts, err
}

func newConcepts(more []Concept) (*concepts, error) {
	shipped, err := readShipped()
	if err != nil {
		return nil, err
	}
	c := &concepts{own: map[string]*unit.Family{}, byCode: map[coding]string{}, either: map[coding]bool{}, systems: map[string]bool{}, routes: map[coding]string{}}
	claimed := map[coding]string{} // by concepts of a protocol's own
	add := func(to map[coding]string, concept Concept) error {
		ours := concept.Unit != "" || strings.HasPrefix(concept.Name, timeline.TumorResponse)
		for _, code := range concept.Codes {
			system, value, ok := strings.Cut(code, "|")
			if !ok || system == "" || value == "" {
				return fmt.Errorf("fhir: concept %s: %q is not system|code", concept.Name, code)
			}
			key := coding{system, value}
			if siblings(to[key], concept.Name) {
				c.either[key] = true
				continue
			}
			if other := claimed[key]; other != "" && other != concept.Name || ours && to[key] != "" && to[key] != concept.Name {
				return fmt.Errorf("fhir: code %q is %s and %s", code, to[key], concept.Name)
			}
			if ours {
				claimed[key] = concept.Name
			}
			to[key] = concept.Name
		}
		return nil
	}
	for _, concept := range append(shipped.Concepts, more...) {
		if concept.Unit != "" {
			family, ok := unit.Kind(concept.Unit)
			if known := c.own[concept.Name]; !ok || known != nil && known != family {
				return nil, fmt.Errorf("fhir: %s is not measured in %q", concept.Name, concept.Unit)
			}
			c.own[concept.Name] = family
		}
		if err := add(c.byCode, concept); err != nil {
			return nil, err
		}
		if c.isDrug(concept.Name) {
			for _, code := range concept.Codes {
				system, _, _ := strings.Cut(code, "|")
				c.systems[system] = true
			}
		}
		by := words{concept.Name, concept.Texts, concept.Starts, concept.Except}
		switch {
		case len(concept.Texts)+len(concept.Starts) == 0:
		case c.isDrug(concept.Name):
			c.drugs = append(c.drugs, by)
		case concept.Name == timeline.Inpatient:
			c.stays = append(c.stays, by)
		}
	}
	for _, route := range shipped.Routes {
		if err := add(c.routes, route); err != nil {
			return nil, err
		}
		c.routeBy = append(c.routeBy, words{name: route.Name, texts: route.Texts})
	}
	for _, reason := range shipped.Reasons {
		c.indications = append(c.indications, words{name: reason.Name, texts: reason.Texts})
	}
	return c, nil
}

// measurand is what a code measures.
type measurand struct {
	analyte string // "" for nothing that is read
	code    string // that said so
	// either: the codings name the sibling too, so no unit of the two contradicts them.
	either bool
}

// analyte finds what a code measures: the first of its codings that we know.
func (c *concepts) analyte(code *codeable) (m measurand) {
	for _, k := range code.Coding {
		key := coding{k.System, k.Code}
		name := c.byCode[key]
		switch {
		case name == "" || !c.measured(name):
		case m.analyte == "":
			m = measurand{name, k.Code, c.either[key]}
		case siblings(m.analyte, name):
			m.either = true
		}
	}
	return m
}

// drug finds a drug or procedure by code, else by word.
func (c *concepts) drug(code *codeable) string {
	for _, k := range code.Coding {
		if name := c.byCode[coding{k.System, k.Code}]; c.isDrug(name) {
			return name
		}
	}
	return code.byWord(c.drugs)
}

// actCode is the system of R4's own codes for the class of an Encounter: what they say, no word says better.
const actCode = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

// inpatient reports whether the class of an Encounter is a stay in hospital.
func (c *concepts) inpatient(class *code) bool {
	if c.byCode[coding{class.System, class.Code}] == timeline.Inpatient {
		return true
	}
	return class.System != actCode && (&codeable{Coding: []code{*class}}).byWord(c.stays) != ""
}

// assesses reports whether a code is that of a tumour assessment.
func (c *concepts) assesses(said *codeable) bool {
	return slices.ContainsFunc(said.Coding, func(k code) bool { return c.byCode[coding{k.System, k.Code}] == timeline.TumorResponse })
}

// category finds the response that a value names, "" if it names none or two.
func (c *concepts) category(value *codeable) (named timeline.Category) {
	for _, k := range value.Coding {
		name := c.byCode[coding{k.System, k.Code}]
		for _, category := range timeline.Categories {
			if name != category.Concept() {
				continue
			}
			if named != "" && named != category {
				return ""
			}
			named = category
		}
	}
	return named
}

// route finds a route of administration, "" if it is none that we know.
func (c *concepts) route(code *codeable) string {
	for _, k := range code.Coding {
		if name := c.routes[coding{k.System, k.Code}]; name != "" {
			return name
		}
	}
	return code.byWord(c.routeBy)
}

// codeable is a CodeableConcept.
type codeable struct {
	Coding []code `json:"coding"`
	Text   string `json:"text"`
}

// code is a Coding.
type code struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

func (k *codeable) byWord(list []words) string {
	texts := make([]string, 0, 1+len(k.Coding))
	texts = append(texts, k.Text)
	for i := range k.Coding {
		texts = append(texts, k.Coding[i].Display)
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		text = strings.ToLower(text)
		for _, w := range list {
			named := slices.ContainsFunc(w.texts, func(t string) bool { return hasWords(text, t) }) ||
				slices.ContainsFunc(w.starts, func(t string) bool { return strings.HasPrefix(text, t) && hasWords(text[:min(len(text), len(t)+1)], t) })
			if named && !slices.ContainsFunc(w.except, func(e string) bool { return hasWords(text, e) }) {
				return w.name
			}
		}
	}
	return ""
}

// hasWords reports whether want stands in text as whole words.
func hasWords(text, want string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], want)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(want)
		if (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end])) {
			return true
		}
		from = i + 1
	}
}

func wordByte(c byte) bool {
	return c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
}
