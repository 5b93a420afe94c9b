package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/trial"
)

// view is what the templates show.
type view struct {
	Title     string
	Demo      bool
	Pooled    bool
	Notice    string
	Studies   []studyView // one a study that has published aggregates, or the one that is expected to
	Attention []alertRow  // open, urgent first
	OpenCount int
	Latest    []alertRow // newest first
	Told      int
	Sites     []siteRow
	Beside    *Beside
}

// studyView is the aggregates of one study.
type studyView struct {
	Title, AsOf, Protocol string
	Unblinded             string // who may see it, "" where nobody is named
	Arms                  []column
	Sections              []section
}

// column is an arm, or all of them.
type column struct{ ID, Title string }

// section is one table of the aggregates: a row a measure, a column an arm. Toxicity has groups in place of rows.
type section struct {
	Title, Note string
	Rows        []row
	Groups      []group
	Plot        *plot // of survival
}

// group is the terms of one system organ class.
type group struct {
	SOC   string
	Terms []term
}

// term is one CTCAE term: an entry an arm.
type term struct {
	Name string
	Arms []tally
	rank rank
}

// tally is what one arm shows of a term.
type tally struct {
	Any, Ge3 figure
	Grades   []share // worst first, those without anybody left out
	Said     string  // the same in words
}

// figure is a proportion in the least room.
type figure struct {
	N, Percent, Limits string
	None               bool // nobody: drawn faintly, for it is no finding
}

// share is a part of a bar, in percent of its length.
type share struct {
	Grade    int
	From, To float64
}

// Width is how long the part is.
func (s share) Width() float64 { return s.To - s.From }

// rank says how much something matters: the worst grade, how many have it at grade 3 or worse, how many at all.
type rank [3]int

func (r rank) compare(o rank) int { return slices.Compare(o[:], r[:]) }

type row struct {
	Label string
	Sub   bool // belongs to the row above
	Cells []cell
}

// cell is a figure, and below it what qualifies it. Share, 0 to 100, draws a bar; a negative one draws none. Alarm asks for a look.
type cell struct {
	Main, Sub string
	Share     float64
	Alarm     bool
}

type alertRow struct {
	// Study is "" where the page shows one study only.
	Time, Transition, Urgency, Study, Subject, Arm, Message, Reason string
}

type siteRow struct {
	Site, LastEvent, Facts, NotRelevant, DeadLetters string
}

const (
	notKnown = "NA"
	clock    = "2 Jan 2006 15:04" // a trial lasts for years
)

// view makes the page's content, and returns what will be closed when it is out of date.
func (h *Hub) view() (view, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := view{Title: cmp.Or(h.opts.Title, "trialwatch"), Demo: h.opts.Demo, Pooled: h.opts.Pooled, Notice: h.notice, OpenCount: len(h.open), Told: h.told}
	var feed aggregateBody
	for _, name := range h.studies() {
		v.Studies = append(v.Studies, h.study(name))
		if f := h.panels[name][aggregate.Feed]; f.AsOf.After(feed.AsOf) {
			feed = f // the same of every study: it is about sites
		}
	}
	for _, s := range feed.Sites {
		r := siteRow{Site: s.Site, LastEvent: notKnown, Facts: fmt.Sprint(s.Facts), NotRelevant: notKnown, DeadLetters: fmt.Sprint(s.DeadLetters)}
		if !s.LastEvent.IsZero() {
			r.LastEvent = s.LastEvent.In(h.opts.Zone).Format(clock)
		}
		if s.NotRelevant != nil {
			r.NotRelevant = fmt.Sprint(*s.NotRelevant)
		}
		v.Sites = append(v.Sites, r)
	}
	v.attention(h)
	h.beside(&v)
	for _, e := range slices.Backward(h.latest) {
		if len(v.Latest) == latestAlerts {
			break
		}
		v.Latest = append(v.Latest, h.row(e, e.At))
	}
	return v, h.changed
}

// beside puts the first study's panels beside other figures, if somebody wants that.
func (h *Hub) beside(v *view) {
	if h.opts.Beside == nil || len(h.opts.Studies) == 0 {
		return
	}
	panels := map[string][]byte{}
	for name, body := range h.panels[h.opts.Studies[0].ID] {
		panels[name] = body.data
	}
	var err error
	if v.Beside, err = h.opts.Beside(panels); err != nil {
		h.opts.Logger.Error().Err(err).Msg("figures cannot be compared")
	}
}

