package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// bundleEntry is one entry, unparsed.
type bundleEntry struct {
	fullURL  string
	resource []byte
	method   string
	url      string
	modified time.Time // response.lastModified: when the server did what the request says
	doc      *document // of the resource; nil if it could not be read
	problem  *problem
}

// entries reads a Bundle. ok is false if the data are no Bundle. Only the members of the Bundle and of its entries are checked here: what is
// wrong within a resource, down to a key that stands there twice, is its own entry's problem.
func entries(data []byte, lim Limits) (list []bundleEntry, doc *document, ok bool) {
	if !bytes.Contains(data[:min(len(data), 1<<20)], []byte(`"Bundle"`)) {
		return nil, nil, false
	}
	doc, p := shallow(data)
	if p != nil || str(doc.get("resourceType")) != "Bundle" {
		return nil, nil, false
	}
	for raw := range elements(doc.get("entry")) {
		e := bundleEntry{}
		entry, p := shallow(raw)
		if p != nil {
			e.problem = p
			list = append(list, e)
			continue
		}
		e.fullURL = str(entry.get("fullUrl"))
		var request struct {
			Method string `json:"method"`
			URL    string `json:"url"`
		}
		parse(entry.get("request"), &request)
		e.method, e.url = request.Method, request.URL
		var response struct {
			LastModified string `json:"lastModified"`
		}
		if parse(entry.get("response"), &response) {
			e.modified, _ = instant(response.LastModified, time.UTC)
		}
		if e.resource = entry.get("resource"); e.resource != nil {
			e.doc, e.problem = prescan(e.resource, lim)
		}
		list = append(list, e)
	}
	return list, doc, true
}

// bundle judges a Bundle entry by entry: one bad entry must not take the others with it.
func (d *Decoder) bundle(m Message, data []byte) ([]Outcome, bool) {
	list, doc, ok := entries(data, d.cfg.Limits)
	if !ok {
		return nil, false
	}
	var received time.Time
	var bm meta
	if parse(doc.get("meta"), &bm) {
		received, _ = instant(bm.LastUpdated, time.UTC)
	}
	if received.IsZero() {
		received, _ = instant(str(doc.get("timestamp")), time.UTC)
	}
	r := &resolver{bases: d.cfg.BaseURLs, systems: d.systems, fullURL: fullURLs(list)}
	var out []Outcome
	for i := range list {
		e := &list[i]
		entry := m
		switch {
		case e.method == "DELETE": // first: a void is honoured whatever is wrong with a resource sent along
			if f := d.deleted(e, entry, received); f != nil {
				out = append(out, Outcome{Kind: Accepted, Fact: f, Ref: f.Ref, Entry: i, Raw: []byte(e.url), ReceivedAt: f.ReceivedAt})
			}
		case e.problem != nil:
			if o, ok := d.unread(entry, e.problem, e.resource, i, received); ok {
				out = append(out, o)
				continue
			}
			if entry.ReceivedAt.IsZero() {
				entry.ReceivedAt = received
			}
			out = append(out, d.deadLetter(&head{}, r, entry, e.problem, e.resource, i))
		case e.doc != nil:
			own := *r
			out = append(out, d.resource(entry, e.doc, e.resource, i, &own, received))
		}
	}
	if len(out) == 0 {
		if !m.ReceivedAt.IsZero() {
			received = m.ReceivedAt
		} else if received.IsZero() {
			received = time.Unix(0, 0).UTC()
		}
		out = append(out, Outcome{Ref: timeline.RefOf("Bundle", ""), Entry: -1, Raw: data, ReceivedAt: received})
	}
	return out, true
}

// deleted is the void of a DELETE entry, nil if it deletes nothing that rules read.
func (d *Decoder) deleted(e *bundleEntry, m Message, received time.Time) *timeline.Fact {
	url := e.url
	for _, base := range d.cfg.BaseURLs {
		url = strings.TrimPrefix(url, strings.TrimSuffix(base, "/")+"/")
	}
	kind, id, ok := strings.Cut(url, "/")
	if !ok || r4.types[kind] == nil || kind == "Bundle" || !validID(id) {
		return nil
	}
	for _, at := range []time.Time{e.modified, received, time.Unix(0, 0).UTC()} {
		if m.ReceivedAt.IsZero() {
			m.ReceivedAt = at
		}
	}
	f := &timeline.Fact{Ref: timeline.RefOf(kind, id), State: timeline.Void, ReceivedAt: m.ReceivedAt, Site: m.Site}
	if kind == "Patient" {
		f.Patient = timeline.Patient{Reference: f.Ref.String()}
	}
	// A DELETE has no version of its own: it is as new as the server says, else as its receipt. Where a history tells a deletion and what was
	// stored after it in one Bundle, the receipt alone would take the later one back.
	at := e.modified
	if at.IsZero() {
		at = m.ReceivedAt
	}
	f.Version = timeline.Version{LastUpdated: at, Digest: sum([]byte(`"DELETE ` + url + `"`))}
	return f
}

