package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress is a bar on a terminal; elsewhere it is silent.
type progress struct {
	w     io.Writer
	what  string
	total int64 // bytes, 0 = not known
	read  int64
	lines int
	shown time.Time
	began time.Time
}

// newProgress returns nil, which does nothing, where w is no terminal.
func newProgress(w io.Writer, what string, total int64) *progress {
	if !terminal(w) {
		return nil
	}
	return &progress{w: w, what: what, total: total, began: time.Now()}
}

// reader counts what is read.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return io.TeeReader(r, counter{p})
}

type counter struct{ p *progress }

// Write counts.
func (c counter) Write(b []byte) (int, error) { c.p.read += int64(len(b)); return len(b), nil }

// show draws the bar at most ten times a second.
func (p *progress) show(lines int) {
	if p == nil {
		return
	}
	p.lines = lines
	if time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	p.draw()
}

func (p *progress) draw() {
	rate := float64(p.lines) / max(time.Since(p.began).Seconds(), 0.001)
	if p.total <= 0 {
		fmt.Fprintf(p.w, "\r\033[K%s  %d lines  %.0f/s", p.what, p.lines, rate)
		return
	}
	const width = 30
	done := int(float64(width) * min(float64(p.read)/float64(p.total), 1))
	fmt.Fprintf(p.w, "\r\033[K%s  [%s%s] %3.0f %%  %d lines  %.0f/s", p.what, strings.Repeat("█", done), strings.Repeat("·", width-done),
		100*min(float64(p.read)/float64(p.total), 1), p.lines, rate)
}

// done takes the bar away.
func (p *progress) done() {
	if p != nil {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
