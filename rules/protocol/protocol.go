// Package protocol holds a trial as data: arms, schedules, windows, thresholds and where each comes from.
//
// A protocol is a YAML file. [Parse] is strict: an unknown key, a wrong type or a contradiction is an error with line and column, and all of
// them are returned at once. The shape is published as schema.json, which editors can use.
package protocol

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Protocol is one trial. It is not changed after [Parse] and safe for concurrent use.
type Protocol struct {
	Study         string            `yaml:"study"` // token of findings and NATS subjects
	Title         string            `yaml:"title"`
	Version       string            `yaml:"version"`
	Source        string            `yaml:"source"`
	References    []string          `yaml:"references"`    // how a ResearchSubject names the study
	SubjectSystem string            `yaml:"subjectSystem"` // system of the identifier that names a subject; "" = the first one
	CTCAE         ctcae.Version     `yaml:"ctcae"`
	Timezone      string            `yaml:"timezone"`
	Arms          []Arm             `yaml:"arms"`
	Day0          string            `yaml:"day0"`       // procedure or drug whose first start is day 0, or [Enrolled]
	Treatments    []string          `yaml:"treatments"` // concepts that make a patient treated
	Regimens      []Regimen         `yaml:"regimens"`
	Assessments   []Assessment      `yaml:"assessments"`
	Dosing        *Dosing           `yaml:"dosing"` // nil: amounts and routes of doses are not compared
	NotGiven      NotGiven          `yaml:"notGiven"`
	Holds         []Hold            `yaml:"holds"`
	Intervals     []Interval        `yaml:"preconditions"`
	Prohibited    []Prohibited      `yaml:"prohibited"`
	Toxicity      []Toxicity        `yaml:"toxicity"`
	Normal        []Normal          `yaml:"normal"`             // the site's limits of normal, where a result names none
	FN            *FebrileNeutro    `yaml:"febrileNeutropenia"` // nil: the rule does not run
	Response      *Response         `yaml:"response"`           // nil: there is no panel response
	Survival      *Survival         `yaml:"survival"`           // nil: there is no panel survival
	Biomarkers    *Biomarkers       `yaml:"biomarkers"`         // nil: there is no panel biomarkers
	Stopping      []Stopping        `yaml:"stopping"`
	Blinding      *Blinding         `yaml:"blinding"` // nil: everybody who may see the aggregates may see the arms
	Codes         []Code            `yaml:"codes"`
	Urgency       map[string]string `yaml:"urgency"` // rule id → urgency, in place of the default
	// AfterOffStudy is how long results are graded after a patient left the study (0 = not at all).
	AfterOffStudy Duration `yaml:"afterOffStudy"`
	// EmergentFor is how long after the last dose of a treatment a toxicity counts as treatment-emergent (0 = without end).
	EmergentFor Duration `yaml:"emergentFor"`
	// DescriptiveBelow is how many patients the smaller arm needs for a comparison of arms to be more than a description (0 = none).
	DescriptiveBelow int `yaml:"descriptiveBelow"`
	// FutureTolerance is how far after its receipt a clinical time may lie.
	FutureTolerance Duration `yaml:"futureTolerance"`
	// MedicationWait is how long an administration may wait for the Medication that says what was given.
	MedicationWait Duration `yaml:"medicationWait"`
	// FeedStaleAfter is how long nothing may come about a patient in hospital on a running course.
	FeedStaleAfter Duration `yaml:"feedStaleAfter"`

	Zone *time.Location `yaml:"-"` // of Timezone, never nil after Parse
	Hash string         `yaml:"-"` // SHA-256 of the file, hex
	// File is what the protocol was parsed from. Nobody changes it.
	File []byte `yaml:"-"`
	// Terms are the entries of Toxicity that the pinned version grades, under the name that it has for them.
	Terms []Term `yaml:"-"`
	// Notes are what an author should know and that is no error, each with its place.
	Notes Errors `yaml:"-"`
}

// Pin names the very file of a protocol by which something was judged.
type Pin struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

// Pin returns the name of the file that p was read from.
func (p *Protocol) Pin() Pin { return Pin{p.Version, p.Hash} }

// Arm is a treatment arm.
type Arm struct {
	ID      string   `yaml:"id"`
	Title   string   `yaml:"title"`
	Aliases []string `yaml:"aliases"`
}

