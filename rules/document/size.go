package document

import (
	"bytes"
	"fmt"
	"strings"
)

// What a file may hold besides its size. The YAML library takes time and memory that grow with the square of the depth and of the keys of one mapping,
// and an unbounded stack: a file that no person writes is refused before it is parsed. The shipped trial has some 400 parts and 40 braces.
const (
	maxParts  = 8_000 // keys, entries and lines
	maxBraces = 2_000 // braces and brackets opened, wherever they stand
	maxRun    = 20    // entries of entries begun on one line: - - - x
)

// tooMuch says what there is too much of in a file and where, "" if nothing. It looks at bytes, not at YAML, so that no quote or comment can hide
// anything from it.
func tooMuch(data []byte) (line, column int, why string) {
	parts, braces := 0, 0
	for line = 1; len(data) > 0; line++ {
		row, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		parts++
		run := 0
		for word := range strings.FieldsSeq(string(row[:min(len(row), 4*maxRun)])) {
			if word != "-" && word != "?" {
				break
			}
			if run++; run >= maxRun {
				return line, 1, fmt.Sprintf("more than %d lists within lists", maxRun-1)
			}
		}
		for i, c := range row {
			switch c {
			case '[', '{':
				if braces++; braces > maxBraces {
					return line, i + 1, fmt.Sprintf("more than %d braces and brackets", maxBraces)
				}
			case ',', ':':
				parts++
			}
			if parts > maxParts {
				return line, i + 1, fmt.Sprintf("more than %d keys, entries and lines", maxParts)
			}
		}
	}
	return 0, 0, ""
}
