package feed_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/internal/feed"
)

// read shows every line as "number site receivedAt data", or what is wrong with it.
func read(t *testing.T, input string, maxLine int) []string {
	t.Helper()
	var lines []string
	if err := feed.Read("f", strings.NewReader(input), maxLine, func(l feed.Line) error {
		switch {
		case l.TooLong != "":
			size, _, _ := strings.Cut(l.TooLong, ";")
			lines = append(lines, fmt.Sprintf("%d too long: %s", l.Number, size))
		case l.Envelope != nil:
			lines = append(lines, fmt.Sprintf("%d envelope: %v", l.Number, l.Envelope))
		default:
			at := ""
			if !l.ReceivedAt.IsZero() {
				at = l.ReceivedAt.Format(" 15:04Z07:00")
			}
			lines = append(lines, fmt.Sprintf("%d %s%s %s", l.Number, l.Site, at, l.Data))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestRead(t *testing.T) {
	const wrong = `envelope: not an envelope {"receivedAt": RFC 3339, "site": "…", "resource": {…}}`
	for _, tt := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", "", nil},
		{"blank lines are no lines, but count", "\n\n{}\n \n", []string{`3 main {}`}},
		{"no newline at the end", "{}\n{\"a\":1}", []string{`1 main {}`, `2 main {"a":1}`}},
		{"Windows line ends", "{}\r\n{}\r\n", []string{`1 main {}`, `2 main {}`}},
		{"a broken line is only itself", "{\n{}\nx\n", []string{`1 main {`, `2 main {}`, `3 main x`}},
		{"one document over lines", "{\n \"a\": [1,\n  2]\n}\n", []string{"1 main {\n \"a\": [1,\n  2]\n}\n"}},
		{"a document over lines, and more: line by line", "{\n}\n{}\n", []string{`1 main {`, `2 main }`, `3 main {}`}},
		{"a byte order mark is the reader's of the resource", "\xef\xbb\xbf{}\n{}\n", []string{"1 main \xef\xbb\xbf{}", `2 main {}`}},
		{"an envelope", `{"receivedAt":"2026-02-19T06:05:00-06:00","site":"north","resource":{"a":1}}`, []string{`1 north 06:05-06:00 {"a":1}`}},
		{"an envelope in another order", `{"resource":{"a":1},"receivedAt":"2026-02-19T06:05:00Z"}`, []string{`1 main 06:05Z {"a":1}`}},
		{"an empty site is the default", `{"site":"","resource":{}}`, []string{`1 main {}`}},
		{"a time that is none", `{"receivedAt":"yesterday","resource":{}}`, []string{"1 " + wrong}},
		{"a key that is none", `{"site":"a","resources":{}}`, []string{"1 " + wrong}},
		{"more behind it", `{"site":"a","resource":{}} {}`, []string{"1 " + wrong}},
		{"the site of no single site", `{"site":"-","resource":{"a":1}}`, []string{`1 envelope: no site can be called "-": it stands for no single site`}},
		{"nothing in it", `{"site":"a"}`, []string{"1 envelope: the envelope holds no resource"}},
		{"too long, and the next", `{"a":"` + strings.Repeat("x", 300) + "\"}\n{}\n", []string{"1 too long: 309 bytes, more than 200", `2 main {}`}},
		{"too long at the end", "{}\n" + strings.Repeat("x", 300), []string{`1 main {}`, "2 too long: 300 bytes, more than 200"}},
		{"just as long as may be", strings.Repeat("x", 199) + "\n{}", []string{"1 main " + strings.Repeat("x", 199), `2 main {}`}},
	} {
		if diff := cmp.Diff(tt.want, read(t, tt.input, 200)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(tt.input)); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, read(t, b.String(), 200)); diff != "" {
			t.Errorf("%s, compressed (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestBrokenGzipIsAnErrorWithItsFile(t *testing.T) {
	for _, input := range []string{"\x1f\x8b", "\x1f\x8b\x08\x00garbage garbage garbage"} {
		if err := feed.Read("f.gz", strings.NewReader(input), 200, func(feed.Line) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "f.gz") {
			t.Errorf("%q: error %v, want one that names the file", input, err)
		}
	}
}

func TestErrorOfTheCallerStops(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	err := feed.Read("f", strings.NewReader("{}\n{}\n{}\n"), 200, func(feed.Line) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("error %v after %d lines, want the caller's after one", err, n)
	}
}

// Whatever comes: no panic, lines are numbered upwards, and nothing longer than the limit is handed on.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"", "{}", "{\n}", "[\n1]\n", `{"site":"a","resource":{}}`, "\x1f\x8b", "\xef\xbb\xbf{\n}", "\r\n\r", strings.Repeat("x", 99)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0
		_ = feed.Read("f", bytes.NewReader(data), 64, func(l feed.Line) error {
			if l.Number <= last {
				t.Errorf("line %d after %d", l.Number, last)
			}
			last = l.Number
			if len(l.Data) > 128 {
				t.Errorf("line %d has %d bytes, more than the limit", l.Number, len(l.Data))
			}
			return nil
		})
	})
}
