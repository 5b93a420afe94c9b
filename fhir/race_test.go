//go:build race

package fhir_test

// slower is by how much the race detector slows down what is timed.
const slower = 20
