package sinkbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pattern is n bytes that differ from block to block.
func pattern(n int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func tempSpill(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "spill"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func readAll(r *Reader) ([]byte, error) {
	var got []byte
	for {
		p, err := r.Next(0)
		got = append(got, p...)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

func TestReadersGetEveryByte(t *testing.T) {
	want := pattern(3<<maxShift + 12345)
	for _, tc := range []struct {
		name  string
		tail  int64
		spill bool
		size  int64
	}{
		{name: "all in memory", size: -1},
		{name: "all in memory, length known", size: int64(len(want))},
		{name: "tail in memory, rest on disk", tail: 1, spill: true, size: -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{Length: tc.size, Tail: tc.tail}
			if tc.spill {
				o.Spill = tempSpill(t)
			}
			s := NewStream("/x", o)
			var wg sync.WaitGroup
			for i := range 20 {
				off := int64(i) * 20011
				r, err := s.NewReader(t.Context(), off)
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer r.Close()
					got, err := readAll(r)
					if err != nil {
						t.Error(err)
					}
					if !bytes.Equal(got, want[off:]) {
						t.Errorf("reader %d: got %d bytes, want the %d from %d on", i, len(got), len(want)-int(off), off)
					}
				})
			}
			for p := want; len(p) > 0; {
				n := min(len(p), 1+rand.IntN(40000))
				if _, err := s.Write(p[:n]); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			s.Complete()
			if tc.spill {
				first, err := s.NewReader(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				s.Release(func() {})
				late, err := s.NewReader(t.Context(), 5)
				if err != nil {
					t.Fatal(err)
				}
				got, err := readAll(late)
				late.Close()
				if err != nil || !bytes.Equal(got, want[5:]) {
					t.Errorf("late reader: got %d bytes and %v, want %d", len(got), err, len(want)-5)
				}
			}
			wg.Wait()
		})
	}
}

func TestReadFromReadsIntoTheLog(t *testing.T) {
	want := pattern(300_001)
	s := NewStream("/x", Options{Length: -1, Tail: 1, Spill: tempSpill(t)})
	n, err := s.ReadFrom(io.LimitReader(bytes.NewReader(want), int64(len(want))))
	if err != nil || n != int64(len(want)) {
		t.Fatalf("got %d, %v, want %d", n, err, len(want))
	}
	r, err := s.NewReader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Complete()
	if got, err := readAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(want))
	}
}

func TestMemoryIsBoundedByTail(t *testing.T) {
	s := NewStream("/x", Options{Length: -1, Tail: 4 << maxShift, Spill: tempSpill(t)})
	p := make([]byte, 1<<maxShift)
	for range 100 {
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		var held int
		for i := range s.log.table.Load().slots {
			if s.log.table.Load().slots[i].Load() != nil {
				held++
			}
		}
		if held > 4 {
			t.Fatalf("got %d blocks in memory, want at most 4", held)
		}
	}
}

func TestReaderBehindBoundedTail(t *testing.T) {
	s := NewStream("/x", Options{Length: -1, Tail: 1})
	r, err := s.NewReader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := s.Write(make([]byte, 5<<maxShift)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(0); !errors.Is(err, ErrBehind) {
		t.Errorf("got %v, want ErrBehind", err)
	}
}

func TestAbortReachesReadersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the encoder died")
		s := NewStream("/x", Options{Length: -1})
		got := make(chan error, 2)
		for range 2 {
			go func() {
				r, err := s.NewReader(t.Context(), 0)
				if err != nil {
					got <- err
					return
				}
				defer r.Close()
				_, err = readAll(r)
				got <- err
			}()
		}
		synctest.Wait()
		s.Abort(reason)
		s.Complete() // too late
		for range 2 {
			if err := <-got; !errors.Is(err, reason) {
				t.Errorf("got %v, want %v", err, reason)
			}
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, reason) {
			t.Errorf("writer got %v, want %v", err, reason)
		}
	})
}

func TestReaderWaitsForContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStream("/x", Options{Length: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r, err := s.NewReader(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		start := time.Now()
		if _, err := r.Next(0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if got := time.Since(start); got != time.Hour {
			t.Errorf("got %v of waiting, want 1h", got)
		}
	})
}

// A stream that trickles to many readers must not wake each for every write,
// and the first write after a pause must not wait.
func TestWakeUpsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers, writes = 1000, 100
		s := NewStream("/x", Options{Length: -1})
		var first time.Duration
		var mu sync.Mutex
		var slices int
		start := time.Now()
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				r, err := s.NewReader(t.Context(), 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Close()
				for {
					_, err := r.Next(0)
					if err != nil {
						return
					}
					mu.Lock()
					if slices == 0 {
						first = time.Since(start)
					}
					slices++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		for range writes {
			if _, err := s.Write([]byte("0123456789")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // virtual
		}
		s.Complete()
		wg.Wait()
		if first != 0 {
			t.Errorf("got the first bytes after %v, want at once", first)
		}
		perReader := float64(slices) / readers
		if perReader > writes/5 {
			t.Errorf("got %.1f wake-ups a reader for %d writes in %v, want far fewer", perReader, writes, 100*time.Millisecond)
		}
	})
}

func TestWriteAtIsSeenByReadersNotYetThere(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
	}{
		{name: "memory", o: Options{Length: -1}},
		{name: "spill", o: Options{Length: -1, Tail: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.o.Tail > 0 {
				tc.o.Spill = tempSpill(t)
			}
			want := pattern(3<<maxShift + 100)
			s := NewStream("/x", tc.o)
			ahead, err := s.NewReader(t.Context(), int64(len(want)-10))
			if err != nil {
				t.Fatal(err)
			}
			defer ahead.Close()
			if _, err := s.Write(want); err != nil {
				t.Fatal(err)
			}
			if p, err := ahead.Next(1); err != nil || p[0] != want[len(want)-10] {
				t.Fatalf("got %v, %v", p, err)
			}
			for _, off := range []int{0, 1<<maxShift - 2, 2<<maxShift - 3, len(want) - 7} {
				p := []byte("patch")
				if off+len(p) > len(want) {
					t.Fatal("bad table")
				}
				copy(want[off:], p)
				if _, err := s.WriteAt(p, int64(off)); err != nil {
					t.Fatal(err)
				}
			}
			more := pattern(1000)
			want = append(want, more...)
			if _, err := s.Write(more); err != nil {
				t.Fatal(err)
			}
			if _, err := s.WriteAt([]byte("x"), s.Size()); err == nil {
				t.Error("got no error for a patch beyond the end")
			}
			s.Complete()
			got, err := readAll(ahead)
			if err != nil || !bytes.Equal(got, want[len(want)-1009:]) {
				t.Errorf("reader in the patched block: got %d bytes, %v", len(got), err)
			}
			r, err := s.NewReader(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := readAll(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, %v, want the patched %d", len(got), err, len(want))
			}
		})
	}
}

// Patches race with readers and appends; every slice must be one version.
func TestWriteAtWhileReading(t *testing.T) {
	s := NewStream("/x", Options{Length: -1})
	const n = 64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				r, err := s.NewReader(ctx, 0)
				if err != nil {
					t.Error(err)
					return
				}
				p, err := r.Next(n)
				if err == nil {
					for _, c := range p {
						if c != p[0] {
							t.Errorf("got a torn slice %q", p)
							break
						}
					}
				}
				r.Close()
			}
		})
	}
	if _, err := s.Write(bytes.Repeat([]byte{'a'}, n)); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if _, err := s.WriteAt(bytes.Repeat([]byte{'a' + byte(i%26)}, n), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("tail")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
}

