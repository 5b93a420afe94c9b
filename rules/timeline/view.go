package timeline

// View is a timeline as rules read it. Once told where to note, it notes what is read, so that nobody has to say by hand what an answer rests on.
type View struct {
	of   *Timeline
	into *Reads // nil: nobody wants to know
}

// View returns a view of the timeline that notes nothing yet.
func (t *Timeline) View() View { return View{of: t} }

// Note has what is read from here on noted in r, which may be nil, and returns where it was noted before.
func (v *View) Note(r *Reads) (before *Reads) {
	before, v.into = v.into, r
	return before
}

// Also notes what somebody else read, as if it had been read now.
func (v *View) Also(r *Reads) {
	for _, n := range r.noted {
		v.into.note(n.revision)
	}
}

// Series is [Timeline.Series].
func (v *View) Series(analyte string) []Point {
	s := v.of.series[analyte]
	if s == nil {
		v.into.note(&v.of.names)
		return nil
	}
	v.into.note(&s.revision)
	return s.points
}

// Analytes is [Timeline.Analytes].
func (v *View) Analytes() []string {
	v.into.note(&v.of.names)
	return v.of.Analytes()
}

// Doses is [Timeline.Doses].
func (v *View) Doses() []*Fact { return v.list(&v.of.doses) }

// Encounters is [Timeline.Encounters].
func (v *View) Encounters() []*Fact { return v.list(&v.of.encounters) }

// Others is [Timeline.Others].
func (v *View) Others() []*Fact { return v.list(&v.of.others) }

func (v *View) list(l *list) []*Fact {
	v.into.note(&l.revision)
	return l.facts
}

// Doubtful is [Timeline.Doubtful].
func (v *View) Doubtful(ref Ref) bool {
	v.into.note(&v.of.doubts)
	return v.of.Doubtful(ref)
}

// Heard is [Timeline.Heard].
func (v *View) Heard() *Feed {
	v.into.note(&v.of.receipts)
	return v.of.Heard()
}

// Versions is [Timeline.Versions].
func (v *View) Versions(ref Ref) []*Fact {
	v.into.note(&v.of.receipts)
	return v.of.Versions(ref)
}

// Site is [Timeline.Site].
func (v *View) Site() *Feed {
	if v.of.Site != nil {
		v.into.note(&v.of.Site.receipts)
	}
	return v.of.Site
}

// revision counts the changes of one part of a timeline.
type revision uint64

// Reads are the parts of a timeline that were read, as they were then. The zero value is nothing.
type Reads struct {
	noted []noted
}

type noted struct {
	*revision
	was revision
}

func (r *Reads) note(part *revision) {
	if r == nil {
		return
	}
	for _, n := range r.noted { // few
		if n.revision == part {
			return
		}
	}
	r.noted = append(r.noted, noted{part, *part})
}

// Hold reports whether everything is still as it was read.
func (r *Reads) Hold() bool {
	for _, n := range r.noted {
		if *n.revision != n.was {
			return false
		}
	}
	return true
}
