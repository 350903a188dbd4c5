package byterange

import (
	"errors"
	"fmt"
)

var (
	// ErrUnsatisfiable says that no range overlaps the representation, or that
	// a write would begin past its end: 416 with Unsatisfied(size) (RFC 9110
	// section 15.5.17).
	ErrUnsatisfiable = errors.New("range not satisfiable")

	// ErrTooMany says that a Range has more than MaxRanges ranges, or that
	// together they are longer than any body can be: 416 (RFC 9110 section
	// 14.2 allows refusing such requests, and 17.15 says why).
	ErrTooMany = fmt.Errorf("more than %d ranges", MaxRanges)

	// ErrNoRange says that a partial write has neither Range nor
	// Content-Range: 400.
	ErrNoRange = errors.New("neither Range nor Content-Range")
)

// MalformedError is a Range or Content-Range in bytes that breaks the grammar
// of RFC 9110 section 14: 416 on reads, 400 on writes. The text is fit for
// the client.
type MalformedError struct {
	// The header field: "Range" or "Content-Range".
	Field string

	// What is wrong with it.
	Reason string
}

func (e *MalformedError) Error() string { return "malformed " + e.Field + ": " + e.Reason }

// MismatchError is a partial write whose header fields and body contradict
// each other: 400. The text is fit for the client.
type MismatchError struct {
	// What disagrees with what.
	Reason string
}

func (e *MismatchError) Error() string { return e.Reason }

func malformedRange(format string, args ...any) error {
	return &MalformedError{Field: "Range", Reason: fmt.Sprintf(format, args...)}
}

func malformedContentRange(format string, args ...any) error {
	return &MalformedError{Field: "Content-Range", Reason: fmt.Sprintf(format, args...)}
}

func mismatch(format string, args ...any) error {
	return &MismatchError{Reason: fmt.Sprintf(format, args...)}
}

// quote is how a piece of a header field appears in an error: in quotes, and
// short, because a header may be a megabyte long.
func quote(s string) string {
	const most = 32
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
