// Package web serves the live page: the aggregates by arm and the latest alerts, over server-sent events, readable without JavaScript.
//
// It reads published messages only and keeps what the page shows. Everything is escaped by html/template, the page loads nothing from elsewhere,
// and its content security policy forbids it to.
package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
)

//go:embed static templates
var files embed.FS

// Options of a [Hub]. The zero value works, with times in UTC.
type Options struct {
	Logger  zerolog.Logger
	Title   string
	Studies []Study        // that are loaded, in the order in which the page shows them
	Zone    *time.Location // in which times are shown, nil = UTC
	Demo    bool           // the page says that the data are simulated
	// Pooled is for who may not see the arms: the page takes pooled panels and nothing else, and has no place for more.
	Pooled bool
	// Beside, if not nil, makes a table that puts the panels, by name, beside other figures; without one it returns nil.
	Beside func(panels map[string][]byte) (*Beside, error)
}

// Beside is a table of figures from elsewhere and those found here.
type Beside struct {
	Title, Note string
	Rows        []BesideRow
}

// BesideRow is one figure; Arm is "" where it compares arms.
type BesideRow struct {
	Figure, Arm, There, Here string
	Agrees                   bool
	Uncounted                bool // it is not said how the other was computed: shown without a verdict
}

// Study is how the page names a study and its arms.
type Study struct {
	ID, Title     string
	Unblinded     []string          // the roles that may see the arms, nil: whoever sees the page
	ArmTitles     map[string]string // by arm id
	RegimenTitles map[string]string // by regimen id
}

const (
	latestAlerts = 40                     // transitions that the page shows
	pushEvery    = 250 * time.Millisecond // at most so often is a page brought up to date
	keepAlive    = 10 * time.Second       // a comment so often tells proxies and the page that the stream lives
)

// Hub holds what the page shows and tells open pages when it changes. It is safe for concurrent use. Create it with [NewHub].
type Hub struct {
	opts  Options
	pages *template.Template

	mu      sync.Mutex
	panels  map[string]map[string]aggregateBody // by study, then name
	open    map[string]alert.Event              // by alert
	latest  []alert.Event                       // newest last
	told    int
	notice  string        // of the operator's, above all else
	changed chan struct{} // closed at the next change
}

// aggregateBody is a panel as it was published.
type aggregateBody struct {
	aggregate.Panel
	data []byte
}

// NewHub returns a hub.
func NewHub(o Options) *Hub {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return &Hub{
		opts: o, pages: template.Must(template.New("").Funcs(template.FuncMap{"grades": func() []int { return []int{1, 2, 3, 4, 5} }}).ParseFS(files, "templates/*.html")),
		panels: map[string]map[string]aggregateBody{}, open: map[string]alert.Event{}, changed: make(chan struct{}),
	}
}

// SetStudies replaces the studies that are loaded.
func (h *Hub) SetStudies(studies []Study) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.Studies = studies
	h.tell()
}

// SetNotice shows a line above all else, "" none.
func (h *Hub) SetNotice(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notice = text
	h.tell()
}

// Panel takes in a published panel: a pooled one if the page is for who may not see the arms, else one by arm.
func (h *Hub) Panel(data []byte) error {
	var p aggregate.Panel
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("panel: %w", err)
	}
	if (p.Kind == "pooled") != h.opts.Pooled {
		return fmt.Errorf("panel %s of %s is of kind %q: not for this page", p.Name, p.Study, p.Kind)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.panels[p.Study] == nil {
		h.panels[p.Study] = map[string]aggregateBody{}
	}
	h.panels[p.Study][p.Name] = aggregateBody{p, data}
	h.tell()
	return nil
}

// Alert takes in a published alert. It names the arm of its patient.
func (h *Hub) Alert(data []byte) error {
	if h.opts.Pooled {
		return errors.New("alert: not for this page")
	}
	var ce wire.CloudEvent
	if err := json.Unmarshal(data, &ce, withoutEvidence); err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	e := ce.Data
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told++
	same := e.Transition == alert.Updated && h.open[e.Alert].Message == e.Message // what is new is in the evidence, which is not shown
	if e.Transition == alert.Retracted || e.Status != rules.Open {
		delete(h.open, e.Alert)
	} else {
		h.open[e.Alert] = e
	}
	if e.Material && !same && (e.Urgency != rules.Log || e.Transition == alert.Retracted) {
		h.latest = append(h.latest, e)
		if len(h.latest) > 2*latestAlerts {
			h.latest = append([]alert.Event(nil), h.latest[len(h.latest)-latestAlerts:]...)
		}
	}
	h.tell()
	return nil
}

// withoutEvidence leaves the evidence of an alert unread: it is most of the size, and not shown here.
var withoutEvidence = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *[]rules.Evidence) error { return d.SkipValue() }))

// tell wakes the open pages. The caller holds the lock.
func (h *Hub) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Handler serves the page, its files and its event stream.
func (h *Hub) Handler() http.Handler {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // embedded: cannot fail
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /events", h.events)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	return secured(mux)
}

// secured sets the headers that keep the page to itself.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (h *Hub) page(w http.ResponseWriter, _ *http.Request) {
	view, _ := h.view()
	var b bytes.Buffer
	if err := h.pages.ExecuteTemplate(&b, "page.html", view); err != nil {
		h.opts.Logger.Error().Err(err).Msg("page cannot be made")
		http.Error(w, "the page cannot be made: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// events streams the live part of the page as HTML whenever it changes, at most every pushEvery.
func (h *Hub) events(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	var last []byte
	for {
		view, changed := h.view()
		var b bytes.Buffer
		if err := h.pages.ExecuteTemplate(&b, "live", view); err != nil {
			h.opts.Logger.Error().Err(err).Msg("page cannot be made")
			return
		}
		if !bytes.Equal(b.Bytes(), last) {
			last = b.Bytes()
			var event bytes.Buffer
			event.WriteString("event: live\n")
			for line := range bytes.Lines(last) {
				event.WriteString("data: ")
				event.Write(bytes.TrimRight(line, "\r\n"))
				event.WriteByte('\n')
			}
			event.WriteByte('\n')
			if _, err := w.Write(event.Bytes()); err != nil {
				return
			}
		} else if _, err := fmt.Fprint(w, "event: alive\ndata:\n\n"); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(pushEvery):
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-time.After(keepAlive):
		}
	}
}
