// Package wire is the published contract on NATS: subjects, streams, headers and envelopes. Other programs rely on it; a change needs a reason in
// docs/adr and a new schema version.
//
// No subject, header or consumer name carries an MRN, a name or free text: a patient is a keyed hash, a subject of the trial is the
// pseudonym under which the study knows the patient.
package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Streams.
const (
	StreamFHIR        = "FHIR"
	StreamFacts       = "FACTS"
	StreamDeadLetters = "DEADLETTERS"
	StreamOut         = "OUT"
	StreamAggregates  = "AGGREGATES"
	StreamPooled      = "POOLED"
	StreamPooling     = "POOLING"
)

// Headers.
const (
	// HeaderReceivedAt replaces the broker's time as receipt, RFC 3339. Only for credentials that are allowed to: demo and replays.
	HeaderReceivedAt = "Trialwatch-Received-At"

	// A sender that numbers its messages names itself and the number, so that what is lost on the way is noticed.
	HeaderSource   = "Trialwatch-Source"
	HeaderSequence = "Trialwatch-Sequence"

	HeaderRule       = "Trialwatch-Rule"
	HeaderUrgency    = "Trialwatch-Urgency"
	HeaderTransition = "Trialwatch-Transition"
	HeaderMaterial   = "Trialwatch-Material"

	// Headers of a dead letter; its body is the resource as it came.
	HeaderReason     = "Trialwatch-Reason"
	HeaderDetail     = "Trialwatch-Detail"
	HeaderFHIRSeq    = "Trialwatch-FHIR-Sequence"
	HeaderEntry      = "Trialwatch-Entry" // index in a Bundle, "-1" for a bare resource
	HeaderResource   = "Trialwatch-Resource-Type"
	HeaderReceivedOf = "Trialwatch-Received"
)

// FHIR is the subject to which an EHR publishes a resource.
func FHIR(site, resourceType string) string {
	return "fhir." + Token(site) + "." + Token(resourceType)
}

// Facts is the subject of a patient's facts, and of a Medication's, which is nobody's. key is a [PatientKey], or "-" for a fact that names nobody.
func Facts(site, key string) string { return "facts." + Token(site) + "." + key }

// Feed is the subject of the numbers of messages that came from a site's sources, beside the facts of its patients: see [Marks].
func Feed(site string) string { return Facts(site, feedKey) }

// IsFeed reports whether a subject is one of [Feed].
func IsFeed(subject string) bool { return strings.HasSuffix(subject, "."+feedKey) }

const feedKey = "feed" // no [PatientKey]

// DeadLetters is the subject of what was refused for a reason.
func DeadLetters(site, reason string) string {
	return "deadletters." + Token(site) + "." + Token(reason)
}

// Alerts is the subject of the alerts of a subject of a study.
func Alerts(study, site, subject string) string {
	return "alerts." + Token(study) + "." + Token(site) + "." + Token(subject)
}

// Standings is the roll-up subject of what stands of a patient.
func Standings(site, key string) string { return "standings." + Token(site) + "." + key }

// NoSite stands for a site in what is told of a trial as a whole, and as its checkpoint: no site may have that name.
const NoSite = "-"

// Checkpoints is the roll-up subject of how far a site's facts were read, and of [NoSite] what was told of no single patient.
func Checkpoints(site string) string { return "checkpoints." + Token(site) }

// CheckpointFilter matches every subject of [Checkpoints], and no protocol file.
const CheckpointFilter = "checkpoints.*"

// ProtocolFile is the roll-up subject of the file by which a study is judged. It lies among the checkpoints since a stream's subjects are those that it was created with.
func ProtocolFile(study string) string { return "checkpoints.protocol." + Token(study) }

// Aggregates is the subject of a panel.
func Aggregates(study, panel string) string {
	return "aggregates." + Token(study) + "." + Token(panel)
}

// Pooled is the subject of a panel for who may not see the arms. It lies in a stream of its own: who reads that has no right on the other.
func Pooled(study, panel string) string {
	return "pooled." + Token(study) + "." + Token(panel)
}

// Pooling is the subject of what was published of a study under suppression and of what must not be: an aggregate.Suppressed. Nobody but the stage that pools may read it.
func Pooling(study string) string { return "pooling." + Token(study) }

// Site returns the site of a subject of ours: its second token (the third of an alert's), unescaped.
func Site(subject string) string {
	kind, rest, more := strings.Cut(subject, ".")
	if kind == "alerts" {
		_, rest, more = strings.Cut(rest, ".")
	}
	if !more {
		return ""
	}
	token, _, _ := strings.Cut(rest, ".")
	return Untoken(token)
}

// Token escapes a text to one token of a subject: every byte outside [A-Za-z0-9_:-] as ~XX, an empty text as "~".
func Token(s string) string {
	const hexDigits = "0123456789ABCDEF"
	if s == "" {
		return "~"
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == ':', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('~')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// Untoken is the inverse of [Token]. What is not an escape stands for itself.
func Untoken(s string) string {
	if s == "~" {
		return ""
	}
	if strings.IndexByte(s, '~') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '~' && i+2 < len(s) {
			if v, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(v[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// PatientKey is the form of a patient's identity outside payloads: the first 16 bytes of HMAC-SHA256(site key, site ‖ 0 ‖ identity), 32 hex digits.
// An empty identity is "-".
func PatientKey(siteKey []byte, site, identity string) string {
	if identity == "" {
		return "-"
	}
	mac := hmac.New(sha256.New, siteKey)
	mac.Write([]byte(site))
	mac.Write([]byte{0})
	mac.Write([]byte(identity))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
