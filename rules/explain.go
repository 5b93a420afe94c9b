package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Explanation is everything that [Evaluate] says of a patient in a study, with its proof. Times are shown in the study's zone.
type Explanation struct {
	Kind     string          `json:"kind"` // always "explanation"
	Study    string          `json:"study"`
	Protocol ProtocolVersion `json:"protocol"`
	Site     string          `json:"site"`
	Subject  string          `json:"subject"`
	Arm      string          `json:"arm"`
	AsOf     time.Time       `json:"asOf"`
	// Enrolment is the ResearchSubject that counts; ArmAsSent is its assigned arm in the words of the feed.
	Enrolment FactProof  `json:"enrolment"`
	ArmAsSent string     `json:"armAsSent"`
	OffStudy  *time.Time `json:"offStudy"` // null while on it
	Day0      *Day0Proof `json:"day0"`     // null while there is none
	// Treated and LastTreatment are the first and the last dose of any treatment of the study, null while there is none.
	Treated       *time.Time      `json:"treated"`
	LastTreatment *time.Time      `json:"lastTreatment"`
	DosingWeight  *FactProof      `json:"dosingWeight"` // null where none is known, or the protocol compares no doses
	Baselines     []BaselineProof `json:"baselines"`    // of the analytes that were measured and are compared with theirs
	Courses       []CourseProof   `json:"courses"`      // of the regimens of the assigned arm
	Findings      []Proof         `json:"findings"`     // sorted as Evaluate sorts them
}

// ProtocolVersion names a protocol file.
type ProtocolVersion struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
	CTCAE   string `json:"ctcae"`
}

// FactProof is a record as it counts.
type FactProof struct {
	Ref      string    `json:"ref"`
	Version  string    `json:"version"` // meta.versionId, "" where the feed sends none
	Role     string    `json:"role"`
	At       time.Time `json:"at"`       // clinical time
	Received time.Time `json:"received"` // zero for an instant at which something should have been
	Value    string    `json:"value"`    // as it was sent
	// Canonical is the value in the unit in which it is compared, "" where that is how it was sent.
	Canonical string   `json:"canonical"`
	Notes     []string `json:"notes"` // preliminary, in doubt, …
}

// Day0Proof is the infusion that defines day 0.
type Day0Proof struct {
	Date  string    `json:"date"` // the study's calendar
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Fact  FactProof `json:"fact"`
}

// BaselineProof is the baseline of an analyte, or why there is none.
type BaselineProof struct {
	Analyte string     `json:"analyte"`
	Fact    *FactProof `json:"fact"`   // null where there is no baseline
	Flag    string     `json:"flag"`   // high, low, normal or unknown: how it lay to its limits of normal
	Normal  string     `json:"normal"` // "7 to 40", "" where no limit is known
	Why     string     `json:"why"`
}

// CourseProof is a regimen as it went.
type CourseProof struct {
	Regimen  string      `json:"regimen"`
	Title    string      `json:"title"`
	Schedule string      `json:"schedule"`
	Cite     string      `json:"cite"`
	Given    int         `json:"given"`
	Ends     *time.Time  `json:"ends"` // when expectations end, null while that is not known
	Slots    []SlotProof `json:"slots"`
	// Outside are records that fill no slot: beyond the course, second records of one dose, of another arm's regimen.
	Outside []FactProof `json:"outside"`
}

// SlotProof is one dose that was expected, and what filled it.
type SlotProof struct {
	Number     int        `json:"number"`
	Due        time.Time  `json:"due"`
	From       time.Time  `json:"from"`       // in time from
	To         time.Time  `json:"to"`         // to, both included
	MissedFrom time.Time  `json:"missedFrom"` // with no record
	State      string     `json:"state"`      // given, held, refused, missed, pending, or "not judged"
	Timing     string     `json:"timing"`     // of a given dose: in time, early or late, with by how much
	Record     *FactProof `json:"record"`     // null where nothing fills it
	Amount     string     `json:"amount"`     // of a given dose: how it lies to the planned one, "" where that is not compared
}

