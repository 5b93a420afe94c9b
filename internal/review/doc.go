// Package review writes what people read before they sign: a protocol as its author should see it, what changes between two protocols, and the
// proof of everything that is found of one patient. What it writes depends on its arguments alone, to the byte.
package review

import (
	_ "embed"
	"fmt"
	"html"
	"strings"
)

// document is a page before it is Markdown or HTML: a title and blocks.
type document struct {
	title  string
	blocks []block
}

type block interface {
	markdown(*strings.Builder)
	html(*strings.Builder)
}

func (d *document) add(bs ...block) { d.blocks = append(d.blocks, bs...) }

// Texts are plain but for [code], which marks what stands in a file, and [strong]. The marks are control characters, which [plain] takes out of
// whatever comes from a protocol.
const (
	codeOn, codeOff     = "\x01", "\x02"
	strongOn, strongOff = "\x03", "\x04"
)

func code(s string) string   { return codeOn + plain(s) + codeOff }
func strong(s string) string { return strongOn + s + strongOff }

// plain makes a text of a protocol one line without control characters.
func plain(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)), " ")
}

// heading is of level 2 or 3.
type heading struct {
	level int
	text  string
}

// paragraph is a text; soft ones stand back.
type paragraph struct {
	text string
	soft bool
}

type list []string

// table has a head and rows of as many cells. class names it for the style sheet; a row whose class is set is marked so.
type table struct {
	class string
	head  []string
	rows  [][]string
}

// calendar is a table of study days: one column a day.
type calendar struct {
	first int // study day of the first column
	days  int
	rows  []calendarRow
}

type calendarRow struct {
	name  string
	cells []string // one a day, "" for none
	kind  []string // "due" or "may", "" for none
}

// anchor is a heading as the name of a place.
func anchor(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// Markdown of GitHub's kind.

func (d *document) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", md(d.title, false))
	for _, x := range d.blocks {
		b.WriteByte('\n')
		x.markdown(&b)
	}
	return b.String()
}

// md writes a text. In a cell a bar would end it, in code too.
func md(s string, cell bool) string {
	var b strings.Builder
	inCode := false
	for _, r := range s {
		switch {
		case string(r) == codeOn || string(r) == codeOff:
			inCode = string(r) == codeOn
			b.WriteByte('`')
		case string(r) == strongOn || string(r) == strongOff:
			b.WriteString("**")
		case r == '|' && cell:
			b.WriteString(`\|`)
		case r == '`' && inCode:
			b.WriteByte('\'')
		case !inCode && strings.ContainsRune("\\`*_<[]#|~", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (h heading) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "%s %s\n", strings.Repeat("#", h.level), md(h.text, false))
}

func (p paragraph) markdown(b *strings.Builder) { b.WriteString(md(p.text, false) + "\n") }

func (l list) markdown(b *strings.Builder) {
	for _, item := range l {
		b.WriteString("- " + md(item, false) + "\n")
	}
}

func (t table) markdown(b *strings.Builder) {
	row := func(cells []string) {
		b.WriteByte('|')
		for _, c := range cells {
			b.WriteString(" " + md(c, true) + " |")
		}
		b.WriteByte('\n')
	}
	row(t.head)
	b.WriteString("|" + strings.Repeat("---|", len(t.head)) + "\n")
	for _, cells := range t.rows {
		row(cells)
	}
}

func (c calendar) markdown(b *strings.Builder) {
	t := table{head: []string{"day"}}
	for i := range c.days {
		t.head = append(t.head, dayName(c.first+i))
	}
	for _, r := range c.rows {
		t.rows = append(t.rows, append([]string{r.name}, r.cells...))
	}
	t.markdown(b)
}

// HTML, one page without anything from elsewhere.

//go:embed style.css
var style string

func (d *document) html() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n",
		html.EscapeString(d.title), style)
	fmt.Fprintf(&b, "<header>\n<h1>%s</h1>\n", tag(d.title))
	b.WriteString("</header>\n<nav>\n")
	for _, x := range d.blocks {
		if h, ok := x.(heading); ok && h.level == 2 {
			fmt.Fprintf(&b, "<a href=\"#%s\">%s</a>\n", anchor(h.text), tag(h.text))
		}
	}
	b.WriteString("</nav>\n<main>\n")
	open := false
	for _, x := range d.blocks {
		if h, ok := x.(heading); ok && h.level == 2 {
			if open {
				b.WriteString("</section>\n")
			}
			fmt.Fprintf(&b, "<section id=\"%s\">\n", anchor(h.text))
			open = true
		}
		x.html(&b)
	}
	if open {
		b.WriteString("</section>\n")
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return b.String()
}

var tags = strings.NewReplacer(codeOn, "<code>", codeOff, "</code>", strongOn, "<strong>", strongOff, "</strong>")

func tag(s string) string { return tags.Replace(html.EscapeString(s)) }

func (h heading) html(b *strings.Builder) {
	fmt.Fprintf(b, "<h%d>%s</h%d>\n", h.level, tag(h.text), h.level)
}

func (p paragraph) html(b *strings.Builder) {
	if p.soft {
		fmt.Fprintf(b, "<p class=\"soft\">%s</p>\n", tag(p.text))
		return
	}
	fmt.Fprintf(b, "<p>%s</p>\n", tag(p.text))
}

func (l list) html(b *strings.Builder) {
	b.WriteString("<ul>\n")
	for _, item := range l {
		fmt.Fprintf(b, "<li>%s</li>\n", tag(item))
	}
	b.WriteString("</ul>\n")
}

func (t table) html(b *strings.Builder) {
	fmt.Fprintf(b, "<div class=\"scroll\"><table class=\"%s\">\n<thead><tr>", t.class)
	for _, c := range t.head {
		fmt.Fprintf(b, "<th scope=\"col\">%s</th>", tag(c))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, cells := range t.rows {
		b.WriteString("<tr>")
		for i, c := range cells {
			if i == 0 {
				fmt.Fprintf(b, "<th scope=\"row\">%s</th>", tag(c))
			} else {
				fmt.Fprintf(b, "<td>%s</td>", tag(c))
			}
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table></div>\n")
}

func (c calendar) html(b *strings.Builder) {
	b.WriteString("<div class=\"scroll\"><table class=\"calendar\">\n<thead><tr><th scope=\"col\">study day</th>")
	for i := range c.days {
		mark := ""
		if c.first+i == 0 {
			mark = " class=\"day0\""
		}
		fmt.Fprintf(b, "<th scope=\"col\"%s>%s</th>", mark, dayName(c.first+i))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, r := range c.rows {
		fmt.Fprintf(b, "<tr><th scope=\"row\">%s</th>", tag(r.name))
		for i, cell := range r.cells {
			if r.kind[i] == "" {
				b.WriteString("<td></td>")
				continue
			}
			fmt.Fprintf(b, "<td class=\"%s\">%s</td>", r.kind[i], tag(cell))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table></div>\n")
}

// dayName is a study day as people write it, with a true minus sign.
func dayName(day int) string {
	if day < 0 {
		return fmt.Sprintf("−%d", -day)
	}
	return fmt.Sprint(day)
}
