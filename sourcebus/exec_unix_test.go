//go:build unix

package sourcebus

import (
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// shell returns an input that runs a script. It starts again soon.
func shell(script, restart string) *Exec {
	return &Exec{
		Command:      []string{"sh", "-c", script},
		Restart:      restart,
		RestartDelay: caddy.Duration(time.Millisecond),
	}
}

func TestExecOutputIsStream(t *testing.T) {
	r := newRig(t, shell("printf 'a b\\n'; echo c", ""))
	r.Start()
	if got := r.whole(sinkbus.Completed); got != "a b\nc\n" {
		t.Errorf("got %q", got)
	}
	r.over()
	for _, message := range []string{"process started", "process ended", "input is over"} {
		if got := r.entries(message, 1); len(got) != 1 || got[0].Level != zap.InfoLevel {
			t.Errorf("got %v, want one entry", got)
		}
	}
}

func TestExecLosesNothing(t *testing.T) {
	r := newRig(t, shell("i=0; while [ $i -lt 20 ]; do seq 1 30000; i=$((i+1)); done", ""))
	r.Start()
	want := sha256.New()
	for range 20 {
		for i := range 30000 {
			io.WriteString(want, strconv.Itoa(i+1)+"\n")
		}
	}
	got := sha256.Sum256([]byte(r.whole(sinkbus.Completed)))
	if string(got[:]) != string(want.Sum(nil)) {
		t.Error("the stream differs from what was written")
	}
}

func TestExecRestartsAfterFailure(t *testing.T) {
	r := newRig(t, shell("echo out; echo first >&2; echo why >&2; exit 3", ""))
	r.Start()
	for range 3 {
		r.whole(sinkbus.Broken)
	}
	ended := r.entries("process ended", 3)[0]
	fields := fieldsOf(ended)
	if ended.Level != zap.WarnLevel || fields["status"] != "exit status 3" || !sameLines(fields["last_lines"], "first", "why") {
		t.Errorf("got %s %v, want a warning with the status and the last lines", ended.Level, fields)
	}
	if f := fieldsOf(r.entries("process restarts", 2)[1]); f["error"] != "exit status 3" || f["delay"] == nil {
		t.Errorf("got %v, want the error and the delay", f)
	}
	r.stop()
}

func TestExecStatus(t *testing.T) {
	for _, test := range []struct {
		name    string
		script  string
		restart string
		streams []sinkbus.EventKind
		want    string // the error that ends the input
	}{
		{"success", "echo x", "on-failure", []sinkbus.EventKind{sinkbus.Completed}, ""},
		{"success without output", "true", "on-failure", nil, ""},
		{"success, never again", "echo x", "never", []sinkbus.EventKind{sinkbus.Completed}, ""},
		{"failure, never again", "echo x; exit 1", "never", []sinkbus.EventKind{sinkbus.Broken}, "exit status 1"},
		{"failure without output", "exit 7", "never", nil, "exit status 7"},
		{"killed by a signal", "echo x; kill -9 $$", "never", []sinkbus.EventKind{sinkbus.Broken}, "signal: killed"},
		{"output closed before the failure", "echo x; exec >&-; exit 1", "never", []sinkbus.EventKind{sinkbus.Broken}, "exit status 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, shell(test.script, test.restart))
			r.Start()
			for _, kind := range test.streams {
				r.whole(kind)
			}
			r.over()
			message := "input is over"
			if test.want != "" {
				message = "input ended"
			}
			if got := fieldsOf(r.entries(message, 1)[0])["error"]; test.want != "" && got != test.want {
				t.Errorf("got error %v, want %s", got, test.want)
			}
		})
	}
}

func TestExecRestartsAlways(t *testing.T) {
	r := newRig(t, shell("echo x", "always"))
	r.Start()
	for range 3 {
		if got := r.whole(sinkbus.Completed); got != "x\n" {
			t.Errorf("got %q", got)
		}
	}
	r.stop()
}

func TestExecWithoutProgram(t *testing.T) {
	x := &Exec{Command: []string{"httpout-no-such-program"}, RestartDelay: caddy.Duration(time.Millisecond)}
	r := newRig(t, x)
	r.Start()
	for _, e := range r.entries("process restarts", 3) {
		if text, _ := fieldsOf(e)["error"].(string); !strings.Contains(text, "httpout-no-such-program") {
			t.Errorf("got error %q, want one that names the program", text)
		}
	}
	r.stop()
}

// begun starts an input and returns a reader of its first stream.
func begun(t *testing.T, r *rig) sinkbus.Event {
	t.Helper()
	r.Start()
	e := r.next(sinkbus.Opened)
	t.Cleanup(e.Reader.Close)
	return e
}

func TestExecStopKillsChildren(t *testing.T) {
	r := newRig(t, shell("sleep 1000 & echo $!; (sleep 1001 >/dev/null 2>&1 & echo $!); echo $$; sleep 1002", ""))
	e := begun(t, r)
	pids := []string{r.line(e.Reader), r.line(e.Reader), r.line(e.Reader)}
	began := time.Now()
	r.stop()
	if d := time.Since(began); d > time.Second {
		t.Errorf("stopping took %s, want it at once: nobody ignores the signal", d)
	}
	for _, pid := range pids {
		eventually(t, "process "+pid+" has ended", func() bool { return !isAlive(pid) })
	}
	r.next(sinkbus.Completed)
	if got := r.entries("process ended", 1)[0]; got.Level != zap.InfoLevel {
		t.Errorf("got %s, want info: it was stopped by us", got.Level)
	}
	if n := r.logs.FilterMessage("process restarts").Len(); n != 0 {
		t.Error("the process was started again")
	}
}

