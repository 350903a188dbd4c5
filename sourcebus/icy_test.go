package sourcebus

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// block is a block of metadata with the text.
func block(text string) string {
	n := (len(text) + 15) / 16
	return string(rune(n)) + text + strings.Repeat("\x00", 16*n-len(text))
}

func TestMetadataIsTakenOut(t *testing.T) {
	errCut := io.ErrUnexpectedEOF
	for _, tc := range []struct {
		name     string
		interval int
		body     string
		cut      bool // the body does not end well
		want     string
		titles   []string
		err      error
	}{
		{name: "empty", interval: 4},
		{name: "no block yet", interval: 4, body: "abc", want: "abc"},
		{name: "empty blocks", interval: 4, body: "abcd\x00efgh\x00ij", want: "abcdefghij"},
		{
			name: "titles", interval: 4,
			body: "abcd" + block("StreamTitle='One';") + "efgh" + block("StreamTitle='It's two';StreamUrl='u';") + "ij",
			want: "abcdefghij", titles: []string{"One", "It's two"},
		},
		{name: "empty title", interval: 1, body: "a" + block("StreamTitle='';") + "b", want: "ab", titles: []string{""}},
		{name: "no end", interval: 1, body: "a" + block("StreamTitle='x'") + "b", want: "ab", titles: []string{"x"}},
		{name: "other metadata", interval: 1, body: "a" + block("StreamUrl='u';") + "b", want: "ab"},
		{name: "Latin-1", interval: 1, body: "a" + block("StreamTitle='\xe9';") + "b", want: "ab", titles: []string{"é"}},
		{name: "largest block", interval: 1, body: "a\xff" + strings.Repeat("x", 255*16) + "b", want: "ab"},
		{name: "ends before the size", interval: 4, body: "abcd", want: "abcd"},
		{name: "ends after the size", interval: 4, body: "abcd\x01", want: "abcd"},
		{name: "ends in a block", interval: 4, body: "abcd\x02StreamTitle", want: "abcd"},
		{name: "cut off", interval: 4, body: "ab", cut: true, want: "ab", err: errCut},
		{name: "cut off before the size", interval: 4, body: "abcd", cut: true, want: "abcd", err: errCut},
		{name: "cut off in a block", interval: 4, body: "abcd\x02Stream", cut: true, want: "abcd", err: errCut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, wrap := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
			} {
				var body io.Reader = strings.NewReader(tc.body)
				if tc.cut {
					body = io.MultiReader(body, iotest.ErrReader(errCut))
				}
				var titles []string
				r := newICYReader(wrap(body), tc.interval, func(title string) { titles = append(titles, title) })
				got, err := io.ReadAll(r)
				if string(got) != tc.want || !errors.Is(err, tc.err) || !slices.Equal(titles, tc.titles) {
					t.Errorf("got %q, titles %q, error %v; want %q, %q, %v", got, titles, err, tc.want, tc.titles, tc.err)
				}
			}
		})
	}
}

// plainly takes metadata out of a whole body, in the simplest way.
func plainly(body []byte, interval int) []byte {
	var stream []byte
	for len(body) > 0 {
		n := min(interval, len(body))
		stream = append(stream, body[:n]...)
		if body = body[n:]; len(body) > 0 {
			body = body[min(len(body), 1+16*int(body[0])):]
		}
	}
	return stream
}

func FuzzMetadataIsTakenOut(f *testing.F) {
	f.Add([]byte("abcd"+block("StreamTitle='One';")+"efgh\x00ij"), uint16(4), uint8(3))
	f.Add([]byte("a\xff"+strings.Repeat("x", 255*16)+"b"), uint16(1), uint8(0))
	f.Add([]byte("abcd\x02Stream"), uint16(4), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, interval uint16, size uint8) {
		n := max(1, int(interval))
		want := plainly(body, n)
		for _, in := range []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body))} {
			r := newICYReader(in, n, func(string) {})
			var got bytes.Buffer
			if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, make([]byte, 1+int(size))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Fatalf("got %q, want %q", got.Bytes(), want)
			}
		}
	})
}

func TestMetaint(t *testing.T) {
	for value, want := range map[string]int{"": 0, "16000": 16000, " 8192 ": 8192, "0": 0, "-1": 0, "x": 0, "99999999": 0, "99999999999999999999": 0} {
		if got := metaint(http.Header{"Icy-Metaint": {value}}); got != want {
			t.Errorf("%q: got %d, want %d", value, got, want)
		}
	}
}

// readConn is a connection that has something to read.
type readConn struct {
	net.Conn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func TestStatusLineOfSHOUTcast(t *testing.T) {
	for _, tc := range []struct{ sent, want string }{
		{"ICY 200 OK\r\nicy-name:x\r\n", "HTTP/1.0 200 OK\r\nicy-name:x\r\n"},
		{"ICY ", "HTTP/1.0 "},
		{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n"},
		{"ICE 200", "ICE 200"},
		{"IC", "IC"},
		{"", ""},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
			c := &icyConn{Conn: readConn{Reader: wrap(strings.NewReader(tc.sent))}}
			if got, err := io.ReadAll(iotest.OneByteReader(c)); err != nil || string(got) != tc.want {
				t.Errorf("%q: got %q and error %v, want %q", tc.sent, got, err, tc.want)
			}
		}
	}
}
