package protocol

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Schema is the JSON Schema of a protocol file.
//
//go:embed schema.json
var Schema []byte

// MaxBytes is the size of the largest protocol file that is read.
const MaxBytes = 256 << 10

// MaxErrors is how many errors of one file are told.
const MaxErrors = document.MaxErrors

// Error is one thing wrong with a protocol file.
type Error = document.Error

// Errors are all things wrong with a file, in the order of their places.
type Errors = document.Errors

// Parse reads a protocol. The error is an [Errors] with everything that is wrong. name is used in errors only.
func Parse(name string, data []byte) (*Protocol, error) {
	read, err := kind.Read(name, data)
	if err != nil {
		return nil, err
	}
	f := &file{read}
	shaped := f.Err() == nil
	f.zone(f.Doc)
	if !shaped {
		return nil, f.Err()
	}
	p := &Protocol{FutureTolerance: Duration(24 * time.Hour), MedicationWait: Duration(24 * time.Hour), FeedStaleAfter: Duration(12 * time.Hour)}
	if err := f.Decode(p); err != nil {
		return nil, err
	}
	f.check(p)
	if err := f.Err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	p.Hash, p.File = hex.EncodeToString(sum[:]), data
	return p, nil
}

var kind = document.Kind{Noun: "protocol", Schema: Schema, MaxBytes: MaxBytes, Misplaced: "does not belong to this schedule"}

// file is a protocol that is being read.
type file struct{ *document.File }

// at reports an error at a path of keys and indices.
func (f *file) at(path []string, format string, args ...any) { f.At(path, format, args...) }

// concepts that a protocol may name, beside analytes.
var drugs = []string{
	timeline.Aldesleukin, timeline.Cyclophosphamide, timeline.Fludarabine, timeline.Mesna, timeline.Pembrolizumab, timeline.TIL, timeline.Steroid, timeline.Vasopressor, timeline.Crystalloid,
	timeline.Meperidine, timeline.Levothyroxine, timeline.NewTherapy,
}

// known reports a concept that is known without any protocol.
func known(concept string) bool {
	_, measured := unit.Of(concept)
	return measured || slices.Contains(drugs, concept)
}

// zone judges the time zone, together with what the schema finds.
func (f *file) zone(doc any) {
	m, _ := doc.(map[string]any)
	name, ok := m["timezone"].(string)
	if !ok {
		return
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		f.at([]string{"timezone"}, "unknown time zone %q: want a name of the IANA database, such as America/Chicago", name)
	}
}