// Regimen is a drug of one arm and when it is due.
type Regimen struct {
	ID       string    `yaml:"id"`
	Title    string    `yaml:"title"`
	Arm      string    `yaml:"arm"` // [AllArms]: every arm
	Drug     string    `yaml:"drug"`
	Route    string    `yaml:"route"`
	Dose     *Quantity `yaml:"dose"`
	Schedule string    `yaml:"schedule"` // "interval", "daily", "days", "cycle", or "given": amounts and routes are compared, nothing is expected
	Cite     string    `yaml:"cite"`

	// Of an interval schedule: doses every so many hours of elapsed time.
	Every       Duration `yaml:"every"`
	Doses       int      `yaml:"doses"`       // how many at most
	FirstWithin Duration `yaml:"firstWithin"` // of the end of the day-0 infusion
	Tolerance   Duration `yaml:"tolerance"`   // early before due − tolerance, late after due + tolerance
	MissedAfter Duration `yaml:"missedAfter"`
	MinGap      Duration `yaml:"minGap"` // a shorter gap between given doses is important
	MaxGap      Duration `yaml:"maxGap"` // the course ends so long after the last given dose
	Course      Duration `yaml:"course"` // and so long after the first

	// Of a daily schedule: one dose a site-local calendar day, from FirstDay to LastDay (study days).
	FirstDay int `yaml:"firstDay"` // of a cycle schedule too
	LastDay  int `yaml:"lastDay"`

	// Of a cycle schedule: from FirstDay one dose every so many site-local calendar days after the dose before, in a window of days either side, for
	// so many days.
	EveryDays  int `yaml:"everyDays"`
	WindowDays int `yaml:"windowDays"` // of a days schedule too
	ForDays    int `yaml:"forDays"`

	// Of a days schedule: one dose on each of these study days, in a window of WindowDays either side.
	Days []int `yaml:"days"`
	// ExpectedWith are drugs of which one must be recorded as given before a dose is expected: a feed without them is no patient without them. nil: doses are
	// expected whatever else is recorded.
	ExpectedWith []string `yaml:"expectedWith"`
	// Parts says that the dose of a day may be given in parts: any given record of a day fills it, and there is no record too many.
	Parts bool `yaml:"parts"`

	// Missed is the importance of a missed dose, "" for minor.
	Missed string `yaml:"missed"`
	// InForce is when the regimen holds; a regimen may stand several times, each version for its time.
	InForce *InForce `yaml:"inForce"`
	// Renal are doses for a reduced creatinine clearance, by Cockcroft and Gault.
	Renal []Renal `yaml:"renal"`
}

// Renal is a dose for a range of creatinine clearance, in mL/min.
type Renal struct {
	AtLeast decimal.Number `yaml:"atLeast"`
	Below   decimal.Number `yaml:"below"`
	Dose    decimal.Number `yaml:"dose"` // in the unit of the regimen's dose
	Cite    string         `yaml:"cite"`
}

// AllArms is the arm of a regimen that every arm has.
const AllArms = "all"

// Interval is how long before the start of one treatment another must have ended.
type Interval struct {
	ID       string   `yaml:"id"`
	Title    string   `yaml:"title"`
	Before   string   `yaml:"before"` // the treatment that waits: the day-0 concept
	After    string   `yaml:"after"`  // the drug that comes first
	MoreThan Duration `yaml:"moreThan"`
	AtMost   Duration `yaml:"atMost"` // 0: no limit
	InForce  *InForce `yaml:"inForce"`
	Cite     string   `yaml:"cite"`
}

// Prohibited is co-medication that the trial forbids.
type Prohibited struct {
	ID      string   `yaml:"id"`
	Title   string   `yaml:"title"`
	Drugs   []string `yaml:"drugs"`
	FromDay int      `yaml:"fromDay"` // study day
	Routes  []string `yaml:"exceptRoutes"`
	For     []string `yaml:"exceptFor"` // indications
	InForce *InForce `yaml:"inForce"`
	Cite    string   `yaml:"cite"`
}

// Slots is how many doses the regimen has at most.
func (r *Regimen) Slots() int {
	switch r.Schedule {
	case "daily":
		return r.LastDay - r.FirstDay + 1
	case "cycle":
		return r.ForDays/r.EveryDays + 1
	case "days":
		return len(r.Days)
	}
	return r.Doses
}

