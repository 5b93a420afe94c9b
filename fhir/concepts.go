package fhir

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

//go:embed codes.yaml
var codesYAML []byte

// concepts finds names by code and by word.
type concepts struct {
	byCode  map[coding]string
	drugs   []words // drugs and procedures
	routes  map[coding]string
	routeBy []words
}

type coding struct{ system, code string }

type words struct {
	name          string
	texts, except []string
}

// measured are the concepts of Observations; the others are drugs and procedures.
var measured = map[string]bool{
	timeline.Neutrophils: true, timeline.Segs: true, timeline.Bands: true, timeline.NeutrophilsPercent: true, timeline.SegsPercent: true,
	timeline.BandsPercent: true, timeline.Leukocytes: true, timeline.Temperature: true, timeline.CreatinineMass: true, timeline.CreatinineMolar: true,
}

func newConcepts(more []Concept) (*concepts, error) {
	var shipped struct {
		Concepts []Concept `yaml:"concepts"`
		Routes   []Concept `yaml:"routes"`
	}
	if err := yaml.UnmarshalWithOptions(codesYAML, &shipped, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("fhir: codes.yaml: %w", err)
	}
	c := &concepts{byCode: map[coding]string{}, routes: map[coding]string{}}
	add := func(to map[coding]string, concept Concept) error {
		for _, code := range concept.Codes {
			system, value, ok := strings.Cut(code, "|")
			if !ok || system == "" || value == "" {
				return fmt.Errorf("fhir: concept %s: %q is not system|code", concept.Name, code)
			}
			to[coding{system, value}] = concept.Name
		}
		return nil
	}
	for _, concept := range append(shipped.Concepts, more...) {
		if err := add(c.byCode, concept); err != nil {
			return nil, err
		}
		if len(concept.Texts) > 0 && !measured[concept.Name] {
			c.drugs = append(c.drugs, words{concept.Name, concept.Texts, concept.Except})
		}
	}
	for _, route := range shipped.Routes {
		if err := add(c.routes, route); err != nil {
			return nil, err
		}
		c.routeBy = append(c.routeBy, words{route.Name, route.Texts, nil})
	}
	return c, nil
}

// analyte finds what a code measures, "" if it is nothing that we know.
func (c *concepts) analyte(code *codeable) string {
	for _, k := range code.Coding {
		if name := c.byCode[coding{k.System, k.Code}]; measured[name] {
			return name
		}
	}
	return ""
}

// drug finds a drug or procedure by code, else by word.
func (c *concepts) drug(code *codeable) string {
	for _, k := range code.Coding {
		if name := c.byCode[coding{k.System, k.Code}]; name != "" && !measured[name] {
			return name
		}
	}
	return code.byWord(c.drugs)
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
	Coding []struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display"`
	} `json:"coding"`
	Text string `json:"text"`
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
			for _, t := range w.texts {
				if hasWords(text, t) && !slices.ContainsFunc(w.except, func(e string) bool { return hasWords(text, e) }) {
					return w.name
				}
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