// check finds what a schema cannot: contradictions between parts.
func (f *file) check(p *Protocol) {
	p.Zone = time.UTC
	if zone, err := time.LoadLocation(p.Timezone); err == nil { // else zone has said so
		p.Zone = zone
	}
	named := map[string]string{}
	for i, a := range p.Arms {
		for j, n := range append([]string{a.ID, a.Title}, a.Aliases...) {
			path := []string{"arms", strconv.Itoa(i), "id"}
			if j > 1 {
				path = []string{"arms", strconv.Itoa(i), "aliases", strconv.Itoa(j - 2)}
			}
			if other, taken := named[fold(n)]; taken && other != a.ID {
				f.at(path, "arm name %q is also one of %s", n, other)
			}
			if fold(n) == Unassigned {
				f.at(path, "%q is the name of patients without an arm", Unassigned)
			}
			named[fold(n)] = a.ID
		}
	}
	drugs, used := slices.Clone(drugs), map[string]bool{}
	for i := range p.Codes {
		if name := p.Codes[i].Concept; !slices.Contains(drugs, name) && !slices.Contains(analytes(), name) {
			drugs = append(drugs, name)
		}
	}
	drug := func(name string, path ...string) {
		used[name] = true
		if !slices.Contains(drugs, name) {
			f.at(path, "unknown drug or procedure %q: want one of %s, or one that stands under codes%s", name, strings.Join(drugs, ", "), document.DidYouMean(name, drugs))
		}
	}
	if p.Day0 != Enrolled {
		drug(p.Day0, "day0")
	}
	if least := 2 * timeline.ShortestSilence; p.FeedStaleAfter.D() < least {
		f.at([]string{"feedStaleAfter"}, "a feed cannot be called stale before %d h", least/time.Hour)
	}
	for i, t := range p.Treatments {
		drug(t, "treatments", strconv.Itoa(i))
	}
	for i := range p.Regimens {
		r, at := &p.Regimens[i], func(field string) []string { return []string{"regimens", strconv.Itoa(i), field} }
		drug(r.Drug, at("drug")...)
		if r.Arm != AllArms && !slices.ContainsFunc(p.Arms, func(a Arm) bool { return a.ID == r.Arm }) {
			f.at(at("arm"), "regimen %s: there is no arm %q%s", r.ID, r.Arm, document.DidYouMean(r.Arm, armIDs(p)))
		}
		f.versions(p, i)
		f.days(p, i)
		for j, name := range r.ExpectedWith {
			drug(name, "regimens", strconv.Itoa(i), "expectedWith", strconv.Itoa(j))
		}
		switch {
		case r.Schedule == "daily" && r.LastDay < r.FirstDay:
			f.at(at("lastDay"), "regimen %s: last day %d is before first day %d", r.ID, r.LastDay, r.FirstDay)
		case r.Schedule == "interval" && r.Every <= 0:
			f.at(at("every"), "regimen %s: the interval must be longer than 0", r.ID)
		case r.Schedule == "interval" && r.MissedAfter < r.Tolerance:
			f.at(at("missedAfter"), "regimen %s: a dose would be missed before it is late", r.ID)
		case r.Schedule == "interval" && r.MissedAfter*2 > r.Every:
			f.at(at("missedAfter"), "regimen %s: a dose would be missed after half the interval, when the next could fill its slot", r.ID)
		}
	}
	f.times(p)
	f.windows(p)
	f.dosing(p, drug)
	for i := range p.Intervals {
		n, at := &p.Intervals[i], func(field string) []string { return []string{"preconditions", strconv.Itoa(i), field} }
		drug(n.After, at("after")...)
		if n.Before != p.Day0 {
			f.at(at("before"), "only %s, which defines day 0, can wait for another drug, not %q", p.Day0, n.Before)
		}
		if n.AtMost > 0 && n.AtMost <= n.MoreThan {
			f.at(at("atMost"), "%s: no time is more than %s and at most %s", n.ID, n.MoreThan.D(), n.AtMost.D())
		}
	}
	for i := range p.Prohibited {
		for j, name := range p.Prohibited[i].Drugs {
			drug(name, "prohibited", strconv.Itoa(i), "drugs", strconv.Itoa(j))
		}
	}
	f.holds(p, drug)
	f.terms(p, drug)
	CheckNormal(f.File, "normal", p.Normal)
	f.outcomes(p, drug)
	f.assessments(p, drug)
	for i, c := range p.Codes {
		if !known(c.Concept) && !used[c.Concept] {
			p.Notes = append(p.Notes, f.Note([]string{"codes", strconv.Itoa(i), "concept"}, "nothing in this protocol names %q%s", c.Concept, document.DidYouMean(c.Concept, append(analytes(), drugs...))))
		}
	}
	f.stopping(p)
	f.blinding(p)
	if fn := p.FN; fn != nil {
		if fn.NeutrophilsBelow.Unit != "10*9/L" {
			f.at([]string{"febrileNeutropenia", "neutrophilsBelow", "unit"}, "neutrophils are compared in 10*9/L, not %s", fn.NeutrophilsBelow.Unit)
		}
		if fn.Sustained.Unit != "Cel" {
			f.at([]string{"febrileNeutropenia", "sustained", "unit"}, "temperatures are compared in Cel, not %s", fn.Sustained.Unit)
		}
		if fn.Single.Value.Less(fn.Sustained.Value) {
			f.at([]string{"febrileNeutropenia", "single", "value"}, "the single temperature is below the sustained one")
		}
		if fn.EpisodeGap <= 0 || fn.ReadingGap <= 0 {
			f.at([]string{"febrileNeutropenia", "episodeGap"}, "the gaps must be longer than 0")
		}
	}
}