// Proof is a finding with why it is true.
type Proof struct {
	Finding
	Because []string       `json:"because"` // in sentences
	Steps   []InstantProof `json:"steps"`   // of a graded toxicity: every result of the episode as it was graded
	Holds   []HoldProof    `json:"holds"`   // of a dose that was held, or given all the same: every criterion
	Facts   []FactProof    `json:"facts"`   // the evidence, with when it was received and what was compared
	Source  string         `json:"source"`
}

// InstantProof is one instant of a toxicity: what was graded, by which limits, and what that gave.
type InstantProof struct {
	At       time.Time         `json:"at"`
	Value    string            `json:"value"`    // as sent, or how it was derived
	Compared string            `json:"compared"` // the number that was compared, with its unit
	Operands map[string]string `json:"operands"` // LLN, ULN, baseline, change, threshold: what is known of them
	Baseline string            `json:"baseline"` // by which the limits were picked: "", high, low or above ULN
	Limits   []LimitProof      `json:"limits"`   // worst grade first
	Grade    string            `json:"grade"`    // "3", "2 to 4", "up to 3", or "none: no upper limit of normal"
	Ends     bool              `json:"ends"`     // it ended the episode
}

// LimitProof is one step of a criterion as it came out.
type LimitProof struct {
	Grade  int      `json:"grade"`
	Text   string   `json:"text"`   // "> 3 x ULN"
	Limits []string `json:"limits"` // what that is in numbers: "120"
	Answer string   `json:"answer"` // yes, no, undecided, or unknown with what is missing
	// Assumes is what the data may not tell, "" for nothing, and Settled whether it is known: yes, no or undecided.
	Assumes string `json:"assumes"`
	Settled string `json:"settled"`
}

// HoldProof is a hold criterion as it stood before a dose.
type HoldProof struct {
	Hold   string      `json:"hold"`
	Title  string      `json:"title"`
	From   time.Time   `json:"from"` // values from then
	To     time.Time   `json:"to"`   // to then count, both included
	Value  string      `json:"value"`
	Facts  []FactProof `json:"facts"`  // the last value, none where there is none
	Limits []string    `json:"limits"` // "absolute: creatinine-mass >= 3 mg/dL: no"
	Met    string      `json:"met"`    // absolute, relative, or "" for no
	Cite   string      `json:"cite"`
}

// keep remembers what a result was compared with, where somebody will ask.
func (c *Case) keep(in *ctcae.Input) *ctcae.Input {
	if !c.explaining {
		return nil
	}
	kept := *in
	return &kept
}

// Explain says what [Evaluate] says of a patient in a study at an instant, with the proof of each finding: the facts, what they were compared with, the
// doses that were expected and what filled them. It is nil for somebody who is not enrolled. Like Evaluate it is a pure function.
func Explain(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) *Explanation {
	c := newCase(tl, p, now)
	if c == nil {
		return nil
	}
	c.explaining = true
	for _, r := range All {
		r.Eval(c)
	}
	slices.SortFunc(c.findings, func(a, b Finding) int { return a.Compare(&b) })
	x := explainer{c: c}
	x.index()
	e := &Explanation{
		Kind: "explanation", Study: p.Study, Protocol: ProtocolVersion{p.Version, p.Hash, string(p.CTCAE)}, Site: c.Site, Subject: c.Subject, Arm: c.Arm, AsOf: c.local(now),
		Enrolment: x.fact(c.enrolled, "enrolment", c.Enrolment.Status), ArmAsSent: c.Enrolment.AssignedArm,
		OffStudy: x.time(c.OffStudy), Treated: x.time(c.Treated), LastTreatment: x.time(c.lastTreatment),
		Baselines: x.baselines(), Courses: x.courses(), Findings: []Proof{},
	}
	if c.Day0Fact != nil {
		day := c.local(c.Day0)
		e.Day0 = &Day0Proof{day.Format(time.DateOnly), day, c.local(c.Day0End), x.fact(c.Day0Fact, p.Day0, "")}
	}
	if p.Dosing != nil {
		if w := c.dosingWeight(); w != nil {
			f := x.point(*w, "dosing-weight")
			e.DosingWeight = &f
		}
	}
	for i := range c.findings {
		e.Findings = append(e.Findings, x.prove(&c.findings[i]))
	}
	return e
}

