// Package archtest holds the import rules of ARCHITECTURE.md as a test, each with its reason.
package archtest