// needsGap are the terms of readings that come and go: without a gap each reading would be an episode of its own.
var needsGap = []string{"fever", "hypertension", "hypotension", "sinus-tachycardia", "hypoxia", "cytokine-release-syndrome", "chills"}

// terms resolves the monitored terms in the pinned version.
func (f *file) terms(p *Protocol, drug func(string, ...string)) {
	seen := map[string]string{}
	for i := range p.Toxicity {
		t := &p.Toxicity[i]
		at := func(field string) []string { return []string{"toxicity", strconv.Itoa(i), field} }
		if t.Expected != nil {
			drug(t.Expected.From, append(at("expected"), "from")...)
		}
		if t.Term == ctcae.FebrileNeutropeniaSlug {
			f.at(at("term"), "febrile neutropenia has its own block: febrileNeutropenia")
			continue
		}
		c, known := ctcae.Resolve(p.CTCAE, t.Term)
		switch {
		case !known:
			f.at(at("term"), "unknown term %q%s", t.Term, document.DidYouMean(t.Term, ctcae.Slugs()))
			continue
		case c == nil:
			p.Notes = append(p.Notes, f.Note(at("term"), "CTCAE %s has no term for %s: it is not graded", p.CTCAE, t.Term))
			continue
		case !c.Graded():
			why := ""
			if c.Note != "" && !strings.HasPrefix(c.Note, "Never") {
				why = ": " + c.Note
			}
			f.at(at("term"), "%s is never graded from data in CTCAE %s%s", c.Term, p.CTCAE, why)
			continue
		}
		if other, twice := seen[c.Slug]; twice {
			f.at(at("term"), "%s stands here twice: %s is the same in CTCAE %s", t.Term, other, p.CTCAE)
		}
		seen[c.Slug] = t.Term
		if slices.Contains(needsGap, c.Key) && t.EpisodeGap <= 0 {
			f.at(at("term"), "%s needs an episodeGap longer than 0", t.Term)
		}
		switch {
		case c.ReadsThreshold() && t.Threshold == nil:
			f.at(at("term"), "%s needs a threshold: the CTCAE name none", t.Term)
		case t.Threshold != nil && !c.ReadsThreshold() && c.Key != "cytokine-release-syndrome":
			f.at(at("threshold"), "%s has its limits in the CTCAE: no threshold is read", t.Term)
		case t.Threshold != nil:
			analyte := timeline.Systolic
			if len(c.Limits) > 0 {
				analyte = c.Limits[0].Analyte
			}
			if u, ok := unit.Of(analyte); ok && t.Threshold.Unit != u.Canonical {
				f.at(append(at("threshold"), "unit"), "%s is compared in %s, not %s", analyte, u.Canonical, t.Threshold.Unit)
			}
		}
		p.Terms = append(p.Terms, Term{t, c})
	}
}

// UrineOutput8h is the urine of the 8 hours before, which a hold may read: a sum that no result is.
const UrineOutput8h = "urine-output-8h"