// explainer builds the explanation of one case.
type explainer struct {
	c      *Case
	points map[string][]timeline.Point // by reference
	facts  map[string]*timeline.Fact   // administrations, procedures, enrolments, by reference
}

func (x *explainer) index() {
	x.points, x.facts = map[string][]timeline.Point{}, map[string]*timeline.Fact{}
	for _, name := range x.c.Timeline.Analytes() {
		for _, p := range x.c.Timeline.Series(name) {
			x.points[p.Fact.Ref.String()] = append(x.points[p.Fact.Ref.String()], p)
		}
	}
	for _, fs := range [][]*timeline.Fact{x.c.Timeline.Doses(), x.c.Timeline.Others()} {
		for _, f := range fs {
			x.facts[f.Ref.String()] = f
		}
	}
}

func (x *explainer) time(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = x.c.local(t)
	return &t
}

func (x *explainer) fact(f *timeline.Fact, role, value string) FactProof {
	p := FactProof{Ref: f.Ref.String(), Version: f.Version.ID, Role: role, At: x.c.local(f.At.Start), Received: x.c.local(f.ReceivedAt), Value: value, Notes: []string{}}
	if f.At.DateOnly() {
		p.Notes = append(p.Notes, "date only")
	}
	if f.Provisional {
		p.Notes = append(p.Notes, "preliminary")
	}
	if x.c.Timeline.Doubtful(f.Ref) {
		p.Notes = append(p.Notes, "a newer version was refused")
	}
	if d := f.Dose; d != nil {
		if value == "" {
			p.Value = doseText(d)
		}
		if d.Medication != "" {
			p.Notes = append(p.Notes, "the drug is that of "+d.Medication)
		}
	}
	return p
}

// doseText is an administration in words: "completed 50.4 MIU IV".
func doseText(d *timeline.Dose) string {
	parts := []string{d.Status}
	if d.Amount != nil {
		parts = append(parts, d.Amount.String())
	}
	if d.Route != "" {
		parts = append(parts, d.Route)
	}
	return strings.Join(parts, " ")
}

func (x *explainer) point(p timeline.Point, role string) FactProof {
	f := x.fact(p.Fact, role, p.Value.String())
	family, ok := unit.Of(p.Analyte)
	switch {
	case p.Problem != nil:
		f.Notes = append(f.Notes, problemText(p.Problem))
	case ok:
		// 38.6 Cel is compared as it was sent; 101 [degF] is not.
		if text := p.Value.Comparator + p.Value.Value.Round().String() + " " + family.Canonical; text != f.Value {
			if u, known := family.Find(p.Value.Unit); !known || u.Factor().Cmp(one) != 0 || !u.Scales() {
				f.Canonical = text
			}
		}
	}
	if p.Doubt != nil {
		f.Notes = append(f.Notes, doubtText(p.Analyte))
	}
	if low, high := p.Low, p.High; low != nil || high != nil {
		f.Notes = append(f.Notes, "own limits of normal "+rangeText(low, high))
	}
	return f
}

// evidence is the evidence of a finding with what is known of its record.
func (x *explainer) evidence(e *Evidence) FactProof {
	for _, p := range x.points[e.Ref] {
		if (p.Analyte == e.Role || len(x.points[e.Ref]) == 1) && p.Value.String() == e.Value {
			f := x.point(p, e.Role)
			return f
		}
	}
	if f := x.facts[e.Ref]; f != nil {
		return x.fact(f, e.Role, e.Value)
	}
	return FactProof{Ref: e.Ref, Version: e.Version, Role: e.Role, At: e.At, Value: e.Value, Notes: []string{}}
}

