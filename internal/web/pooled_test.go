package web_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
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

// pooled are the panels of the test's cohort under a protocol with blinding, as they are before they are published.
func pooled(t *testing.T, settings string) (*protocol.Protocol, []aggregate.PooledPanel) {
	t.Helper()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", append(text, "\nblinding: { unblinded: [safety-board], cite: a test"+settings+" }\n"...))
	if err != nil {
		t.Fatal(err)
	}
	var all []aggregate.Panel
	for _, body := range panels(t) {
		panel, err := aggregate.Read(body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, panel)
	}
	return p, aggregate.Pool(p, all)
}

// pooledBodies are the panels of the test's cohort as they are published to who may not see the arms.
func pooledBodies(t *testing.T) (bodies [][]byte) {
	t.Helper()
	_, all := pooled(t, "")
	for _, panel := range all {
		body, err := wire.Encode(panel)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// everything is all that a page ever sends: itself, and what its stream sends while it is given everything there is.
func everything(t *testing.T, h *web.Hub, give func()) string {
	t.Helper()
	srv := httptest.NewServer(h.Handler())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
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
	give()
	var sent bytes.Buffer
	_, _ = io.Copy(&sent, res.Body) // until the second is over
	page, header := get(t, h)
	_ = header.Write(&sent)
	return sent.String() + page
}

// A page for who may not see the arms shows pooled panels, and not a byte that tells an arm, whatever it is given.
func TestPooledPage(t *testing.T) {
	bodies := pooledBodies(t)
	h := web.NewHub(web.Options{Title: "trialwatch", Pooled: true, Studies: []web.Study{{ID: "til-il2", Title: "A trial", RegimenTitles: map[string]string{"cyclophosphamide": "Cyclophosphamide"}}}})
	sent := everything(t, h, func() {
		for _, body := range bodies {
			if err := h.Panel(body); err != nil {
				t.Error(err)
			}
		}
		for _, body := range panels(t) {
			if h.Panel(body) == nil {
				t.Errorf("the page takes a panel with arms: %.80s", body)
			}
		}
		if h.Alert(event("a", 1, alert.Opened, rules.Urgent, "CANARY of arm-1")) == nil {
			t.Error("the page takes an alert")
		}
	})
	for _, word := range []string{"arm-1", "arm-2", "High-dose", "Low-dose", "IL-2", "il2\"", "S-001", "CANARY", "in the arm", "By arm", "Needs a look", "Latest alerts", "/metrics", "5/7", "7/14 <i>50", "Response", "survival"} {
		if strings.Contains(sent, word) {
			t.Errorf("the page says %q", word)
		}
	}
	wantParts(t, sent, "All arms together", "8/14 <i>57.1 %</i>", ">Febrile neutropenia</th>", "Cyclophosphamide given", `<th scope="col">All</th>`, "for readers who may not see the arms")
}

// The page with the arms says for whom it is, and takes no pooled panel: it would stand in the place of the whole one.
func TestPageSaysForWhomItIs(t *testing.T) {
	h := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2", Unblinded: []string{"safety-board", "statistician"}}}})
	for _, body := range panels(t) {
		if err := h.Panel(body); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range pooledBodies(t) {
		if h.Panel(body) == nil {
			t.Errorf("the page takes a pooled panel: %.80s", body)
		}
	}
	page, _ := get(t, h)
	wantParts(t, page, "Shows the arms: for safety-board, statistician only", "5/7 <i>71.4 %</i>")
}

// Under suppression the page shows bounds, and nothing that is not there as 0.
func TestSuppressedPage(t *testing.T) {
	p, all := pooled(t, ", publishEvery: P1D, suppressBelow: 5")
	h := web.NewHub(web.Options{Pooled: true, Studies: []web.Study{{ID: "til-il2"}}})
	for _, panel := range aggregate.Suppress(p, all, nil, func(int) int { return 0 }).Panels() {
		body, err := wire.Encode(panel)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Panel(body); err != nil {
			t.Fatal(err)
		}
		page, _ := get(t, h) // whatever has come so far
		for _, word := range []string{"%", "8/14", ">0<", "NA"} {
			if strings.Contains(page, "<span>"+word) || strings.Contains(page, word+" </i>") {
				t.Errorf("after %s the page says %q", panel.Name, word)
			}
		}
	}
	page, _ := get(t, h)
	wantParts(t, page, ">Febrile neutropenia, any grade</th><td><span>at least 5 of 14</span>", ">Anemia, any grade</th><td><span>at least 10 of 14</span>", ">Enrolled</th><td><span>14</span>", "in steps of 5")
	for _, word := range []string{"8/14", "57.1", "median", "Creatinine"} { // three have raised creatinine
		if strings.Contains(page, word) {
			t.Errorf("the page says %q", word)
		}
	}
}