// holds judges the criteria of holding.
func (f *file) holds(p *Protocol, drug func(string, ...string)) {
	for i := range p.Holds {
		h := &p.Holds[i]
		hold := []string{"holds", strconv.Itoa(i)}
		if slices.ContainsFunc(p.Holds[:i], func(o Hold) bool { return o.ID == h.ID && o.InForce.meets(h.InForce) }) {
			f.at(append(slices.Clone(hold), "id"), "hold %s stands here twice", h.ID)
		}
		for j, name := range h.Drugs {
			drug(name, append(slices.Clone(hold), "drugs", strconv.Itoa(j))...)
		}
		if h.Relative == nil && h.Absolute == nil {
			f.at(append(slices.Clone(hold), "id"), "hold %s has neither a relative nor an absolute criterion", h.ID)
		}
		for name, l := range map[string]*Limits{"relative": h.Relative, "absolute": h.Absolute} {
			if l == nil {
				continue
			}
			n := 0
			l.Each(func(_, field string, j int, lim *Limit) {
				n++
				at := func(key string) []string { return append(slices.Clone(hold), name, field, strconv.Itoa(j), key) }
				analyte := lim.Analyte
				if analyte == UrineOutput8h {
					analyte = timeline.UrineOutput
				}
				family, ok := unit.Of(analyte)
				switch {
				case !ok:
					f.at(at("analyte"), "no hold can read %q%s", lim.Analyte, document.DidYouMean(lim.Analyte, analytes()))
				case lim.Of != "" && lim.Unit != "":
					f.at(at("unit"), "a multiple of %s has no unit", lim.Of)
				case lim.Of == "" && family.Canonical != lim.Unit:
					f.at(at("unit"), "%s is compared in %s, not %s", lim.Analyte, family.Canonical, lim.Unit)
				}
			})
			if n == 0 {
				f.at(append(slices.Clone(hold), name, "label"), "hold %s: the %s criterion has no limit", h.ID, name)
			}
		}
	}
}

// doseUnits are the units of a regimen's dose, and what each is per.
var doseUnits = []string{"[iU]", "[iU]/kg", "[iU]/m2", "mg", "mg/kg", "mg/m2"}

// dosing judges amounts.
func (f *file) dosing(p *Protocol, drug func(string, ...string)) {
	for i := range p.Regimens {
		for j, n := range p.Regimens[i].Renal {
			if !n.AtLeast.Less(n.Below) || p.Regimens[i].Dose == nil {
				f.at([]string{"regimens", strconv.Itoa(i), "renal", strconv.Itoa(j), "below"}, "a range of clearance begins below its end, and adjusts a dose")
			}
			for k, o := range p.Regimens[i].Renal[:j] {
				if n.AtLeast.Less(o.Below) && o.AtLeast.Less(n.Below) {
					f.at([]string{"regimens", strconv.Itoa(i), "renal", strconv.Itoa(j), "atLeast"}, "the ranges of clearance %d and %d overlap: of a clearance in both the dose would depend on their order", k+1, j+1)
				}
			}
		}
		if d := p.Regimens[i].Dose; d != nil && !slices.Contains(doseUnits, d.Unit) {
			f.at([]string{"regimens", strconv.Itoa(i), "dose", "unit"}, "a dose is planned in one of %s, not %q", strings.Join(doseUnits, ", "), d.Unit)
		}
	}
	if p.Dosing == nil {
		return
	}
	for i := range p.Regimens {
		if d := p.Regimens[i].Dose; d != nil && strings.Contains(d.Unit, "/") && len(p.Dosing.Weight) == 0 {
			f.at([]string{"dosing", "tolerance"}, "regimen %s is dosed by weight: dosing.weight must say by which", p.Regimens[i].ID)
		}
	}
	for i, name := range p.Dosing.Weight {
		drug(name, "dosing", "weight", strconv.Itoa(i))
	}
	if p.Dosing.Tolerance.Sign() < 0 {
		f.at([]string{"dosing", "tolerance"}, "the tolerance is below 0")
	}
	if !decimal.Int(1).Less(p.Dosing.UnitSlip) {
		f.at([]string{"dosing", "unitSlip"}, "a slip of the unit is a factor above 1")
	}
	for i := range p.Dosing.Strengths {
		s := &p.Dosing.Strengths[i]
		at := func(fields ...string) []string {
			return append([]string{"dosing", "strengths", strconv.Itoa(i)}, fields...)
		}
		drug(s.Drug, at("drug")...)
		for _, q := range []struct {
			name  string
			value *Quantity
		}{{"of", &s.Of}, {"is", &s.Is}} {
			if !slices.Contains([]string{"[iU]", "mg", "mL"}, q.value.Unit) {
				f.at(at(q.name, "unit"), "a strength is in [iU], mg or mL, not %q", q.value.Unit)
			}
			if q.value.Value.Sign() <= 0 {
				f.at(at(q.name, "value"), "a strength is above 0")
			}
		}
		if s.Of.Unit == s.Is.Unit {
			f.at(at("is", "unit"), "a strength relates two units, not %s and %s", s.Of.Unit, s.Is.Unit)
		}
	}
}

