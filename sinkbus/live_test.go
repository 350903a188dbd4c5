package sinkbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lineFramer takes lines for units. A reader may join at one that begins with
// "J", after a header that begins with "H".
type lineFramer struct {
	loose  bool
	off    int64
	middle bool
	header []byte
	line   []byte
}

func (f *lineFramer) Scan(p []byte, boundary func(int64, bool)) {
	for _, c := range p {
		if !f.middle {
			boundary(f.off, c == 'J')
			f.line = f.line[:0]
		}
		f.line = append(f.line, c)
		f.off++
		f.middle = c != '\n'
		if !f.middle && f.line[0] == 'H' {
			f.header = bytes.Clone(f.line)
		}
	}
}

func (f *lineFramer) Header() []byte { return f.header }

func (f *lineFramer) Info() Info {
	return Info{MediaType: "text/plain", Loose: f.loose, SampleRate: 44100}
}

func openLive(t testing.TB, f Framer) *Stream {
	t.Helper()
	b := NewBus(BusOptions{NewFramer: func(string, string) Framer {
		if f == nil {
			return nil
		}
		return f
	}})
	s, err := b.OpenLive("/live", Declared{Length: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func join(t testing.TB, s *Stream, o JoinOptions) *LiveReader {
	t.Helper()
	r, err := s.Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// available reads what there is without waiting.
func available(t testing.TB, r *LiveReader) string {
	t.Helper()
	var b strings.Builder
	for {
		p, err := r.TryNext(0)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		if len(p) == 0 {
			return b.String()
		}
		b.Write(p)
	}
}

func TestJoinBeginsWithHeaderAndJoinPoint(t *testing.T) {
	s := openLive(t, &lineFramer{})
	early := join(t, s, JoinOptions{})
	if got := available(t, early); got != "" {
		t.Errorf("before anything was written: got %q", got)
	}
	io.WriteString(s, "Head\nx\n")
	if got, want := available(t, early), "Head\nx\n"; got != want {
		t.Errorf("before the first join point: got %q, want %q", got, want)
	}
	second := join(t, s, JoinOptions{})
	io.WriteString(s, "J1\ny\nJ2")
	if got, want := available(t, early), "J1\ny\nJ2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := available(t, second), "Head\nx\nJ1\ny\nJ2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	late := join(t, s, JoinOptions{})
	io.WriteString(s, "\nz\n")
	if got, want := available(t, late), "Head\nJ2\nz\n"; got != want {
		t.Errorf("late: got %q, want %q", got, want)
	}
	if got, want := available(t, early), "\nz\n"; got != want {
		t.Errorf("early: got %q, want %q", got, want)
	}
	waited := join(t, s, JoinOptions{Start: true})
	if got, want := available(t, waited), "Head\nx\nJ1\ny\nJ2\nz\n"; got != want {
		t.Errorf("from the start: got %q, want %q", got, want)
	}
	s.Complete()
	if _, err := late.Next(0); err != io.EOF {
		t.Errorf("at the end: got %v, want EOF", err)
	}
}

// TestNextStreamBeginsAtItsFirstJoinPoint has a reader go on with a stream that
// begins with something else.
func TestNextStreamBeginsAtItsFirstJoinPoint(t *testing.T) {
	for _, tc := range []struct {
		name   string
		framer Framer
		writes []string
		want   string
	}{
		{"known later", &lineFramer{loose: true}, []string{"tag\n", "x\n", "J1\nJ2\n"}, "J1\nJ2\n"},
		{"with a header", &lineFramer{loose: true}, []string{"tag\nHead\nJ1\n", "J2\n"}, "Head\nJ1\nJ2\n"},
		{"of no format", nil, []string{"tag\n", "J1\n"}, "tag\nJ1\n"},
		{"too short to tell", &lineFramer{loose: true}, []string{"tag\n"}, "tag\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openLive(t, tc.framer)
			r := join(t, s, JoinOptions{Next: true})
			var got strings.Builder
			for _, p := range tc.writes {
				io.WriteString(s, p)
				got.WriteString(available(t, r))
			}
			s.Complete()
			for {
				p, err := r.Next(0)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got.Write(p)
			}
			if got.String() != tc.want {
				t.Errorf("got %q, want %q", got.String(), tc.want)
			}
		})
	}
}

// TestJoinWhileTheFirstBytesCome has a reader wait for the first join point, which
// comes with all bytes that there are.
func TestJoinWhileTheFirstBytesCome(t *testing.T) {
	const text = "tag\nJ1\nJ2\n"
	for range 3000 {
		s := openLive(t, &lineFramer{loose: true})
		r, err := s.Join(t.Context(), JoinOptions{Next: true})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { io.WriteString(s, text) })
		var got []byte
		for len(got) < len("J1\nJ2\n") {
			p, err := r.Next(0) // the test hangs here if it misses the join point
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		if string(got) != "J1\nJ2\n" {
			t.Fatalf("got %q", got)
		}
		wg.Wait()
		r.Close()
		s.Complete()
	}
}

func TestJoinAnywhereWithoutFramer(t *testing.T) {
	s := openLive(t, nil)
	io.WriteString(s, "before")
	r := join(t, s, JoinOptions{})
	if got := available(t, r); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	io.WriteString(s, "after")
	if got, want := available(t, r), "after"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestJoinWithoutJoinPoints has readers come to a stream in which a framer never
// finds what it looks for.
func TestJoinWithoutJoinPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openLive(t, &lineFramer{})
		line := strings.Repeat("x", 999) + "\n"
		for s.Size() < 2<<20 {
			time.Sleep(10 * time.Millisecond)
			r, err := s.Join(t.Context(), JoinOptions{MaxLag: 1000})
			if err != nil {
				t.Fatal(err)
			}
			before := s.Size()
			io.WriteString(s, line)
			want := int(s.Size()) // all there is, at first
			switch {
			case before > unframedAfter:
				want = len(line)
			case s.Size() > unframedAfter:
				want = 0 // so many that the reader is moved ahead
			}
			if got := available(t, r); len(got) != want && before > 0 {
				t.Fatalf("at %d: got %d bytes, want %d", before, len(got), want)
			}
			r.Close()
		}
	})
}

// TestJoinPointStaysInMemory writes much more than a tail after the only join
// point.
func TestJoinPointStaysInMemory(t *testing.T) {
	synctest.Test(t, testJoinPointStaysInMemory)
}

func testJoinPointStaysInMemory(t *testing.T) {
	s := openLive(t, &lineFramer{})
	io.WriteString(s, "Head\nJ\n")
	line := strings.Repeat("x", 9999) + "\n"
	var want strings.Builder
	want.WriteString("Head\nJ\n")
	for range 200 {
		time.Sleep(100 * time.Millisecond)
		io.WriteString(s, line)
		want.WriteString(line)
	}
	if got := available(t, join(t, s, JoinOptions{})); got != want.String() {
		t.Errorf("got %d bytes, want %d", len(got), want.Len())
	}
	io.WriteString(s, "J\n")
	for range 40 {
		time.Sleep(100 * time.Millisecond)
		io.WriteString(s, line)
	}
	if start := s.log.start.Load(); start < 1<<20 {
		t.Errorf("memory begins at %d, want what is not needed to be gone", start)
	}
}

func TestSlowReaderIsMovedToAJoinPoint(t *testing.T) {
	for _, loose := range []bool{false, true} {
		t.Run(fmt.Sprintf("loose=%v", loose), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openLive(t, &lineFramer{loose: loose})
				io.WriteString(s, "Head\nJ0\n")
				r := join(t, s, JoinOptions{MaxLag: 1000})
				if got, want := available(t, r), "Head\nJ0\n"; got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				line := strings.Repeat("x", 99) + "\n"
				for range 20 { // two seconds
					time.Sleep(100 * time.Millisecond)
					io.WriteString(s, line)
				}
				// half way through a unit
				p, err := r.Next(50)
				if err != nil || len(p) != 50 {
					t.Fatalf("got %d bytes, %v", len(p), err)
				}
				time.Sleep(100 * time.Millisecond)
				io.WriteString(s, "J1\n")
				time.Sleep(600 * time.Millisecond)
				for range 12 {
					time.Sleep(100 * time.Millisecond)
					io.WriteString(s, line)
				}
				got := available(t, r)
				want := "J1\n" + strings.Repeat(line, 12)
				if !loose {
					want = line[50:] + want
				}
				if got != want {
					t.Errorf("got %d bytes that begin with %.120q, want %d", len(got), got, len(want))
				}
				if times, n := r.Skips(); times != 1 || n < 1800 {
					t.Errorf("got %d skips of %d bytes", times, n)
				}
				if times, _ := s.Skips(); times != 1 {
					t.Errorf("the stream counts %d skips", times)
				}
			})
		})
	}
}

func TestBurstDoesNotMoveAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openLive(t, &lineFramer{loose: true})
		io.WriteString(s, "J0\n")
		r := join(t, s, JoinOptions{MaxLag: 10})
		available(t, r)
		time.Sleep(10 * time.Second)
		burst := strings.Repeat("J"+strings.Repeat("x", 9998)+"\n", 300)
		for _, size := range []int{len(burst), 1000} { // in one write, and in many at once
			for p := burst; len(p) > 0; {
				n := min(size, len(p))
				io.WriteString(s, p[:n])
				p = p[n:]
			}
			if got := available(t, r); got != burst {
				t.Errorf("writes of %d: got %d bytes, want all %d", size, len(got), len(burst))
			}
			time.Sleep(10 * time.Second)
		}
	})
}

func TestWholeReaderGetsEveryByte(t *testing.T) {
	synctest.Test(t, testWholeReaderGetsEveryByte)
}

func testWholeReaderGetsEveryByte(t *testing.T) {
	b := NewBus(BusOptions{})
	f := b.Follow(true)
	defer f.Close()
	s, err := b.OpenLive("/x", Declared{Length: -1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.Next(t.Context())
	if err != nil || e.Kind != Opened || e.Reader == nil {
		t.Fatalf("got %v, %v", e, err)
	}
	var want bytes.Buffer
	piece := make([]byte, 70_000)
	for i := range 100 { // 7 MB, of which memory holds far less
		for j := range piece {
			piece[j] = byte(i + j*7)
		}
		want.Write(piece)
		time.Sleep(100 * time.Millisecond)
		if _, err := s.Write(piece); err != nil {
			t.Fatal(err)
		}
		if i == 50 { // one that comes and goes, while the other stays behind
			r, err := s.NewWholeReader(t.Context(), s.Size(), 0)
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
	}
	if s.overflown == nil {
		t.Error("nothing went to disk")
	}
	s.Complete()
	var got bytes.Buffer
	for {
		p, err := e.Reader.Next(0)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got.Write(p)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("got %d bytes, want %d, or others", got.Len(), want.Len())
	}
	e.Reader.Close()
	if s.overflown != nil {
		t.Error("the file is still open")
	}
}

// TestWholeReaderAfterAGap reads what is written after a time in which nobody
// wanted the bytes.
func TestWholeReaderAfterAGap(t *testing.T) {
	synctest.Test(t, testWholeReaderAfterAGap)
}

func testWholeReaderAfterAGap(t *testing.T) {
	b := NewBus(BusOptions{})
	s, err := b.OpenLive("/x", Declared{Length: -1})
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	write := func(n int) {
		for range n {
			time.Sleep(100 * time.Millisecond)
			s.Write(piece)
		}
	}
	for range 3 {
		write(100)
		r, err := s.NewWholeReader(t.Context(), s.Size(), 0)
		if err != nil {
			t.Fatal(err)
		}
		from := s.Size()
		write(100)
		var got int64
		for got < s.Size()-from {
			p, err := r.Next(0)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range p {
				if c != piece[(from+got+int64(i))%int64(len(piece))] {
					t.Fatalf("wrong byte at %d", from+got+int64(i))
				}
			}
			got += int64(len(p))
		}
		r.Close()
	}
	s.Abort(nil)
}

func TestBlockingReaderHoldsTheWriter(t *testing.T) {
	s := openLive(t, nil)
	r := join(t, s, JoinOptions{MaxLag: 1000, Block: true})
	available(t, r) // joins
	const total = 200_000
	var wg sync.WaitGroup
	wg.Go(func() {
		for range total / 100 {
			if _, err := s.Write(make([]byte, 100)); err != nil {
				t.Error(err)
			}
			if lag := s.Size() - r.r.claim.at.Load(); lag > 1100 {
				t.Errorf("the writer is %d bytes ahead", lag)
			}
		}
		s.Complete()
	})
	got := 0
	for {
		p, err := r.Next(70)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += len(p)
	}
	wg.Wait()
	if got != total {
		t.Errorf("got %d bytes, want %d", got, total)
	}

	// a writer that waits goes on when the reader leaves, or the stream ends
	s = openLive(t, nil)
	r = join(t, s, JoinOptions{MaxLag: 10, Block: true})
	available(t, r)
	wg.Go(func() {
		if _, err := s.Write(make([]byte, 100)); err != nil {
			t.Error(err)
		}
		if _, err := s.Write(make([]byte, 100)); err != nil {
			t.Error(err)
		}
	})
	for s.Size() == 0 {
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	wg.Wait()
	r = join(t, s, JoinOptions{MaxLag: 10, Block: true})
	available(t, r)
	io.WriteString(s, "0123456789")
	wg.Go(func() {
		if _, err := s.Write([]byte("x")); !errors.Is(err, ErrAborted) {
			t.Errorf("got %v, want the reason", err)
		}
	})
	s.Abort(nil)
	wg.Wait()
}

func TestKnownPutsDeclaredFirst(t *testing.T) {
	b := NewBus(BusOptions{
		Properties: Properties{ServiceName: "Radio", Meta: map[string]string{"ice-genre": "jazz"}},
		NewFramer:  func(string, string) Framer { return &lineFramer{} },
	})
	s, err := b.OpenLive("/x", Declared{Length: -1, Properties: Properties{
		ServiceName: "other", Channels: 2, Meta: map[string]string{"ice-genre": "rock", "ice-url": "u"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "J\n")
	got := fmt.Sprintf("%+v", s.Known())
	want := "{ServiceName:Radio SampleRate:44100 Channels:2 Bitrate:0 Width:0 Height:0 Meta:map[ice-genre:jazz ice-url:u]}"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFollowersSeeEveryEvent(t *testing.T) {
	b := NewBus(BusOptions{})
	open := func(name string) *Stream {
		s, err := b.OpenLive(name, Declared{Length: -1})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open("/first")
	f := b.Follow(false)
	defer f.Close()
	changed := b.Changed()
	a, again := open("/a"), open("/a")
	select {
	case <-changed:
	default:
		t.Error("no change was told")
	}
	a.Complete()
	again.Abort(nil)
	again.Complete() // does nothing
	b.Delete("/a")
	b.Close()
	b.Delete("/a") // does nothing
	if _, err := b.OpenLive("/late", Declared{}); !errors.Is(err, ErrOver) {
		t.Errorf("opening after the end: got %v", err)
	}
	<-b.Over()
	<-b.Changed()
	want := []string{"opened /first", "opened /a", "opened /a", "completed /a", "aborted /a", "deleted /a"}
	for _, w := range want {
		e, err := f.Next(t.Context())
		if got := fmt.Sprintf("%s %s", e.Kind, e.Name); err != nil || got != w {
			t.Errorf("got %s (%v), want %s", got, err, w)
		}
	}
	if _, err := f.Next(t.Context()); err != io.EOF {
		t.Errorf("at the end: got %v, want EOF", err)
	}
	if s := b.Newest(func(*Stream) bool { return true }); s != first {
		t.Errorf("the newest is %v", s)
	}
	late := b.Follow(false)
	defer late.Close()
	if e, err := late.Next(t.Context()); err != nil || e.Stream != first {
		t.Errorf("after the end: got %v, %v", e, err)
	}
	if _, err := late.Next(t.Context()); err != io.EOF {
		t.Errorf("at the end: got %v, want EOF", err)
	}
}

func TestFollowerWaitsAndIsBounded(t *testing.T) {
	b := NewBus(BusOptions{})
	f := b.Follow(true)
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := f.Next(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	for range maxEvents + 2 {
		b.Delete("/x")
	}
	for range maxEvents {
		if _, err := f.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Next(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
}

func TestHoldUntilRelease(t *testing.T) {
	b := NewBus(BusOptions{})
	if err := b.Await(t.Context()); err != nil {
		t.Errorf("without hold: %v", err)
	}
	b.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	done := make(chan error)
	go func() { done <- b.Await(t.Context()) }()
	b.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.Hold() // too late
	if err := b.Await(t.Context()); err != nil {
		t.Error(err)
	}
}
