// Package feed reads files of FHIR resources line by line: NDJSON, one JSON document (which may be spread over lines), gzip of either, and the
// envelope {"receivedAt": …, "site": …, "resource": {…}}.
package feed

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxLine is the longest line that is read. A longer one is named by its size and hash, and skipped.
const MaxLine = 64 << 20

// DefaultSite is the site of a line that names none.
const DefaultSite = "main"

// Line is one line of input.
type Line struct {
	File       string
	Number     int // from 1
	Data       []byte
	Site       string
	ReceivedAt time.Time // zero where the line names none
	// TooLong says why there is no Data: the size and SHA-256 of a line beyond the limit.
	TooLong string
	// Envelope says what is wrong with an envelope.
	Envelope error
}

// Read calls fn for every line that is not blank. The data of a line are fn's to keep. It stops at the first error of fn or of the reader.
func Read(file string, r io.Reader, maxLine int, fn func(Line) error) error {
	br := bufio.NewReaderSize(r, 256<<10)
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		defer zr.Close()
		br = bufio.NewReaderSize(zr, 256<<10)
	}
	for number := 1; ; number++ {
		data, tooLong, err := line(br, maxLine)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s:%d: %w", file, number, err)
		}
		last := errors.Is(err, io.EOF)
		if number == 1 && !last && tooLong == "" {
			// A document that is spread over lines begins with a line that is no document.
			if whole, ok := document(br, data, maxLine); ok {
				return fn(open(Line{File: file, Number: 1, Data: whole}))
			} else if whole != nil {
				br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(whole), br), 256<<10)
			}
		}
		if tooLong != "" {
			if err := fn(Line{File: file, Number: number, Site: DefaultSite, TooLong: tooLong}); err != nil {
				return err
			}
		} else if len(bytes.TrimSpace(data)) > 0 {
			if err := fn(open(Line{File: file, Number: number, Data: data})); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// line reads one line without its end. A line beyond the limit is read to its end and described.
func line(br *bufio.Reader, maxLine int) (data []byte, tooLong string, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(data)+len(part) > maxLine {
			h := sha256.New()
			h.Write(data)
			h.Write(bytes.TrimRight(part, "\r\n"))
			size := len(data) + len(part)
			for errors.Is(err, bufio.ErrBufferFull) {
				part, err = br.ReadSlice('\n')
				h.Write(bytes.TrimRight(part, "\r\n"))
				size += len(part)
			}
			return nil, fmt.Sprintf("%d bytes, more than %d; sha256 %s", size, maxLine, hex.EncodeToString(h.Sum(nil))), err
		}
		data = append(data, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimRight(data, "\r\n"), "", err
	}
}

// document tries to read the rest as the rest of one JSON document. It returns what it read of the rest if it is none.
func document(br *bufio.Reader, first []byte, maxLine int) (data []byte, ok bool) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(first, []byte("\xef\xbb\xbf")))
	if len(trimmed) > 0 && (trimmed[0] != '{' && trimmed[0] != '[' || json.Valid(trimmed)) || len(trimmed) == 0 {
		return nil, false
	}
	// Only a head that could go on is read further: one broken first line must not pull a whole feed into memory.
	if !unfinished(trimmed) {
		return nil, false
	}
	rest, err := io.ReadAll(io.LimitReader(br, int64(maxLine-len(first))))
	if err != nil {
		return rest, false
	}
	whole := append(append(bytes.Clone(first), '\n'), rest...)
	if json.Valid(bytes.TrimPrefix(whole, []byte("\xef\xbb\xbf"))) {
		return whole, true
	}
	return rest, false
}

// unfinished reports whether data is the beginning of a JSON document.
func unfinished(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

// open takes the resource out of an envelope, if the line is one: no FHIR resource begins with one of its keys.
func open(l Line) Line {
	l.Site = DefaultSite
	switch firstKey(l.Data) {
	case "receivedAt", "site", "resource":
	default:
		return l
	}
	var e struct {
		ReceivedAt *time.Time      `json:"receivedAt"`
		Site       *string         `json:"site"`
		Resource   json.RawMessage `json:"resource"`
	}
	d := json.NewDecoder(bytes.NewReader(l.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || len(bytes.TrimSpace(l.Data[d.InputOffset():])) > 0 {
		// The decoder's words can quote the line: say only what was expected.
		l.Envelope = errors.New(`not an envelope {"receivedAt": RFC 3339, "site": "…", "resource": {…}}`)
		return l
	}
	if len(e.Resource) == 0 {
		l.Envelope = errors.New("the envelope holds no resource")
		return l
	}
	if e.Site != nil && *e.Site == "-" {
		l.Envelope = errors.New(`no site can be called "-": it stands for no single site`)
		return l
	}
	if e.ReceivedAt != nil {
		l.ReceivedAt = *e.ReceivedAt
	}
	if e.Site != nil && *e.Site != "" {
		l.Site = *e.Site
	}
	l.Data = e.Resource
	return l
}

// firstKey is the first key of an object, "" if there is none.
func firstKey(data []byte) string {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 || data[0] != '{' {
		return ""
	}
	data = bytes.TrimLeft(data[1:], " \t\r\n")
	if len(data) == 0 || data[0] != '"' {
		return ""
	}
	end := bytes.IndexByte(data[1:], '"')
	if end < 0 {
		return ""
	}
	return string(data[1 : 1+end])
}