// studies are the loaded studies in their order, then others that publish.
func (h *Hub) studies() []string {
	var names []string
	for _, s := range h.opts.Studies {
		names = append(names, s.ID)
	}
	var others []string
	for name := range h.panels {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(names, others...)
}

func (h *Hub) study(name string) studyView {
	v := studyView{Title: name}
	var arms, regimens map[string]string
	for _, s := range h.opts.Studies {
		if s.ID == name {
			v.Title, arms, regimens = cmp.Or(s.Title, name), s.ArmTitles, s.RegimenTitles
			v.Unblinded = strings.Join(s.Unblinded, ", ")
		}
	}
	var asOf time.Time
	for _, p := range h.panels[name] {
		if p.AsOf.After(asOf) {
			asOf = p.AsOf
		}
		v.Protocol = fmt.Sprintf("%s %s", p.Study, p.Protocol.Version)
	}
	if !asOf.IsZero() {
		v.AsOf = asOf.In(h.opts.Zone).Format("Mon 2 Jan 2006 15:04 MST")
	}
	if p := h.panels[name][aggregate.Enrolment]; h.opts.Pooled && v.suppressed(p) {
		for _, panel := range aggregate.Pooled[1:] {
			v.suppressed(h.panels[name][panel])
		}
		return v
	}
	v.enrolment(h.panels[name][aggregate.Enrolment], arms)
	v.toxicity(h.panels[name][aggregate.Toxicity])
	v.stopping(h.panels[name][aggregate.Toxicity])
	v.exposure(h.panels[name][aggregate.Exposure], regimens)
	v.response(h.panels[name][aggregate.Response])
	v.survival(h.panels[name][aggregate.Survival])
	v.stay(h.panels[name][aggregate.Stay])
	v.biomarkers(h.panels[name][aggregate.Biomarkers])
	v.deviations(h.panels[name][aggregate.Deviations])
	return v
}

// suppressedTitles are the panels of which bounds are shown.
var suppressedTitles = map[string]string{
	aggregate.Enrolment: "Patients", aggregate.Toxicity: "Toxicity", aggregate.Deviations: "Deviations", aggregate.Exposure: "Exposure", aggregate.Stay: "Stay in hospital",
}

// countTitles are what is counted under suppression, in words.
var countTitles = map[string]string{
	aggregate.CountTreated: "Treated", aggregate.CountEvaluable: "Evaluable for safety", aggregate.CountOffStudy: "Off study", aggregate.CountAnyGrade: "any grade", aggregate.CountGrade3: "grade ≥ 3",
	aggregate.CountPatients: "patients", aggregate.CountBegun: "begun", aggregate.CountCompleted: "completed", aggregate.CountStayed: "Stayed", aggregate.CountDischarged: "Discharged",
	aggregate.CountReadmitted: "Readmitted",
}

// suppressed shows the bounds of a panel; it reports whether the panel is under suppression.
func (v *studyView) suppressed(p aggregateBody) bool {
	var panel aggregate.PooledPanel
	if p.data == nil || json.Unmarshal(p.data, &panel) != nil || panel.SuppressBelow == 0 {
		return false
	}
	t := newTable(suppressedTitles[panel.Name], "", 1)
	if panel.Enrolled != nil {
		v.Arms = []column{{"All", ""}}
		t.Note = fmt.Sprintf("Counts of patients in steps of %d, each as of the day on which it was last changed. What is not shown is too few, or not shown at all.", panel.SuppressBelow)
		t.set("Enrolled", false, 0, count(*panel.Enrolled))
	}
	for _, b := range panel.Bounds {
		label := cmp.Or(countTitles[b.Count], b.Count)
		if b.Group != "" {
			label = b.Group + ", " + label
		}
		t.set(label, false, 0, cell{Main: fmt.Sprintf("at least %d of %d", b.AtLeast, b.Of), Sub: "as of " + b.AsOf.Format("2 Jan 2006"), Share: -1})
	}
	v.add(t)
	return true
}

// attention lists what is open and urgent or prompt, the most urgent and newest first.
func (v *view) attention(h *Hub) {
	var es []alert.Event
	for _, e := range h.open {
		if e.Urgency == rules.Urgent || e.Urgency == rules.Prompt {
			es = append(es, e)
		}
	}
	slices.SortFunc(es, func(a, b alert.Event) int {
		return cmp.Or(-strings.Compare(string(a.Urgency), string(b.Urgency)), b.Onset.Compare(a.Onset), strings.Compare(a.Alert, b.Alert))
	})
	for _, e := range es {
		v.Attention = append(v.Attention, h.row(e, e.Onset))
	}
}

func (h *Hub) row(e alert.Event, at time.Time) alertRow {
	r := alertRow{
		Time: at.In(h.opts.Zone).Format(clock), Transition: string(e.Transition), Urgency: string(e.Urgency), Subject: e.Subject, Arm: e.Arm, Message: e.Message,
	}
	if e.Subject == trial.Nobody {
		r.Subject = "Trial"
		if e.Site != trial.Nobody {
			r.Subject = "Site " + e.Site
		}
	}
	if e.Arm == trial.Nobody {
		r.Arm = ""
	}
	if len(h.studies()) > 1 {
		r.Study = e.Study
	}
	if e.Transition == alert.Retracted {
		r.Reason = "taken back: " + e.Reason
	}
	return r
}

// decode reads the arms of a panel and the total, which names no arm.
func decode[E any](p aggregateBody) []E {
	var body struct {
		Arms []E `json:"arms"`
		All  *E  `json:"all"`
	}
	if p.data == nil || json.Unmarshal(p.data, &body) != nil || body.All == nil { // what is not there must not be shown as 0
		return nil
	}
	return append(body.Arms, *body.All)
}

// inTheArm ends a sentence on who is counted. Pooled there is no arm.
func inTheArm[E any](entries []E) string {
	if len(entries) == 1 {
		return ""
	}
	return " in the arm"
}

// table makes a section of rows that are found by label in any of the columns, in the order in which they are first met.
type table struct {
	section
	columns int
	index   map[string]int
}

func newTable(title, note string, columns int) *table {
	return &table{section: section{Title: title, Note: note}, columns: columns, index: map[string]int{}}
}

func (t *table) set(label string, sub bool, column int, c cell) {
	i, ok := t.index[label]
	if !ok {
		i = len(t.Rows)
		t.index[label] = i
		cells := make([]cell, t.columns)
		for j := range cells {
			cells[j] = cell{Main: "0", Share: -1}
		}
		t.Rows = append(t.Rows, row{Label: label, Sub: sub, Cells: cells})
	}
	t.Rows[i].Cells[column] = c
}

func count(n int) cell { return cell{Main: fmt.Sprint(n), Share: -1} }

func proportion(p aggregate.Proportion) cell {
	if p.Percent == nil {
		return cell{Main: fmt.Sprintf("%d/%d", p.N, p.Of), Sub: notKnown, Share: -1}
	}
	return cell{Main: fmt.Sprintf("%d/%d (%.1f %%)", p.N, p.Of, *p.Percent), Sub: fmt.Sprintf("95 %% CI %.1f–%.1f", *p.Low, *p.High), Share: *p.Percent}
}

// nobody is a measure that an arm's entry leaves out because it has none.
func nobody(of int) cell { return proportion(aggregate.NewProportion(0, of)) }

func quantile(q aggregate.Quantile) cell {
	if q.Median == nil {
		return cell{Main: notKnown, Share: -1}
	}
	return cell{Main: fmt.Sprintf("%g (%g–%g)", *q.Median, *q.Min, *q.Max), Sub: fmt.Sprintf("95 %% CI %s–%s, of %d", limit(q.Low), limit(q.High), q.Of), Share: -1}
}

func (v *studyView) enrolment(p aggregateBody, titles map[string]string) {
	entries := decode[aggregate.EnrolmentEntry](p)
	t := newTable("Patients", "", len(entries))
	for i, e := range entries {
		v.Arms = append(v.Arms, column{cmp.Or(e.Arm, "All"), titles[e.Arm]})
		t.set("Enrolled", false, i, count(e.Enrolled))
		t.set("Treated", false, i, count(e.Treated))
		t.set("On study", false, i, count(e.OnStudy))
		t.set("Off study", false, i, count(e.OffStudy))
	}
	v.add(t)
}

// toxicity groups the terms by system organ class. What matters stands first, of the groups and in each: the worst grade over all arms, then how
// many have it.
func (v *studyView) toxicity(p aggregateBody) {
	entries := decode[aggregate.ToxicityEntry](p)
	if len(entries) == 0 {
		return
	}
	var groups []group
	for _, t := range entries[len(entries)-1].Terms { // the total names every term
		row := term{Name: t.Term, rank: rankOf(&t)}
		for _, e := range entries {
			arm := aggregate.TermEntry{Any: aggregate.NewProportion(0, e.N), Ge3: aggregate.NewProportion(0, e.N)}
			if i := slices.IndexFunc(e.Terms, func(o aggregate.TermEntry) bool { return o.Term == t.Term }); i >= 0 {
				arm = e.Terms[i]
			}
			row.Arms = append(row.Arms, tallyOf(&arm))
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.SOC == t.SOC })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{SOC: t.SOC})
		}
		groups[i].Terms = append(groups[i].Terms, row)
	}
	for i := range groups {
		slices.SortFunc(groups[i].Terms, func(a, b term) int { return cmp.Or(a.rank.compare(b.rank), strings.Compare(a.Name, b.Name)) })
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(a.Terms[0].rank.compare(b.Terms[0].rank), strings.Compare(a.SOC, b.SOC))
	})
	if len(groups) > 0 {
		v.Sections = append(v.Sections, section{
			Title: "Toxicity", Note: "Patients, each counted once a term at the worst CTCAE grade, of all enrolled" + inTheArm(entries) + "; below, exact 95 % limits in percent.", Groups: groups,
		})
	}
}

