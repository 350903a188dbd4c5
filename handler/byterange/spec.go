package byterange

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxRanges is how many ranges one Range header may have.
const MaxRanges = 64

// unit is the only range unit there is (RFC 9110 section 14.1.2).
const unit = "bytes"

// Form is how an item of a Range header is written.
type Form uint8

// The forms of RFC 9110 section 14.1.1. The zero Form is no item at all.
const (
	Closed Form = iota + 1 // a-b: from a to b, both included
	Open                   // a-: from a to the end
	Suffix                 // -n: the last n bytes
)

// Item is one item of a Range header as it was written, whatever the size of
// the representation. Numbers that do not fit are the largest int64, which no
// offset can be.
type Item struct {
	Form  Form
	First int64 // the offset a of a-b and a-
	Last  int64 // the offset b of a-b, the length n of -n
}

// Range returns the bytes an a-b item asks for, without regard to any size:
// what a stream in progress is to send. It must not be called on other forms.
func (it Item) Range() Range {
	return Range{it.First, addCapped(it.Last-it.First, 1)}
}

// resolve applies the item to a representation of size bytes (RFC 9110 section
// 14.1.2) and reports whether anything is left of it.
func (it Item) resolve(size int64) (Range, bool) {
	if it.Form == Suffix {
		n := min(it.Last, size)
		return Range{size - n, n}, n > 0
	}
	if it.First >= size {
		return Range{}, false
	}
	end := size - 1
	if it.Form == Closed {
		end = min(it.Last, end)
	}
	return Range{it.First, end - it.First + 1}, true
}

func (it Item) appendTo(dst []byte) []byte {
	if it.Form != Suffix {
		dst = strconv.AppendInt(dst, it.First, 10)
	}
	dst = append(dst, '-')
	if it.Form != Open {
		dst = strconv.AppendInt(dst, it.Last, 10)
	}
	return dst
}

// Spec is a parsed Range header. The zero Spec asks for the whole
// representation.
type Spec struct {
	// The first item is stored apart so that one range, which is what nearly
	// every request has, takes no allocation.
	first Item
	rest  []Item
}

// Whole reports whether the header asks for nothing in particular: it was
// absent or in a unit other than bytes, and is to be ignored.
func (s Spec) Whole() bool { return s.first.Form == 0 }

// Len returns the number of items.
func (s Spec) Len() int {
	if s.Whole() {
		return 0
	}
	return 1 + len(s.rest)
}

// At returns the item with the index i, counting from 0 in the order of the
// header.
func (s Spec) At(i int) Item {
	if i == 0 {
		return s.first
	}
	return s.rest[i-1]
}

// Single returns the item of a Spec that has exactly one, and whether it has.
func (s Spec) Single() (it Item, ok bool) { return s.first, s.Len() == 1 }

// String returns the Spec as a Range header in the form of RFC 9110, or "" if
// it asks for the whole representation.
func (s Spec) String() string {
	if s.Whole() {
		return ""
	}
	b := s.first.appendTo([]byte(unit + "="))
	for _, it := range s.rest {
		b = it.appendTo(append(b, ','))
	}
	return string(b)
}

// Resolve applies the Spec to a complete representation of size bytes: ends
// are clamped to it, suffixes longer than it are all of it, and items that do
// not overlap it are dropped. Order and overlaps are kept. A Spec for which
// Whole is true resolves to no ranges.
//
// It returns ErrUnsatisfiable if no item is left, as always for an empty
// representation, whose only range could not be written as a Content-Range;
// and ErrTooMany if the lengths of several ranges add up to more than an int64
// holds.
func (s Spec) Resolve(size int64) ([]Range, error) {
	return s.AppendResolve(make([]Range, 0, 1), size)
}

// AppendResolve is Resolve for callers that bring the memory: it appends the
// ranges to dst. On errors it returns dst as it was.
func (s Spec) AppendResolve(dst []Range, size int64) ([]Range, error) {
	size = max(size, 0)
	had := len(dst)
	if n := s.Len(); n > 1 {
		dst = slices.Grow(dst, n)
	}
	var total int64
	for i := range s.Len() {
		r, ok := s.At(i).resolve(size)
		if !ok {
			continue
		}
		if r.Length > math.MaxInt64-total {
			return dst[:had], ErrTooMany
		}
		total += r.Length
		dst = append(dst, r)
	}
	if len(dst) == had && !s.Whole() {
		return dst, ErrUnsatisfiable
	}
	return dst, nil
}

