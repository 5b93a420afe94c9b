package alert

// Same and Digest are for tests.
var Same = same

// Digest is the fingerprint of a finding.
var Digest = digests
