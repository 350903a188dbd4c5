package byterange

import (
	"math"
	"testing"
)

func TestContentRangeText(t *testing.T) {
	for _, tc := range []struct {
		name string
		got  string
		want string
	}{
		{"single", Range{0, 5}.ContentRange(22), "bytes 0-4/22"},
		{"one byte", Range{21, 1}.ContentRange(22), "bytes 21-21/22"},
		{"size not known", Range{10, 10}.ContentRange(-1), "bytes 10-19/*"},
		{"largest", Range{0, math.MaxInt64}.ContentRange(math.MaxInt64), "bytes 0-9223372036854775806/9223372036854775807"},
		{"open", OpenContentRange(7), "bytes 7-/*"},
		{"unsatisfied", Unsatisfied(22), "bytes */22"},
		{"unsatisfied, empty", Unsatisfied(0), "bytes */0"},
		{"unsatisfied, no file", Unsatisfied(-1), "bytes */0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.got != tc.want {
				t.Errorf("got %q, want %q", tc.got, tc.want)
			}
		})
	}
}

func TestConcatContentRange(t *testing.T) {
	for _, tc := range []struct {
		name      string
		ranges    []Range
		size      int64
		want      string
		wantTotal int64
	}{
		{"one", []Range{{0, 5}}, 22, "bytes 0-4/22", 5},
		{"two", []Range{{2, 4}, {8, 2}}, 22, "bytes 2-5/22, 8-9/22", 6},
		{"overlaps count twice", []Range{{4, 3}, {5, 3}, {20, 2}}, 22, "bytes 4-6/22, 5-7/22, 20-21/22", 8},
		{"order kept", []Range{{10, 12}, {0, 2}}, 22, "bytes 10-21/22, 0-1/22", 14},
		{"size not known", []Range{{0, 1}, {2, 1}}, -1, "bytes 0-0/*, 2-2/*", 2},
		{"total is capped", []Range{{0, math.MaxInt64}, {0, 1}}, -1, "bytes 0-9223372036854775806/*, 0-0/*", math.MaxInt64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, total := ConcatContentRange(tc.ranges, tc.size)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if total != tc.wantTotal {
				t.Errorf("got total %d, want %d", total, tc.wantTotal)
			}
		})
	}
}