func (x *explainer) baselines() []BaselineProof {
	c := x.c
	proofs := []BaselineProof{}
	var analytes []string
	for i := range c.Protocol.Terms {
		for j := range c.Protocol.Terms[i].Criterion.Limits {
			if l := &c.Protocol.Terms[i].Criterion.Limits[j]; l.ReadsBaseline() {
				analytes = append(analytes, l.Analyte)
			}
		}
	}
	for i := range c.Protocol.Holds {
		for _, l := range []*protocol.Limits{c.Protocol.Holds[i].Relative, c.Protocol.Holds[i].Absolute} {
			if l != nil {
				l.Each(func(_, _ string, _ int, limit *protocol.Limit) {
					if limit.Of == "baseline" {
						analytes = append(analytes, limit.Analyte)
					}
				})
			}
		}
	}
	analytes = slices.DeleteFunc(analytes, func(name string) bool { return len(c.Timeline.Series(name)) == 0 })
	slices.Sort(analytes)
	for _, name := range slices.Compact(analytes) {
		b := BaselineProof{Analyte: name, Flag: "unknown"}
		p := c.baseline(name)
		switch {
		case p != nil && c.Treated.IsZero(), p != nil && p.Fact.At.Start.Before(c.Treated):
			b.Why = "the last before the first study treatment"
		case p != nil:
			b.Why = "nothing before the first study treatment: the first after it"
		case c.Treated.IsZero():
			b.Why = "no study treatment was given yet"
		case c.hasSibling(name):
			b.Why = "measured before the first study treatment in the other of mass and moles only"
		default:
			b.Why = "no value that can be one"
		}
		if p != nil {
			f := x.point(*p, name)
			b.Fact = &f
			b.Flag = map[ctcae.Flag]string{ctcae.FlagHigh: "high", ctcae.FlagLow: "low", ctcae.FlagNormal: "normal"}[c.flag(*p)]
			b.Flag = cmp.Or(b.Flag, "unknown")
			lln, uln := c.normal(*p)
			b.Normal = operandsText(lln, uln)
		}
		proofs = append(proofs, b)
	}
	return proofs
}

func operandsText(lln, uln ctcae.Operand) string {
	switch {
	case lln.Known && uln.Known:
		return lln.Number.String() + " to " + uln.Number.String()
	case lln.Known:
		return "from " + lln.Number.String()
	case uln.Known:
		return "up to " + uln.Number.String()
	}
	return ""
}

// window is when a slot's dose is in time, both included.
func (x *explainer) window(r *protocol.Regimen, s *slot) (from, to time.Time) {
	switch r.Schedule {
	case "interval":
		return s.due.Add(-r.Tolerance.D()), s.due.Add(r.Tolerance.D())
	case "cycle":
		day, _ := x.c.day(s.due)
		return x.c.midnight(day - r.WindowDays), x.c.midnight(day + r.WindowDays + 1).Add(-time.Second)
	}
	return s.due, s.missedAt.Add(-time.Second)
}

func (x *explainer) courses() []CourseProof {
	c := x.c
	proofs := []CourseProof{}
	var d *dose
	if c.Protocol.Dosing != nil {
		w := c.dosingWeight()
		d = &dose{c: c, weight: w, surface: c.bodySurface(w)}
	}
	for i := range c.courses {
		k := &c.courses[i]
		r := k.regimen
		p := CourseProof{Regimen: r.ID, Title: r.Title, Schedule: r.Schedule, Cite: r.Cite, Given: k.given, Ends: x.time(k.end), Slots: []SlotProof{}, Outside: []FactProof{}}
		placed := map[*timeline.Fact]bool{}
		for j := range k.slots {
			s := &k.slots[j]
			from, to := x.window(r, s)
			q := SlotProof{
				Number: s.number, Due: c.local(s.due), From: c.local(from), To: c.local(to), MissedFrom: c.local(s.missedAt),
				State: cmp.Or(string(s.state), "not judged: due before the enrolment"),
			}
			if s.record != nil {
				placed[s.record] = true
				f := x.fact(s.record, r.Drug, "")
				q.Record = &f
				q.Timing = timing(s)
				if d != nil && s.state == slotGiven {
					is, text := d.compare(s.record, r)
					if q.Amount = text; is == asPlanned {
						q.Amount = "as planned: " + text
					}
				}
			}
			p.Slots = append(p.Slots, q)
		}
		for _, list := range []struct {
			facts []*timeline.Fact
			why   string
		}{{k.extra, "beyond the course"}, {k.duplicates, "a second record of one dose: not counted"}, {k.sameDay, "a second dose of one day: counted"}, {k.records, "fills no slot"}} {
			for _, f := range list.facts {
				if placed[f] {
					continue
				}
				placed[f] = true
				proof := x.fact(f, r.Drug, "")
				switch {
				case r.Schedule != "given":
					proof.Notes = append(proof.Notes, list.why)
				case d != nil && f.Dose.Given():
					if _, text := d.compare(f, r); text != "" {
						proof.Notes = append(proof.Notes, text)
					}
				}
				p.Outside = append(p.Outside, proof)
			}
		}
		for _, f := range c.Timeline.Doses() {
			if c.elsewhere[f] && f.Dose.Drug == r.Drug {
				proof := x.fact(f, r.Drug, "")
				proof.Notes = append(proof.Notes, "of another arm's regimen")
				p.Outside = append(p.Outside, proof)
			}
		}
		proofs = append(proofs, p)
	}
	return proofs
}

