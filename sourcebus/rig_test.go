package sourcebus

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// patience is how long tests wait for what must come.
const patience = 20 * time.Second

// rig is an input under test, with its log and what follows its bus.
type rig struct {
	*Input
	t      *testing.T
	ctx    context.Context // ends when the test has waited for too long
	logs   *observer.ObservedLogs
	logged chan struct{} // has a token when there is something new
	follow *sinkbus.Follower
}

// newRig returns an input that was not started, of a producer that was
// provisioned. It is stopped with the test.
func newRig(t *testing.T, p Producer) *rig {
	t.Helper()
	checkLeaks(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, logged: make(chan struct{}, 1)}
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	logger := zap.New(zapcore.RegisterHooks(core, func(zapcore.Entry) error {
		select {
		case r.logged <- struct{}{}:
		default:
		}
		return nil
	}))
	if p, ok := p.(caddy.Provisioner); ok {
		if err := p.Provision(caddy.Context{Context: ctx}); err != nil {
			t.Fatalf("provisioning: %v", err)
		}
	}
	r.Input = New("radio", Config{}, p, logger)
	r.follow = r.Follow(true)
	t.Cleanup(func() {
		if err := r.Destruct(); err != nil {
			t.Errorf("destructing: %v", err)
		}
		r.follow.Close()
	})
	return r
}

// stop ends the input and checks that this takes less than the 3 seconds in
// which the whole server has to exit.
func (r *rig) stop() {
	r.t.Helper()
	began := time.Now()
	if err := r.Destruct(); err != nil {
		r.t.Errorf("destructing: %v", err)
	}
	if d := time.Since(began); d > 2900*time.Millisecond {
		r.t.Errorf("stopping took %s, want less than 2.9s", d)
	}
}

// next returns the next event, which must be of the given kind.
func (r *rig) next(kind sinkbus.EventKind) sinkbus.Event {
	r.t.Helper()
	e, err := r.follow.Next(r.ctx)
	if err != nil {
		r.t.Fatalf("waiting for %s: %v\n%s", kind, err, r.logText())
	}
	if e.Kind != kind {
		r.t.Fatalf("got %s, want %s", e.Kind, kind)
	}
	return e
}

// over checks that the input is over, with no more events.
func (r *rig) over() {
	r.t.Helper()
	if e, err := r.follow.Next(r.ctx); !errors.Is(err, io.EOF) {
		r.t.Fatalf("got event %v and error %v, want the end of the input", e, err)
	}
}

// whole returns all bytes of a stream that is opened next, and how it ends. It
// checks that the stream is on the bus under the input's name.
func (r *rig) whole(end sinkbus.EventKind) string {
	r.t.Helper()
	e := r.next(sinkbus.Opened)
	if e.Name != "/radio" {
		r.t.Errorf("got stream %q, want /radio", e.Name)
	}
	defer e.Reader.Close()
	var content []byte
	if end == sinkbus.Completed {
		content = r.drain(e.Reader)
	}
	if got := r.next(end); got.Stream != e.Stream {
		r.t.Error("another stream has ended")
	}
	return string(content)
}

// drain returns all that comes from a reader.
func (r *rig) drain(reader *sinkbus.Reader) []byte {
	r.t.Helper()
	var content []byte
	for {
		p, err := reader.Next(0)
		content = append(content, p...)
		if errors.Is(err, io.EOF) {
			return content
		}
		if err != nil {
			r.t.Fatalf("reading the stream: %v", err)
		}
	}
}

// line returns the next line from a reader, without its end.
func (r *rig) line(reader *sinkbus.Reader) string {
	r.t.Helper()
	var line []byte
	for {
		p, err := reader.Next(1)
		if err != nil {
			r.t.Fatalf("reading a line after %q: %v", line, err)
		}
		if p[0] == '\n' {
			return string(line)
		}
		line = append(line, p...)
	}
}

// entries waits until n entries with the message are logged, and returns all of
// them.
func (r *rig) entries(message string, n int) []observer.LoggedEntry {
	r.t.Helper()
	for {
		if found := r.logs.FilterMessage(message).All(); len(found) >= n {
			return found
		}
		select {
		case <-r.logged:
		case <-r.ctx.Done():
			r.t.Fatalf("got too few of %q, want %d:\n%s", message, n, r.logText())
		}
	}
}

func (r *rig) logText() string {
	var text []byte
	for _, e := range r.logs.All() {
		text = append(text, e.Level.String()+" "+e.Message...)
		for _, f := range e.Context {
			if f.Key == "line" || f.Key == "status" {
				text = append(text, " "+f.Key+"="+f.String...)
			}
			if err, ok := f.Interface.(error); ok {
				text = append(text, " error="+err.Error()...)
			}
		}
		text = append(text, '\n')
	}
	return string(text)
}

// eventually waits until a condition holds for which there is no notification.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// checkLeaks checks, when the test and what it cleans up is over, that there are
// no more goroutines and descriptors than before it, and no children that were
// not waited for.
func checkLeaks(t *testing.T) {
	t.Helper()
	runtime.GC() // closes what earlier tests have lost
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		eventually(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
		if n := openFiles(); n > files {
			t.Errorf("got %d open files, want %d as before", n, files)
		}
		if list := children(); len(list) > 0 {
			t.Errorf("got children %v, want none", list)
		}
	})
}

// openFiles returns the number of open descriptors, 0 where that cannot be told.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// write writes to a file or stream, which must take it.
func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// provision provisions a module, and validates it.
func provision(m caddy.Module) error {
	if p, ok := m.(caddy.Provisioner); ok {
		if err := p.Provision(caddy.Context{Context: context.Background()}); err != nil {
			return err
		}
	}
	if v, ok := m.(caddy.Validator); ok {
		return v.Validate()
	}
	return nil
}

// fieldsOf returns the fields of an entry.
func fieldsOf(e observer.LoggedEntry) map[string]any { return e.ContextMap() }

// sameLines tells whether a field holds these lines.
func sameLines(field any, want ...string) bool {
	var got []string
	if list, ok := field.([]any); ok {
		for _, v := range list {
			s, _ := v.(string)
			got = append(got, s)
		}
	}
	return slices.Equal(got, want)
}
