package site

import "github.com/trialwatch/trialwatch/rules/timeline"

// Loss is stored messages that are gone before they should: a stream was purged, made anew, or restored from an older copy.
type Loss struct {
	Token         string `json:"token"` // names it to whoever accepts it
	Stream        string `json:"stream"`
	Messages      uint64 `json:"messages"` // at least
	timeline.Span        // from when it was noticed until it was repaired or accepted
}
