package precond

import (
	"errors"
	"strings"
)

// ErrMalformed says that a list of entity tags breaks the grammar of RFC 9110
// sections 8.8.3 and 13.1.1.
var ErrMalformed = errors.New("malformed list of entity tags")

// Any is the "*" of If-Match and If-None-Match.
const Any ETag = "*"

// ETag is an entity tag as it is in a header field, quotes included:
// `"opaque"`, or `W/"opaque"` if it is weak (RFC 9110 section 8.8.3). An empty
// ETag is none.
type ETag string

// Valid reports whether the tag is written as RFC 9110 section 8.8.3 asks.
func (t ETag) Valid() bool {
	_, rest, ok := scanTag(string(t))
	return ok && rest == ""
}

// Weak reports whether the tag is weak.
func (t ETag) Weak() bool { return strings.HasPrefix(string(t), "W/") }

// StrongMatch reports whether the tags are equal and neither is weak (RFC 9110
// section 8.8.3.2). An empty ETag matches nothing.
func (t ETag) StrongMatch(u ETag) bool { return t != "" && t == u && !t.Weak() }

// WeakMatch reports whether the tags are equal but for their weakness (RFC
// 9110 section 8.8.3.2). An empty ETag matches nothing.
func (t ETag) WeakMatch(u ETag) bool {
	return t != "" && strings.TrimPrefix(string(t), "W/") == strings.TrimPrefix(string(u), "W/")
}

// encodings are the content codings whose names may be at the end of a tag:
// those of Caddy's encode handler and of httpout.
var encodings = [...]string{"gzip", "zstd", "br", "deflate"}

// ForEncoding returns the tag of the same version of a resource in the given
// content coding: `"abc"` is `"abc.gzip"` (RFC 9110 section 8.8.3.3 wants the
// two to differ). The separator is a dot because Caddy's encode handler puts
// "-gzip" at the end of the tags of what it encodes and removes that from
// If-None-Match before it gets here: it would take a "-gzip" of ours for its
// own, and the client would never get its 304.
func (t ETag) ForEncoding(encoding string) ETag {
	if opaque, ok := strings.CutSuffix(string(t), `"`); ok && encoding != "" {
		return ETag(opaque + "." + encoding + `"`)
	}
	return t
}

// Base returns the tag without the name of a content coding at its end:
// `"abc-gzip"`, as Caddy's encode handler writes it, and `"abc.gzip"`, as
// ForEncoding does, are both `"abc"`. Other tags, and weak ones, are returned
// as they are.
func (t ETag) Base() ETag {
	opaque, ok := strings.CutSuffix(string(t), `"`)
	if !ok || t.Weak() {
		return t
	}
	for _, enc := range encodings {
		if rest, ok := strings.CutSuffix(opaque, enc); ok && len(rest) > 1 {
			if c := rest[len(rest)-1]; c == '-' || c == '.' {
				return ETag(rest[:len(rest)-1] + `"`)
			}
		}
	}
	return t
}

// ParseTags parses the lines of an If-Match or If-None-Match header, which are
// one list (RFC 9110 sections 5.3, 13.1.1 and 13.1.2). A "*" is the only tag
// of its list. Empty list elements are skipped (section 5.6.1).
//
// It returns ErrMalformed, with the tags before the fault, if there is
// anything else in the list.
func ParseTags(lines []string) ([]ETag, error) {
	if isAny(lines) {
		return []ETag{Any}, nil
	}
	var tags []ETag
	ok := scanTags(lines, func(t ETag) bool {
		tags = append(tags, t)
		return true
	})
	if !ok {
		return tags, ErrMalformed
	}
	return tags, nil
}

// isAny reports whether the lines together are "*" and nothing else. One among
// tags is malformed: taking it for "*" would open what the tags guard.
func isAny(lines []string) bool {
	found := false
	for _, line := range lines {
		switch strings.Trim(line, " \t,") {
		case "":
		case "*":
			if found {
				return false
			}
			found = true
		default:
			return false
		}
	}
	return found
}

// scanTags calls yield for each tag of the lines until it returns false. It
// reports whether all it has read is well-formed.
func scanTags(lines []string, yield func(ETag) bool) (ok bool) {
	for _, s := range lines {
		for {
			s = strings.TrimLeft(s, " \t,")
			if s == "" {
				break
			}
			tag, rest, ok := scanTag(s)
			if !ok {
				return false
			}
			if s = strings.TrimLeft(rest, " \t"); s != "" && s[0] != ',' {
				return false
			}
			if !yield(tag) {
				return true
			}
		}
	}
	return true
}

// scanTag cuts the tag that s begins with. Of what is between the quotes only
// white space, control characters and quotes are refused (RFC 9110 section
// 8.8.3).
func scanTag(s string) (tag ETag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) <= start || s[start] != '"' {
		return "", s, false
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return ETag(s[:i+1]), s[i+1:], true
		case c <= ' ' || c == 0x7f:
			return "", s, false
		}
	}
	return "", s, false
}
