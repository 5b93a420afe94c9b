package report_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/report"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// lines is the published cohort as evaluate would read it.
var lines = sync.OnceValues(func() ([]string, error) {
	script, err := sim.Published()
	if err != nil {
		return nil, err
	}
	var ls []string
	for _, e := range sim.Cohort(sim.Config{Script: script}) {
		ls = append(ls, fmt.Sprintf(`{"receivedAt":%q,"resource":%s}`, e.At.Format(time.RFC3339Nano), e.Data))
	}
	return ls, nil
})

// written is a report of lines, with the patients' contributions that it was made of. A zero cut-off is the latest receipt.
func written(t *testing.T, ls []string, session report.Session, cutoff time.Time) (html string, r *report.Report, patients []rules.Summary) {
	t.Helper()
	return writtenBy(t, offlinetest.New(t), ls, session, cutoff)
}

func writtenBy(t *testing.T, e *offline.Evaluator, ls []string, session report.Session, cutoff time.Time) (html string, r *report.Report, patients []rules.Summary) {
	t.Helper()
	if err := e.Read("cohort", strings.NewReader(strings.Join(ls, "\n")), nil); err != nil {
		t.Fatal(err)
	}
	if cutoff.IsZero() {
		cutoff = e.Latest()
	}
	result := e.CutAt(cutoff, e.Latest())
	r, err := report.New(report.Options{Protocol: e.Protocols()[0], Panels: result.Panels, Session: session, Cutoff: cutoff, Received: e.Latest()})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), r, result.Summaries[0]
}

