package byterange

import (
	"math"
	"strconv"
)

// Range is a run of bytes of a representation: Length bytes, at least one,
// from the offset Start, which counts from 0.
type Range struct{ Start, Length int64 }

// End returns the offset of the last byte, which is part of the range, as in
// the header fields.
func (r Range) End() int64 { return r.Start + (r.Length - 1) }

// ContentRange returns the Content-Range of the range in a representation of
// size bytes: "bytes a-b/size" (RFC 9110 section 14.4). A negative size means
// that the size is not known yet and gives "bytes a-b/*".
func (r Range) ContentRange(size int64) string {
	var buf [64]byte
	return string(r.appendContentRange(append(buf[:0], unit...), size))
}

// appendContentRange appends " a-b/size": the value without its unit, so that
// the items of ConcatContentRange can share one.
func (r Range) appendContentRange(dst []byte, size int64) []byte {
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, r.Start, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, r.End(), 10)
	dst = append(dst, '/')
	if size < 0 {
		return append(dst, '*')
	}
	return strconv.AppendInt(dst, size, 10)
}

// OpenContentRange returns "bytes a-/*", the Content-Range of a response that
// follows a stream from the offset start to an end nobody knows. It is the
// reference's own form and not one of RFC 9110: send it only to clients that
// are known to understand it.
func OpenContentRange(start int64) string {
	return unit + " " + strconv.FormatInt(start, 10) + "-/*"
}

// Unsatisfied returns "bytes */size", the Content-Range of a 416 response
// (RFC 9110 section 15.5.17).
func Unsatisfied(size int64) string {
	return unit + " */" + strconv.FormatInt(max(size, 0), 10)
}

// Total returns the number of bytes in all ranges, those that overlap counted
// as often as they are asked for. It stops at the largest int64.
func Total(ranges []Range) int64 {
	var n int64
	for _, r := range ranges {
		n = addCapped(n, r.Length)
	}
	return n
}

// ConcatContentRange returns the Content-Range of a response whose body is the
// plain concatenation of the ranges, "bytes a-b/size, c-d/size", and the length
// of that body. RFC 9110 has no such form; it is the reference's, and for a
// single range it is the usual one.
func ConcatContentRange(ranges []Range, size int64) (value string, total int64) {
	var buf [256]byte
	b := append(buf[:0], unit...)
	for i, r := range ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.appendContentRange(b, size)
	}
	return string(b), Total(ranges)
}

// addCapped adds two numbers that are not negative and stops at the largest
// int64.
func addCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
