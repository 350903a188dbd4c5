package sourcebus

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// sharedProducer is a Pipe that reads something else than standard input.
type sharedProducer struct{ r *sharedReader }

func (p sharedProducer) Produce(ctx context.Context, in *Input) error {
	return produceShared(ctx, in, p.r)
}
func (sharedProducer) Many() bool { return false }

func TestStdinIsReadOnce(t *testing.T) {
	pr, pw := io.Pipe()
	shared := newSharedReader(pr)
	r := newRig(t, sharedProducer{shared})
	r.Start()
	write := func(text string) {
		if _, err := io.WriteString(pw, text); err != nil {
			t.Error(err)
		}
	}
	write("some\n")
	e := r.next(sinkbus.Opened)
	defer e.Reader.Close()
	write("more\n")
	pw.Close()
	if got := string(r.drain(e.Reader)); got != "some\nmore\n" {
		t.Errorf("got %q", got)
	}
	r.next(sinkbus.Completed)
	r.over()

	// who comes later finds it at its end
	r = newRig(t, sharedProducer{shared})
	r.Start()
	r.over()
}

func TestStdinPassesFromInputToInput(t *testing.T) {
	pr, pw := io.Pipe()
	shared := newSharedReader(pr)
	defer pw.Close()
	one := newRig(t, sharedProducer{shared})
	one.Start()
	if _, err := io.WriteString(pw, "one\n"); err != nil {
		t.Fatal(err)
	}
	e := one.next(sinkbus.Opened)
	defer e.Reader.Close()

	two := newRig(t, sharedProducer{shared})
	two.Start()
	two.entries("waiting for another input that reads standard input", 1)
	if got := one.line(e.Reader); got != "one" {
		t.Errorf("got %q", got)
	}
	one.stop() // while it waits for more

	for _, text := range []string{"two\n", "three\n"} {
		if _, err := io.WriteString(pw, text); err != nil {
			t.Fatal(err)
		}
	}
	second := two.next(sinkbus.Opened)
	defer second.Reader.Close()
	for _, want := range []string{"two", "three"} {
		if got := two.line(second.Reader); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := string(one.drain(e.Reader)); got != "" {
		t.Errorf("got %q on the first input, want nothing more", got)
	}

	// and one that is stopped before its turn
	three := newRig(t, sharedProducer{shared})
	three.Start()
	three.entries("waiting for another input that reads standard input", 1)
	three.stop()
	pw.Close()
	two.next(sinkbus.Completed)
}

func TestStdinError(t *testing.T) {
	pr, pw := io.Pipe()
	r := newRig(t, sharedProducer{newSharedReader(pr)})
	r.Start()
	if _, err := io.WriteString(pw, "x"); err != nil {
		t.Fatal(err)
	}
	pw.CloseWithError(errors.New("bad disk"))
	r.whole(sinkbus.Broken)
	r.over()
}

func TestSharedReaderLosesNothing(t *testing.T) {
	checkLeaks(t)
	pr, pw := io.Pipe()
	go func() {
		for i := range 256 {
			for range 10 {
				pw.Write([]byte{byte(i)})
			}
		}
		pw.Close()
	}()
	shared := newSharedReader(pr)
	var got []byte
	for buf := make([]byte, 7); ; {
		ctx, cancel := context.WithCancel(t.Context())
		if err := shared.acquire(ctx, func() {}); err != nil {
			t.Fatal(err)
		}
		if len(got)%3 == 0 {
			cancel() // may be given up, or not
		}
		n, err := shared.read(ctx, buf[:1+len(got)%7])
		got = append(got, buf[:n]...)
		shared.free()
		cancel()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if errors.Is(err, context.Canceled) {
			ctx, cancel := context.WithCancel(t.Context())
			if err := shared.acquire(ctx, func() {}); err != nil {
				t.Fatal(err)
			}
			n, err := shared.read(ctx, buf[:1])
			got = append(got, buf[:n]...)
			shared.free()
			cancel()
			if errors.Is(err, io.EOF) {
				break
			}
		}
	}
	if len(got) != 2560 {
		t.Fatalf("got %d bytes, want 2560", len(got))
	}
	for i, b := range got {
		if b != byte(i/10) {
			t.Fatalf("got %d at %d, want %d", b, i, i/10)
		}
	}
}