func feed(t *testing.T) []string {
	t.Helper()
	ls, err := lines()
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func TestSameCutoffSameBytes(t *testing.T) {
	ls := feed(t)
	cut := time.Date(2019, 6, 1, 0, 0, 0, 0, time.UTC)
	want, _, _ := written(t, ls, report.Closed, cut)
	mixed := slices.Concat(ls, ls[:500])
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if got, _, _ := written(t, mixed, report.Closed, cut); got != want {
		t.Error("another order of the same lines is another report")
	}
}

func TestEveryTableSaysWhatItIs(t *testing.T) {
	html, r, _ := written(t, feed(t), report.Closed, time.Time{})
	p := r.Protocol
	for _, s := range strings.Split(html, "<section")[1:] {
		for _, want := range []string{p.Study + " " + p.Version, p.Hash[:12], "CTCAE 5.0", "cut-off 2024-08-30", "received until 2024-08-30", "closed session"} {
			if !strings.Contains(s, want) {
				t.Errorf("a table does not say %q: %.80s", want, s)
			}
		}
	}
	for _, table := range r.Tables {
		if table.Note == "" {
			t.Errorf("%s: who is counted?", table.ID)
		}
		compares := slices.ContainsFunc(table.Columns, func(c report.Column) bool { return c.Arm == "comparison" })
		if compares && !table.Descriptive {
			t.Errorf("%s compares arms of seven patients and does not say that it only describes", table.ID)
		}
	}
}

func TestPageLoadsNothingAndNamesNobody(t *testing.T) {
	for _, session := range []report.Session{report.Open, report.Closed} {
		html, _, _ := written(t, feed(t), session, time.Time{})
		if m := regexp.MustCompile(`(?i)(src|href)="[^#][^"]*"|url\(|@import|<script|https?://`).FindString(html); m != "" {
			t.Errorf("%s: the page loads or leads elsewhere: %s", session, m)
		}
		if m := regexp.MustCompile(`S-0\d\d|Patient/|sim-[0-9a-f]{4}`).FindString(html); m != "" {
			t.Errorf("%s: a patient is named: %s", session, m)
		}
	}
}

// Nothing in the open session tells one arm from the other.
func TestOpenSessionPoolsTheArms(t *testing.T) {
	html, r, _ := written(t, feed(t), report.Open, time.Time{})
	for _, arm := range r.Protocol.Arms {
		for _, name := range append([]string{arm.ID}, arm.Title) {
			if strings.Contains(strings.ReplaceAll(html, r.Protocol.Title, ""), name) {
				t.Errorf("the open session names %q", name)
			}
		}
	}
	for _, table := range r.Tables {
		if slices.Contains([]string{"response", "survival", "biomarkers", "toxicity-comparison"}, table.ID) {
			t.Errorf("the open session shows %s", table.ID)
		}
		for _, c := range table.Columns {
			if c.Arm != "all" {
				t.Errorf("%s has a column for %s", table.ID, c.Arm)
			}
		}
	}
}

// blinded is the shipped trial as if it were not open-label.
func blinded(t *testing.T, lines ...string) *protocol.Protocol {
	t.Helper()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", []byte(string(text)+"\nblinding:\n  unblinded: [safety-board]\n  cite: a test\n"+strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Of a blinded trial the open session hides what only some arms are given as well: the doses of IL-2 would tell the arms. The closed one says for whom it is.
func TestSessionsOfABlindedTrial(t *testing.T) {
	html, r, _ := writtenBy(t, offlinetest.Of(t, blinded(t)), feed(t), report.Open, time.Time{})
	exposure := r.Tables[slices.IndexFunc(r.Tables, func(t report.Table) bool { return t.ID == "exposure" })]
	groups := map[string]bool{}
	for _, row := range exposure.Rows {
		groups[row.Group] = true
	}
	if groups["IL-2"] || !groups["Cyclophosphamide"] {
		t.Errorf("the open session shows the exposure to %v", groups)
	}
	if !strings.Contains(html, "without what only some arms are given") {
		t.Error("the open session does not say what it leaves out")
	}
	if html, _, _ = writtenBy(t, offlinetest.Of(t, blinded(t)), feed(t), report.Closed, time.Time{}); !strings.Contains(html, "for these only: safety-board") {
		t.Error("the closed session does not say for whom it is")
	}
	_, r, _ = written(t, feed(t), report.Open, time.Time{})
	exposure = r.Tables[slices.IndexFunc(r.Tables, func(t report.Table) bool { return t.ID == "exposure" })]
	if !slices.ContainsFunc(exposure.Rows, func(r report.Row) bool { return r.Group == "IL-2" }) {
		t.Error("the open session of an open trial has lost IL-2")
	}
}

// Where the arms stand by the stopping boundaries is for the closed session.
func TestStoppingBoundariesOfTheClosedSession(t *testing.T) {
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 16, 12, 0, 0, 0, time.UTC)
	var patients []rules.Summary
	for i := range 5 { // three of three in the first arm, one of two in the second
		n := rules.Counted{Boundary: p.Stopping[0].ID, From: at}
		if i < 4 {
			n.Toxic, n.Known = at, at
		}
		patients = append(patients, rules.Summary{Enrolled: true, Treated: true, Arm: p.Arms[i/3].ID, Stopping: []rules.Counted{n}})
	}
	of := func(session report.Session) *report.Report {
		r, err := report.New(report.Options{Protocol: p, Panels: aggregate.Panels(p, patients, nil, at), Session: session, Cutoff: at, Received: at})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if slices.ContainsFunc(of(report.Open).Tables, func(t report.Table) bool { return t.ID == "stopping" }) {
		t.Error("the open session shows where the arms stand")
	}
	var b bytes.Buffer
	if err := of(report.Closed).HTML(&b); err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(b.String(), `<section id="stopping"`)
	section, _, _ = strings.Cut(section, "</section>")
	for _, want := range []string{
		`Patients</th><td>3/3</td><td>1/2</td><td></td>`, `Probability of a share above 0.3</th><td>0.976</td>`, `Cut</th><td>0.95</td><td>0.95</td><td></td>`,
		`Stop at</th><td>3/3</td><td>none of 2</td><td></td>`, `Crossed</th><td>YES</td><td>no</td><td></td>`,
	} {
		if !strings.Contains(section, want) {
			t.Errorf("the table does not say %q: %s", want, section)
		}
	}
}

// Under suppression the open session has bounds and nothing else: no share, no median, no range, no count but that of the enrolled.
func TestSuppressedSession(t *testing.T) {
	p := blinded(t, "  publishEvery: P1D\n  suppressBelow: 5\n")
	html, r, _ := writtenBy(t, offlinetest.Of(t, p), feed(t), report.Open, time.Time{})
	bounds := 0
	for _, table := range r.Tables {
		for _, row := range table.Rows {
			for _, v := range row.Values {
				switch {
				case v.Statistic == "at least" && *v.N%5 == 0 && *v.N > 0 && *v.N <= 10 && *v.Of == 14:
					bounds++
				case row.Label != "Enrolled":
					t.Errorf("%s: %s, %s: %s of %v", table.ID, row.Group, row.Label, v.Statistic, v.N)
				}
			}
		}
	}
	if bounds < 8 || !strings.Contains(html, "at least 10 of 14") || !strings.Contains(html, "counts in steps of 5") || strings.Contains(html, "%)") || strings.Contains(html, `id="currency"`) {
		t.Errorf("%d bounds in the session:\n%.3000s", bounds, html)
	}
	if html, _, _ = writtenBy(t, offlinetest.Of(t, p), feed(t), report.Closed, time.Time{}); !strings.Contains(html, "5/7") {
		t.Error("the closed session is suppressed")
	}
}

func TestNumbersAtRisk(t *testing.T) {
	html, _, _ := written(t, feed(t), report.Closed, time.Time{})
	_, figure, _ := strings.Cut(html, "Overall survival, Kaplan-Meier")
	figure, _, _ = strings.Cut(figure, "</svg>")
	var atRisk []string
	for _, m := range regexp.MustCompile(`<text x="[\d.]+" y="\d+" text-anchor="middle">(\d+)</text>`).FindAllStringSubmatch(figure, -1) {
		atRisk = append(atRisk, m[1])
	}
	// At 0, 12, … 84 months: of high dose two are followed beyond 11.3 months, one to 72.3; of low dose those of 13.1 and 78.5.
	if got, want := strings.Join(atRisk, " "), "7 1 1 1 1 1 1 0 7 2 1 1 1 1 1 0"; got != want {
		t.Errorf("at risk %s, want %s", got, want)
	}
}

func TestCSV(t *testing.T) {
	_, r, patients := written(t, feed(t), report.Closed, time.Time{})
	dir := cmp.Or(os.Getenv("TRIALWATCH_REPORT"), filepath.Join(t.TempDir(), "tables")) // make check-report wants to read it
	if err := r.CSV(dir); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) < len(r.Tables)+1 {
		t.Errorf("%d files of %d tables and about.csv: %v", len(names), len(r.Tables), err)
	}
	rows := readCSV(t, dir, "response")
	if got, want := strings.Join(rows[1], "|"), "response||Objective response (CR or PR)|arm-1||percent|1|7|14.3|0.4|57.9|||"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, report.TimesFile)); err == nil && os.Getenv("TRIALWATCH_REPORT") == "" {
		t.Error("values of single patients are written without being asked for")
	}
	if err := report.Times(dir, r.Protocol, patients); err != nil {
		t.Fatal(err)
	}
	// The lines of a measure are in the order of their values, so that their place tells nothing of whose they are.
	last := map[string]string{}
	for _, row := range readCSV(t, dir, "times")[1:] {
		key, value := strings.Join(row[:4], "/"), fmt.Sprintf("%012.4f", mustFloat(t, row[5]))
		if value < last[key] {
			t.Errorf("%s: %s after %s", key, value, last[key])
		}
		last[key] = value
	}
}

func readCSV(t *testing.T, dir, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func mustFloat(t *testing.T, s string) (v float64) {
	t.Helper()
	if _, err := fmt.Sscan(s, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
