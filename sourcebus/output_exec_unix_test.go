//go:build unix

package sourcebus

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"golang.org/x/sys/unix"
)

// newProgramRig returns an input whose streams are given to a script, which runs
// in a folder of its own, DIR.
func newProgramRig(t *testing.T, script string) (*rig, *Output, string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DIR", dir)
	r, o := newOutputRig(t, true, &ExecOutput{Command: []string{"sh", "-c", `cd "$DIR"; ` + script}})
	return r, o, dir
}

func TestExecOutput(t *testing.T) {
	r, o, dir := newProgramRig(t, `cat > "${HTTPOUT_NAME#/}"; echo "$HTTPOUT_TYPE" > "${HTTPOUT_NAME#/}.type"`)
	o.Start()
	mp3 := strings.Repeat("\xff\xfb\x90\x64"+strings.Repeat("\x00", 413), 10)
	r.open("/a", -1, mp3).Complete()
	r.open("/b.m4s", 4, "text").Complete()
	r.open("/c", -1, "\x00\x01").Complete()
	r.open("/empty", 0, "").Complete()
	r.open("/nothing", -1, "").Abort(nil)
	s := r.open("/large", -1, "")
	large := strings.Repeat("0123456789abcdef", 1<<16)
	write(t, s, large)
	r.finish(o)
	wantStored(t, dir, map[string]string{
		"a": mp3, "a.type": "audio/mpeg\n",
		"b.m4s": "text", "b.m4s.type": "video/iso.segment\n",
		"c": "\x00\x01", "c.type": "\n",
		"empty": "", "empty.type": "text/plain; charset=utf-8\n",
		"large": large, "large.type": "text/plain; charset=utf-8\n",
	})
}

func TestExecOutputEndsEarly(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"with success", "head -c 3 > /dev/null", "the process has ended before the stream"},
		{"with an error", "head -c 3 > /dev/null; exit 5", ""},
		{"and leaves a child", "sleep 1000 & head -c 3 > /dev/null", "the process has ended before the stream"},
		{"at once", "exec < /dev/null", "the process has ended before the stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, o, _ := newProgramRig(t, test.script)
			o.Start()
			s := r.open("/a", -1, "text")
			r.entries("process ended", 1)
			if test.want == "" {
				if e := r.entries("process ended", 1)[0]; e.Level != zap.WarnLevel || fieldsOf(e)["status"] != "exit status 5" {
					t.Errorf("got %s %v, want a warning with the status", e.Level, fieldsOf(e))
				}
			}
			eventually(t, "nobody reads the stream", func() bool {
				write(t, s, "more")
				return s.Readers() == 0
			})
			s.Complete()
			r.finish(o)
			got := r.logs.FilterMessage("stream was not taken").All()
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || fieldsOf(got[0])["error"] != test.want) {
				t.Errorf("got %v, want %q", got, test.want)
			}
		})
	}
}

func TestExecOutputWithoutProgram(t *testing.T) {
	r, o := newOutputRig(t, true, &ExecOutput{Command: []string{"httpout-no-such-program"}})
	o.Start()
	s := r.open("/a", -1, "text")
	r.entries("stream was not taken", 1)
	if n := s.Readers(); n != 0 {
		t.Errorf("got %d readers, want none", n)
	}
	r.finish(o)
}

func TestExecOutputThatIsStuckDelaysNobody(t *testing.T) {
	for _, test := range []struct {
		name   string
		length int64
	}{
		{"endless", -1},
		{"with a length", 1 << 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, o, _ := newProgramRig(t, `trap "" TERM; echo $$ >&2; sleep 1000 & wait; sleep 1000`)
			o.Start()
			s := r.open("/a", test.length, "x")
			pid, _ := fieldsOf(r.entries("process output", 1)[0])["line"].(string)
			files := openFiles()
			block := strings.Repeat("x", 1<<18)
			if test.length < 0 {
				writeUntilGone(t, s, block)
				if n := openFiles(); n > files {
					t.Errorf("got %d files for what the program has not read, want none", n-files)
				}
			} else {
				eventually(t, "some of it is on disk", func() bool {
					write(t, s, block)
					return files == 0 || openFiles() > files
				})
			}
			began := time.Now()
			if err := o.Destruct(); err != nil {
				t.Error(err)
			}
			if d := time.Since(began); d < stopGrace || d > 2900*time.Millisecond {
				t.Errorf("stopping took %s, want 2s", d)
			}
			eventually(t, "process "+pid+" has ended", func() bool { return !isAlive(pid) })
			if n := s.Readers(); n != 0 {
				t.Errorf("got %d readers, want none", n)
			}
			s.Complete()
		})
	}
}