func TestReleaseCallsIdleAfterTheLastReader(t *testing.T) {
	s := NewStream("/x", Options{Length: -1, Tail: 1, Spill: tempSpill(t)})
	r, err := s.NewReader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	s.Complete()
	idle := 0
	s.Release(func() { idle++ })
	if idle != 0 {
		t.Error("idle was called while a reader was open")
	}
	if got, err := readAll(r); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	r.Close()
	if idle != 1 {
		t.Errorf("got %d calls of idle, want 1", idle)
	}
	if _, err := s.NewReader(t.Context(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestClosedReadersDoNotGather(t *testing.T) {
	s := NewStream("/x", Options{Length: -1})
	for range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := s.NewReader(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := r.Next(0); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		s.waiting.push(&r.wait)
		r.Close()
	}
	if got := s.waiting.length.Load(); got > 100 {
		t.Errorf("got %d closed readers in the list, want few", got)
	}
}

func TestNoAllocationPerReaderAndWrite(t *testing.T) {
	s := NewStream("/x", Options{Length: -1, Tail: 1, Spill: tempSpill(t)})
	r, err := s.NewReader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := make([]byte, 1316)
	got := testing.AllocsPerRun(1000, func() {
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		for r.Buffered() > 0 {
			if _, err := r.Next(0); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got > 0.1 {
		t.Errorf("got %v allocations a write, want none", got)
	}
}

func TestBusFindsTheNewest(t *testing.T) {
	b := NewBus(BusOptions{})
	if b.Lookup("/a") != nil {
		t.Error("found a stream on an empty bus")
	}
	first := b.Open("/a", Options{Length: -1})
	second := b.Open("/a", Options{Length: -1})
	other := b.Open("/b", Options{Length: -1})
	if got := b.Lookup("/a"); got != second {
		t.Error("did not find the newest")
	}
	second.Abort(nil)
	if got := b.Lookup("/a"); got != first {
		t.Error("did not find the older one after the newest was aborted")
	}
	first.Complete()
	if b.Lookup("/a") != nil || b.Len() != 1 {
		t.Errorf("got %d streams, want 1", b.Len())
	}
	b.AbortAll(fmt.Errorf("going down"))
	if b.Len() != 0 || other.State() != Aborted {
		t.Error("the bus is not empty after AbortAll")
	}
}

// BenchmarkFanOut is one packet written and read by every reader. The writer
// waits for the readers after every 32 packets, as no real one would.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{1, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			const size = 1316
			s := NewStream("/x", Options{Length: -1, Tail: 64 << maxShift})
			var all sync.WaitGroup
			var received atomic.Int64
			for range readers {
				all.Go(func() {
					r, err := s.NewReader(b.Context(), 0)
					if err != nil {
						b.Error(err)
						return
					}
					defer r.Close()
					for {
						p, err := r.Next(0)
						if err != nil {
							return
						}
						received.Add(int64(len(p)))
					}
				})
			}
			p := make([]byte, size)
			b.SetBytes(size * int64(readers))
			b.ReportAllocs()
			for n := int64(1); b.Loop(); n++ {
				if _, err := s.Write(p); err != nil {
					b.Fatal(err)
				}
				if n%32 == 0 {
					s.waiting.wakeAll()
					for received.Load() < n*size*int64(readers) {
						runtime.Gosched()
					}
				}
			}
			s.Complete()
			all.Wait()
		})
	}
}

// BenchmarkWake is one write to readers that all wait for it, and their waking.
func BenchmarkWake(b *testing.B) {
	for _, readers := range []int{1, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			s := NewStream("/x", Options{Length: -1, Tail: 1, Spill: tempSpill(b)})
			var done, all sync.WaitGroup
			for range readers {
				all.Go(func() {
					r, err := s.NewReader(b.Context(), 0)
					if err != nil {
						b.Error(err)
						return
					}
					defer r.Close()
					for {
						if _, err := r.Next(0); err != nil {
							return
						}
						done.Done()
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				done.Add(readers)
				if _, err := s.Write([]byte("x")); err != nil {
					b.Fatal(err)
				}
				s.waiting.wakeAll()
				done.Wait()
			}
			s.Complete()
			all.Wait()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(readers), "ns/reader")
		})
	}
}