// stopping shows where each arm, or the trial, stands by the stopping boundaries, one after the other.
func (v *studyView) stopping(p aggregateBody) {
	entries := decode[aggregate.ToxicityEntry](p)
	t := newTable("Stopping boundaries", "Patients with such a toxicity, of those who count from the first treatment on. A boundary is crossed when the probability that the true share is above the limit "+
		"(Thall, Simon and Estey 1995) is above the cut: the arm, or the trial, should pause until somebody has looked.", len(entries))
	var seen []string
	for _, e := range entries {
		for _, b := range e.Stopping {
			if slices.Contains(seen, b.Boundary) {
				continue
			}
			seen = append(seen, b.Boundary)
			rows := []row{
				{Label: b.Title}, {Label: fmt.Sprintf("Probability of more than %.4g %%", 100*b.Limit), Sub: true}, {Label: "Stop at", Sub: true}, {Label: "Boundary", Sub: true},
			}
			for i := range entries {
				at := slices.IndexFunc(entries[i].Stopping, func(s aggregate.StoppingEntry) bool { return s.Boundary == b.Boundary })
				for j := range rows {
					c := cell{Main: "–", Share: -1} // the boundary is not for this column
					if at >= 0 {
						c = stoppingCell(j, &entries[i].Stopping[at])
					}
					rows[j].Cells = append(rows[j].Cells, c)
				}
			}
			t.Rows = append(t.Rows, rows...)
		}
	}
	v.add(t)
}