func TestExecStopKillsWhatIgnoresSignals(t *testing.T) {
	r := newRig(t, shell(`trap "" TERM INT HUP; sleep 1000 & echo $!; echo $$; while :; do sleep 1000; done`, ""))
	e := begun(t, r)
	pids := []string{r.line(e.Reader), r.line(e.Reader)}
	began := time.Now()
	r.stop()
	if d := time.Since(began); d < stopGrace {
		t.Errorf("stopping took %s, want %s", d, stopGrace)
	}
	for _, pid := range pids {
		eventually(t, "process "+pid+" has ended", func() bool { return !isAlive(pid) })
	}
	r.next(sinkbus.Completed)
}

func TestExecTakesWhatIsWrittenOnStop(t *testing.T) {
	r := newRig(t, shell(`trap "echo bye; exit 0" TERM; echo hi; while :; do sleep 0.01; done`, ""))
	e := begun(t, r)
	if got := r.line(e.Reader); got != "hi" {
		t.Errorf("got %q", got)
	}
	r.stop()
	if got := string(r.drain(e.Reader)); got != "bye\n" {
		t.Errorf("got %q, want what was written at the end", got)
	}
}

func TestExecGoesOnWhileChildrenWrite(t *testing.T) {
	r := newRig(t, shell("(read line < /dev/null; sleep 0.1; echo late) & echo early", ""))
	r.Start()
	if got := r.whole(sinkbus.Completed); got != "early\nlate\n" {
		t.Errorf("got %q, want the lines of both", got)
	}
	r.over()
}

func TestExecKillsLeftOvers(t *testing.T) {
	r := newRig(t, shell("sleep 1000 >/dev/null 2>&1 & echo $!", ""))
	r.Start()
	pid := strings.TrimSpace(r.whole(sinkbus.Completed))
	r.over()
	eventually(t, "process "+pid+" has ended", func() bool { return !isAlive(pid) })
}

// setsid starts a command outside of the group of who runs it, which writes its
// number once it is there.
const setsid = `setsid sh -c 'echo $$; exec sleep 1000' & `

func TestExecStopsWhileOutputIsKeptOpen(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"the program has ended", setsid},
		{"the program goes on", setsid + "sleep 1000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, shell(test.script, ""))
			e := begun(t, r)
			pid, err := strconv.Atoi(r.line(e.Reader))
			if err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(pid, syscall.SIGKILL)
			r.stop()
			r.next(sinkbus.Completed)
		})
	}
}

func TestExecIsHeld(t *testing.T) {
	r := newRig(t, shell("echo x; echo read >&2", ""))
	r.Hold()
	r.Start()
	// it writes, but nothing is read
	r.entries("process output", 1)
	if n := r.Opened(); n != 0 {
		t.Errorf("got %d streams, want none while the input is held", n)
	}
	r.Release()
	if got := r.whole(sinkbus.Completed); got != "x\n" {
		t.Errorf("got %q", got)
	}
}

func TestExecStopsWhileHeld(t *testing.T) {
	r := newRig(t, shell("trap '' TERM; echo ready >&2; while echo x; do :; done", ""))
	r.Hold()
	r.Start()
	r.entries("process output", 1)
	r.stop()
	if n := r.Opened(); n != 0 {
		t.Errorf("got %d streams, want none", n)
	}
}

func TestExecStartsAnewAfterSuspend(t *testing.T) {
	r := newRig(t, shell("echo $$; sleep 1000", ""))
	e := begun(t, r)
	first := r.line(e.Reader)
	r.Suspend()
	r.next(sinkbus.Completed)
	if isAlive(first) {
		t.Error("the process goes on")
	}
	e = begun(t, r)
	if second := r.line(e.Reader); second == first {
		t.Error("it is the same process")
	}
	r.stop()
}

func TestExecRestartsWhenStreamIsAborted(t *testing.T) {
	r := newRig(t, shell("echo $$; while sleep 0.01; do echo x; done", ""))
	e := begun(t, r)
	pid := r.line(e.Reader)
	e.Stream.Abort(errors.New("somebody does not want it"))
	r.next(sinkbus.Broken)
	e = r.next(sinkbus.Opened)
	e.Reader.Close()
	if isAlive(pid) {
		t.Error("the process goes on")
	}
	r.stop()
}

func TestExecStopsWhileReadersBlock(t *testing.T) {
	r := newRig(t, shell("while echo some text; do :; done", ""))
	e := begun(t, r)
	stuck, err := e.Stream.NewWholeReader(t.Context(), 0, 100<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	for e.Stream.Size() < 100<<10 {
		if _, err := e.Reader.Next(0); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	r.next(sinkbus.Completed)
}

func TestExecBoundsLogLines(t *testing.T) {
	r := newRig(t, shell("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo short >&2", ""))
	r.Start()
	r.over()
	got := r.entries("process output", 2)
	if len(got) != 2 {
		t.Fatalf("got %d lines, want 2", len(got))
	}
	if line, _ := fieldsOf(got[0])["line"].(string); len(line) != maxLine {
		t.Errorf("got %d bytes of the long line, want %d", len(line), maxLine)
	}
	if line := fieldsOf(got[1])["line"]; line != "short" {
		t.Errorf("got %q", line)
	}
}

func TestExecManyRestartsLeaveNothing(t *testing.T) {
	r := newRig(t, shell("echo x; sleep 0 & exit 1", ""))
	r.Start()
	for range 8 {
		r.whole(sinkbus.Broken)
	}
	r.stop()
}
