package web_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/web"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

var onset = time.Date(2026, 2, 19, 20, 10, 0, 0, time.UTC)

func event(id string, version int, transition alert.Transition, urgency rules.Urgency, message string) []byte {
	status := rules.Open
	if transition == alert.Resolved {
		status = rules.Resolved
	}
	data, err := wire.Encode(wire.NewCloudEvent(alert.Event{
		Kind: "alert", Alert: id, Transition: transition, Version: version, At: onset, Material: true, Reason: "Observation/anc-1 version 2",
		Finding: rules.Finding{ID: id, Rule: "tox.febrile-neutropenia", Study: "til-il2", Site: "main", Subject: "S-001", Arm: "arm-1", Status: status, Urgency: urgency, Onset: onset, Message: message},
	}))
	if err != nil {
		panic(err)
	}
	return data
}

func panels(t *testing.T) [][]byte {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	var cohort []rules.Summary
	for i := range 14 {
		s := rules.Summary{Enrolled: true, Treated: true, Arm: []string{"arm-1", "arm-2"}[i%2]}
		if i < 9 && i != 7 {
			s.Toxicity = []rules.TermGrade{{Term: "Febrile neutropenia", Grade: 3, Episodes: 1}}
		}
		for _, extra := range []struct {
			term          string
			grade, before int // of patients before this one
		}{
			{"Anemia", 2, 14}, {"Anemia", 3, 2}, {"Creatinine increased", 2, 3}, {"Weight gain", 2, 5}, {"Lymphocyte count decreased", 4, 14}, {"Fever", 1, 9},
		} {
			if i < extra.before {
				s.Toxicity = append(s.Toxicity, rules.TermGrade{Term: extra.term, Grade: extra.grade, Episodes: 1})
			}
		}
		s.Toxicity = worstOnce(s.Toxicity)
		s.Exposure = []rules.Exposure{{Regimen: "cyclophosphamide", Given: 2}}
		if i%2 == 1 {
			s.Exposure = append(s.Exposure, rules.Exposure{Regimen: "il2", Given: 13, Missed: 1})
		}
		cohort = append(cohort, s)
	}
	var bodies [][]byte
	for _, panel := range aggregate.Panels(p, cohort, []aggregate.SiteRow{{Site: "main", Facts: 12}}, onset) {
		body, err := wire.Encode(panel)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// worstOnce keeps of each term the worst grade, as a contribution does.
func worstOnce(list []rules.TermGrade) (kept []rules.TermGrade) {
	slices.SortFunc(list, func(a, b rules.TermGrade) int { return cmp.Or(strings.Compare(a.Term, b.Term), b.Grade-a.Grade) })
	return slices.CompactFunc(list, func(a, b rules.TermGrade) bool { return a.Term == b.Term })
}

func get(t *testing.T, h *web.Hub) (string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String(), w.Header()
}

func wantParts(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q", part)
		}
	}
}

func TestEmptyPageSaysThatItIsEmpty(t *testing.T) {
	page, _ := get(t, web.NewHub(web.Options{Title: "trialwatch"}))
	wantParts(t, page, "No aggregates yet", "Nothing urgent or prompt is open", "Nothing has been received")
}

