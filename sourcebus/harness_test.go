package sourcebus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// virtualPatience is how long tests wait in virtual time, for ever.
const virtualPatience = 1 << 62

// strictEnv makes a test fail that would be skipped as a tool is missing.
const strictEnv = "HTTPOUT_TEST_STRICT"

// logged is a log that tests can wait for.
type logged struct {
	zapcore.LevelEnabler
	with []zapcore.Field
	all  *logEntries
}

type logEntries struct {
	mu      sync.Mutex
	list    []logEntry
	changed chan struct{}
}

type logEntry struct {
	level   zapcore.Level
	message string
	fields  map[string]any
}

func newLogged() *logged {
	return &logged{zapcore.DebugLevel, nil, &logEntries{changed: make(chan struct{})}}
}

func (l *logged) With(fields []zapcore.Field) zapcore.Core {
	return &logged{l.LevelEnabler, append(slices.Clip(l.with), fields...), l.all}
}

func (l *logged) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, l)
}

func (l *logged) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(slices.Clip(l.with), fields...) {
		f.AddTo(enc)
	}
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.all.list = append(l.all.list, logEntry{e.Level, e.Message, enc.Fields})
	close(l.all.changed)
	l.all.changed = make(chan struct{})
	return nil
}

func (l *logged) Sync() error { return nil }

// await returns the nth entry with the message, and waits for it.
func (l *logged) await(t *testing.T, wait time.Duration, message string, nth int) logEntry {
	t.Helper()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		l.all.mu.Lock()
		found := l.findLocked(message)
		changed := l.all.changed
		l.all.mu.Unlock()
		if len(found) >= nth {
			return found[nth-1]
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("got no %q in the log, which is %v", message, l.all.list)
		}
	}
}

func (l *logged) findLocked(message string) []logEntry {
	var found []logEntry
	for _, e := range l.all.list {
		if e.message == message {
			found = append(found, e)
		}
	}
	return found
}

func (l *logged) count(message string, level zapcore.Level) int {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	n := 0
	for _, e := range l.findLocked(message) {
		if e.level == level {
			n++
		}
	}
	return n
}

// text is the whole log.
func (l *logged) text() string {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	return fmt.Sprintf("%+v", l.all.list)
}

// running is an input under test, and what follows its bus.
type running struct {
	*Input
	t      *testing.T
	log    *logged
	follow *sinkbus.Follower
	wait   time.Duration // for an event
}

// start runs an input with the name "in" until the end of the test, or stop.
func start(t *testing.T, p Producer, c Config) *running {
	t.Helper()
	r := prepare(t, p, c)
	r.Start()
	return r
}

// startVirtual is start in virtual time.
func startVirtual(t *testing.T, p Producer, c Config) *running {
	t.Helper()
	r := prepare(t, p, c)
	r.wait = virtualPatience
	r.Start()
	return r
}

// prepare is start without starting it.
func prepare(t *testing.T, p Producer, c Config) *running {
	t.Helper()
	log := newLogged()
	r := &running{Input: New("in", c, p, zap.New(log)), t: t, log: log, wait: patience}
	r.follow = r.Follow(true)
	t.Cleanup(r.stop)
	return r
}

func (r *running) stop() {
	r.Destruct()
	for {
		e, err := r.follow.Next(context.Background())
		if err != nil {
			break
		}
		if e.Reader != nil {
			e.Reader.Close()
		}
	}
	r.follow.Close()
}

// event returns the next event of the bus.
func (r *running) event() (sinkbus.Event, bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), r.wait)
	defer cancel()
	e, err := r.follow.Next(ctx)
	if errors.Is(err, io.EOF) {
		return e, false
	}
	if err != nil {
		r.t.Fatalf("got no event: %v; the log is %s", err, r.log.text())
	}
	return e, true
}

// logs waits until the message has been logged n times, and returns the last.
func (r *running) logs(message string, n int) logEntry {
	r.t.Helper()
	return r.log.await(r.t, r.wait, message, n)
}

// want returns the next event, which has to be the given one.
func (r *running) want(kind sinkbus.EventKind, name string) sinkbus.Event {
	r.t.Helper()
	e, ok := r.event()
	if !ok || e.Kind != kind || e.Name != name {
		r.t.Fatalf("got event %v %q (%v), want %v %q; the log is %s", e.Kind, e.Name, ok, kind, name, r.log.text())
	}
	return e
}

// wantOver checks that the input is over.
func (r *running) wantOver() {
	r.t.Helper()
	if e, ok := r.event(); ok {
		r.t.Fatalf("got event %v %q, want none", e.Kind, e.Name)
	}
}

// open returns the stream that is opened next, with a reader of all of it.
func (r *running) open(name string) *opened {
	r.t.Helper()
	e := r.want(sinkbus.Opened, name)
	return &opened{e.Stream, e.Reader, r}
}

// skipTo is open, but for events that come before.
func (r *running) skipTo(name string) *opened {
	r.t.Helper()
	for {
		e, ok := r.event()
		if !ok {
			r.t.Fatalf("got no stream %s", name)
		}
		if e.Kind == sinkbus.Opened && e.Name == name {
			return &opened{e.Stream, e.Reader, r}
		}
		if e.Reader != nil {
			e.Reader.Close()
		}
	}
}

// opened is a stream with a reader.
type opened struct {
	*sinkbus.Stream
	reader *sinkbus.Reader
	r      *running
}

// limit aborts the stream when the test has waited for too long, unless it is
// undone.
func (o *opened) limit() (undo func() bool) {
	return time.AfterFunc(o.r.wait, func() { o.Abort(errors.New("the test waited for too long")) }).Stop
}

// next checks the bytes that come next.
func (o *opened) next(want string) {
	o.r.t.Helper()
	defer o.limit()()
	var got []byte
	for len(got) < len(want) {
		p, err := o.reader.Next(int64(len(want) - len(got)))
		got = append(got, p...)
		if err != nil {
			break
		}
	}
	if string(got) != want {
		o.r.t.Fatalf("got %q, want %q", short(got), short([]byte(want)))
	}
}

// rest returns all the bytes to come, and how the stream ended.
func (o *opened) rest() ([]byte, error) {
	defer o.reader.Close()
	defer o.limit()()
	var all []byte
	for {
		p, err := o.reader.Next(0)
		all = append(all, p...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// complete checks that the stream is completed after these bytes.
func (o *opened) complete(want string) {
	o.r.t.Helper()
	got, err := o.rest()
	if err != nil || string(got) != want {
		o.r.t.Fatalf("got %q and error %v, want %q", short(got), err, short([]byte(want)))
	}
	o.r.want(sinkbus.Completed, o.Name)
}

// broken checks that the stream is aborted with an error that has the text.
func (o *opened) broken(want string) {
	o.r.t.Helper()
	_, err := o.rest()
	if err == nil || !strings.Contains(err.Error(), want) {
		o.r.t.Fatalf("got error %v, want %q", err, want)
	}
	o.r.want(sinkbus.Broken, o.Name)
}

func short(p []byte) []byte {
	if len(p) > 200 {
		return fmt.Appendf(nil, "%s... (%d bytes)", p[:200], len(p))
	}
	return p
}

// ffmpeg runs it to the end.
func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv(strictEnv) != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, &out)
	}
}

// readFile returns the content of a file.
func readFile(t *testing.T, name string) string {
	t.Helper()
	p, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// writeFile makes a file.
func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}
