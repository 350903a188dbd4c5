package precond

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestETagMatch(t *testing.T) {
	for _, tc := range []struct {
		name       string
		a, b       ETag
		wantStrong bool
		wantWeak   bool
	}{
		// the table of RFC 9110 section 8.8.3.2
		{"both weak, equal", `W/"1"`, `W/"1"`, false, true},
		{"both weak, different", `W/"1"`, `W/"2"`, false, false},
		{"one weak", `W/"1"`, `"1"`, false, true},
		{"both strong, equal", `"1"`, `"1"`, true, true},

		{"both strong, different", `"1"`, `"2"`, false, false},
		{"case counts", `"a"`, `"A"`, false, false},
		{"empty opaque", `""`, `""`, true, true},
		{"none", ``, ``, false, false},
		{"none and one", ``, `"1"`, false, false},
		{"none and empty opaque", ``, `""`, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, pair := range [][2]ETag{{tc.a, tc.b}, {tc.b, tc.a}} {
				if got := pair[0].StrongMatch(pair[1]); got != tc.wantStrong {
					t.Errorf("got strong match %v of %v, want %v", got, pair, tc.wantStrong)
				}
				if got := pair[0].WeakMatch(pair[1]); got != tc.wantWeak {
					t.Errorf("got weak match %v of %v, want %v", got, pair, tc.wantWeak)
				}
			}
		})
	}
}

func TestETagValid(t *testing.T) {
	for _, tc := range []struct {
		name string
		tag  ETag
		want bool
	}{
		{"strong", `"abc"`, true},
		{"weak", `W/"abc"`, true},
		{"empty opaque", `""`, true},
		{"any character, 8.8.3", "\"!#,/~\x80\xff\"", true},
		{"none", ``, false},
		{"no quotes", `abc`, false},
		{"no end", `"abc`, false},
		{"no start", `abc"`, false},
		{"weak in lower case", `w/"abc"`, false},
		{"weak alone", `W/`, false},
		{"space inside", `"a b"`, false},
		{"control character", "\"a\x01\"", false},
		{"delete", "\"a\x7f\"", false},
		{"more after it", `"abc"d`, false},
		{"any", Any, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.tag.Valid(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestETagEncodings(t *testing.T) {
	for _, tc := range []struct {
		name string
		got  ETag
		want ETag
	}{
		{"ours", ETag(`"abc"`).ForEncoding("gzip"), `"abc.gzip"`},
		{"ours, weak", ETag(`W/"abc"`).ForEncoding("br"), `W/"abc.br"`},
		{"ours, identity", ETag(`"abc"`).ForEncoding(""), `"abc"`},
		{"ours, none", ETag(``).ForEncoding("gzip"), ``},

		{"base of a plain tag", ETag(`"abc"`).Base(), `"abc"`},
		{"base of Caddy's gzip", ETag(`"abc-gzip"`).Base(), `"abc"`},
		{"base of Caddy's zstd", ETag(`"abc-zstd"`).Base(), `"abc"`},
		{"base of Caddy's br", ETag(`"abc-br"`).Base(), `"abc"`},
		{"base of our deflate", ETag(`"abc.deflate"`).Base(), `"abc"`},
		{"base removes one", ETag(`"abc.gzip-zstd"`).Base(), `"abc.gzip"`},
		{"base of an empty opaque", ETag(`"-gzip"`).Base(), `""`},
		{"base needs the separator", ETag(`"gzip"`).Base(), `"gzip"`},
		{"base needs the right separator", ETag(`"abc_gzip"`).Base(), `"abc_gzip"`},
		{"base of another coding", ETag(`"abc-lz4"`).Base(), `"abc-lz4"`},
		{"base of a weak tag", ETag(`W/"abc-gzip"`).Base(), `W/"abc-gzip"`},
		{"base of none", ETag(``).Base(), ``},
		{"base of something without quotes", ETag(`abc-gzip`).Base(), `abc-gzip`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.got != tc.want {
				t.Errorf("got %s, want %s", tc.got, tc.want)
			}
		})
	}
}

// Caddy's encode handler removes its suffix from If-None-Match by replacing
// text. What ForEncoding returns must come through that unchanged.
func TestForEncodingSurvivesCaddysEncode(t *testing.T) {
	for _, enc := range encodings {
		t.Run(enc, func(t *testing.T) {
			want := string(ETag(`"abc"`).ForEncoding(enc))
			if got := strings.ReplaceAll(want, "-"+enc+`"`, `"`); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got := ETag(want).Base(); got != `"abc"` {
				t.Errorf(`got base %s, want "abc"`, got)
			}
		})
	}
}

func TestParseTags(t *testing.T) {
	for _, tc := range []struct {
		name    string
		lines   []string
		want    []ETag
		wantErr error
	}{
		{"absent", nil, nil, nil},
		{"empty", []string{""}, nil, nil},
		{"one", []string{`"a"`}, []ETag{`"a"`}, nil},
		{"several", []string{`"a", W/"b","c"`}, []ETag{`"a"`, `W/"b"`, `"c"`}, nil},
		{"several lines, 5.3", []string{`"a"`, `"b"`}, []ETag{`"a"`, `"b"`}, nil},
		{"comma inside, 8.8.3", []string{`"a,b", "c"`}, []ETag{`"a,b"`, `"c"`}, nil},
		{"empty elements, 5.6.1", []string{`, "a",, ,"b",`}, []ETag{`"a"`, `"b"`}, nil},
		{"white space, 5.6.1", []string{"\t\"a\"\t, \"b\" "}, []ETag{`"a"`, `"b"`}, nil},
		{"any", []string{`*`}, []ETag{Any}, nil},
		{"any with white space", []string{" * "}, []ETag{Any}, nil},
		{"any with an empty line", []string{"", "*"}, []ETag{Any}, nil},

		{"any before a tag", []string{`*, "a"`}, nil, ErrMalformed},
		{"any after a tag", []string{`"a", *`}, []ETag{`"a"`}, ErrMalformed},
		{"any on another line", []string{`"a"`, `*`}, []ETag{`"a"`}, ErrMalformed},
		{"any twice", []string{`*`, `*`}, nil, ErrMalformed},
		{"no quotes", []string{`abc`}, nil, ErrMalformed},
		{"no quotes after a tag", []string{`"a", b`}, []ETag{`"a"`}, ErrMalformed},
		{"no comma", []string{`"a" "b"`}, nil, ErrMalformed},
		{"no comma nor space", []string{`"a""b"`}, nil, ErrMalformed},
		{"no end", []string{`"a`}, nil, ErrMalformed},
		{"weak in lower case", []string{`w/"a"`}, nil, ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseTags(tc.lines)
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("got error %v, want %v", err, tc.wantErr)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