// timing says how a given dose lies to its due time.
func timing(s *slot) string {
	if s.state != slotGiven || s.record == nil {
		return ""
	}
	switch d := s.record.At.Start.Sub(s.due); {
	case s.record.At.DateOnly():
		return "date only: not judged"
	case s.early:
		return span(-d) + " early"
	case s.late:
		return span(d) + " late"
	}
	return "in time"
}

// prove says why a finding is true.
func (x *explainer) prove(f *Finding) Proof {
	p := Proof{Finding: *f, Because: []string{}, Steps: []InstantProof{}, Holds: []HoldProof{}, Facts: []FactProof{}}
	for i := range f.Evidence {
		p.Facts = append(p.Facts, x.evidence(&f.Evidence[i]))
	}
	switch family, _, _ := strings.Cut(f.Rule, "."); {
	case f.Rule == "tox."+ctcae.FebrileNeutropeniaSlug:
		x.proveFN(&p)
	case family == "tox":
		x.proveTerm(&p)
	case family == "dev" || family == "log":
		x.proveDose(&p)
	case family == "data":
		x.proveData(&p)
	}
	if f.Urgency != "" && x.c.Protocol.Urgency[f.Rule] != "" {
		p.Because = append(p.Because, fmt.Sprintf("Urgency %s is set by the protocol for this rule.", f.Urgency))
	}
	return p
}

// proveTerm grades the results of the episode again and shows how.
func (x *explainer) proveTerm(p *Proof) {
	c := x.c
	for i := range c.Protocol.Terms {
		t := &c.Protocol.Terms[i]
		if "tox."+t.Criterion.Slug != p.Rule {
			continue
		}
		p.Source = t.Criterion.Source()
		series := results
		if s, ok := sources[t.Criterion.Key]; ok {
			series = s.series
		}
		for _, g := range series(c, t) {
			end := p.End != nil && g.at.Equal(*p.End) && t.EpisodeGap == 0
			if g.at.Before(p.Onset) || p.End != nil && g.at.After(*p.End) || g.grade.Max == 0 && !end && t.EpisodeGap == 0 {
				continue
			}
			if p.End != nil && g.at.Equal(*p.End) && !end {
				continue // it begins the next episode
			}
			p.Steps = append(p.Steps, x.instant(t, &g, end))
		}
		if t.EpisodeGap > 0 {
			p.Because = append(p.Because, fmt.Sprintf("Readings of grade 1 or more less than %s apart are one episode, which ends so long after the last of them.", span(t.EpisodeGap.D())))
		} else {
			p.Because = append(p.Because, "An episode goes from the first result of grade 1 or more to the first of grade 0.")
		}
		if t.Criterion.Candidate != "" {
			p.Because = append(p.Because, "Proposed only: "+t.Criterion.Candidate+".")
		}
		if t.Criterion.ByRule != "" {
			p.Because = append(p.Because, "By rule: "+t.Criterion.ByRule+".")
		}
		x.expectedness(p, t.Expected)
		if p.TreatmentEmergent != nil {
			p.Because = append(p.Because, x.emergence(p))
		}
	}
}

func (x *explainer) emergence(p *Proof) string {
	base := "no grade before the first study treatment"
	if p.BaselineGrade != nil {
		base = fmt.Sprintf("grade %d before the first study treatment", *p.BaselineGrade)
	}
	if *p.TreatmentEmergent {
		return "Treatment-emergent: worse under treatment than at baseline (" + base + ")."
	}
	return "Not treatment-emergent (" + base + ")."
}

