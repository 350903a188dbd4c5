package byterange

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func items(s Spec) []Item {
	var all []Item
	for i := range s.Len() {
		all = append(all, s.At(i))
	}
	return all
}

// repeated returns "bytes=0-0,0-0,..." with n ranges.
func repeated(n int) string {
	return "bytes=" + strings.Repeat("0-0,", n-1) + "0-0"
}

func TestParse(t *testing.T) {
	closed := func(a, b int64) Item { return Item{Closed, a, b} }
	open := func(a int64) Item { return Item{Form: Open, First: a} }
	suffix := func(n int64) Item { return Item{Form: Suffix, Last: n} }
	const huge = "99999999999999999999"

	for _, tc := range []struct {
		name   string
		header string
		want   []Item // nil: whole
	}{
		{"absent", "", nil},
		{"closed", "bytes=0-4", []Item{closed(0, 4)}},
		{"first byte", "bytes=0-0", []Item{closed(0, 0)}},
		{"open", "bytes=18-", []Item{open(18)}},
		{"suffix", "bytes=-5", []Item{suffix(5)}},
		{"suffix of nothing", "bytes=-0", []Item{suffix(0)}},
		{"leading zeros", "bytes=0007-0010", []Item{closed(7, 10)}},
		{"unit in capitals, 14.1", "BYTES=0-4", []Item{closed(0, 4)}},
		{"unit in mixed case, 14.1", "Bytes=0-4", []Item{closed(0, 4)}},

		{"standard list", "bytes=0-1,4-5,-2", []Item{closed(0, 1), closed(4, 5), suffix(2)}},
		{"reference's list", "bytes=0-1,bytes=4-5", []Item{closed(0, 1), closed(4, 5)}},
		{"reference's list, capitals", "bytes=0-1,BYTES=4-5", []Item{closed(0, 1), closed(4, 5)}},
		{"both lists", "bytes=0-1,4-,bytes=-5", []Item{closed(0, 1), open(4), suffix(5)}},
		{"order and overlaps kept", "bytes=10-,0-1,0-1", []Item{open(10), closed(0, 1), closed(0, 1)}},
		{"white space, 5.6.1", "bytes= 0-1 ,\t4-5 , bytes= 6-7 ", []Item{closed(0, 1), closed(4, 5), closed(6, 7)}},
		{"empty element, 5.6.1", "bytes=0-1,,2-3", []Item{closed(0, 1), closed(2, 3)}},
		{"empty elements at the ends", "bytes=, ,0-1, ,", []Item{closed(0, 1)}},
		{"reference's list after an empty element", "bytes=,bytes=0-1", []Item{closed(0, 1)}},
		{"64 ranges", repeated(MaxRanges), slices.Repeat([]Item{closed(0, 0)}, MaxRanges)},
		{"64 ranges and empty elements", repeated(MaxRanges) + ",,,", slices.Repeat([]Item{closed(0, 0)}, MaxRanges)},

		{"huge end", "bytes=0-" + huge, []Item{closed(0, math.MaxInt64)}},
		{"huge start", "bytes=" + huge + "-", []Item{open(math.MaxInt64)}},
		{"huge both", "bytes=" + huge + "-" + huge, []Item{closed(math.MaxInt64, math.MaxInt64)}},
		{"huge suffix", "bytes=-" + huge, []Item{suffix(math.MaxInt64)}},
		{"largest int64", "bytes=9223372036854775807-9223372036854775808", []Item{closed(math.MaxInt64, math.MaxInt64)}},
		{"one below", "bytes=9223372036854775806-", []Item{open(math.MaxInt64 - 1)}},

		{"other unit", "items=0-1", nil},
		{"other unit, not bytes at all", "seconds=now", nil},
		{"other unit that begins alike", "bytesize=0-1", nil},
		{"no unit", "=0-1", nil},
		{"no unit nor '='", "0-1", nil},
		{"garbage", "\x00\xff", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := Parse(tc.header)
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if got := items(spec); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if got, want := spec.Whole(), tc.want == nil; got != want {
				t.Errorf("got whole %v, want %v", got, want)
			}
			it, single := spec.Single()
			if want := len(tc.want) == 1; single != want {
				t.Errorf("got single %v, want %v", single, want)
			} else if single && it != tc.want[0] {
				t.Errorf("got single item %v, want %v", it, tc.want[0])
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header string
		want   string // "" is ErrTooMany
	}{
		{"unit alone", "bytes", "no '='"},
		{"empty set", "bytes=", "no range"},
		{"set of empty elements", "bytes=,", "no range"},
		{"set of white space", "bytes= , ,", "no range"},
		{"space before '='", "bytes = 0-1", "no '='"},
		{"space for '='", "bytes 0-1", "no '='"},
		{"colon for '='", "bytes:0-1", "no '='"},
		{"word", "bytes=abc", "no '-' in \"abc\""},
		{"number", "bytes=5", "no '-'"},
		{"dash", "bytes=-", "no length"},
		{"two dashes", "bytes=--5", "no length"},
		{"negative end", "bytes=0--5", "no number after"},
		{"sign", "bytes=+1-2", "no number before"},
		{"hexadecimal", "bytes=0x1-2", "no number before"},
		{"space inside", "bytes=0 -1", "no number before"},
		{"space inside, after", "bytes=0- 1", "no number after"},
		{"space in a suffix", "bytes=- 1", "no length"},
		{"digits of another script", "bytes=٠-٤", "no number before"},
		{"size after the range", "bytes=0-4/22", "no number after"},
		{"end before start", "bytes=5-2", "end is before the start"},
		{"huge end before huge start", "bytes=99999999999999999999-99999999999999999998", "end is before the start"},
		{"huge end before huge start, length", "bytes=99999999999999999999-9223372036854775807", "end is before the start"},
		{"huge start", "bytes=99999999999999999999-5", "end is before the start"},
		{"bad item among good ones", "bytes=0-1,x,2-3", "no '-'"},
		{"other unit in the list", "bytes=0-1,items=2-3", "no number before"},
		{"unit twice", "bytes=bytes=0-1", "no number before"},
		{"repeated unit without range", "bytes=0-1,bytes=", "no '-'"},
		{"long item is cut", "bytes=" + strings.Repeat("x", 100), `"` + strings.Repeat("x", 32) + `"...`},
		{"65 ranges", repeated(MaxRanges + 1), ""},
		{"65 ranges, the last one malformed", repeated(MaxRanges) + ",x", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := Parse(tc.header)
			if !spec.Whole() {
				t.Errorf("got %v with an error, want none", spec)
			}
			if tc.want == "" {
				if !errors.Is(err, ErrTooMany) {
					t.Errorf("got error %v, want %v", err, ErrTooMany)
				}
				return
			}
			malformed, ok := errors.AsType[*MalformedError](err)
			if !ok || malformed.Field != "Range" || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want a malformed Range with %q", err, tc.want)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	const huge = "99999999999999999999"
	for _, tc := range []struct {
		name    string
		header  string
		size    int64
		want    []Range
		wantErr error
	}{
		{"closed", "bytes=0-4", 22, []Range{{0, 5}}, nil},
		{"first byte", "bytes=0-0", 22, []Range{{0, 1}}, nil},
		{"last byte", "bytes=21-21", 22, []Range{{21, 1}}, nil},
		{"open", "bytes=18-", 22, []Range{{18, 4}}, nil},
		{"all", "bytes=0-", 22, []Range{{0, 22}}, nil},
		{"suffix", "bytes=-5", 22, []Range{{17, 5}}, nil},
		{"end clamped", "bytes=10-999", 22, []Range{{10, 12}}, nil},
		{"end clamped by one", "bytes=0-22", 22, []Range{{0, 22}}, nil},
		{"huge end clamped", "bytes=10-" + huge, 22, []Range{{10, 12}}, nil},
		{"suffix of everything", "bytes=-22", 22, []Range{{0, 22}}, nil},
		{"suffix too long", "bytes=-100", 22, []Range{{0, 22}}, nil},
		{"huge suffix", "bytes=-" + huge, 22, []Range{{0, 22}}, nil},
		{"list", "bytes=2-5,8-9", 22, []Range{{2, 4}, {8, 2}}, nil},
		{"reference's list", "bytes=2-5,bytes=8-9", 22, []Range{{2, 4}, {8, 2}}, nil},
		{"order and overlaps kept", "bytes=4-6,5-7,-2,0-", 22, []Range{{4, 3}, {5, 3}, {20, 2}, {0, 22}}, nil},
		{"unsatisfiable dropped", "bytes=22-,0-1,-0,50-60", 22, []Range{{0, 2}}, nil},
		{"whole", "", 22, nil, nil},
		{"whole, empty file", "", 0, nil, nil},
		{"other unit", "items=0-1", 22, nil, nil},

		{"start at the end", "bytes=22-", 22, nil, ErrUnsatisfiable},
		{"start past the end", "bytes=30-40", 22, nil, ErrUnsatisfiable},
		{"huge start", "bytes=" + huge + "-", 22, nil, ErrUnsatisfiable},
		{"huge both", "bytes=" + huge + "-" + huge, 22, nil, ErrUnsatisfiable},
		{"huge start, largest file", "bytes=" + huge + "-", math.MaxInt64, nil, ErrUnsatisfiable},
		{"suffix of nothing", "bytes=-0", 22, nil, ErrUnsatisfiable},
		{"nothing left", "bytes=22-,-0,30-40", 22, nil, ErrUnsatisfiable},
		{"empty file", "bytes=0-", 0, nil, ErrUnsatisfiable},
		{"empty file, closed", "bytes=0-0", 0, nil, ErrUnsatisfiable},
		{"empty file, suffix", "bytes=-5", 0, nil, ErrUnsatisfiable},
		{"negative size", "bytes=0-", -1, nil, ErrUnsatisfiable},

		{"largest file", "bytes=0-", math.MaxInt64, []Range{{0, math.MaxInt64}}, nil},
		{"largest file, closed", "bytes=1-" + huge, math.MaxInt64, []Range{{1, math.MaxInt64 - 1}}, nil},
		{"largest file, last byte", "bytes=9223372036854775806-", math.MaxInt64, []Range{{math.MaxInt64 - 1, 1}}, nil},
		{"sum too large", "bytes=0-,0-0", math.MaxInt64, nil, ErrTooMany},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := Parse(tc.header)
			if err != nil {
				t.Fatalf("parsing: %v", err)
			}
			got, err := spec.Resolve(tc.size)
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("got error %v, want %v", err, tc.wantErr)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAppendResolveKeepsWhatIsThere(t *testing.T) {
	had := Range{1, 2}
	for _, tc := range []struct {
		name   string
		header string
		size   int64
		want   []Range
	}{
		{"appends", "bytes=0-0,2-2", 10, []Range{had, {0, 1}, {2, 1}}},
		{"unsatisfiable", "bytes=10-", 10, []Range{had}},
		{"sum too large", "bytes=0-,0-", math.MaxInt64, []Range{had}},
		{"whole", "", 10, []Range{had}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := Parse(tc.header)
			if err != nil {
				t.Fatalf("parsing: %v", err)
			}
			if got, _ := spec.AppendResolve([]Range{had}, tc.size); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestItemRange(t *testing.T) {
	for _, tc := range []struct {
		name string
		item Item
		want Range
	}{
		{"usual", Item{Closed, 10, 19}, Range{10, 10}},
		{"one byte", Item{Closed, 0, 0}, Range{0, 1}},
		{"no end in sight", Item{Closed, 0, math.MaxInt64}, Range{0, math.MaxInt64}},
		{"no start in sight", Item{Closed, math.MaxInt64, math.MaxInt64}, Range{math.MaxInt64, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.item.Range(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestSpecString(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header string
		want   string
	}{
		{"whole", "items=1", ""},
		{"one", "BYTES=007-", "bytes=7-"},
		{"reference's list", "bytes=0-1, bytes=-5,,bytes=9-", "bytes=0-1,-5,9-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := Parse(tc.header)
			if err != nil {
				t.Fatalf("parsing: %v", err)
			}
			if got := spec.String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Where the contract does not differ from net/http on purpose, a single range
// must mean the same.
func TestSingleRangeAgreesWithNetHTTP(t *testing.T) {
	const content = "0123456789012345678901"
	for _, header := range []string{
		"", "bytes=0-4", "bytes=0-0", "bytes=18-", "bytes=-5", "bytes=0-", "bytes=-22",
		"bytes=0-22", "bytes=10-999", "bytes=-100", "bytes=22-", "bytes=30-40",
		"bytes=5-2", "bytes=abc", "bytes=-", "bytes=--1", "bytes=0-1,", "bytes=,0-1",
	} {
		t.Run(header, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			if header != "" {
				req.Header.Set("Range", header)
			}
			rec := httptest.NewRecorder()
			http.ServeContent(rec, req, "f.bin", time.Time{}, strings.NewReader(content))

			status, contentRange := http.StatusOK, ""
			if spec, err := Parse(header); err != nil {
				status = http.StatusRequestedRangeNotSatisfiable
			} else if !spec.Whole() {
				ranges, err := spec.Resolve(int64(len(content)))
				if err != nil {
					status = http.StatusRequestedRangeNotSatisfiable
					contentRange = Unsatisfied(int64(len(content)))
				} else {
					status = http.StatusPartialContent
					contentRange = ranges[0].ContentRange(int64(len(content)))
				}
			}
			if want := rec.Code; status != want {
				t.Errorf("got status %d, want %d", status, want)
			}
			if want := rec.Header().Get("Content-Range"); contentRange != want {
				t.Errorf("got Content-Range %q, want %q", contentRange, want)
			}
		})
	}
}
