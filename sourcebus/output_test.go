package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// manual is a producer that leaves producing to the test.
type manual struct{ many bool }

func (manual) Produce(ctx context.Context, _ *Input) error {
	<-ctx.Done()
	return nil
}
func (m manual) Many() bool { return m.many }

// newOutputRig returns an input whose streams the test opens, and an output of
// it that was not started. Both are stopped with the test.
func newOutputRig(t *testing.T, many bool, c Consumer) (*rig, *Output) {
	t.Helper()
	r := newRig(t, manual{many})
	r.follow.Close() // it would keep all bytes
	return r, r.output(c)
}

// output returns an output of the input that was not started.
func (r *rig) output(c Consumer) *Output {
	r.t.Helper()
	if m, ok := c.(caddy.Module); ok {
		if err := provision(m); err != nil {
			r.t.Fatalf("provisioning: %v", err)
		}
	}
	o := NewOutput(r.Input, OutputConfig{Input: r.Name}, c, sinkbus.NewFiles(), r.Logger)
	r.t.Cleanup(func() {
		if err := o.Destruct(); err != nil {
			r.t.Errorf("destructing: %v", err)
		}
	})
	return o
}

// open opens a stream of the input and writes to it. A length of -1 is not
// declared.
func (r *rig) open(name string, length int64, text string) *sinkbus.Stream {
	r.t.Helper()
	s, err := r.OpenLive(name, sinkbus.Declared{Length: length})
	if err != nil {
		r.t.Fatalf("opening %s: %v", name, err)
	}
	write(r.t, s, text)
	return s
}

// finish ends the input and waits until its output has ended.
func (r *rig) finish(o *Output) {
	r.t.Helper()
	r.CompleteAll()
	r.Close()
	r.await(o)
}

// await waits until an output has ended by itself.
func (r *rig) await(o *Output) {
	r.t.Helper()
	select {
	case <-o.Done():
	case <-r.ctx.Done():
		r.t.Fatalf("the output goes on:\n%s", r.logText())
	}
}

// consumerFunc is a function that is a Consumer.
type consumerFunc func(ctx context.Context, o *Output) error

func (f consumerFunc) Consume(ctx context.Context, o *Output) error { return f(ctx, o) }

// taker notes what is done, in its order.
type taker struct {
	release chan struct{} // Take waits for it, if it is not nil, after the stream
	did     chan string
}

func newTaker() *taker { return &taker{did: make(chan string, 100)} }

func (k *taker) Take(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader) (func(context.Context) error, error) {
	in, err := openRecording(ctx, s, r)
	if err != nil {
		return nil, err
	}
	defer in.close()
	first, err := in.next()
	if err != nil {
		return nil, err
	}
	text := string(first)
	if err := in.copy(ctx, new(strings.Builder), nil); err != nil {
		k.did <- "broken " + text
		return nil, err
	}
	k.did <- "taken " + text
	if k.release != nil && text == "slow" {
		<-k.release
	}
	return func(context.Context) error {
		k.did <- "finished " + text
		return nil
	}, nil
}

func (k *taker) Delete(_ context.Context, name string) error {
	k.did <- "deleted " + name
	return nil
}

// want checks what was done next, in that order.
func (k *taker) want(r *rig, want ...string) {
	r.t.Helper()
	for _, want := range want {
		select {
		case got := <-k.did:
			if got != want {
				r.t.Errorf("got %q, want %q", got, want)
			}
		case <-r.ctx.Done():
			r.t.Fatalf("waited for %q", want)
		}
	}
}

func TestOutputKeepsOrderOfName(t *testing.T) {
	k := newTaker()
	k.release = make(chan struct{})
	r, o := newOutputRig(t, true, consumerFunc(func(ctx context.Context, o *Output) error { return o.Each(ctx, k) }))
	o.Start()

	// one that was opened first and ends last is finished last
	long := r.open("/a", -1, "long")
	short := r.open("/a", -1, "short")
	short.Complete()
	k.want(r, "taken short", "finished short")
	long.Complete()
	k.want(r, "taken long", "finished long")

	// what comes after it waits for it, other names do not
	r.open("/a", -1, "slow").Complete()
	k.want(r, "taken slow")
	r.open("/a", -1, "next").Complete()
	k.want(r, "taken next")
	r.Delete("/a")
	r.open("/b", -1, "other").Complete()
	k.want(r, "taken other", "finished other")
	close(k.release)
	k.want(r, "finished slow", "finished next", "deleted /a")

	// a broken one holds nobody up
	r.open("/a", -1, "bad").Abort(nil)
	r.open("/a", -1, "good").Complete()
	r.finish(o)
	var rest []string
	for len(k.did) > 0 {
		rest = append(rest, <-k.did)
	}
	if got := strings.Join(rest, ", "); !strings.HasSuffix(got, "taken good, finished good") {
		t.Errorf("got %s", got)
	}
}

