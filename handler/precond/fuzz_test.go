package precond

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func FuzzTags(f *testing.F) {
	for _, line := range []string{
		``, `*`, ` *, `, `"a"`, `W/"a"`, `"a", W/"b",,"c" ,`, `"a,b"`, `"a-gzip", "a.br"`, `*, "a"`, `"a", *`,
		`"a""b"`, `"a" "b"`, `"a`, `W/`, `w/"a"`, `a`, `""`, "\"\x80\xff\"", "\"\x00\"", `"a b"`,
	} {
		f.Add(line, ``)
		f.Add(line, `"z"`)
	}
	f.Fuzz(func(t *testing.T, line1, line2 string) {
		lines := []string{line1, line2}
		tags, err := ParseTags(lines)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("got error %v, want %v", err, ErrMalformed)
		}
		var text []string
		for _, tag := range tags {
			text = append(text, string(tag))
			if tag == Any {
				if len(tags) != 1 || err != nil {
					t.Fatalf("got %q (%v), want %q alone", tags, err, Any)
				}
				continue
			}
			if !tag.Valid() {
				t.Fatalf("got invalid tag %q", tag)
			}
			if !tag.WeakMatch(tag) || tag.StrongMatch(tag) == tag.Weak() {
				t.Fatalf("got %q unlike itself", tag)
			}
			if base := tag.Base(); !base.Valid() || len(base) > len(tag) {
				t.Fatalf("got base %q of %q, want a valid tag", base, tag)
			}
			for _, enc := range encodings {
				if got := tag.ForEncoding(enc); !got.Valid() || !tag.Weak() && got.Base() != tag {
					t.Fatalf("got %q for %s, want its base to be %q", got, enc, tag)
				}
			}

			// the evaluation must find each of them
			res := Resource{Exists: true, ETag: tag}
			h := http.Header{"If-None-Match": lines}
			if got := Evaluate(http.MethodGet, h, res).Outcome; got != NotModified {
				t.Fatalf("got %v for If-None-Match with %q, want %v", got, tag, NotModified)
			}
			want := Proceed
			if tag.Weak() {
				want = PreconditionFailed
			}
			h = http.Header{"If-Match": lines}
			if got := Evaluate(http.MethodGet, h, res).Outcome; got != want {
				t.Fatalf("got %v for If-Match with %q, want %v", got, tag, want)
			}
		}

		again, errAgain := ParseTags([]string{strings.Join(text, ", ")})
		if errAgain != nil || !slices.Equal(again, tags) {
			t.Fatalf("got %q (%v) from what was parsed, want %q", again, errAgain, tags)
		}
	})
}
