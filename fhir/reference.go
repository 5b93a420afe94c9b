package fhir

import (
	"net/url"
	"strings"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// reference is a FHIR Reference as far as we read one.
type reference struct {
	Reference  string `json:"reference"`
	Type       string `json:"type"`
	Display    string `json:"display"`
	Identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	} `json:"identifier"`
}

// resolver finds what a reference within one resource or Bundle means.
type resolver struct {
	bases   []string          // the site's own base URLs
	systems map[string]string // as [Decoder]'s
	fullURL map[string]string // fullUrl of a Bundle's entry → "Type/id"
	// contained finds a contained resource by its id, nil if there is none.
	contained func(id string) *document
}

// literal normalises a literal reference: own base URLs and versions are stripped, Bundle-local ones resolved. A reference to somebody else's
// server stays whole; "" is no reference.
func (r *resolver) literal(ref string) string {
	if i := strings.Index(ref, "/_history/"); i >= 0 {
		ref = ref[:i]
	}
	if to, ok := r.fullURL[ref]; ok {
		return to
	}
	for _, base := range r.bases {
		if rest, ok := strings.CutPrefix(ref, strings.TrimSuffix(base, "/")+"/"); ok {
			return rest
		}
	}
	return ref
}

// identity is an identifier as the name of a patient, "" where identifiers of its system name none at this site.
func (r *resolver) identity(system, value string) string {
	if value == "" {
		return ""
	}
	if r.systems != nil {
		known, ok := r.systems[system]
		if !ok {
			return ""
		}
		system = known
	}
	return system + "|" + value
}

// identities are those of an array of identifiers, in order.
func (r *resolver) identities(raw []byte) []string {
	var ids []string
	for _, id := range identifiers(raw) {
		system, value, _ := strings.Cut(id, "|")
		if id := r.identity(system, value); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// patient finds whom a reference names.
func (r *resolver) patient(ref *reference) (p timeline.Patient, prob *problem) {
	identifier := r.identity(ref.Identifier.System, ref.Identifier.Value)
	lit := ref.Reference
	switch {
	case strings.HasPrefix(lit, "#"):
		// A contained patient has no identity of its own but its identifiers.
		if r.contained != nil {
			if doc := r.contained(lit[1:]); doc != nil && str(doc.get("resourceType")) == "Patient" {
				if ids := r.identities(doc.get("identifier")); len(ids) > 0 {
					return timeline.Patient{Identifier: ids[0]}, nil
				}
			}
		}
		lit = ""
	case strings.Contains(lit, "?"):
		// A conditional reference names a patient by a search: Patient?identifier=system|value.
		if u, err := url.Parse(lit); err == nil && (u.Path == "Patient" || strings.HasSuffix(u.Path, "/Patient")) {
			if system, value, ok := strings.Cut(u.Query().Get("identifier"), "|"); ok {
				if id := r.identity(system, value); id != "" {
					return timeline.Patient{Identifier: id}, nil
				}
			}
		}
		lit = ""
	}
	if lit = r.literal(lit); lit != "" {
		kind, _, typed := strings.Cut(lit, "/")
		switch {
		case strings.HasPrefix(lit, "urn:"):
			return timeline.Patient{Reference: lit}, nil
		case strings.Contains(lit, "://"):
			parts := strings.Split(lit, "/")
			if len(parts) >= 2 && parts[len(parts)-2] == "Patient" {
				return timeline.Patient{Reference: lit}, nil
			}
		case typed && kind == "Patient" && validID(lit[len("Patient/"):]):
			return timeline.Patient{Reference: lit}, nil
		case !typed && ref.Type == "Patient":
			return timeline.Patient{Reference: "Patient/" + lit}, nil
		}
		if typed && kind != "Patient" && !strings.Contains(lit, "://") {
			return p, refuse(ReasonNoPatient, "the subject is no Patient")
		}
	}
	if identifier != "" {
		return timeline.Patient{Identifier: identifier}, nil
	}
	return p, refuse(ReasonNoPatient, "the subject names no Patient")
}

// validID is wide on purpose: identities of real servers have underscores and more than 64 characters.
func validID(id string) bool {
	if id == "" || len(id) > 256 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '/' {
			return false
		}
	}
	return true
}
