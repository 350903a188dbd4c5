package sourcebus

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestLineLog(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, test := range []struct {
		name  string
		text  string
		want  []string // with "-" before those for debugging
		last  []string
		write int
	}{
		{name: "nothing"},
		{name: "lines", text: "one\ntwo\n", want: []string{"one", "two"}},
		{name: "no end", text: "one\ntwo", want: []string{"one", "two"}},
		{name: "empty lines", text: "\n\none\n \n\n", want: []string{"one"}},
		{name: "windows", text: "one\r\ntwo\r\n", want: []string{"one", "two"}},
		{name: "progress", text: "1%\r2%\rdone\n", want: []string{"-1%", "-2%", "done"}, last: []string{"done"}},
		{name: "progress at the end", text: "1%\r", want: []string{"-1%"}, last: []string{}},
		{name: "longest", text: long + "\nnext\n", want: []string{long, "next"}},
		{name: "too long", text: long + "yz\nnext\n", want: []string{long, "next"}},
		{name: "far too long", text: strings.Repeat(long, 10) + "\nnext\n", want: []string{long, "next"}},
		{name: "too long without end", text: strings.Repeat(long, 3), want: []string{long}},
		{name: "too long with progress", text: long + "yz\r50%\r\nnext\n", want: []string{long, "50%", "next"}},
		{name: "last lines", text: "1\n2\n3\n4\n5\n6\n7\n", want: []string{"1", "2", "3", "4", "5", "6", "7"}, last: []string{"3", "4", "5", "6", "7"}},
	} {
		for _, r := range []struct {
			name   string
			reader func(io.Reader) io.Reader
		}{
			{"whole", func(r io.Reader) io.Reader { return r }},
			{"one byte at a time", iotest.OneByteReader},
			{"with the end", iotest.DataErrReader},
		} {
			t.Run(test.name+"/"+r.name, func(t *testing.T) {
				core, logs := observer.New(zap.DebugLevel)
				l := lineLog{logger: zap.New(core), level: zap.InfoLevel}
				l.run(r.reader(strings.NewReader(test.text)))
				var got []string
				for _, e := range logs.All() {
					line, _ := e.ContextMap()["line"].(string)
					if e.Level == zap.DebugLevel {
						line = "-" + line
					}
					got = append(got, line)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got %.80q, want %.80q", got, test.want)
				}
				last := test.last
				if last == nil {
					last = test.want
				}
				if !slices.Equal(l.last, last) {
					t.Errorf("got last lines %.80q, want %.80q", l.last, last)
				}
			})
		}
	}
}

func FuzzLineSplitter(f *testing.F) {
	f.Add("one\ntwo\r\nthree\r4", uint8(3))
	f.Add(strings.Repeat("x", 3*maxLine)+"\r\n", uint8(200))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		core, logs := observer.New(zap.DebugLevel)
		l := lineLog{logger: zap.New(core), level: zap.InfoLevel}
		l.run(&pieces{text, int(size)%97 + 1})
		total := 0
		for _, e := range logs.All() {
			line, _ := e.ContextMap()["line"].(string)
			if len(line) > maxLine || strings.ContainsAny(line, "\r\n") {
				t.Errorf("got line %q", line)
			}
			total += len(line)
		}
		if total > len(text) {
			t.Errorf("got %d bytes of lines from %d bytes", total, len(text))
		}
	})
}

// pieces is a reader that gives a few bytes at a time.
type pieces struct {
	rest string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}