func (x *explainer) expectedness(p *Proof, w *protocol.Window) {
	switch {
	case w == nil:
		p.Because = append(p.Because, "Unexpected: the protocol expects it at no time.")
	case p.Expected:
		p.Because = append(p.Because, fmt.Sprintf("Expected by the protocol from the first %s to the end of day %d.", w.From, w.ToDay))
	default:
		p.Because = append(p.Because, fmt.Sprintf("Unexpected: the onset is not between the first %s and the end of day %d.", w.From, w.ToDay))
	}
}

func (x *explainer) instant(t *protocol.Term, g *graded, ends bool) InstantProof {
	s := InstantProof{At: x.c.local(g.at), Value: g.text, Operands: map[string]string{}, Limits: []LimitProof{}, Grade: gradingText(g.grade, t.Criterion.Candidate != ""), Ends: ends}
	if g.in == nil || g.limits == nil {
		return s
	}
	s.Compared = boundsText(g.in.Value)
	if family, ok := unit.Of(g.limits.Analyte); ok {
		s.Compared += " " + family.Canonical
	}
	for name, o := range map[string]ctcae.Operand{"LLN": g.in.LLN, "ULN": g.in.ULN, "baseline": g.in.Baseline, "change": g.in.Change, "threshold": g.in.Threshold} {
		if o.Known {
			s.Operands[name] = o.Number.String()
		}
	}
	steps, baseline := g.limits.Compare(g.in)
	s.Baseline = baseline
	for _, k := range steps {
		l := LimitProof{Grade: k.Grade, Text: k.Text, Limits: k.Limits, Answer: k.Answer.String(), Assumes: k.Assumes}
		if k.Missing != "" {
			l.Answer = "unknown: " + string(k.Missing)
		}
		if k.Assumes != "" {
			l.Settled = k.Settled.String()
		}
		s.Limits = append(s.Limits, l)
	}
	return s
}

// gradingText is a grading in words.
func gradingText(g ctcae.Grading, proposed bool) string {
	switch {
	case g.Ungradable:
		return "none: " + string(g.Why)
	case proposed && g.Max > 0:
		return fmt.Sprintf("up to %d, proposed", g.Max)
	case g.Min != g.Max:
		return fmt.Sprintf("%d to %d", g.Min, g.Max)
	}
	return fmt.Sprint(g.Max)
}

func boundsText(b ctcae.Bounds) string {
	switch {
	case b.HasLow && b.HasHigh && b.Low.Cmp(b.High) == 0:
		return b.Low.String()
	case b.HasLow && b.HasHigh:
		return b.Low.String() + " to " + b.High.String()
	case b.HasLow && b.LowOpen:
		return "> " + b.Low.String()
	case b.HasLow:
		return ">= " + b.Low.String()
	case b.HasHigh && b.HighOpen:
		return "< " + b.High.String()
	}
	return "<= " + b.High.String()
}

// proveFN finds the episode again and says which temperature met which criterion, and which count made it qualify.
func (x *explainer) proveFN(p *Proof) {
	c := x.c
	fn := c.Protocol.FN
	p.Source = fn.Cite
	certain, possible := c.feverEpisodes()
	episodes := certain
	if p.Grade == nil {
		episodes = possible
	}
	for i := range episodes {
		e := &episodes[i]
		if !e.onset.Equal(p.Onset) {
			continue
		}
		for j := range e.instants {
			p.Because = append(p.Because, x.fever(&e.instants[j]))
		}
		p.Because = append(p.Because, fmt.Sprintf("The episode ends at the earlier of the first count not below %s %s and %s after the last reading of at least %s Cel that follows in such steps: %s.",
			fn.NeutrophilsBelow.Value.Round(), fn.NeutrophilsBelow.Unit, span(fn.EpisodeGap.D()), fn.Sustained.Value.Round(), x.clock(e.end)))
	}
	if p.Expected {
		p.Because = append(p.Because, "Expected by the protocol; it is urgent all the same.")
	}
}

