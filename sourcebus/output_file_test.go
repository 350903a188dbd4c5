package sourcebus

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// newFileRig returns an input with an output to a folder, which is returned.
func newFileRig(t *testing.T, many bool) (*rig, *Output, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "recordings")
	r, o := newOutputRig(t, many, &FileOutput{Dir: dir})
	return r, o, dir
}

// stored returns the files in a folder by name, and the folders in it, which end
// in a slash.
func stored(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if e.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantStored(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := stored(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %.200q, want %.200q", got, want)
	}
}

func TestFileOutput(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	o.Start()
	r.open("/live/1.m4s", -1, "one").Complete()
	r.open("/live/2.m4s", 3, "two").Complete()
	r.open("/live/3.m4s", -1, "thr").Abort(nil)
	r.open("/other/4.m4s", -1, "fou").Abort(nil)
	r.open("/live/manifest.mpd", -1, "old").Complete()
	r.open("/live/manifest.mpd", -1, "new").Complete()
	r.open("/empty", 0, "").Complete()
	r.open("/gone", -1, "x").Complete()
	r.Delete("/gone")
	r.Delete("/never/there")
	r.open("/open", -1, "until the end")
	r.finish(o)
	wantStored(t, dir, map[string]string{
		"live/":             "",
		"live/1.m4s":        "one",
		"live/2.m4s":        "two",
		"live/manifest.mpd": "new",
		"empty":             "",
		"open":              "until the end",
	})
}

func TestFileOutputAppearsWhole(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Start()
	s := r.open("/a", -1, strings.Repeat("x", 1<<20))
	eventually(t, "some of it is on disk", func() bool {
		list, _ := filepath.Glob(filepath.Join(dir, ".httpout-*"))
		return len(list) == 1
	})
	if text, err := os.ReadFile(name); err != nil || string(text) != "before" {
		t.Errorf("got %.20q and error %v, want the old file", text, err)
	}
	s.Complete()
	r.entries("file written", 1)
	if info, err := os.Stat(name); err != nil || info.Size() != 1<<20 {
		t.Errorf("got %v and error %v, want the whole file", info, err)
	}
}

func TestFileOutputIsIdentical(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	o.Start()
	content := make([]byte, 0, 6<<20)
	for i := 0; len(content) < 6<<20; i++ {
		content = append(content, byte(i), byte(i>>8), byte(i>>16))
	}
	for _, length := range []int64{-1, int64(len(content))} {
		s := r.open("/large", length, "")
		for piece := range slices.Chunk(content, 50_001) {
			write(t, s, string(piece))
		}
		s.Complete()
	}
	r.finish(o)
	got, err := os.ReadFile(filepath.Join(dir, "large"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes and error %v, want the same %d bytes", len(got), err, len(content))
	}
}

func TestFileOutputDatesSingleStreams(t *testing.T) {
	r, o, dir := newFileRig(t, false)
	o.Start()
	mp3 := strings.Repeat("\xff\xfb\x90\x64"+strings.Repeat("\x00", 413), 6)
	var opened []*sinkbus.Stream
	for _, text := range []string{mp3, mp3, mp3, "plain text", "\x00\x01\x02\x03"} {
		s := r.open("/radio", -1, text)
		opened = append(opened, s)
		s.Complete()
		r.entries("file written", len(opened))
	}
	r.open("/radio", -1, mp3).Abort(nil)
	r.Delete("/radio")
	r.finish(o)

	got := stored(t, dir)
	if len(got) != len(opened) {
		t.Fatalf("got %d files, want %d", len(got), len(opened))
	}
	first := "radio-" + opened[0].Opened.UTC().Format("20060102T150405") + "Z.mp3"
	if got[first] != mp3 {
		t.Errorf("got no %s with the first stream", first)
	}
	valid := regexp.MustCompile(`^radio-\d{8}T\d{6}Z(-[23])?(\.mp3|\.txt|)$`)
	for name := range got {
		if !valid.MatchString(name) {
			t.Errorf("got file %q", name)
		}
	}
}

func TestFileOutputKeepsExtension(t *testing.T) {
	r, o, dir := newFileRig(t, false)
	o.Start()
	s := r.open("/live.mp3", -1, "text")
	r.finish(o)
	wantStored(t, dir, map[string]string{"live-" + s.Opened.UTC().Format("20060102T150405") + "Z.mp3": "text"})
}

func TestFileOutputStops(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	o.Start()
	r.open("/endless", -1, "so far")
	r.open("/segment", 100, "so far")
	r.open("/silent", -1, "")
	r.open("/complete", -1, "whole").Complete()
	r.entries("file written", 1)
	eventually(t, "both are on their way", func() bool {
		list, _ := filepath.Glob(filepath.Join(dir, ".httpout-*"))
		return len(list) == 2
	})
	if err := o.Destruct(); err != nil {
		t.Error(err)
	}
	wantStored(t, dir, map[string]string{"endless": "so far", "complete": "whole"})
}

func TestFileOutputWritesWhatIsComplete(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	text := strings.Repeat("0123456789", 1<<20)
	o.Start()
	s := r.open("/segment", int64(len(text)), text)
	s.Complete()
	if err := o.Destruct(); err != nil { // while it is written
		t.Error(err)
	}
	if got, ok := stored(t, dir)["segment"]; ok && got != text {
		t.Errorf("got %d bytes, want all %d or no file", len(got), len(text))
	}
}

// writeUntilGone writes a text again and again until the first bytes of a stream
// are not kept any more.
func writeUntilGone(t *testing.T, s *sinkbus.Stream, text string) {
	t.Helper()
	for s.Size() < 2<<20 {
		write(t, s, text)
	}
	eventually(t, "the first bytes are gone", func() bool {
		write(t, s, text)
		r, err := s.NewReader(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = r.TryNext(1)
		return errors.Is(err, sinkbus.ErrBehind)
	})
}

func TestFileOutputJoinsEndlessStream(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	frame := "\xff\xfb\x90\x64" + strings.Repeat("\x00", 413)
	s := r.open("/radio.mp3", -1, "")
	writeUntilGone(t, s, strings.Repeat(frame, 100))
	writeUntilGone(t, r.open("/segment", 1<<40, ""), strings.Repeat("x", 1<<16))
	before := s.Size()
	o.Start()
	if got := fieldsOf(r.entries("stream was not taken", 1)[0]); got["stream"] != "/segment" || got["error"] != errPartial.Error() {
		t.Errorf("got %v, want the segment to be refused", got)
	}
	eventually(t, "the stream was joined", func() bool {
		entries, err := os.ReadDir(dir) // its file that is not yet complete
		return err == nil && len(entries) == 1
	})
	write(t, s, strings.Repeat(frame, 10))
	r.finish(o)
	got := stored(t, dir)
	text := got["radio.mp3"]
	if len(got) != 1 || !strings.HasPrefix(text, frame) || strings.ReplaceAll(text, frame, "") != "" {
		t.Errorf("got %d files, and %d bytes of the stream, want whole frames", len(got), len(text))
	}
	if n := len(text) / len(frame); n <= 10 || int64(len(text)) >= before {
		t.Errorf("got %d frames, want more than the last 10, but not all", n)
	}
}

func TestFileOutputNeedsDeclaredLength(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	o.Start()
	r.open("/segment", 10, "half ").Complete()
	r.entries("stream was not taken", 1)
	r.finish(o)
	wantStored(t, dir, map[string]string{})
}

func TestFileOutputRefusesNames(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	names := []string{"/", "/../x", "/a/../x", "//x", "/a/", "/.httpout-ABCDEFGHIJKLMNOP.tmp", "/./x"}
	o.Start()
	for _, name := range names {
		r.open(name, -1, "x").Complete()
		r.Delete(name)
	}
	r.entries("stream was not taken", 2*len(names))
	r.finish(o)
	wantStored(t, dir, map[string]string{})
	if list, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(list) != 1 {
		t.Errorf("got %v and error %v beside the folder, want nothing", list, err)
	}
}

func TestFileOutputSweepsLeftOvers(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".httpout-ABCDEFGHIJKLMNOP.tmp"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Start()
	r.entries("left-over files were removed", 1)
	wantStored(t, dir, map[string]string{})
}

func TestFileOutputNeedsFolder(t *testing.T) {
	r, o, dir := newFileRig(t, true)
	if err := os.WriteFile(dir, []byte("a file"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Start()
	r.await(o)
	r.entries("output ended", 1)
}

func TestFileOutputConfig(t *testing.T) {
	t.Setenv("HTTPOUT_TEST_WORD", "folder")
	for _, test := range []struct {
		text string
		dir  string // empty for an error
	}{
		{"file recordings", "recordings"},
		{"file /srv/{env.HTTPOUT_TEST_WORD}/x", "/srv/folder/x"},
		{"file {env.HTTPOUT_TEST_NOTHING}", ""},
		{"file", ""},
		{"file a b", ""},
	} {
		var f FileOutput
		err := f.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if err == nil {
			err = provision(&f)
		}
		if (err == nil) != (test.dir != "") || err == nil && f.dir != test.dir {
			t.Errorf("%s: got %q and error %v, want %q", test.text, f.dir, err, test.dir)
		}
	}
}