// Dosing says how the amount of a dose is compared with the regimen's.
type Dosing struct {
	// Weight names the drugs before whose first dose the dosing weight was measured: the last at or before the first dose of the first of them that
	// was given. It is fixed for the course.
	Weight []string `yaml:"weight"`
	// Tolerance is how many percent a dose may differ, exactly that included.
	Tolerance decimal.Number `yaml:"tolerance"`
	// UnitSlip is the factor from which a difference is taken for a slip of the unit.
	UnitSlip  decimal.Number `yaml:"unitSlip"`
	Strengths []Strength     `yaml:"strengths"`
	Cite      string         `yaml:"cite"`
}

// Strength is how much of a drug a volume or mass of its product holds.
type Strength struct {
	Drug string   `yaml:"drug"`
	Of   Quantity `yaml:"of"` // 1 mL
	Is   Quantity `yaml:"is"` // 18000000 [iU]
	Cite string   `yaml:"cite"`
}

// NotGiven classes the reasons of doses that were not given; what is in neither list is held.
type NotGiven struct {
	Refused     []string `yaml:"refused"` // "system|code"
	Unavailable []string `yaml:"unavailable"`
	Cite        string   `yaml:"cite"`
}

// Hold is a criterion that supports holding a dose, and makes a dose that is given all the same a deviation.
type Hold struct {
	ID       string   `yaml:"id"`
	Title    string   `yaml:"title"`
	Drugs    []string `yaml:"drugs"` // whose doses it holds
	Lookback Duration `yaml:"lookback"`
	// SincePrevious looks back no further than the dose before.
	SincePrevious bool     `yaml:"sincePrevious"`
	Relative      *Limits  `yaml:"relative"` // nil: the criterion has none
	Absolute      *Limits  `yaml:"absolute"`
	InForce       *InForce `yaml:"inForce"`
	Cite          string   `yaml:"cite"`
}

// Limits are the values from which a criterion is met, one a unit family.
type Limits struct {
	Label   string  `yaml:"label"`
	AtLeast []Limit `yaml:"atLeast"`
	AtMost  []Limit `yaml:"atMost"`
	Above   []Limit `yaml:"above"`
	Below   []Limit `yaml:"below"`
}

// Each calls fn with every limit and its comparison: ">=", "<=", ">" or "<".
func (l *Limits) Each(fn func(comparison, field string, index int, limit *Limit)) {
	for _, list := range []struct {
		comparison, field string
		limits            []Limit
	}{{">=", "atLeast", l.AtLeast}, {"<=", "atMost", l.AtMost}, {">", "above", l.Above}, {"<", "below", l.Below}} {
		for i := range list.limits {
			fn(list.comparison, list.field, i, &list.limits[i])
		}
	}
}

// Limit is a limit of one analyte: a value in its canonical unit, or a multiple of the upper limit of normal or of the baseline.
type Limit struct {
	Analyte string         `yaml:"analyte"`
	Value   decimal.Number `yaml:"value"`
	Unit    string         `yaml:"unit"` // "" where Of is set
	Of      string         `yaml:"of"`   // "ULN", "baseline", or "" for a plain value
}

// Toxicity is a CTCAE term that is graded.
type Toxicity struct {
	Term string `yaml:"term"` // in kebab case, by the name of any version: the pinned one may have another
	// EpisodeGap makes readings of grade ≥ 1 less than so far apart one episode, which ends so long after the last of them. 0: an episode ends with
	// the first result of grade 0.
	EpisodeGap Duration `yaml:"episodeGap"`
	// Threshold is the limit of a term for which the CTCAE name none, in the canonical unit of its analyte.
	Threshold *Quantity `yaml:"threshold"`
	Expected  *Window   `yaml:"expected"` // nil: never expected
}

// Term is a monitored term with its criterion in the pinned version.
type Term struct {
	*Toxicity
	Criterion *ctcae.Criterion
}

// ThresholdValue is the threshold's number, nil if there is none.
func (t *Term) ThresholdValue() *decimal.Number {
	if t.Threshold == nil {
		return nil
	}
	return &t.Threshold.Value
}

// Normal is a site's limits of normal of an analyte.
type Normal struct {
	Analyte string          `yaml:"analyte"`
	Low     *decimal.Number `yaml:"low"` // nil: not known
	High    *decimal.Number `yaml:"high"`
	Unit    string          `yaml:"unit"` // any of the analyte's
	Cite    string          `yaml:"cite"`

	LowValue, HighValue *decimal.Number `yaml:"-"` // in the analyte's canonical unit
}

// Window is a span of a patient's study: from the first dose of a drug to the end of a study day.
type Window struct {
	From  string `yaml:"from"`
	ToDay int    `yaml:"toDay"`
}

