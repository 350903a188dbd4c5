package listing

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Key is what a listing is sorted by.
type Key uint8

// The keys of a listing, which are also its columns.
const (
	ByName Key = iota
	BySize
	ByTime
)

// keyNames are the values of the query's "sort".
var keyNames = [...]string{ByName: "name", BySize: "size", ByTime: "time"}

// Order is how a listing is sorted. The zero value is by name, ascending.
type Order struct {
	Key  Key
	Desc bool
}

// ParseOrder reads an order from a query such as sort=size&order=desc. A value
// that is missing or unknown counts as its default: "name" and "asc".
func ParseOrder(query url.Values) Order {
	var o Order
	if i := slices.Index(keyNames[:], query.Get("sort")); i > 0 {
		o.Key = Key(i)
	}
	o.Desc = query.Get("order") == "desc"
	return o
}

// Sort sorts entries: directories first, then by the order's key. Equal ones are
// in ascending order of their names, and so are directories sorted by size,
// as theirs means nothing.
//
// Names are compared as people count: "seg9" is before "seg10", and upper and
// lower case of ASCII letters are the same.
func Sort(entries []Entry, o Order) {
	// What moves is a rank and an index, since an entry is large and comparing
	// names is slow; most names differ in their ranks already.
	items := make([]item, 0, len(entries))
	for _, dir := range [...]bool{true, false} {
		start := len(items)
		for i := range entries {
			if entries[i].Dir == dir {
				items = append(items, item{index: int32(i)})
			}
		}
		o.sortItems(items[start:], entries, dir)
	}
	sorted := make([]Entry, len(entries))
	for i, it := range items {
		sorted[i] = entries[it.index]
	}
	copy(entries, sorted)
}

// item is an entry while it is sorted.
type item struct {
	rank  uint64 // its place as far as it fits in a number
	index int32  // where it was at first
	place int32  // where it was by name
}

// sortItems sorts items that are all directories, or none of them.
func (o Order) sortItems(items []item, entries []Entry, dirs bool) {
	skip := commonPrefix(items, entries)
	for i := range items {
		items[i].rank = nameRank(entries[items[i].index].Name[skip:])
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.rank != b.rank {
			return cmp.Compare(a.rank, b.rank)
		}
		if c := compareNames(entries[a.index].Name[skip:], entries[b.index].Name[skip:]); c != 0 {
			return c
		}
		return cmp.Compare(a.index, b.index)
	})

	var rank func(e *Entry) int64
	switch {
	case o.Key == BySize && !dirs:
		rank = func(e *Entry) int64 { return e.Size }
	case o.Key == ByTime:
		rank = func(e *Entry) int64 { return timeRank(e.ModTime) }
	default:
		if o.Desc && o.Key == ByName {
			slices.Reverse(items)
		}
		return
	}
	for i := range items {
		r := uint64(rank(&entries[items[i].index])) ^ 1<<63 // negative ones first
		if o.Desc {
			r = ^r
		}
		items[i].rank, items[i].place = r, int32(i)
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.rank != b.rank {
			return cmp.Compare(a.rank, b.rank)
		}
		return cmp.Compare(a.place, b.place)
	})
}

// commonPrefix returns the length of what all names have in common, without
// digits at its end, which might be a part of different numbers.
func commonPrefix(items []item, entries []Entry) int {
	if len(items) == 0 {
		return 0
	}
	prefix := entries[items[0].index].Name
	for _, it := range items[1:] {
		name := entries[it.index].Name
		n := min(len(prefix), len(name))
		for i := range n {
			if prefix[i] != name[i] {
				n = i
				break
			}
		}
		prefix = prefix[:n]
	}
	return len(strings.TrimRight(prefix, "0123456789"))
}

// nameRank returns a number that is less for one of two names only if that is
// the first in the order of compareNames. It is made of the first bytes up to
// a number, or of the first byte's class and the number if the name begins
// with one.
func nameRank(name string) uint64 {
	const bits, largest = 56, 1<<56 - 1
	if name == "" {
		return 0
	}
	if isDigit(name[0]) {
		var n uint64
		for i := 0; i < len(name) && isDigit(name[i]); i++ {
			if n = n*10 + uint64(name[i]-'0'); n >= largest {
				n = largest
				break
			}
		}
		return '0'<<bits | n
	}
	var rank uint64
	for i := range min(len(name), 8) {
		c := name[i]
		if isDigit(c) {
			return rank | '0'<<(bits-8*i)
		}
		rank |= uint64(lower(c)) << (bits - 8*i)
	}
	return rank
}

// timeRank returns the nanoseconds since the epoch, or the nearest number there
// is for times that are centuries away.
func timeRank(t time.Time) int64 {
	const limit = 9_200_000_000 // seconds; the largest int64 is 9.22e18
	return min(max(t.Unix(), -limit), limit)*1e9 + int64(t.Nanosecond())
}

// compareNames orders names by their parts, which are numbers (runs of ASCII
// digits, compared by value) and single bytes (ASCII letters without case).
// Names that are equal in this way, such as "a1" and "A01", are ordered by
// their bytes, so that the order is total.
func compareNames(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, y := a[i], b[j]
		if isDigit(x) && isDigit(y) {
			m, n := numberEnd(a, i), numberEnd(b, j)
			if c := compareNumbers(a[i:m], b[j:n]); c != 0 {
				return c
			}
			i, j = m, n
			continue
		}
		if x != y {
			if x, y = lower(x), lower(y); x != y {
				return int(x) - int(y)
			}
		}
		i++
		j++
	}
	if c := (len(a) - i) - (len(b) - j); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// compareNumbers compares two runs of digits of any length by value.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// numberEnd returns the index after the run of digits that begins at i.
func numberEnd(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
