package encoding

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"
)

var encodings = []Encoding{Zstd, Gzip, Deflate}

// decode undoes an encoding, with the standard library where it can.
func decode(t testing.TB, data []byte, e Encoding) []byte {
	t.Helper()
	var r io.Reader
	var err error
	switch e {
	case Zstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderMaxWindow(8<<20)); err == nil {
			defer d.Close()
			r = d
		}
	case Gzip:
		r, err = gzip.NewReader(bytes.NewReader(data))
	case Deflate:
		r, err = zlib.NewReader(bytes.NewReader(data))
	default:
		return data
	}
	if err != nil {
		t.Fatalf("%v: %v", e, err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%v: %v", e, err)
	}
	return out
}

// noise is content that no encoding makes smaller.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func manifest(n int) []byte {
	return []byte(strings.Repeat("#EXTINF:2.000,\nsegment.m4s\n", n/27+1)[:n])
}

// from returns a load function for content that counts its calls.
func from(content []byte, calls *atomic.Int32) func() ([]byte, error) {
	return func() ([]byte, error) {
		calls.Add(1)
		return content, nil
	}
}

func TestAppendRoundTrip(t *testing.T) {
	contents := map[string][]byte{
		"empty": {}, "one byte": []byte("a"), "text": manifest(50_000), "noise": noise(20_000), "large": bytes.Repeat(noise(100_000), 12),
	}
	for _, e := range append(encodings, Identity) {
		for name, content := range contents {
			t.Run(e.String()+"/"+name, func(t *testing.T) {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						out := Append([]byte("kept"), content, e)
						if !bytes.HasPrefix(out, []byte("kept")) {
							t.Errorf("got %.10q, want the buffer's content first", out)
						} else if got := decode(t, out[len("kept"):], e); !bytes.Equal(got, content) {
							t.Errorf("got %d other bytes, want the %d of the source", len(got), len(content))
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

func TestCacheKeepsOneResultPerVersion(t *testing.T) {
	cache := NewCache(1 << 20)
	content := manifest(5000)
	base := Key{Path: "/x.mpd", ModTime: 1, Size: int64(len(content)), Encoding: Gzip}
	later, other, coded := base, base, base
	later.ModTime = 2
	other.Path = "/y.mpd"
	coded.Encoding = Zstd
	for _, key := range []Key{base, later, other, coded} {
		var calls atomic.Int32
		for range 3 {
			out, ok, err := cache.Get(key, from(content, &calls))
			if err != nil || !ok {
				t.Fatalf("%v: got ok %v and error %v, want a result", key, ok, err)
			}
			if got := decode(t, out, key.Encoding); !bytes.Equal(got, content) {
				t.Errorf("%v: got other content", key)
			}
		}
		if got := calls.Load(); got != 1 {
			t.Errorf("%v: got %d loads, want 1", key, got)
		}
	}
	if got := cache.Len(); got != 4 {
		t.Errorf("got %d entries, want 4", got)
	}
}

// TestCacheCompressesOnceForConcurrentCallers has all callers wait for the same
// load; nothing is kept, so none can have found a result.
func TestCacheCompressesOnceForConcurrentCallers(t *testing.T) {
	zstdEncoder() // its channels must not belong to the bubble
	for _, e := range encodings {
		synctest.Test(t, func(t *testing.T) {
			cache := NewCache(0)
			content := manifest(40_000)
			key := Key{Path: "/x", Size: int64(len(content)), Encoding: e}
			var calls, good atomic.Int32
			release := make(chan struct{})
			for range 50 {
				go func() {
					out, ok, err := cache.Get(key, func() ([]byte, error) {
						calls.Add(1)
						<-release
						return content, nil
					})
					if err == nil && ok && bytes.Equal(decode(t, out, e), content) {
						good.Add(1)
					}
				}()
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
			if calls.Load() != 1 || good.Load() != 50 {
				t.Errorf("%v: got %d loads and %d good results, want 1 and 50", e, calls.Load(), good.Load())
			}
		})
	}
}

func TestCacheOnceUnderRace(t *testing.T) {
	cache := NewCache(10 << 20)
	content := manifest(20_000)
	var calls [20]atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for i := range calls {
				key := Key{Path: "/x", ModTime: int64(i), Size: int64(len(content)), Encoding: encodings[i%3]}
				if _, ok, err := cache.Get(key, from(content, &calls[i])); !ok || err != nil {
					t.Errorf("got ok %v and error %v, want a result", ok, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range calls {
		if got := calls[i].Load(); got != 1 {
			t.Errorf("version %d: got %d loads, want 1", i, got)
		}
	}
}

func TestCacheHoldsItsBound(t *testing.T) {
	const bound = 64 << 10
	cache := NewCache(bound)
	half := append(noise(6000), make([]byte, 6000)...) // becomes about 6000 bytes
	var calls atomic.Int32
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				key := Key{Path: fmt.Sprintf("/%d/%d", g, i), Size: int64(len(half)), Encoding: Gzip}
				if _, ok, err := cache.Get(key, from(half, &calls)); !ok || err != nil {
					t.Errorf("got ok %v and error %v, want a result", ok, err)
				}
				if got := cache.Size(); got > bound {
					t.Errorf("got %d bytes, want at most %d", got, bound)
				}
			}
		})
	}
	wg.Wait()
	if got := cache.Len(); got < 8 || got > 10 {
		t.Errorf("got %d entries, want the 10 that fit", got)
	}
	var sum int64
	for _, key := range cache.lru.Keys() {
		out, _ := cache.lru.Peek(key)
		sum += cost(key, out)
	}
	if got := cache.Size(); got != sum {
		t.Errorf("got a size of %d, want %d", got, sum)
	}
}

func TestCacheEvictsTheLeastRecentlyUsed(t *testing.T) {
	content := manifest(3000)
	var calls atomic.Int32
	get := func(c *Cache, path string) {
		if _, ok, err := c.Get(Key{Path: path, Size: 3000, Encoding: Gzip}, from(content, &calls)); !ok || err != nil {
			t.Fatalf("got ok %v and error %v, want a result", ok, err)
		}
	}
	probe := NewCache(1 << 20)
	get(probe, "/a")
	cache := NewCache(2 * probe.Size())
	calls.Store(0)
	for _, path := range []string{"/a", "/b", "/a", "/c", "/a", "/b"} { // c evicts b, b evicts c
		get(cache, path)
	}
	if got := calls.Load(); got != 4 {
		t.Errorf("got %d loads, want 4", got)
	}
	if got := cache.Len(); got != 2 {
		t.Errorf("got %d entries, want 2", got)
	}
}

func TestCacheRemembersWhatDoesNotShrink(t *testing.T) {
	for _, content := range [][]byte{noise(4000), {}, []byte("short")} {
		for _, e := range encodings {
			cache := NewCache(1 << 20)
			key := Key{Path: "/x", Size: int64(len(content)), Encoding: e}
			var calls atomic.Int32
			for range 3 {
				out, ok, err := cache.Get(key, from(content, &calls))
				if out != nil || ok || err != nil {
					t.Errorf("%v: got %d bytes, ok %v and error %v, want none of them", e, len(out), ok, err)
				}
			}
			if got := calls.Load(); got != 1 {
				t.Errorf("%v: got %d loads, want 1", e, got)
			}
			if got := cache.Size(); got != cost(key, nil) {
				t.Errorf("%v: got %d bytes, want %d", e, got, cost(key, nil))
			}
		}
	}
}

func TestCacheKeepsNothingOf(t *testing.T) {
	broken := errors.New("broken")
	content := manifest(1000)
	tests := []struct {
		name    string
		max     int64
		key     Key
		load    func() ([]byte, error)
		wantOK  bool
		wantErr error
		calls   int32
	}{
		{"an error", 1 << 20, Key{Size: 1000, Encoding: Gzip}, func() ([]byte, error) { return nil, broken }, false, broken, 2},
		{"a file that grew", 1 << 20, Key{Size: 999, Encoding: Gzip}, func() ([]byte, error) { return content, nil }, false, nil, 2},
		{"a file that shrank", 1 << 20, Key{Size: 1001, Encoding: Gzip}, func() ([]byte, error) { return content, nil }, false, nil, 2},
		{"what is larger than the cache", 50, Key{Size: 1000, Encoding: Gzip}, func() ([]byte, error) { return content, nil }, true, nil, 2},
		{"anything, when it is off", -1, Key{Size: 1000, Encoding: Zstd}, func() ([]byte, error) { return content, nil }, true, nil, 2},
		{"identity", 1 << 20, Key{Size: 1000}, func() ([]byte, error) { return content, nil }, false, nil, 0},
		{"an unknown encoding", 1 << 20, Key{Size: 1000, Encoding: 77}, func() ([]byte, error) { return content, nil }, false, nil, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			cache := NewCache(tc.max)
			var calls int32
			for range 2 {
				out, ok, err := cache.Get(tc.key, func() ([]byte, error) { calls++; return tc.load() })
				if ok != tc.wantOK || (out != nil) != tc.wantOK || !errors.Is(err, tc.wantErr) {
					t.Errorf("got ok %v and error %v, want %v and %v", ok, err, tc.wantOK, tc.wantErr)
				}
			}
			if calls != tc.calls || cache.Len() != 0 || cache.Size() != 0 {
				t.Errorf("got %d loads, %d entries and %d bytes, want %d, 0 and 0", calls, cache.Len(), cache.Size(), tc.calls)
			}
		})
	}
}

func TestCacheHitDoesNotAllocate(t *testing.T) {
	cache := NewCache(1 << 20)
	content := manifest(1000)
	key := Key{Path: "/x.mpd", Size: 1000, Encoding: Gzip}
	load := func() ([]byte, error) { return content, nil }
	if got := testing.AllocsPerRun(100, func() { cache.Get(key, load) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	cache := NewCache(1 << 20)
	content := manifest(1000)
	key := Key{Path: "/x.mpd", Size: 1000, Encoding: Gzip}
	load := func() ([]byte, error) { return content, nil }
	b.ReportAllocs()
	for b.Loop() {
		cache.Get(key, load)
	}
}

func BenchmarkAppend(b *testing.B) {
	content := manifest(50_000)
	for _, e := range encodings {
		b.Run(e.String(), func(b *testing.B) {
			var buf []byte
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				buf = Append(buf[:0], content, e)
			}
		})
	}
}