// stoppingCell is the figure of one of the four rows of a boundary.
func stoppingCell(row int, s *aggregate.StoppingEntry) cell {
	c := cell{Share: -1}
	switch row {
	case 0:
		c.Main = fmt.Sprintf("%d of %d", s.Patients, s.Of)
	case 1:
		c.Main, c.Sub = fmt.Sprintf("%.3f", s.Posterior), fmt.Sprintf("cut %g", s.Cut)
	case 2:
		if c.Main = "none of " + strconv.Itoa(s.Of); s.Stop != nil {
			c.Main = fmt.Sprintf("%d of %d", *s.Stop, s.Of)
		}
	case 3:
		if c.Main = "not crossed"; s.Met {
			c.Main, c.Alarm = "CROSSED", true
		}
	}
	return c
}

func rankOf(t *aggregate.TermEntry) rank {
	worst := 0
	for g := 1; g <= 5; g++ {
		if t.ByGrade[strconv.Itoa(g)].N > 0 {
			worst = g
		}
	}
	return rank{worst, t.Ge3.N, t.Any.N}
}

func tallyOf(t *aggregate.TermEntry) tally {
	a := tally{Any: figureOf(t.Any), Ge3: figureOf(t.Ge3)}
	from := 0.0
	var said []string
	for g := 5; g >= 1; g-- {
		p := t.ByGrade[strconv.Itoa(g)]
		if p.N == 0 || p.Of == 0 {
			continue
		}
		to := from + 100*float64(p.N)/float64(p.Of)
		a.Grades = append(a.Grades, share{g, from, to})
		from = to
		said = append(said, fmt.Sprintf("grade %d: %d", g, p.N))
	}
	a.Said = strings.Join(said, ", ")
	return a
}