// FebrileNeutro holds the parameters of febrile neutropenia; DESIGN words: criterion instant, neutropenic, episode.
type FebrileNeutro struct {
	NeutrophilsBelow     Quantity `yaml:"neutrophilsBelow"`     // 10*9/L
	Single               Single   `yaml:"single"`               // one temperature
	Sustained            Quantity `yaml:"sustained"`            // Cel, at least
	SustainedFor         Duration `yaml:"sustainedFor"`         // longer than
	ReadingGap           Duration `yaml:"readingGap"`           // at most, within a run of readings
	Lookback             Duration `yaml:"lookback"`             // age of a count, at most
	Lookahead            Duration `yaml:"lookahead"`            // a count after the temperature, at most
	EpisodeGap           Duration `yaml:"episodeGap"`           // between readings of one episode, at most
	PossibleSustainedGap Duration `yaml:"possibleSustainedGap"` // a candidate's gap, at most
	Expected             bool     `yaml:"expected"`
	Cite                 string   `yaml:"cite"`
}

// Single is a limit for one temperature.
type Single struct {
	Comparator string         `yaml:"comparator"` // ">" or ">="
	Value      decimal.Number `yaml:"value"`
	Unit       string         `yaml:"unit"`
}

// Quantity is an exact number with its unit.
type Quantity struct {
	Value decimal.Number `yaml:"value"`
	Unit  string         `yaml:"unit"`
}

// Code adds codes and words to a concept.
type Code struct {
	Concept string   `yaml:"concept"`
	Codes   []string `yaml:"codes"`
	Texts   []string `yaml:"texts"`
	// Unit is the canonical unit of a marker of the protocol's own, "" of a concept that is known anyway.
	Unit string `yaml:"-"`
}

// Concepts are all codes of the protocol: those that it adds, those of responses and those of its own markers.
func (p *Protocol) Concepts() []Code {
	list := slices.Clone(p.Codes)
	if r := p.Response; r != nil {
		list = append(list, Code{Concept: timeline.TumorResponse, Codes: r.Codes})
		for _, c := range timeline.Categories {
			list = append(list, Code{Concept: c.Concept(), Codes: r.Categories.Of(c)})
		}
	}
	if b := p.Biomarkers; b != nil {
		for i := range b.Markers {
			list = append(list, Code{Concept: b.Markers[i].Reads(), Codes: b.Markers[i].Codes, Unit: b.Markers[i].Unit})
		}
	}
	return list
}

// Response says how assessments of the tumour are coded, and what makes the best overall response of a patient.
type Response struct {
	Codes      []string   `yaml:"codes"` // of the Observation, "system|code"
	Categories Categories `yaml:"categories"`
	// From is the treatment after whose first day assessments count; what lies before is a baseline.
	From string `yaml:"from"`
	// ConfirmAfterDays is after how many days at least a second assessment confirms a response; 0: a response needs none.
	ConfirmAfterDays int `yaml:"confirmAfterDays"`
	// NotEvaluableBetween is how many assessments that could not be evaluated may lie between a response and what confirms it.
	NotEvaluableBetween int `yaml:"notEvaluableBetween"`
	// StableAfterDays is how many days after the start stable disease must be seen to count as such.
	StableAfterDays int `yaml:"stableAfterDays"`
	// EndedBy are treatments after whose first dose no assessment counts.
	EndedBy []string `yaml:"endedBy"`
	Cite    string   `yaml:"cite"`
}

// Categories are the codes of each overall response by RECIST 1.1, "system|code".
type Categories struct {
	CR []string `yaml:"CR"`
	PR []string `yaml:"PR"`
	SD []string `yaml:"SD"`
	PD []string `yaml:"PD"`
	NE []string `yaml:"NE"`
}

// Of returns the codes of a category.
func (c *Categories) Of(category timeline.Category) []string {
	switch category {
	case timeline.CR:
		return c.CR
	case timeline.PR:
		return c.PR
	case timeline.SD:
		return c.SD
	case timeline.PD:
		return c.PD
	case timeline.NE:
		return c.NE
	}
	return nil
}

// Survival says from when progression-free and overall survival are counted, and what is shown of them.
type Survival struct {
	From string `yaml:"from"` // [Enrolled], or a treatment: its first day
	// MonthDays is how many days a month has.
	MonthDays decimal.Number `yaml:"monthDays"`
	Months    []int          `yaml:"months"` // at which the share is shown
	Cite      string         `yaml:"cite"`
}