func (x *explainer) fever(t *instant) string {
	fn := x.c.Protocol.FN
	var parts []string
	for _, q := range t.points {
		v := ctcae.Of(q.Value.Value, q.Value.Comparator)
		single := v.Above(fn.Single.Value)
		if fn.Single.Comparator == ">=" {
			single = v.AtLeast(fn.Single.Value)
		}
		switch {
		case single == ctcae.Yes:
			parts = append(parts, fmt.Sprintf("%s %s %s %s", q.Value, fn.Single.Comparator, fn.Single.Value.Round(), fn.Single.Unit))
		case !t.since.IsZero():
			parts = append(parts, fmt.Sprintf("%s is at least %s %s since %s, which is more than %s", q.Value, fn.Sustained.Value.Round(), fn.Sustained.Unit, x.clock(t.since), span(fn.SustainedFor.D())))
		default:
			parts = append(parts, fmt.Sprintf("%s is at least %s %s, and no reading between says that it lasted", q.Value, fn.Sustained.Value.Round(), fn.Sustained.Unit))
		}
	}
	for _, n := range t.counts {
		is := "below"
		if n.value.Below(fn.NeutrophilsBelow.Value) != ctcae.Yes {
			is = "not known to be below"
		}
		when := fmt.Sprintf("%s before, at most %s", span(t.at.Sub(n.at)), span(fn.Lookback.D()))
		if n.at.After(t.at) {
			when = fmt.Sprintf("%s after, at most %s", span(n.at.Sub(t.at)), span(fn.Lookahead.D()))
		}
		parts = append(parts, fmt.Sprintf("neutrophils %s, %s %s %s (%s)", countText(n), is, fn.NeutrophilsBelow.Value.Round(), fn.NeutrophilsBelow.Unit, when))
	}
	return x.clock(t.at) + ": " + strings.Join(parts, "; ") + "."
}

func (x *explainer) clock(t time.Time) string { return x.c.local(t).Format("2006-01-02 15:04") }

// proveDose finds the course and the slot of a finding.
func (x *explainer) proveDose(p *Proof) {
	c := x.c
	p.Source = "the regimens of the protocol"
	switch p.Rule {
	case "dev.til-precondition":
		for i := range c.Protocol.Intervals {
			n := &c.Protocol.Intervals[i]
			if KeyOf(p.ID) != Escape(n.ID) {
				continue
			}
			limit := "more than " + span(n.MoreThan.D())
			if n.AtMost > 0 {
				limit += ", at most " + span(n.AtMost.D())
			}
			p.Because, p.Source = append(p.Because, fmt.Sprintf("%s: %s.", n.Title, limit)), n.Cite
		}
		return
	case "dev.conmed-prohibited":
		for i := range c.Protocol.Prohibited {
			n := &c.Protocol.Prohibited[i]
			if !slices.ContainsFunc(p.Evidence, func(e Evidence) bool { return slices.Contains(n.Drugs, e.Role) }) {
				continue
			}
			p.Because, p.Source = append(p.Because, fmt.Sprintf("From study day %d: %s.", n.FromDay, n.Title)), n.Cite
			if len(n.Routes)+len(n.For) > 0 {
				p.Because = append(p.Because, fmt.Sprintf("Exempt would be the routes %s and the reasons %s.", cmp.Or(join(n.Routes), "none"), cmp.Or(join(n.For), "none")))
			}
		}
		return
	}
	for i := range c.courses {
		k := &c.courses[i]
		if Escape(k.regimen.ID) != KeyOf(p.ID) {
			continue
		}
		p.Source = k.regimen.Cite
		if p.Rule == "dev.dose-over" || p.Rule == "dev.dose-wrong" {
			p.Source = c.Protocol.Dosing.Cite
		}
		if p.Rule == "dev.dose-refused" && c.Protocol.NotGiven.Cite != "" {
			p.Source = c.Protocol.NotGiven.Cite
		}
		for j := range k.slots {
			s := &k.slots[j]
			if !s.due.Equal(p.Onset) {
				continue
			}
			from, to := x.window(k.regimen, s)
			p.Because = append(p.Because, fmt.Sprintf("%s dose %d was due %s: in time from %s to %s, missed from %s with no record.", k.regimen.Title, s.number, x.clock(s.due), x.clock(from), x.clock(to), x.clock(s.missedAt)))
			if j > 0 && k.regimen.Schedule == "interval" {
				before := &k.slots[j-1]
				if before.state == slotGiven && before.record != nil {
					p.Because = append(p.Because, fmt.Sprintf("That is %s after dose %d was given (%s).", span(k.regimen.Every.D()), before.number, x.clock(before.record.At.Start)))
				} else {
					p.Because = append(p.Because, fmt.Sprintf("That is %s after dose %d was due (%s), which was not given.", span(k.regimen.Every.D()), before.number, x.clock(before.due)))
				}
			}
			if s.record != nil {
				x.proveHolds(p, k, s.record)
			}
		}
	}
}