// fullURLs maps the entries' own names to "Type/id".
func fullURLs(list []bundleEntry) map[string]string {
	names := map[string]string{}
	for i := range list {
		e := &list[i]
		if e.fullURL == "" || e.doc == nil {
			continue
		}
		kind, id := str(e.doc.get("resourceType")), str(e.doc.get("id"))
		// A name goes into JSON as it is (Split), so it must not be able to end a string.
		if _, known := r4.types[kind]; known && validID(id) && !strings.ContainsAny(id, `"\`) {
			names[e.fullURL] = kind + "/" + id
		}
	}
	return names
}

// Part is one resource of a line, ready to be published by itself.
type Part struct {
	Type string // resourceType, "Bundle" for a deletion
	ID   string
	Data []byte
	Err  error // why it cannot be published
}

// Split takes a Bundle apart into its resources, so that each is published by itself; another resource is its own only part. References that
// mean something only within the Bundle are rewritten. What is wrong with a resource otherwise is for the reader to judge: only what is
// no JSON or names no type is refused here.
func Split(data []byte, lim Limits) ([]Part, error) {
	lim = lim.orDefault()
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	list, _, ok := entries(data, lim)
	if !ok {
		doc, p := shallow(data)
		if p != nil {
			return nil, fmt.Errorf("%s: %s", p.reason, p.detail)
		}
		kind := str(doc.get("resourceType"))
		if kind == "" {
			return nil, errors.New("not-fhir: no resourceType")
		}
		return []Part{{Type: kind, ID: str(doc.get("id")), Data: data}}, nil
	}
	names := fullURLs(list)
	var parts []Part
	for i := range list {
		e := &list[i]
		switch {
		case e.method == "DELETE":
			url, err := jsontext.AppendQuote(nil, e.url)
			if err != nil {
				parts = append(parts, Part{Err: errors.New("the url of a deletion is no text")})
				continue
			}
			response := ""
			if !e.modified.IsZero() {
				response = `,"response":{"status":"204","lastModified":"` + e.modified.Format(time.RFC3339Nano) + `"}`
			}
			parts = append(parts, Part{Type: "Bundle", Data: []byte(`{"resourceType":"Bundle","type":"history","entry":[{"request":{"method":"DELETE","url":` + string(url) + `}` + response + `}]}`)})
		case e.resource == nil:
			if e.problem != nil {
				parts = append(parts, Part{Err: fmt.Errorf("%s: %s", e.problem.reason, e.problem.detail)})
			}
		default:
			doc := e.doc
			if doc == nil {
				// Too much of it, or broken within: the reader will say so, as long as its type can be told.
				var p *problem
				if doc, p = shallow(e.resource); p != nil {
					parts = append(parts, Part{Err: fmt.Errorf("%s: %s", p.reason, p.detail)})
					continue
				}
			}
			part := Part{Type: str(doc.get("resourceType")), ID: str(doc.get("id")), Data: rename(e.resource, names)}
			if part.Type == "" {
				part = Part{Err: errors.New("no resourceType")}
			}
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// rename replaces the references that names knows, of whatever version, in one pass: a Bundle may have thousands of both. It looks up what
// stands between any two quotes; what stands between two strings is no URL.
func rename(resource []byte, names map[string]string) []byte {
	if len(names) == 0 {
		return resource
	}
	var out []byte
	kept := 0 // resource[:kept] is in out
	for start := bytes.IndexByte(resource, '"') + 1; start > 0; {
		length := bytes.IndexByte(resource[start:], '"')
		if length < 0 {
			break
		}
		ref, _, _ := bytes.Cut(resource[start:start+length], []byte("/_history/"))
		if to, ok := names[string(ref)]; ok {
			out = append(append(out, resource[kept:start]...), to...)
			kept = start + length
		}
		start += length + 1
	}
	if out == nil {
		return resource
	}
	return append(out, resource[kept:]...)
}