// Enrolled is the day of enrolment as day 0, as what an assessment counts from, and as the start of survival.
const Enrolled = "enrolment"

// Biomarkers is what is measured of the immune system, and when.
type Biomarkers struct {
	Markers []Marker       `yaml:"markers"`
	Windows []MarkerWindow `yaml:"windows"`
	Cite    string         `yaml:"cite"`
}

// Marker is one measurement: of the trial's own, by its codes and unit, or an analyte that trialwatch knows anyway.
type Marker struct {
	ID      string   `yaml:"id"`
	Title   string   `yaml:"title"`
	Codes   []string `yaml:"codes"`   // "system|code"
	Unit    string   `yaml:"unit"`    // the canonical unit of its kind
	Analyte string   `yaml:"analyte"` // "": the marker is one of its own
}

// Reads is the name under which results of the marker stand on a timeline.
func (m *Marker) Reads() string { return cmp.Or(m.Analyte, m.ID) }

// Measured is the canonical unit in which the marker's values stand.
func (m *Marker) Measured() string {
	if f, ok := unit.Of(m.Analyte); ok {
		return f.Canonical
	}
	return m.Unit
}

// MarkerWindow is a span of study days of which each patient gives one value a marker.
type MarkerWindow struct {
	ID      string `yaml:"id"`
	Title   string `yaml:"title"`
	FromDay int    `yaml:"fromDay"`
	ToDay   int    `yaml:"toDay"`
	Take    string `yaml:"take"` // of several values: "first", "last" or "highest"; "" is last
}

// Unassigned is the arm of a patient whose assigned arm is missing or none of the protocol's.
const Unassigned = "unassigned"

// ArmOf returns the id of the arm that a feed names by id, title or alias, case and space folded, or [Unassigned].
func (p *Protocol) ArmOf(name string) string {
	name = fold(name)
	if name == "" {
		return Unassigned
	}
	for _, a := range p.Arms {
		if name == fold(a.ID) || name == fold(a.Title) || slices.ContainsFunc(a.Aliases, func(s string) bool { return name == fold(s) }) {
			return a.ID
		}
	}
	return Unassigned
}

func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// RegimensOf returns the regimens of an arm, in the order of the file.
func (p *Protocol) RegimensOf(arm string) []*Regimen {
	var rs []*Regimen
	for i := range p.Regimens {
		if p.Regimens[i].Arm == arm || p.Regimens[i].Arm == AllArms && arm != Unassigned {
			rs = append(rs, &p.Regimens[i])
		}
	}
	return rs
}

// NormalOf returns the site's limits of normal of an analyte, nil if the protocol names none.
func (p *Protocol) NormalOf(analyte string) *Normal {
	for i := range p.Normal {
		if p.Normal[i].Analyte == analyte {
			return &p.Normal[i]
		}
	}
	return nil
}

// In returns the protocol on the clocks of another zone: a site's, where that is not the trial's. It is the same protocol in all else.
func (p *Protocol) In(zone *time.Location) *Protocol {
	q := *p
	q.Zone = zone
	return &q
}

// Names reports whether a ResearchSubject's study is this one.
func (p *Protocol) Names(study string) bool { return slices.Contains(p.References, study) }

// Duration is elapsed time, written in ISO 8601 ("PT8H", "P5D" = 120 h).
type Duration time.Duration

// D returns d as a [time.Duration].
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText reads "P[nD][T[nH][nM]]".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := parseDuration(string(text))
	*d = Duration(v)
	return err
}

// UnmarshalYAML reads the same. The YAML library would lay the whole file out anew for each UnmarshalText.
func (d *Duration) UnmarshalYAML(read func(any) error) error {
	var text string
	if err := read(&text); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(text))
}

// String writes ISO 8601 in whole days where it can: "PT8H", "P5D", "PT1H30M".
func (d Duration) String() string {
	t := d.D()
	days, t := t/(24*time.Hour), t%(24*time.Hour)
	s := "P"
	if days > 0 {
		s += strconv.Itoa(int(days)) + "D"
	}
	h, m := t/time.Hour, t%time.Hour/time.Minute
	if h > 0 || m > 0 || days == 0 {
		s += "T"
	}
	if h > 0 || m == 0 && days == 0 {
		s += strconv.Itoa(int(h)) + "H"
	}
	if m > 0 {
		s += strconv.Itoa(int(m)) + "M"
	}
	return s
}
