package byterange

import (
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	specRE = regexp.MustCompile(`(?i)^bytes=`)
	itemRE = regexp.MustCompile(`^(?:(\d+)-(\d*)|-(\d+))$`)
)

// oracle is Parse and Resolve once more, with nothing in mind but being right.
func oracle(header string, size int64) (ranges []Range, whole bool, failed error) {
	header = strings.Trim(header, " \t")
	if i := strings.IndexFunc(header, func(r rune) bool {
		return !strings.ContainsRune("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", r)
	}); !strings.EqualFold(header, "bytes") && (i < 0 || !strings.EqualFold(header[:i], "bytes")) {
		return nil, true, nil
	}
	malformed := &MalformedError{}
	if !specRE.MatchString(header) {
		return nil, false, malformed
	}
	count, total := 0, new(big.Int)
	for i, elem := range strings.Split(header[len("bytes="):], ",") {
		elem = strings.Trim(elem, " \t")
		if elem == "" {
			continue
		}
		if count++; count > MaxRanges {
			return nil, false, ErrTooMany
		}
		if loc := specRE.FindString(elem); i > 0 {
			elem = strings.Trim(elem[len(loc):], " \t")
		}
		m := itemRE.FindStringSubmatch(elem)
		if m == nil {
			return nil, false, malformed
		}
		end := big.NewInt(size - 1)
		start := new(big.Int)
		if m[3] != "" {
			n, _ := new(big.Int).SetString(m[3], 10)
			if start.Sub(big.NewInt(size), n); start.Sign() < 0 {
				start.SetInt64(0)
			}
		} else {
			start.SetString(m[1], 10)
			if m[2] != "" {
				b, _ := new(big.Int).SetString(m[2], 10)
				if b.Cmp(start) < 0 {
					return nil, false, malformed
				}
				if b.Cmp(end) < 0 {
					end = b
				}
			}
		}
		if start.Cmp(end) > 0 {
			continue
		}
		n := new(big.Int).Sub(end, start)
		n.Add(n, big.NewInt(1))
		total.Add(total, n)
		ranges = append(ranges, Range{start.Int64(), n.Int64()})
	}
	switch {
	case count == 0:
		return nil, false, malformed
	case len(ranges) == 0:
		return nil, false, ErrUnsatisfiable
	case !total.IsInt64():
		return nil, false, ErrTooMany
	}
	return ranges, false, nil
}

func FuzzRange(f *testing.F) {
	for _, header := range []string{
		"", "bytes=0-4", "bytes=18-", "bytes=-5", "bytes=-0", "bytes=0-1,4-5", "bytes=0-1,bytes=4-5",
		"BYTES= 0-1 ,, \t-3", "bytes=", "bytes=,", "bytes=5-2", "bytes=--5", "bytes=0--5", "items=0-1",
		"bytes 0-4", "bytes=0-4/22", "bytes=0-99999999999999999999", "bytes=99999999999999999999-",
		"bytes=99999999999999999999-99999999999999999998", "bytes=9223372036854775807-",
		"bytes=0-9223372036854775806,0-0", "bytes=bytes=0-1", "bytes=,bytes=1-", "bytes=0-1,bytes=",
		repeated(MaxRanges), repeated(MaxRanges + 1),
	} {
		for _, size := range []int64{0, 1, 22, math.MaxInt64} {
			f.Add(header, size)
		}
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			size = 0
		}
		spec, err := Parse(header)
		var ranges []Range
		if err == nil {
			ranges, err = spec.Resolve(size)

			again, err := Parse(spec.String())
			if err != nil || !slices.Equal(items(again), items(spec)) {
				t.Fatalf("got %v (%v) from %q, want %v", items(again), err, spec, items(spec))
			}
		}

		want, whole, wantErr := oracle(header, size)
		if err == nil && spec.Whole() != whole {
			t.Fatalf("got whole %v, want %v", spec.Whole(), whole)
		}
		if !slices.Equal(ranges, want) {
			t.Fatalf("got %v, want %v", ranges, want)
		}
		if got, want := failure(err), failure(wantErr); got != want {
			t.Fatalf("got failure %q (%v), want %q", got, err, want)
		}

		var sum int64
		for _, r := range ranges {
			if r.Start < 0 || r.Length <= 0 || r.End() < r.Start || r.End() >= size {
				t.Fatalf("got %v outside of %d bytes, want it inside", r, size)
			}
			if sum += r.Length; sum < 0 {
				t.Fatal("got an overflow, want none")
			}
		}
		if value, total := ConcatContentRange(ranges, size); total != sum || strings.Count(value, "/") != len(ranges) {
			t.Fatalf("got %q of %d bytes, want %d ranges of %d", value, total, len(ranges), sum)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, header := range []string{
		"bytes 0-4/22", "bytes 0-0/1", "bytes 5-9/*", "BYTES \t0-4/22", "bytes */22", "bytes 0-/*", "bytes=0-4/22",
		"bytes 5-4/22", "bytes 0-22/22", "bytes 0-9223372036854775806/*", "bytes 0-9223372036854775807/*",
		"bytes 0-4/99999999999999999999", "items 0-4/22", "bytes 0-4/22, 6-7/22", "",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseContentRange(header)
		if err != nil {
			if failure(err) != "malformed" {
				t.Fatalf("got error %v, want a *MalformedError", err)
			}
			return
		}
		if c.Start < 0 || c.End < c.Start || c.Size < -1 || c.Size >= 0 && c.End >= c.Size {
			t.Fatalf("got %+v, want it in order", c)
		}
		if r := c.Range(); r.Start != c.Start || r.Length <= 0 || r.End() != c.End {
			t.Fatalf("got range %v, want that of %+v", r, c)
		}
		if again, err := ParseContentRange(c.String()); err != nil || again != c {
			t.Fatalf("got %+v (%v) from %q, want %+v", again, err, c, c)
		}
	})
}