func TestOutputTakesWhatIsOpenAlready(t *testing.T) {
	k := newTaker()
	r, o := newOutputRig(t, true, consumerFunc(func(ctx context.Context, o *Output) error { return o.Each(ctx, k) }))
	s := r.open("/a", -1, "one")
	o.Start()
	o.Start() // does nothing
	s.Complete()
	k.want(r, "taken one", "finished one")
}

func TestOutputStopsInBetween(t *testing.T) {
	k := newTaker()
	r, o := newOutputRig(t, true, consumerFunc(func(ctx context.Context, o *Output) error { return o.Each(ctx, k) }))
	o.Start()
	r.open("/a", -1, "endless")
	r.open("/b", 100, "with a length")
	r.open("/c", -1, "complete").Complete()
	// the last one was seen, so the others were
	k.want(r, "taken complete", "finished complete")
	if err := o.Destruct(); err != nil {
		t.Error(err)
	}
	got := make(map[string]bool)
	for len(k.did) > 0 {
		got[<-k.did] = true
	}
	for _, want := range []string{"taken endless", "finished endless", "broken with a length"} {
		if !got[want] {
			t.Errorf("got %v, want %q", got, want)
		}
	}
	for _, s := range r.Streams() {
		if n := s.Readers(); n != 0 {
			t.Errorf("%s has %d readers, want none", s.Name, n)
		}
	}
	// there is no way back
	o.Start()
	if err := o.Destruct(); err != nil {
		t.Error(err)
	}
}

func TestOutputEndsWithError(t *testing.T) {
	r, o := newOutputRig(t, true, consumerFunc(func(context.Context, *Output) error { return errors.New("no such folder") }))
	o.Start()
	r.await(o)
	if got := fieldsOf(r.entries("output ended", 1)[0])["error"]; got != "no such folder" {
		t.Errorf("got error %v", got)
	}
	// nothing is kept for it
	s := r.open("/a", -1, "x")
	if n := s.Readers(); n != 0 {
		t.Errorf("got %d readers, want none", n)
	}
}

func TestOutputIsNotOverloaded(t *testing.T) {
	k := newTaker()
	k.did = make(chan string, 3*maxTaken)
	r, o := newOutputRig(t, true, consumerFunc(func(ctx context.Context, o *Output) error { return o.Each(ctx, k) }))
	o.Start()
	for i := range maxTaken + 2 {
		r.open(fmt.Sprintf("/%d", i), -1, "x")
	}
	r.entries("output is too busy", 2)
	r.finish(o)
	n := 0
	for len(k.did) > 0 {
		if <-k.did == "finished x" {
			n++
		}
	}
	if n != maxTaken {
		t.Errorf("got %d streams, want %d", n, maxTaken)
	}
}

func TestOutputGoesOnAfterLostEvents(t *testing.T) {
	k := newTaker()
	k.did = make(chan string, 1<<17)
	begin := make(chan struct{})
	r, o := newOutputRig(t, true, consumerFunc(func(ctx context.Context, o *Output) error {
		<-begin
		return o.Each(ctx, k)
	}))
	o.Start()
	for i := range 1<<16 + 1 {
		r.Delete(fmt.Sprintf("/%d", i))
	}
	before := r.open("/before", -1, "before")
	close(begin)
	r.entries("output fell behind", 1)
	eventually(t, "streams are taken again", func() bool {
		r.open("/a", -1, "found").Complete()
		for len(k.did) > 0 {
			if <-k.did == "finished found" {
				return true
			}
		}
		return false
	})
	if n := before.Readers(); n > 1 {
		t.Errorf("got %d readers of a stream that was open before, want at most one", n)
	}
}

func TestOutputKey(t *testing.T) {
	base := OutputConfig{Input: "radio", ConsumerRaw: []byte(`{"kind":"file","dir":"a"}`)}
	other := base
	other.ConsumerRaw = []byte(`{"kind":"file","dir":"b"}`)
	seen := make(map[string]bool)
	for _, in := range []string{"radio/1", "radio/2"} {
		for _, c := range []OutputConfig{base, other} {
			key, err := OutputKey(in, c)
			if err != nil {
				t.Fatal(err)
			}
			seen[key] = true
			if again, _ := OutputKey(in, c); again != key {
				t.Errorf("got %q and then %q", key, again)
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("got %d keys, want 4", len(seen))
	}
}