// Parse parses the Range header of a request (RFC 9110 section 14.2).
//
// The standard "bytes=a-b,c-d" and the reference's "bytes=a-b,bytes=c-d" are
// the same. The unit is case-insensitive (section 14.1), empty list elements
// and white space around elements are skipped (section 5.6.1). An empty header
// and other units give a Spec for which Whole is true: both are ignored.
//
// It returns a *MalformedError if the unit is bytes but the rest is not as in
// section 14.1.1, and ErrTooMany for more than MaxRanges ranges.
func Parse(header string) (Spec, error) {
	set, ok := cutUnit(trimOWS(header))
	if !ok {
		return Spec{}, nil
	}
	set, ok = strings.CutPrefix(set, "=")
	if !ok {
		return Spec{}, malformedRange("no '=' after the unit")
	}

	var s Spec
	for first := true; ; first = false {
		elem, tail, more := strings.Cut(set, ",")
		elem = trimOWS(elem)
		if elem != "" {
			if s.Len() == MaxRanges {
				return Spec{}, ErrTooMany
			}
			if !first {
				elem = trimUnit(elem)
			}
			it, err := parseItem(elem)
			if err != nil {
				return Spec{}, err
			}
			s.add(it, tail)
		}
		if !more {
			break
		}
		set = tail
	}
	if s.Whole() {
		return Spec{}, malformedRange("no range after the unit")
	}
	return s, nil
}

// add appends an item. tail is what is still to be parsed, which tells how
// many items there can be.
func (s *Spec) add(it Item, tail string) {
	if s.Whole() {
		s.first = it
		return
	}
	if s.rest == nil {
		s.rest = make([]Item, 0, min(strings.Count(tail, ",")+2, MaxRanges-1))
	}
	s.rest = append(s.rest, it)
}

// parseItem parses a-b, a- or -n (RFC 9110 section 14.1.1). White space is not
// allowed inside.
func parseItem(s string) (Item, error) {
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		return Item{}, malformedRange("no '-' in %s", quote(s))
	}
	if a == "" {
		n, ok := parseDecimal(b)
		if !ok {
			return Item{}, malformedRange("no length in %s", quote(s))
		}
		return Item{Form: Suffix, Last: n}, nil
	}
	first, ok := parseDecimal(a)
	if !ok {
		return Item{}, malformedRange("no number before the '-' in %s", quote(s))
	}
	if b == "" {
		return Item{Form: Open, First: first}, nil
	}
	last, ok := parseDecimal(b)
	if !ok {
		return Item{}, malformedRange("no number after the '-' in %s", quote(s))
	}
	if last < first || first == math.MaxInt64 && decimalLess(b, a) {
		return Item{}, malformedRange("the end is before the start in %s", quote(s))
	}
	return Item{Form: Closed, First: first, Last: last}, nil
}

// parseDecimal parses 1*DIGIT. Numbers that do not fit are the largest int64.
func parseDecimal(s string) (n int64, ok bool) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		if n > (math.MaxInt64-int64(c))/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c)
	}
	return n, s != ""
}

// decimalLess compares numbers of any size, given as digits.
func decimalLess(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// cutUnit returns what follows the unit that s begins with, and whether it is
// bytes. A unit is a token (RFC 9110 section 5.6.2), which ends before the
// first character that cannot be in one.
func cutUnit(s string) (rest string, ok bool) {
	if len(s) < len(unit) || !strings.EqualFold(s[:len(unit)], unit) {
		return "", false
	}
	rest = s[len(unit):]
	return rest, rest == "" || !isTokenChar(rest[0])
}

func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// trimUnit removes a repeated "bytes=" from the start of an element.
func trimUnit(s string) string {
	if rest, ok := cutUnit(s); ok {
		if rest, ok = strings.CutPrefix(rest, "="); ok {
			return trimOWS(rest)
		}
	}
	return s
}

// trimOWS removes optional white space (RFC 9110 section 5.6.3).
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
