package listing

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// benchRoot is a directory of 10,000 empty files, or LISTING_BENCH_DIR.
func benchRoot(b *testing.B) *os.Root {
	b.Helper()
	dir := os.Getenv("LISTING_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
		for i := range 10_000 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seg_%d.m4s", i)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	return root
}

func benchEntries() []Entry {
	entries := make([]Entry, 10_000)
	for i := range entries {
		entries[i] = Entry{Name: fmt.Sprintf("seg_%d.m4s", i*7919%10_000), Size: int64(i) * 1017, ModTime: stamp}
	}
	return entries
}

func BenchmarkRead(b *testing.B) {
	root := benchRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(root, ".", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	for _, o := range []Order{{ByName, false}, {BySize, true}, {ByTime, false}} {
		b.Run(keyNames[o.Key], func(b *testing.B) {
			entries := benchEntries()
			shuffled := slices.Clone(entries)
			b.ReportAllocs()
			for b.Loop() {
				copy(shuffled, entries)
				Sort(shuffled, o)
			}
		})
	}
}

func BenchmarkHTML(b *testing.B) {
	for _, suffix := range []string{"", " ü&"} {
		b.Run("suffix="+strings.TrimSpace(suffix), func(b *testing.B) {
			entries := benchEntries()
			for i := range entries {
				entries[i].Name += suffix
			}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendHTML(buf[:0], Page{Path: "/dir/", Entries: entries})
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	entries := benchEntries()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendJSON(buf[:0], entries)
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkListing is what a request costs before its response is sent.
func BenchmarkListing(b *testing.B) {
	root := benchRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		entries, err := Read(root, ".", nil)
		if err != nil {
			b.Fatal(err)
		}
		Sort(entries, Order{})
		AppendHTML(nil, Page{Path: "/dir/", Entries: entries})
	}
}
