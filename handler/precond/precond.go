// Package precond evaluates conditional requests (RFC 9110 section 13) as a
// plain function of the request's header and the state of the resource: no
// I/O, no Caddy.
package precond

import (
	"net/http"
	"strings"
	"time"
)

// Resource is the state of what a request is for: on reads the representation
// that would be sent, on writes the file that would be replaced or deleted.
type Resource struct {
	// Whether there is anything now.
	Exists bool

	// Its entity tag with the quotes, empty if it has none.
	ETag ETag

	// When it was last modified. The zero time and the Unix epoch mean that
	// this is not known, as in net/http. Fractions of a second do not count,
	// because Last-Modified has none.
	ModTime time.Time

	// The time of the request. Only If-Range with a date needs it; without it
	// dates are never strong, and such requests get the whole representation.
	Now time.Time
}

// Outcome is what the preconditions of a request come to.
type Outcome uint8

const (
	// Proceed: perform the request.
	Proceed Outcome = iota
	// NotModified: answer 304, with the header fields of RFC 9110 section
	// 15.4.5.
	NotModified
	// PreconditionFailed: answer 412 and change nothing.
	PreconditionFailed
)

// Status returns the HTTP status of the outcome, 0 for Proceed.
func (o Outcome) Status() int {
	switch o {
	case NotModified:
		return http.StatusNotModified
	case PreconditionFailed:
		return http.StatusPreconditionFailed
	default:
		return 0
	}
}

// String returns the name of the outcome, for logs.
func (o Outcome) String() string {
	switch o {
	case NotModified:
		return "not modified"
	case PreconditionFailed:
		return "precondition failed"
	default:
		return "proceed"
	}
}

// Result is the result of Evaluate.
type Result struct {
	Outcome Outcome

	// Whether the Range header is to be applied: the method is GET or HEAD,
	// there is a Range, and If-Range allows it or is absent. Otherwise Range is
	// to be ignored. RFC 9110 section 14.2 knows ranges of GET only; a HEAD is
	// answered as the GET would be, as other servers do.
	UseRange bool

	// The header field that decided, empty for Proceed.
	Field string
}

// Evaluate evaluates the preconditions of a request in the order of RFC 9110
// section 13.2.2. Methods other than GET and HEAD count as writes; those that
// neither select nor change a representation have no preconditions, and
// neither has a read of something that does not exist, which is answered 404
// whatever they say (section 13.2.1).
//
// On writes, a client's entity tag also matches without the name of a content
// coding at its end (see ETag.Base). Caddy's encode handler adds it to the
// tags of responses, and removes it again from If-None-Match, but not from
// If-Match: without this, a client that was served a compressed response
// could never replace what it has read. It is still safe, as the tag says
// which version the client has seen. On reads the tags must match as they are:
// an encoded and a plain representation have different bytes, and with
// If-Match or If-Range one must not be continued with the other.
//
// A list of entity tags that is malformed matches nothing after its fault. As
// an If-None-Match it also stops a write to something that exists, since what
// it guards against cannot be told. Malformed dates are ignored (sections
// 13.1.3 and 13.1.4), in If-Range they are false.
func Evaluate(method string, h http.Header, res Resource) Result {
	read := method == http.MethodGet || method == http.MethodHead
	switch {
	case read && !res.Exists:
		return Result{}
	case method == http.MethodOptions, method == http.MethodConnect, method == http.MethodTrace:
		return Result{}
	}

	if lines := h["If-Match"]; present(lines) { // step 1
		if !res.ifMatch(lines, read) {
			return Result{Outcome: PreconditionFailed, Field: "If-Match"}
		}
	} else if t, ok := date(h["If-Unmodified-Since"]); ok && res.dated() && res.modifiedSince(t) { // step 2
		return Result{Outcome: PreconditionFailed, Field: "If-Unmodified-Since"}
	}

	if lines := h["If-None-Match"]; present(lines) { // step 3
		if !res.ifNoneMatch(lines, read) {
			if read {
				return Result{Outcome: NotModified, Field: "If-None-Match"}
			}
			return Result{Outcome: PreconditionFailed, Field: "If-None-Match"}
		}
	} else if read { // step 4
		if t, ok := date(h["If-Modified-Since"]); ok && res.dated() && !res.modifiedSince(t) {
			return Result{Outcome: NotModified, Field: "If-Modified-Since"}
		}
	}

	// step 5
	useRange := read && present(h["Range"]) && res.ifRange(h["If-Range"])
	return Result{UseRange: useRange}
}

// ifMatch reports whether If-Match is true: strong comparison, RFC 9110
// section 13.1.1.
func (res Resource) ifMatch(lines []string, read bool) bool {
	if !res.Exists || isAny(lines) {
		return res.Exists
	}
	matched, _ := res.listed(lines, func(t ETag) bool {
		return t.StrongMatch(res.ETag) || !read && t.Base().StrongMatch(res.ETag)
	})
	return matched
}

// ifNoneMatch reports whether If-None-Match is true: weak comparison, RFC 9110
// section 13.1.2.
func (res Resource) ifNoneMatch(lines []string, read bool) bool {
	if !res.Exists || isAny(lines) {
		return !res.Exists
	}
	matched, wellFormed := res.listed(lines, func(t ETag) bool {
		return t.WeakMatch(res.ETag) || !read && t.Base().WeakMatch(res.ETag)
	})
	return !matched && (wellFormed || read)
}

// listed reports whether a tag of the list is the same as the resource's, and
// whether the list is well-formed as far as it had to be read.
func (res Resource) listed(lines []string, same func(ETag) bool) (matched, wellFormed bool) {
	wellFormed = scanTags(lines, func(t ETag) bool {
		matched = same(t)
		return !matched
	})
	return matched, wellFormed
}

// ifRange reports whether If-Range allows the Range to be applied (RFC 9110
// section 13.1.5): the tag must match strongly; a date must be exactly that of
// Last-Modified, and strong in the sense of section 8.8.2.2, which is to say
// that the last change is a second ago or more. Within that second the client
// may have seen the version before the last one with the same date.
func (res Resource) ifRange(lines []string) bool {
	if !present(lines) {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	value := strings.Trim(lines[0], " \t")
	if tag := ETag(value); tag.Valid() {
		return tag.StrongMatch(res.ETag)
	}
	t, ok := date(lines)
	return ok && res.dated() && t.Unix() == res.ModTime.Unix() && res.Now.Sub(res.ModTime) >= time.Second
}

// dated reports whether the time of the last change is known.
func (res Resource) dated() bool {
	return res.Exists && !res.ModTime.IsZero() && !res.ModTime.Equal(time.Unix(0, 0))
}

// modifiedSince compares in whole seconds, as Last-Modified has no fraction.
func (res Resource) modifiedSince(t time.Time) bool { return res.ModTime.Unix() > t.Unix() }

// present reports whether a field has a value.
func present(lines []string) bool {
	for _, line := range lines {
		if strings.Trim(line, " \t") != "" {
			return true
		}
	}
	return false
}

// date parses a field that is one HTTP-date (RFC 9110 section 5.6.7). More
// than one line is not.
func date(lines []string) (time.Time, bool) {
	if len(lines) != 1 {
		return time.Time{}, false
	}
	t, err := http.ParseTime(strings.Trim(lines[0], " \t"))
	return t, err == nil
}