func FuzzPlanWrite(f *testing.F) {
	for _, s := range []struct {
		rangeHeader, contentRange string
		body, size                int64
	}{
		{"bytes=2-5", "", 4, 22},
		{"bytes=2-5", "bytes 2-5/22", 4, 22},
		{"", "bytes 22-25/26", 4, 22},
		{"bytes=5-", "", 4, 22},
		{"bytes=5-", "bytes 5-8/*", -1, 22},
		{"bytes=-4", "", 4, 22},
		{"bytes=0-1,8-9,22-", "", 9, 22},
		{"bytes=22-23,bytes=24-25", "", 4, 22},
		{"bytes=0-9223372036854775806,0-", "", 4, 22},
		{"bytes=22-", "", math.MaxInt64, 22},
		{"items=0-1", "", 2, 22},
		{"", "", 2, 22},
	} {
		f.Add(s.rangeHeader, s.contentRange, s.body, s.size)
	}
	f.Fuzz(func(t *testing.T, rangeHeader, contentRange string, body, size int64) {
		early, err := PlanWrite(rangeHeader, contentRange, -1, size)
		openBefore, least := early.Open, early.BodyLength()
		if err == nil && body >= 0 {
			err = early.Finish(body)
		}
		p, errOnce := PlanWrite(rangeHeader, contentRange, body, size)
		if got, want := failure(errOnce), failure(err); got != want {
			t.Fatalf("got failure %q at once, %q in two steps", got, want)
		}
		if errOnce != nil {
			if len(p.Ranges) != 0 {
				t.Fatalf("got %v with an error, want none", p.Ranges)
			}
			switch got := failure(errOnce); got {
			case "malformed", "mismatch", ErrUnsatisfiable.Error(), ErrTooMany.Error(), ErrNoRange.Error():
			default:
				t.Fatalf("got error %v, want one of the package", errOnce)
			}
			return
		}
		if !slices.Equal(p.Ranges, early.Ranges) || p.Open != early.Open {
			t.Fatalf("got %+v at once, %+v in two steps", p, early)
		}
		if len(p.Ranges) == 0 || len(p.Ranges) > MaxRanges {
			t.Fatalf("got %d ranges, want 1 to %d", len(p.Ranges), MaxRanges)
		}
		if body >= 0 && (p.Open || Total(p.Ranges) != body || body < least || !openBefore && body != least) {
			t.Fatalf("got %+v for %d bytes (at least %d), want as many", p, body, least)
		}

		// whatever the order, no write may leave a hole in the file
		end := max(size, 0)
		for i, r := range p.Ranges {
			last := p.Open && i == len(p.Ranges)-1
			if r.Start < 0 || r.Start > end || (r.Length <= 0) != last {
				t.Fatalf("got %v in a file of %d bytes, want no hole", r, end)
			}
			if r.Length > math.MaxInt64-r.Start {
				t.Fatalf("got %v, want no overflow", r)
			}
			end = max(end, r.Start+r.Length)
		}
		if got := p.NewSize(); got != end {
			t.Fatalf("got new size %d, want %d", got, end)
		}
	})
}