func figureOf(p aggregate.Proportion) figure {
	f := figure{N: fmt.Sprintf("%d/%d", p.N, p.Of), Percent: notKnown, None: p.N == 0}
	if p.Percent != nil {
		f.Percent, f.Limits = percent(*p.Percent)+" %", percent(*p.Low)+"–"+percent(*p.High)
	}
	return f
}

// percent has one decimal, unless all or nothing.
func percent(v float64) string {
	if v == 0 || v == 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func (v *studyView) exposure(p aggregateBody, titles map[string]string) {
	entries := decode[aggregate.ExposureEntry](p)
	if len(entries) == 0 {
		return
	}
	t := newTable("Exposure", "Doses. Held and refused doses are accounted for; missed ones have no record. Doses a patient: median (range). What nobody has had is left out.", len(entries))
	for _, all := range entries[len(entries)-1].Regimens { // the total names every regimen
		if all.Given.Of == 0 {
			continue // nobody's course has begun
		}
		name := titles[all.Regimen]
		if name == "" && all.Regimen != "" {
			name = strings.ToUpper(all.Regimen[:1]) + all.Regimen[1:]
		}
		for i, e := range entries {
			if r := regimenOf(&e, all.Regimen); r != nil {
				t.set(name+", doses a patient", false, i, quantile(r.Given))
			}
		}
		for word, of := range aggregate.Outcomes() {
			if of(all.Total) == 0 {
				continue
			}
			for i, e := range entries {
				if r := regimenOf(&e, all.Regimen); r != nil {
					t.set(name+" "+word, true, i, count(of(r.Total)))
				}
			}
		}
	}
	v.add(t)
}

// regimenOf is the entry of a regimen in an arm, nil where the arm does not have it.
func regimenOf(e *aggregate.ExposureEntry, id string) *aggregate.RegimenEntry {
	for i := range e.Regimens {
		if e.Regimens[i].Regimen == id {
			return &e.Regimens[i]
		}
	}
	return nil
}

func (v *studyView) deviations(p aggregateBody) {
	entries := decode[aggregate.DeviationsEntry](p)
	t := newTable("Deviations", "Patients with at least one, of all enrolled"+inTheArm(entries)+".", len(entries))
	names := map[string]string{
		"dev.dose-missed": "Dose missed", "dev.dose-late": "Dose late", "dev.dose-early": "Dose early", "dev.dose-refused": "Dose refused",
		"dev.dose-held-unsupported": "Dose held, no criterion in the data",
		"dev.dosed-despite-hold":    "Dose given despite a criterion for holding", "dev.dose-wrong": "Dose too small, or its unit wrong", "dev.dose-over": "Dose too large",
		"dev.route-wrong": "Route wrong", "dev.arm-wrong": "Dose of another arm", "dev.assessment-missed": "Assessment missed or out of window",
	}
	for i, e := range entries {
		for _, r := range e.ByRule {
			label := cmp.Or(names[r.Rule], r.Rule)
			if _, ok := t.index[label]; !ok {
				for j := range entries {
					t.set(label, false, j, nobody(entries[j].N))
				}
			}
			t.set(label, false, i, proportion(r.Patients))
		}
	}
	v.add(t)
}

func (v *studyView) add(t *table) {
	if len(t.Rows) > 0 {
		v.Sections = append(v.Sections, t.section)
	}
}