// CheckNormal converts limits of normal, which stand under a key of a file, and reports what is wrong with them there.
func CheckNormal(f *document.File, key string, normals []Normal) {
	seen := map[string]bool{}
	for i := range normals {
		n := &normals[i]
		at := func(field string) []string { return []string{key, strconv.Itoa(i), field} }
		family, ok := unit.Of(n.Analyte)
		if !ok {
			f.At(at("analyte"), "unknown analyte %q%s", n.Analyte, document.DidYouMean(n.Analyte, analytes()))
			continue
		}
		if seen[n.Analyte] {
			f.At(at("analyte"), "the limits of %s stand here twice", n.Analyte)
		}
		seen[n.Analyte] = true
		u, ok := family.Find(n.Unit)
		if !ok {
			f.At(at("unit"), "%s is not measured in %q: want one of %s", n.Analyte, n.Unit, strings.Join(family.Spellings(), ", "))
			continue
		}
		if n.Low == nil && n.High == nil {
			f.At(at("analyte"), "%s has neither a low nor a high limit", n.Analyte)
		}
		for _, l := range []struct {
			from *decimal.Number
			to   **decimal.Number
			name string
		}{{n.Low, &n.LowValue, "low"}, {n.High, &n.HighValue, "high"}} {
			if l.from == nil {
				continue
			}
			v, err := u.Canonical(*l.from)
			if err != nil {
				f.At(at(l.name), "%s: %v", l.from, err)
				continue
			}
			if l.name == "high" && (v.Less(family.Low) || v.Sign() == 0) || v.Sign() < 0 || family.Top.Less(v) {
				f.At(at(l.name), "%s %s is no limit of %s, which is believed from %s to %s %s", l.from, n.Unit, n.Analyte, family.Low, family.Top, family.Canonical)
			}
			*l.to = &v
		}
		if n.LowValue != nil && n.HighValue != nil && n.HighValue.Less(*n.LowValue) {
			f.At(at("low"), "the limits of %s are upside down", n.Analyte)
		}
	}
}

func armIDs(p *Protocol) []string {
	var ids []string
	for _, a := range p.Arms {
		ids = append(ids, a.ID)
	}
	return ids
}

func analytes() []string {
	var names []string
	for _, u := range unit.All() {
		names = append(names, u.Analyte)
	}
	return names
}

func parseDuration(s string) (time.Duration, error) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" || strings.HasSuffix(rest, "T") {
		return 0, fmt.Errorf("%q is not an ISO 8601 duration such as PT8H or P5D", s)
	}
	days, clock, _ := strings.Cut(rest, "T")
	var total time.Duration
	for _, part := range []struct {
		text  *string
		units string
	}{{&days, "D"}, {&clock, "HM"}} {
		for _, unit := range part.units {
			number, after, found := strings.Cut(*part.text, string(unit))
			if !found {
				continue
			}
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n > 100_000 {
				return 0, fmt.Errorf("%q is not an ISO 8601 duration such as PT8H or P5D", s)
			}
			total += time.Duration(n) * map[rune]time.Duration{'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute}[unit]
			*part.text = after
		}
		if *part.text != "" {
			return 0, fmt.Errorf("%q is not an ISO 8601 duration such as PT8H or P5D", s)
		}
	}
	return total, nil
}
