package byterange

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseContentRange(t *testing.T) {
	for _, tc := range []struct {
		name    string
		header  string
		want    ContentRange
		wantErr string
	}{
		{name: "usual", header: "bytes 0-4/22", want: ContentRange{0, 4, 22}},
		{name: "last byte", header: "bytes 21-21/22", want: ContentRange{21, 21, 22}},
		{name: "size not known", header: "bytes 5-9/*", want: ContentRange{5, 9, -1}},
		{name: "unit in capitals, 14.1", header: "BYTES 0-4/22", want: ContentRange{0, 4, 22}},
		{name: "much white space", header: " bytes \t 0-4/22 ", want: ContentRange{0, 4, 22}},
		{name: "largest", header: "bytes 0-9223372036854775806/*", want: ContentRange{0, math.MaxInt64 - 1, -1}},

		{name: "empty", header: "", wantErr: "unit is not bytes"},
		{name: "other unit", header: "items 0-4/22", wantErr: "unit is not bytes"},
		{name: "unit alone", header: "bytes", wantErr: "no space"},
		{name: "no unit", header: "0-4/22", wantErr: "unit is not bytes"},
		{name: "'=' for the space", header: "bytes=0-4/22", wantErr: "no space"},
		{name: "no size", header: "bytes 0-4", wantErr: "no '/'"},
		{name: "empty size", header: "bytes 0-4/", wantErr: "no number after the '/'"},
		{name: "bad size", header: "bytes 0-4/x", wantErr: "no number after the '/'"},
		{name: "unsatisfied form", header: "bytes */22", wantErr: "no range"},
		{name: "no end", header: "bytes 0-/22", wantErr: "no number after the '-'"},
		{name: "reference's open form", header: "bytes 0-/*", wantErr: "no number after the '-'"},
		{name: "no start", header: "bytes -4/22", wantErr: "no number before"},
		{name: "no dash", header: "bytes 4/22", wantErr: "no '-'"},
		{name: "space inside", header: "bytes 0 - 4/22", wantErr: "no number before"},
		{name: "two ranges", header: "bytes 0-4/22, 6-7/22", wantErr: "no number after the '/'"},
		{name: "two sizes", header: "bytes 0-4/22/22", wantErr: "no number after the '/'"},
		{name: "end before start", header: "bytes 5-4/22", wantErr: "end is before the start"},
		{name: "end at the size", header: "bytes 0-22/22", wantErr: "not below the size"},
		{name: "size 0", header: "bytes 0-0/0", wantErr: "not below the size"},
		{name: "huge end", header: "bytes 0-99999999999999999999/*", wantErr: "too large"},
		{name: "huge all", header: "bytes 99999999999999999998-99999999999999999999/100000000000000000000", wantErr: "too large"},
		{name: "end of the largest int64", header: "bytes 0-9223372036854775807/*", wantErr: "too large"},
		{name: "huge size", header: "bytes 0-4/99999999999999999999", wantErr: "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseContentRange(tc.header)
			if tc.wantErr != "" {
				malformed, ok := errors.AsType[*MalformedError](err)
				if !ok || malformed.Field != "Content-Range" || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got error %v, want a malformed Content-Range with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestParseWriteRange(t *testing.T) {
	for _, tc := range []struct {
		name    string
		header  string
		want    string // as String returns it
		wantErr string
	}{
		{name: "one", header: "bytes=0-4", want: "bytes=0-4"},
		{name: "open", header: "bytes=5-", want: "bytes=5-"},
		{name: "suffix", header: "bytes=-5", want: "bytes=-5"},
		{name: "several", header: "bytes=0-4,bytes=9-10, 5-", want: "bytes=0-4,9-10,5-"},
		{name: "empty", header: "", wantErr: "malformed Range: the unit is not bytes"},
		{name: "other unit", header: "items=0-4", wantErr: "malformed Range: the unit is not bytes"},
		{name: "malformed", header: "bytes=4", wantErr: "malformed Range: no '-'"},
		{name: "open before another", header: "bytes=5-,0-4", wantErr: "malformed Range: only the last"},
		{name: "65 ranges", header: repeated(MaxRanges + 1), wantErr: "more than 64 ranges"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseWriteRange(tc.header)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if got.String() != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// failure says which error a write ends with.
func failure(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[*MalformedError](err); ok {
		return "malformed"
	}
	if _, ok := errors.AsType[*MismatchError](err); ok {
		return "mismatch"
	}
	return err.Error()
}

func TestPlanWrite(t *testing.T) {
	const (
		unsatisfiable = "range not satisfiable"
		huge          = "99999999999999999999"
	)
	for _, tc := range []struct {
		name         string
		rangeHeader  string
		contentRange string
		body         int64
		size         int64
		want         []Range
		wantSize     int64
		wantErr      string
	}{
		{name: "patch", rangeHeader: "bytes=2-5", body: 4, size: 22, want: []Range{{2, 4}}, wantSize: 22},
		{name: "patch, Content-Range", contentRange: "bytes 2-5/22", body: 4, size: 22, want: []Range{{2, 4}}, wantSize: 22},
		{name: "patch, Content-Range, no size", contentRange: "bytes 2-5/*", body: 4, size: 22, want: []Range{{2, 4}}, wantSize: 22},
		{name: "patch, both", rangeHeader: "bytes=2-5", contentRange: "bytes 2-5/22", body: 4, size: 22, want: []Range{{2, 4}}, wantSize: 22},
		{name: "patch of everything", rangeHeader: "bytes=0-21", body: 22, size: 22, want: []Range{{0, 22}}, wantSize: 22},
		{name: "patch over the end", rangeHeader: "bytes=20-29", body: 10, size: 22, want: []Range{{20, 10}}, wantSize: 30},
		{name: "append", rangeHeader: "bytes=22-25", body: 4, size: 22, want: []Range{{22, 4}}, wantSize: 26},
		{name: "append, size after", contentRange: "bytes 22-25/26", body: 4, size: 22, want: []Range{{22, 4}}, wantSize: 26},
		{name: "append, size before the end", contentRange: "bytes 20-25/26", body: 6, size: 22, want: []Range{{20, 6}}, wantSize: 26},
		{name: "append, no size", contentRange: "bytes 22-25/*", body: 4, size: 22, want: []Range{{22, 4}}, wantSize: 26},
		{name: "new file", rangeHeader: "bytes=0-3", body: 4, size: 0, want: []Range{{0, 4}}, wantSize: 4},
		{name: "new file, Content-Range", contentRange: "bytes 0-3/4", body: 4, size: 0, want: []Range{{0, 4}}, wantSize: 4},
		{name: "no file counts as empty", rangeHeader: "bytes=0-3", body: 4, size: -1, want: []Range{{0, 4}}, wantSize: 4},

		{name: "open", rangeHeader: "bytes=5-", body: 4, size: 22, want: []Range{{5, 4}}, wantSize: 22},
		{name: "open append", rangeHeader: "bytes=22-", body: 4, size: 22, want: []Range{{22, 4}}, wantSize: 26},
		{name: "open over the end", rangeHeader: "bytes=20-", body: 4, size: 22, want: []Range{{20, 4}}, wantSize: 24},
		{name: "open, Content-Range has the end", rangeHeader: "bytes=5-", contentRange: "bytes 5-8/*", body: 4, size: 22, want: []Range{{5, 4}}, wantSize: 22},
		{name: "open after others", rangeHeader: "bytes=0-1,5-", body: 4, size: 22, want: []Range{{0, 2}, {5, 2}}, wantSize: 22},
		{name: "suffix", rangeHeader: "bytes=-4", body: 4, size: 22, want: []Range{{18, 4}}, wantSize: 22},
		{name: "suffix too long", rangeHeader: "bytes=-100", body: 22, size: 22, want: []Range{{0, 22}}, wantSize: 22},
		{name: "suffix and Content-Range", rangeHeader: "bytes=-4", contentRange: "bytes 18-21/22", body: 4, size: 22, want: []Range{{18, 4}}, wantSize: 22},
		{name: "suffix is of the file before", rangeHeader: "bytes=22-23,-2", body: 4, size: 22, want: []Range{{22, 2}, {20, 2}}, wantSize: 24},

		{name: "several", rangeHeader: "bytes=0-1,8-9,4-4", body: 5, size: 22, want: []Range{{0, 2}, {8, 2}, {4, 1}}, wantSize: 22},
		{name: "several, overlapping", rangeHeader: "bytes=0-9,0-9", body: 20, size: 22, want: []Range{{0, 10}, {0, 10}}, wantSize: 22},
		{name: "several, each appends", rangeHeader: "bytes=22-23,bytes=24-25,26-26", body: 5, size: 22, want: []Range{{22, 2}, {24, 2}, {26, 1}}, wantSize: 27},
		{name: "several on a new file", rangeHeader: "bytes=0-1,2-3", body: 4, size: 0, want: []Range{{0, 2}, {2, 2}}, wantSize: 4},
		{name: "several, gap", rangeHeader: "bytes=22-23,25-26", body: 4, size: 22, wantErr: unsatisfiable},
		{name: "several, wrong order", rangeHeader: "bytes=24-25,22-23", body: 4, size: 22, wantErr: unsatisfiable},

		{name: "neither", body: 4, size: 22, wantErr: ErrNoRange.Error()},
		{name: "start past the end", rangeHeader: "bytes=23-24", body: 2, size: 22, wantErr: unsatisfiable},
		{name: "open past the end", rangeHeader: "bytes=23-", body: 2, size: 22, wantErr: unsatisfiable},
		{name: "start past the end, Content-Range", contentRange: "bytes 23-24/25", body: 2, size: 22, wantErr: unsatisfiable},
		{name: "no file, not from 0", rangeHeader: "bytes=1-2", body: 2, size: 0, wantErr: unsatisfiable},
		{name: "no file, suffix", rangeHeader: "bytes=-2", body: 2, size: 0, wantErr: unsatisfiable},
		{name: "suffix of nothing", rangeHeader: "bytes=-0", body: 0, size: 22, wantErr: unsatisfiable},
		{name: "huge start", rangeHeader: "bytes=" + huge + "-", body: 2, size: 22, wantErr: unsatisfiable},
		{name: "huge start, largest file", rangeHeader: "bytes=" + huge + "-", body: 2, size: math.MaxInt64, wantErr: unsatisfiable},

		{name: "malformed Range", rangeHeader: "bytes=5-2", body: 2, size: 22, wantErr: "malformed"},
		{name: "unknown unit is not ignored", rangeHeader: "items=0-1", body: 2, size: 22, wantErr: "malformed"},
		{name: "malformed Content-Range", contentRange: "bytes */22", body: 2, size: 22, wantErr: "malformed"},
		{name: "malformed Range before disagreement", rangeHeader: "bytes=x", contentRange: "bytes 0-1/22", body: 2, size: 22, wantErr: "malformed"},
		{name: "malformed Content-Range before size", rangeHeader: "bytes=50-51", contentRange: "x", body: 2, size: 22, wantErr: "malformed"},
		{name: "open before another", rangeHeader: "bytes=5-,0-1", body: 9, size: 22, wantErr: "malformed"},
		{name: "65 ranges", rangeHeader: repeated(MaxRanges + 1), body: 65, size: 22, wantErr: ErrTooMany.Error()},

		{name: "disagree, start", rangeHeader: "bytes=0-1", contentRange: "bytes 1-2/22", body: 2, size: 22, wantErr: "mismatch"},
		{name: "disagree, end", rangeHeader: "bytes=0-1", contentRange: "bytes 0-2/22", body: 2, size: 22, wantErr: "mismatch"},
		{name: "disagree, open", rangeHeader: "bytes=1-", contentRange: "bytes 0-2/22", body: 3, size: 22, wantErr: "mismatch"},
		{name: "disagree, suffix", rangeHeader: "bytes=-2", contentRange: "bytes 19-20/22", body: 2, size: 22, wantErr: "mismatch"},
		{name: "disagree, several", rangeHeader: "bytes=0-1,4-5", contentRange: "bytes 0-1/22", body: 2, size: 22, wantErr: "mismatch"},
		{name: "disagree before unsatisfiable", rangeHeader: "bytes=90-91", contentRange: "bytes 0-1/22", body: 2, size: 22, wantErr: "mismatch"},
		{name: "wrong size", contentRange: "bytes 0-1/23", body: 2, size: 22, wantErr: "mismatch"},
		{name: "wrong size, too small", contentRange: "bytes 0-1/21", body: 2, size: 22, wantErr: "mismatch"},
		{name: "wrong size, append", contentRange: "bytes 22-25/27", body: 4, size: 22, wantErr: "mismatch"},
		{name: "wrong size, both", rangeHeader: "bytes=0-1", contentRange: "bytes 0-1/23", body: 2, size: 22, wantErr: "mismatch"},

		{name: "body too short", rangeHeader: "bytes=0-3", body: 3, size: 22, wantErr: "mismatch"},
		{name: "body too long", rangeHeader: "bytes=0-3", body: 5, size: 22, wantErr: "mismatch"},
		{name: "body too short, Content-Range", contentRange: "bytes 0-3/22", body: 3, size: 22, wantErr: "mismatch"},
		{name: "body too long, open with Content-Range", rangeHeader: "bytes=0-", contentRange: "bytes 0-3/22", body: 5, size: 22, wantErr: "mismatch"},
		{name: "body too short, several", rangeHeader: "bytes=0-1,4-5", body: 2, size: 22, wantErr: "mismatch"},
		{name: "body empty", rangeHeader: "bytes=0-3", body: 0, size: 22, wantErr: "mismatch"},
		{name: "body empty, open", rangeHeader: "bytes=5-", body: 0, size: 22, wantErr: "mismatch"},
		{name: "nothing left for open", rangeHeader: "bytes=0-3,5-", body: 4, size: 22, wantErr: "mismatch"},
		{name: "too short before open", rangeHeader: "bytes=0-3,5-", body: 3, size: 22, wantErr: "mismatch"},
		{name: "huge end", rangeHeader: "bytes=0-" + huge, body: 4, size: 22, wantErr: "mismatch"},
		{name: "open past the largest file", rangeHeader: "bytes=9-", body: math.MaxInt64 - 8, size: 22, wantErr: "mismatch"},
		{name: "sum too large", rangeHeader: "bytes=0-9223372036854775806,0-9223372036854775806", body: 4, size: 22, wantErr: "mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := PlanWrite(tc.rangeHeader, tc.contentRange, tc.body, tc.size)
			if got := failure(err); got != tc.wantErr {
				t.Fatalf("got failure %q (%v), want %q", got, err, tc.wantErr)
			}
			if !slices.Equal(plan.Ranges, tc.want) {
				t.Errorf("got %v, want %v", plan.Ranges, tc.want)
			}
			if plan.Open {
				t.Error("got an open plan, want none as the length is known")
			}
			if got := plan.NewSize(); got != tc.wantSize {
				t.Errorf("got new size %d, want %d", got, tc.wantSize)
			}
		})
	}
}

// A chunked body must give what a body with a declared length gives, only
// later.
func TestPlanWriteChunked(t *testing.T) {
	for _, tc := range []struct {
		name        string
		rangeHeader string
		wantOpen    bool
		wantBody    int64 // as BodyLength returns it before the end
		body        int64
		want        []Range
		wantErr     string
	}{
		{name: "closed", rangeHeader: "bytes=2-5", wantBody: 4, body: 4, want: []Range{{2, 4}}},
		{name: "closed, too short", rangeHeader: "bytes=2-5", wantBody: 4, body: 3, wantErr: "mismatch"},
		{name: "closed, too long", rangeHeader: "bytes=2-5", wantBody: 4, body: 5, wantErr: "mismatch"},
		{name: "open", rangeHeader: "bytes=2-", wantOpen: true, wantBody: 1, body: 30, want: []Range{{2, 30}}},
		{name: "open, empty", rangeHeader: "bytes=2-", wantOpen: true, wantBody: 1, body: 0, wantErr: "mismatch"},
		{name: "several", rangeHeader: "bytes=2-3,6-7", wantBody: 4, body: 4, want: []Range{{2, 2}, {6, 2}}},
		{name: "several, open", rangeHeader: "bytes=2-3,6-", wantOpen: true, wantBody: 3, body: 4, want: []Range{{2, 2}, {6, 2}}},
		{name: "several, nothing left", rangeHeader: "bytes=2-3,6-", wantOpen: true, wantBody: 3, body: 2, wantErr: "mismatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := PlanWrite(tc.rangeHeader, "", -1, 22)
			if err != nil {
				t.Fatalf("got error %v, want none before the body", err)
			}
			if plan.Open != tc.wantOpen {
				t.Errorf("got open %v, want %v", plan.Open, tc.wantOpen)
			}
			if got := plan.BodyLength(); got != tc.wantBody {
				t.Errorf("got body length %d, want %d", got, tc.wantBody)
			}
			err = plan.Finish(tc.body)
			if got := failure(err); got != tc.wantErr {
				t.Fatalf("got failure %q (%v), want %q", got, err, tc.wantErr)
			}
			if err == nil && (!slices.Equal(plan.Ranges, tc.want) || plan.Open) {
				t.Errorf("got %v (open %v), want %v", plan.Ranges, plan.Open, tc.want)
			}
			_, declared := PlanWrite(tc.rangeHeader, "", tc.body, 22)
			if got, want := failure(declared), tc.wantErr; got != want {
				t.Errorf("got failure %q for the declared length, want %q", got, want)
			}
		})
	}
}

// The texts of 400 responses must say what to correct.
func TestMismatchText(t *testing.T) {
	for _, tc := range []struct {
		name         string
		rangeHeader  string
		contentRange string
		want         string
	}{
		{"body", "bytes=0-3", "", "the body has 5 bytes, the ranges have 4"},
		{"size", "", "bytes 0-4/30", "the Content-Range says 30 bytes, but the file has 22"},
		{"headers", "bytes=0-3", "bytes 0-4/22", "the Range and Content-Range headers disagree"},
		{"nothing left", "bytes=0-4,8-", "", "the body has 5 bytes, the ranges have at least 6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := PlanWrite(tc.rangeHeader, tc.contentRange, 5, 22)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}
