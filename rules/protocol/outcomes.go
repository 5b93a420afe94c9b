package protocol

import (
	"slices"
	"strconv"
	"strings"

	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// outcomes judges what the trial says of response, survival and biomarkers.
func (f *file) outcomes(p *Protocol, drug func(string, ...string)) {
	if r := p.Response; r != nil {
		drug(r.From, "response", "from")
		for i, name := range r.EndedBy {
			drug(name, "response", "endedBy", strconv.Itoa(i))
		}
		of := map[string]timeline.Category{}
		for _, category := range timeline.Categories {
			for i, code := range r.Categories.Of(category) {
				if other, taken := of[code]; taken {
					f.at([]string{"response", "categories", string(category), strconv.Itoa(i)}, "code %q is also one of %s", code, other)
				}
				of[code] = category
			}
		}
	}
	if s := p.Survival; s != nil {
		switch hint := document.DidYouMean(s.From, []string{Enrolled}); {
		case s.From == Enrolled:
		case hint != "":
			f.at([]string{"survival", "from"}, "survival starts with %s or with a treatment, not with %q%s", Enrolled, s.From, hint)
		default:
			drug(s.From, "survival", "from")
		}
		if s.MonthDays.Sign() <= 0 {
			f.at([]string{"survival", "monthDays"}, "a month has more than 0 days")
		}
		if p.Response == nil {
			f.at([]string{"survival", "from"}, "progression is read from responses: there is no block response")
		}
	}
	f.biomarkers(p)
}

func (f *file) biomarkers(p *Protocol) {
	if p.Biomarkers == nil {
		return
	}
	seen, codes := map[string]bool{}, map[string]string{}
	for i := range p.Biomarkers.Markers {
		m := &p.Biomarkers.Markers[i]
		at := func(fields ...string) []string {
			return append([]string{"biomarkers", "markers", strconv.Itoa(i)}, fields...)
		}
		if seen[m.ID] {
			f.at(at("id"), "marker %s stands here twice", m.ID)
		}
		seen[m.ID] = true
		switch {
		case m.Analyte != "" && m.Unit != "":
			f.at(at("unit"), "marker %s: an analyte has a unit of its own", m.ID)
		case m.Analyte == "" && (m.Unit == "" || len(m.Codes) == 0):
			f.at(at("id"), "marker %s needs codes and a unit, or an analyte", m.ID)
		case m.Analyte != "":
			if _, ok := unit.Of(m.Analyte); !ok {
				f.at(at("analyte"), "unknown analyte %q%s", m.Analyte, document.DidYouMean(m.Analyte, analytes()))
			}
		case slices.Contains(drugs, m.ID) || slices.ContainsFunc(p.Codes, func(c Code) bool { return c.Concept == m.ID }) || slices.Contains(analytes(), m.ID) || strings.HasPrefix(m.ID, timeline.TumorResponse):
			f.at(at("id"), "%s is the name of something else that is read: name the marker otherwise, or say analyte", m.ID)
		default:
			if _, ok := unit.Kind(m.Unit); !ok {
				f.at(at("unit"), "a marker is measured in one of %s, not %q", strings.Join(markerUnits(), ", "), m.Unit)
			}
		}
		for j, code := range m.Codes {
			if other, taken := codes[code]; taken && other != m.ID {
				f.at(at("codes", strconv.Itoa(j)), "code %q is also one of %s", code, other)
			}
			codes[code] = m.ID
		}
	}
	seen = map[string]bool{}
	for i := range p.Biomarkers.Windows {
		w := &p.Biomarkers.Windows[i]
		at := func(field string) []string { return []string{"biomarkers", "windows", strconv.Itoa(i), field} }
		if seen[w.ID] {
			f.at(at("id"), "window %s stands here twice", w.ID)
		}
		seen[w.ID] = true
		if w.ToDay < w.FromDay {
			f.at(at("toDay"), "window %s: last day %d is before first day %d", w.ID, w.ToDay, w.FromDay)
		}
	}
}

func markerUnits() []string {
	var names []string
	for _, k := range unit.Kinds() {
		names = append(names, k.Canonical)
	}
	return names
}