// Without JavaScript the page holds everything too.
func TestPageShowsArmsAndAlerts(t *testing.T) {
	h := web.NewHub(web.Options{Title: "trialwatch", Studies: []web.Study{{ID: "til-il2", ArmTitles: map[string]string{"arm-1": "High-dose IL-2"}, RegimenTitles: map[string]string{"il2": "IL-2"}}}})
	for _, body := range panels(t) {
		if err := h.Panel(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Alert(event("a", 1, alert.Opened, rules.Urgent, "Febrile neutropenia grade 3. Review.")); err != nil {
		t.Fatal(err)
	}
	page, _ := get(t, h)
	wantParts(t, page, "High-dose IL-2", "5/7 <i>71.4 %</i>", "<small>29.0–96.3</small>", "3/7 <i>42.9 %</i>", "8/14 <i>57.1 %</i>", "Febrile neutropenia grade 3. Review.", "S-001", "1 open, 1 transitions told", ">NA<")
}

// What is of no patient is a site's, or the trial's, and is not shown as "-".
func TestWhatIsOfNoPatient(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2"}}})
	for i, site := range []string{"north", "-"} {
		var e wire.CloudEvent
		if err := json.Unmarshal(event(fmt.Sprint(i), 1, alert.Opened, rules.Prompt, "2 messages never came."), &e); err != nil {
			t.Fatal(err)
		}
		e.Data.Site, e.Data.Subject, e.Data.Arm = site, "-", "-"
		body, err := wire.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Alert(body); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, h)
	wantParts(t, page, "<b>Site north</b>", "<b>Trial</b>")
	if strings.Contains(page, ">-<") {
		t.Error("the page shows a dash for nobody")
	}
}

// What matters is read first: of the system organ classes the one with the worst grade, in each the term with the worst grade, then the one that more
// patients have.
func TestToxicityShowsTheWorstFirst(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2"}}})
	for _, body := range panels(t) {
		if err := h.Panel(body); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, h)
	at := 0
	for _, label := range []string{
		"Investigations", "Lymphocyte count decreased", "Weight gain", "Creatinine increased", // grade 4 in all; grade 2 in five; grade 2 in three
		"Blood and lymphatic system disorders", "Febrile neutropenia", "Anemia", // grade 3 in eight; grade 3 in two of fourteen
		"General disorders and administration site conditions", "Fever",
	} {
		i := strings.Index(page[at:], ">"+label+"</th>")
		if i < 0 {
			t.Fatalf("%q is not where it should be", label)
		}
		at += i
	}
	// An arm without anybody says so; the bar says who had what.
	wantParts(t, page, `<td class="nobody"><span>0/7 <i>0 %</i></span><small>0–41.0</small></td>`, "<title>grade 3: 2, grade 2: 12</title>", `class="g3" x="0" width="14.28`)
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template engine refused a value")
	}
}

// Where each arm, or the trial, stands by a stopping boundary: three of three unexpected toxicities cross it, one of two cannot yet.
func TestStoppingBoundariesAreShown(t *testing.T) {
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	var cohort []rules.Summary
	for i, toxic := range []bool{true, true, true, true, false} {
		n := rules.Counted{Boundary: p.Stopping[0].ID, From: onset.Add(time.Duration(i) * time.Hour)}
		if toxic {
			n.Toxic, n.Known = n.From, n.From
		}
		cohort = append(cohort, rules.Summary{Enrolled: true, Treated: true, Arm: p.Arms[i/3].ID, Stopping: []rules.Counted{n}})
	}
	perTrial := *p
	perTrial.Stopping = slices.Clone(p.Stopping)
	perTrial.Stopping[0].Per = protocol.PerTrial
	for _, tt := range []struct {
		name     string
		protocol *protocol.Protocol
		want     []string
	}{
		{"an arm each", p, []string{
			`>Unexpected toxicity of grade 4 or 5</th><td><span>3 of 3</span></td><td><span>1 of 2</span></td><td><span>–</span></td>`,
			`>Probability of more than 30 %</th><td><span>0.976</span><small>cut 0.95</small></td>`, `>Stop at</th><td><span>3 of 3</span></td><td><span>none of 2</span></td><td><span>–</span></td>`,
			`>Boundary</th><td class="alarm"><span>CROSSED</span></td><td><span>not crossed</span></td><td><span>–</span></td>`,
		}},
		{"the trial", &perTrial, []string{
			`>Unexpected toxicity of grade 4 or 5</th><td><span>–</span></td><td><span>–</span></td><td><span>4 of 5</span></td>`,
			`>Stop at</th><td><span>–</span></td><td><span>–</span></td><td><span>4 of 5</span></td>`,
			`>Boundary</th><td><span>–</span></td><td><span>–</span></td><td class="alarm"><span>CROSSED</span></td>`,
		}},
	} {
		h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2"}}})
		for _, panel := range aggregate.Panels(tt.protocol, cohort, nil, onset) {
			body, err := wire.Encode(panel)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Panel(body); err != nil {
				t.Fatal(err)
			}
		}
		page, _ := get(t, h)
		t.Log(tt.name)
		wantParts(t, page, tt.want...)
	}
}

// What nobody has had takes no room, and what one arm alone has had is 0 in the other.
func TestExposureShowsWhatWasGiven(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2", RegimenTitles: map[string]string{"il2": "IL-2"}}}})
	for _, body := range panels(t) {
		if err := h.Panel(body); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, h)
	wantParts(
		t, page, `>Cyclophosphamide, doses a patient</th><td><span>2 (2–2)</span>`, `>Cyclophosphamide given</th><td><span>14</span></td><td><span>14</span></td><td><span>28</span></td>`,
		`>IL-2 missed</th><td><span>0</span></td><td><span>7</span></td><td><span>7</span></td>`,
	)
	for _, absent := range []string{"Cyclophosphamide held", "Pembrolizumab"} {
		if strings.Contains(page, absent) {
			t.Errorf("the page says %q", absent)
		}
	}
}

// An older publisher does not name the system organ class: the table does without.
func TestToxicityWithoutClasses(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2"}}})
	soc := regexp.MustCompile(`"soc":"[^"]*",`)
	for _, body := range panels(t) {
		if err := h.Panel(soc.ReplaceAll(body, nil)); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, h)
	wantParts(t, page, ">Febrile neutropenia</th>", ">Fever</th>")
	if strings.Contains(page, `class="group"`) {
		t.Error("the table has groups without a name")
	}
}

// An update in which only the evidence is new is told to programs and not shown: on the page it would be the same line again.
func TestSameWordsAreShownOnce(t *testing.T) {
	h := web.NewHub(web.Options{})
	for i, message := range []string{"Fever grade 1.", "Fever grade 1.", "Fever grade 2."} {
		transition := alert.Updated
		if i == 0 {
			transition = alert.Opened
		}
		if err := h.Alert(event("a", i+1, transition, rules.Routine, message)); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, h)
	wantParts(t, page, "1 open, 3 transitions told")
	if once, twice := strings.Count(page, "Fever grade 1."), strings.Count(page, "Fever grade 2."); once != 1 || twice != 1 {
		t.Errorf("shown %d and %d times, want once each", once, twice)
	}
}

// Two studies never share a table, and an alert says of which one it is.
func TestStudiesAreKeptApart(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2", Title: "First trial"}, {ID: "other", Title: "Second trial"}}})
	for _, body := range panels(t) {
		for _, study := range []string{"til-il2", "other"} {
			body := strings.ReplaceAll(string(body), "til-il2", study)
			if study == "other" {
				body = strings.ReplaceAll(body, "Febrile neutropenia", "Another toxicity")
			}
			if err := h.Panel([]byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.Alert(event("a", 1, alert.Opened, rules.Urgent, "Febrile neutropenia grade 3. Review.")); err != nil {
		t.Fatal(err)
	}
	page, _ := get(t, h)
	wantParts(t, page, "By arm: First trial", "By arm: Second trial", `<span class="arm">til-il2</span> <b>S-001</b>`)
	first, second, ok := strings.Cut(page, "By arm: Second trial")
	if !ok || !strings.Contains(first, ">Febrile neutropenia<") || strings.Contains(first, "Another toxicity") || !strings.Contains(second, ">Another toxicity<") || strings.Contains(second, ">Febrile neutropenia<") {
		t.Error("the tables of the two studies are mixed")
	}
}

func TestWhatHasEndedNeedsNoLook(t *testing.T) {
	for _, end := range []alert.Transition{alert.Resolved, alert.Retracted} {
		h := web.NewHub(web.Options{})
		for i, transition := range []alert.Transition{alert.Opened, end} {
			if err := h.Alert(event("a", i+1, transition, rules.Urgent, "Febrile neutropenia.")); err != nil {
				t.Fatal(err)
			}
		}
		page, _ := get(t, h)
		wantParts(t, page, "Nothing urgent or prompt is open", "0 open, 2 transitions told", string(end))
		if end == alert.Retracted {
			wantParts(t, page, "taken back: Observation/anc-1 version 2")
		}
	}
}

// The message of an alert can carry text of the feed: a unit as it was sent. The page shows it and never runs it.
func TestHostileTextIsShownNotRun(t *testing.T) {
	h := web.NewHub(web.Options{})
	if err := h.Alert(event("a", 1, alert.Opened, rules.Urgent, `unit "<script>alert(1)</script>"`)); err != nil {
		t.Fatal(err)
	}
	page, header := get(t, h)
	if strings.Contains(page, "<script>alert") {
		t.Error("the page holds a script of the feed")
	}
	wantParts(t, page, "&lt;script&gt;alert(1)")
	if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy %q", csp)
	}
}

func TestBrokenMessagesAreErrors(t *testing.T) {
	h := web.NewHub(web.Options{})
	if err := h.Panel([]byte("{")); err == nil {
		t.Error("a broken panel is no error")
	}
	if err := h.Alert([]byte("{")); err == nil {
		t.Error("a broken alert is no error")
	}
}

// An open page is told of a change without asking.
func TestStreamTellsChanges(t *testing.T) {
	h := web.NewHub(web.Options{})
	srv := httptest.NewServer(h.Handler())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, want := res.Header.Get("Content-Type"), "text/event-stream"; got != want {
		t.Errorf("content type %q, want %q", got, want)
	}
	lines := bufio.NewScanner(res.Body)
	readTo := func(part string) {
		t.Helper()
		for lines.Scan() {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, "data:") && !strings.HasPrefix(line, "event:") {
				t.Fatalf("line %q is no part of an event", line)
			} else if strings.Contains(line, part) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", part, lines.Err())
	}
	readTo("None yet")
	if err := h.Alert(event("a", 1, alert.Opened, rules.Urgent, "told while the page is open")); err != nil {
		t.Fatal(err)
	}
	readTo("told while the page is open")
}

// No panel that the page shows may carry a subject's name: an aggregate is about arms.
func TestPanelsNameNoSubject(t *testing.T) {
	for _, body := range panels(t) {
		var p map[string]any
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "S-0") {
			t.Errorf("panel %v names a subject", p["panel"])
		}
	}
}