// proveHolds shows every hold criterion of the drug as it stood before a dose, where the finding is about holding.
func (x *explainer) proveHolds(p *Proof, k *course, record *timeline.Fact) {
	c := x.c
	if p.Rule != "log.dose-held" && p.Rule != "dev.dose-held-unsupported" && p.Rule != "dev.dosed-despite-hold" {
		return
	}
	var previous time.Time
	if p.Rule == "dev.dosed-despite-hold" {
		previous = k.before(record)
	}
	met := c.criteria(record, previous)
	var cites []string
	for i := range c.Protocol.Holds {
		h := &c.Protocol.Holds[i]
		if !slices.Contains(h.Drugs, record.Dose.Drug) {
			continue
		}
		from := record.At.Start.Add(-h.Lookback.D())
		if h.SincePrevious && previous.After(from) {
			from = previous
		}
		q := HoldProof{Hold: h.ID, Title: h.Title, From: c.local(from), To: c.local(record.At.Start), Facts: []FactProof{}, Limits: []string{}, Cite: h.Cite}
		for _, level := range []struct {
			name   string
			limits *protocol.Limits
		}{{"absolute", h.Absolute}, {"relative", h.Relative}} {
			if level.limits == nil {
				continue
			}
			level.limits.Each(func(comparison, _ string, _ int, l *protocol.Limit) {
				value, points, text := c.lastValue(l.Analyte, from, record.At.Start)
				if len(points) == 0 {
					return
				}
				limit, known := c.limitOf(l, points[0])
				answer := "unknown: no " + l.Of
				if known {
					answer = holds(value, comparison, limit).String()
				}
				what := l.Value.Round().String() + " " + l.Unit
				if l.Of != "" {
					what = l.Value.Round().String() + " x " + l.Of
					if known {
						what += " = " + limit.String()
					}
				}
				q.Limits = append(q.Limits, fmt.Sprintf("%s: %s %s %s: %s", level.name, l.Analyte, comparison, strings.TrimSpace(what), answer))
				q.Value = text
				for _, point := range points {
					f := x.point(point, point.Analyte)
					if !slices.ContainsFunc(q.Facts, func(o FactProof) bool { return o.Ref == f.Ref && o.Role == f.Role }) {
						q.Facts = append(q.Facts, f)
					}
				}
			})
		}
		for _, m := range met {
			if m.hold == h {
				q.Met = m.kind
				cites = append(cites, h.Cite)
			}
		}
		p.Holds = append(p.Holds, q)
	}
	if len(cites) > 0 {
		p.Source = strings.Join(slices.Compact(cites), "; ")
	}
}

// proveData says what is known of the value that could not be used.
func (x *explainer) proveData(p *Proof) {
	p.Source = "docs/rules.md, " + p.Rule
	for i := range p.Evidence {
		for _, q := range x.points[p.Evidence[i].Ref] {
			family, ok := unit.Of(q.Analyte)
			if !ok || q.Problem == nil || q.Analyte != p.Evidence[i].Role {
				continue
			}
			switch q.Problem.Reason {
			case timeline.ProblemImplausible:
				p.Because = append(p.Because, fmt.Sprintf("%s is believed from %s to %s %s.", q.Analyte, family.Low.Round(), family.Top.Round(), family.Canonical))
			case timeline.ProblemUnitMissing:
				p.Because = append(p.Because, fmt.Sprintf("%s is read in %s.", q.Analyte, strings.Join(family.Spellings(), ", ")))
			}
		}
	}
}

var one = decimal.Int(1)

// rangeText is limits of normal in words.
func rangeText(low, high *decimal.Number) string {
	var lln, uln ctcae.Operand
	if low != nil {
		lln = ctcae.Known(low.Round())
	}
	if high != nil {
		uln = ctcae.Known(high.Round())
	}
	return operandsText(lln, uln)
}