// newGate returns a FIFO, GATE, at which a script waits for a line.
func newGate(t *testing.T) string {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	t.Setenv("GATE", gate)
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	return gate
}

func TestExecOutputThatIsSlowMissesSome(t *testing.T) {
	r, o, dir := newProgramRig(t, `head -c 1 > first; read line < "$GATE"; cat > rest`)
	gate := newGate(t)
	o.Start()
	s := r.open("/a", -1, "begin")
	opened := openWriter(t, gate) // it has read the first byte
	frame := "\xff\xfb\x90\x64" + strings.Repeat("\x00", 413)
	for s.Size() < 20<<20 {
		write(t, s, strings.Repeat(frame, 1000))
	}
	write(t, opened, "go\n")
	r.entries("process is too slow and misses some of the stream", 1)
	s.Complete()
	r.finish(o)
	got := stored(t, dir)
	if got["first"] != "b" || !strings.HasPrefix(got["rest"], "egin"+frame) || !strings.HasSuffix(got["rest"], frame) {
		t.Errorf("got %d bytes, want the first and the last frames", len(got["rest"]))
	}
	if n := int64(len(got["rest"])); n > 10<<20 {
		t.Errorf("got %d bytes of %d, want a few", n, s.Size())
	}
}

func TestExecOutputStopGivesEnd(t *testing.T) {
	r, o, dir := newProgramRig(t, `cat > out; echo " end" >> out`)
	o.Start()
	r.open("/a", -1, "text")
	eventually(t, "the program has it", func() bool { return stored(t, dir)["out"] == "text" })
	if err := o.Destruct(); err != nil {
		t.Error(err)
	}
	wantStored(t, dir, map[string]string{"out": "text end\n"})
}

func TestExecOutputOfBrokenStream(t *testing.T) {
	r, o, dir := newProgramRig(t, `cat > out; echo " end" >> out`)
	o.Start()
	s := r.open("/a", -1, "text")
	eventually(t, "the program has it", func() bool { return stored(t, dir)["out"] == "text" })
	s.Abort(errors.New("cable cut"))
	r.finish(o)
	if got := stored(t, dir)["out"]; got != "text end\n" {
		t.Errorf("got %q, want an orderly end", got)
	}
	if got := fieldsOf(r.entries("stream was not taken", 1)[0])["error"]; got != "cable cut" {
		t.Errorf("got error %v", got)
	}
}

func TestExecOutputMayTakeItsTime(t *testing.T) {
	r, o, dir := newProgramRig(t, `cat > out; read line < "$GATE"; echo " late" >> out`)
	gate := newGate(t)
	o.Start()
	s := r.open("/a", -1, "text")
	s.Complete()
	w := openWriter(t, gate)
	if n := s.Readers(); n != 0 {
		t.Errorf("got %d readers, want none while the program goes on", n)
	}
	write(t, w, "go\n")
	r.finish(o)
	wantStored(t, dir, map[string]string{"out": "text late\n"})
}

func TestExecOutputIsLogged(t *testing.T) {
	r, o, _ := newProgramRig(t, `cat; echo to stderr >&2`)
	o.Start()
	r.open("/a", -1, "to stdout\n").Complete()
	r.finish(o)
	levels := make(map[any]string)
	for _, e := range r.entries("process output", 2) {
		levels[fieldsOf(e)["line"]] = e.Level.String()
	}
	if levels["to stdout"] != "debug" || levels["to stderr"] != "info" {
		t.Errorf("got %v, want standard output at debug and standard error at info", levels)
	}
}
