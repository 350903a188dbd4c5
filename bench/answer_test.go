//go:build linux

package main

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// takeAll gives an answer what a server sent, in pieces.
func takeAll(a answer, wire []byte, piece int) (body string, err error) {
	var s strings.Builder
	for p := range slices.Chunk(wire, piece) {
		if err := a.take(p, func(b []byte) { s.Write(b) }); err != nil {
			return s.String(), err
		}
	}
	return s.String(), nil
}

// checkAnswer gives an answer the same in pieces of several sizes.
func checkAnswer(t *testing.T, name string, newAnswer func() answer, wire []byte, status int, body string, over bool, wantErr string) {
	t.Helper()
	for _, piece := range []int{1, 2, 9, 10, 1000, 1 << 20} {
		a := newAnswer()
		got, err := takeAll(a, wire, piece)
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s, in pieces of %d: got error %v, want %q", name, piece, err, wantErr)
			continue
		}
		if err == nil && (got != body || a.status() != status || a.over() != over) {
			t.Errorf("%s, in pieces of %d: got status %d, over %v, body %q, want %d, %v, %q", name, piece, a.status(), a.over(), got, status, over, body)
		}
	}
}

func TestH1Answer(t *testing.T) {
	for _, tc := range []struct {
		name, wire string
		status     int
		body       string
		over       bool
		wantErr    string
	}{
		{"until the end of the connection", "HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nabc", 200, "abc", false, ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n", 200, "abcde", false, ""},
		{"the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc", true, ""},
		{"half of a head", "HTTP/1.1 200 OK\r\nTransfer-Encoding: ch", 0, "", false, ""},
		{"an error's body is not the stream", "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nabc", 503, "", true, ""},
		{"more after the end", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 0, "", true, "after the end"},
		{"no HTTP", "ICY 200 OK\r\n\r\n", 0, "", false, "bad status line"},
	} {
		checkAnswer(t, tc.name, func() answer { return newH1Answer() }, []byte(tc.wire), tc.status, tc.body, tc.over, tc.wantErr)
	}
}

func TestH2Answer(t *testing.T) {
	fields := func(status string) []byte {
		var b bytes.Buffer
		enc := hpack.NewEncoder(&b)
		for _, f := range [][2]string{{":status", status}, {"content-type", "audio/mpeg"}} {
			if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	head := func(f *http2.Framer, status string) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(status), EndHeaders: true})
	}
	for _, tc := range []struct {
		name    string
		write   func(f *http2.Framer) []error
		status  int
		body    string
		over    bool
		wantErr string
		reply   []http2.FrameType
	}{
		{name: "settings and a ping are answered", status: 200, body: "abcde", reply: []http2.FrameType{http2.FrameSettings, http2.FramePing}, write: func(f *http2.Framer) []error {
			return []error{
				f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 250}), f.WriteSettingsAck(),
				f.WriteWindowUpdate(0, 1000), head(f, "200"), f.WriteData(1, false, []byte("abc")),
				f.WritePing(false, [8]byte{1}), f.WriteData(1, false, nil), f.WriteData(1, false, []byte("de")),
			}
		}},
		{name: "padding", status: 200, body: "abc", write: func(f *http2.Framer) []error {
			return []error{head(f, "200"), f.WriteDataPadded(1, false, []byte("abc"), make([]byte, 9))}
		}},
		{name: "a head in two frames", status: 200, body: "abc", write: func(f *http2.Framer) []error {
			b := fields("200")
			return []error{
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1]}), f.WriteContinuation(1, true, b[1:]),
				f.WriteData(1, false, []byte("abc")),
			}
		}},
		{name: "early hints", status: 200, write: func(f *http2.Framer) []error { return []error{head(f, "103"), head(f, "200")} }},
		{name: "the end", status: 200, body: "abc", over: true, write: func(f *http2.Framer) []error {
			return []error{head(f, "200"), f.WriteData(1, true, []byte("abc"))}
		}},
		{name: "an error's body is not the stream", status: 404, over: true, write: func(f *http2.Framer) []error {
			return []error{head(f, "404"), f.WriteData(1, true, []byte("not found"))}
		}},
		{name: "a reset", wantErr: "reset the stream: CANCEL", write: func(f *http2.Framer) []error {
			return []error{head(f, "200"), f.WriteRSTStream(1, http2.ErrCodeCancel)}
		}},
		{name: "an error of the connection", wantErr: "ENHANCE_YOUR_CALM too much", write: func(f *http2.Framer) []error {
			return []error{head(f, "200"), f.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, []byte("too much"))}
		}},
	} {
		var wire bytes.Buffer
		for _, err := range tc.write(http2.NewFramer(&wire, nil)) {
			if err != nil {
				t.Fatal(err)
			}
		}
		var replies bytes.Buffer
		checkAnswer(t, tc.name, func() answer {
			replies.Reset()
			return newH2Answer(&replies)
		}, wire.Bytes(), tc.status, tc.body, tc.over, tc.wantErr)
		for _, want := range tc.reply {
			f, err := http2.ReadFrameHeader(&replies)
			if err != nil || f.Type != want || !f.Flags.Has(http2.FlagPingAck) {
				t.Errorf("%s: answered with %v (%v), want an acknowledgement of %v", tc.name, f, err, want)
			}
			replies.Next(int(f.Length))
		}
	}
}

func TestH2RequestIsAPreface(t *testing.T) {
	b, err := h2Request(netip.MustParseAddrPort("127.0.0.1:443"), "/x")
	if err != nil || !bytes.HasPrefix(b, []byte(http2.ClientPreface)) {
		t.Fatalf("got %q, %v", b, err)
	}
	f := http2.NewFramer(nil, bytes.NewReader(b[len(http2.ClientPreface):]))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var head *http2.MetaHeadersFrame
	for head == nil {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		head, _ = frame.(*http2.MetaHeadersFrame)
	}
	if head.PseudoValue("path") != "/x" || head.PseudoValue("authority") != "127.0.0.1:443" || !head.StreamEnded() {
		t.Errorf("got %v", head)
	}
}
