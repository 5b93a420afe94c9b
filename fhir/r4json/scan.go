package r4json

import "github.com/trialwatch/trialwatch/fhir/internal/jsonscan"

// maxDepth is deeper than any resource is nested, and shallow enough for recursion. Beyond it jsonformat takes time that grows with the square of
// the depth; callers bound what they give it.
const maxDepth = 64

// scanner walks over the bytes of a JSON document. Its methods answer false when they give up; the reason then stays.
type scanner struct {
	data   []byte
	at     int
	depth  int
	reason Reason
}

// giveUp keeps the first reason and is false, to be returned.
func (s *scanner) giveUp(r Reason) bool {
	if s.reason == None {
		s.reason = r
	}
	return false
}

// peek is the first byte of the next token, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// open enters an object or array.
func (s *scanner) open(bracket byte) bool {
	if c := s.peek(); c != bracket {
		return s.unexpected(c)
	}
	if s.depth == maxDepth {
		return s.giveUp(TooDeep)
	}
	s.depth++
	s.at++
	return true
}

// unexpected gives up at a token of another kind than expected.
func (s *scanner) unexpected(c byte) bool {
	switch c {
	case 'n':
		return s.giveUp(Null)
	case '{', '[', '"', 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.giveUp(Shape)
	}
	return s.giveUp(Syntax)
}

// more moves on to the next element, or leaves the object or array at its end, or gives up; the last two are false.
func (s *scanner) more(first bool, bracket byte) bool {
	switch c := s.peek(); {
	case c == bracket:
		s.at++
		s.depth--
		return false
	case first:
		return true
	case c == ',':
		s.at++
		return true
	}
	return s.giveUp(Syntax)
}

// member moves on to the value of the next member of an object and returns its name; nil at the end, or when it gives up. Names with escapes are
// not read.
func (s *scanner) member(first bool) []byte {
	if !s.more(first, '}') {
		return nil
	}
	return s.name()
}

// name reads the name of a member and the colon after it.
func (s *scanner) name() []byte {
	if s.peek() != '"' {
		s.giveUp(Syntax)
		return nil
	}
	name, plain, ok := s.quoted()
	if !ok {
		return nil
	}
	if !plain {
		s.giveUp(UnknownElement)
		return nil
	}
	if !s.colon() {
		return nil
	}
	return name
}

func (s *scanner) colon() bool {
	if s.peek() != ':' {
		return s.giveUp(Syntax)
	}
	s.at++
	return true
}

// quoted reads a string and returns what is between the quotes. It is plain if it has no escapes; it is valid UTF-8 in any case.
func (s *scanner) quoted() (raw []byte, plain, ok bool) {
	if c := s.peek(); c != '"' {
		return nil, false, s.unexpected(c)
	}
	end, escapes, fault := jsonscan.String(s.data, s.at)
	switch fault {
	case jsonscan.Broken:
		return nil, false, s.giveUp(Syntax)
	case jsonscan.NotUTF8:
		return nil, false, s.giveUp(Text)
	}
	raw, s.at = s.data[s.at+1:end-1], end
	return raw, !escapes, true
}

// number reads a number in the grammar of JSON.
func (s *scanner) number() (raw []byte, ok bool) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return nil, s.unexpected(c)
	}
	end, exponent, ok := jsonscan.Number(s.data, s.at)
	switch {
	case !ok:
		return nil, s.giveUp(Syntax)
	case exponent > 2: // 1e400 is a number, but not to every reader
		return nil, s.giveUp(Value)
	}
	raw, s.at = s.data[s.at:end], end
	return raw, true
}

// word reads true, false or null.
func (s *scanner) word(w string) bool {
	if jsonscan.Word(s.data, s.at, w) {
		s.at += len(w)
		return true
	}
	return s.giveUp(Syntax)
}

// skip passes a value without looking into its strings and numbers further than to find their ends.
func (s *scanner) skip() bool {
	switch c := s.peek(); c {
	case '{':
		if !s.open('{') {
			return false
		}
		for name := s.member(true); name != nil; name = s.member(false) {
			if !s.skip() {
				return false
			}
		}
		return s.reason == None
	case '[':
		if !s.open('[') {
			return false
		}
		for first := true; s.more(first, ']'); first = false {
			if !s.skip() {
				return false
			}
		}
		return s.reason == None
	case '"':
		_, _, ok := s.quoted()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	_, ok := s.number()
	return ok
}
