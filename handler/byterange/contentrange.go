package byterange

import (
	"math"
	"strings"
)

// ContentRange is the Content-Range of a partial write (RFC 9110 sections 14.4
// and 14.5): the body is the bytes from the offset Start to the offset End,
// which is included, of a representation of Size bytes.
type ContentRange struct {
	Start, End int64
	Size       int64 // -1 stands for "*", not known
}

// Range returns the bytes that the body is.
func (c ContentRange) Range() Range { return Range{c.Start, c.End - c.Start + 1} }

// String returns the header's value, "bytes a-b/n" or "bytes a-b/*".
func (c ContentRange) String() string { return c.Range().ContentRange(c.Size) }

// ParseContentRange parses the Content-Range header of a request: "bytes
// a-b/n" or "bytes a-b/*". The unit is case-insensitive.
//
// It returns a *MalformedError for everything else (400, RFC 9110 section
// 14.5): other units, "bytes */n", which is for 416 responses only, an end
// before the start or not below n, and numbers that an int64 does not hold,
// the largest one included.
func ParseContentRange(header string) (ContentRange, error) {
	rest, ok := cutUnit(trimOWS(header))
	if !ok {
		return ContentRange{}, malformedContentRange("the unit is not bytes")
	}
	value := trimOWS(rest)
	if len(value) == len(rest) {
		return ContentRange{}, malformedContentRange("no space after the unit")
	}

	span, size, ok := strings.Cut(value, "/")
	if !ok {
		return ContentRange{}, malformedContentRange("no '/' in %s", quote(value))
	}
	if span == "*" {
		return ContentRange{}, malformedContentRange("no range in %s", quote(value))
	}
	a, b, ok := strings.Cut(span, "-")
	if !ok {
		return ContentRange{}, malformedContentRange("no '-' in %s", quote(value))
	}

	c := ContentRange{Size: -1}
	if c.Start, ok = parseDecimal(a); !ok {
		return ContentRange{}, malformedContentRange("no number before the '-' in %s", quote(value))
	}
	if c.End, ok = parseDecimal(b); !ok {
		return ContentRange{}, malformedContentRange("no number after the '-' in %s", quote(value))
	}
	if size != "*" {
		if c.Size, ok = parseDecimal(size); !ok {
			return ContentRange{}, malformedContentRange("no number after the '/' in %s", quote(value))
		}
	}

	switch {
	case c.End == math.MaxInt64, c.Size == math.MaxInt64:
		return ContentRange{}, malformedContentRange("too large a number in %s", quote(value))
	case c.End < c.Start:
		return ContentRange{}, malformedContentRange("the end is before the start in %s", quote(value))
	case c.Size >= 0 && c.End >= c.Size:
		return ContentRange{}, malformedContentRange("the end is not below the size in %s", quote(value))
	}
	return c, nil
}
