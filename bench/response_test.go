//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// parseAll parses one response out of pieces that cut gives the lengths of.
func parseAll(r *response, wire string, cut func() int) (body, rest string, err error) {
	for len(wire) > 0 && !r.done {
		piece := []byte(wire[:min(cut(), len(wire))])
		for len(piece) > 0 && !r.done {
			n, part, err := r.next(piece)
			if err != nil {
				return body, wire, err
			}
			if n <= 0 {
				return body, wire, fmt.Errorf("no progress at %q", piece)
			}
			body += string(part)
			piece, wire = piece[n:], wire[n:]
		}
	}
	return body, wire, nil
}

func TestResponse(t *testing.T) {
	for _, tc := range []struct {
		name    string
		wire    string
		toHead  bool
		status  int
		body    string
		open    bool // not complete
		closing bool
		wantErr string
	}{
		{name: "length", wire: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{name: "length in odd case", wire: "HTTP/1.1 200 OK\r\ncONTENT-lENGTH:5 \r\n\r\nhello", status: 200, body: "hello"},
		{name: "empty", wire: "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", status: 201},
		{name: "cut", wire: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", status: 200, body: "hell", open: true},
		{name: "interim", wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", status: 201},
		{name: "chunks", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=\"y\"\r\n big world\r\n0\r\n\r\n", status: 200, body: "hello big world"},
		{name: "trailer", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", status: 200, body: "x"},
		{name: "no last chunk", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", status: 200, body: "hello", open: true},
		{name: "no end of trailer", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", status: 200, body: "x", open: true},
		{name: "head", toHead: true, wire: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", status: 200},
		{name: "not modified", wire: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status: 304},
		{name: "no reason phrase", wire: "HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status: 200, closing: true},
		{name: "until close", wire: "HTTP/1.1 200 OK\r\n\r\nhello", wantErr: "neither a length nor chunks"},
		{name: "bad status", wire: "HTTP/1.1 OK\r\n\r\n", wantErr: "bad status line"},
		{name: "not HTTP", wire: "SSH-2.0 200\r\n\r\n", wantErr: "bad status line"},
		{name: "bad length", wire: "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", wantErr: "bad header line"},
		{name: "bad size", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", wantErr: "bad chunk size"},
		{name: "chunk too long", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", wantErr: "followed by"},
		{name: "endless head", wire: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20000), wantErr: "head is longer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cuts := map[string]func() int{"whole": func() int { return len(tc.wire) }, "random": func() int { return 1 + rand.IntN(9) }}
			if len(tc.wire) < 1000 {
				cuts["bytes"] = func() int { return 1 }
			}
			for how, cut := range cuts {
				r := &response{toHead: tc.toHead}
				body, rest, err := parseAll(r, tc.wire+"NEXT", cut)
				if tc.open { // what follows would be taken for its own
					r = &response{toHead: tc.toHead}
					body, rest, err = parseAll(r, tc.wire, cut)
				}
				if tc.wantErr != "" {
					if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
						t.Errorf("%s: got error %v, want %q", how, err, tc.wantErr)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: unexpected error: %v", how, err)
				}
				if r.status != tc.status || body != tc.body || r.size != int64(len(tc.body)) || r.done == tc.open || r.closing != tc.closing {
					t.Errorf("%s: got status %d, body %q, size %d, done %v, closing %v", how, r.status, body, r.size, r.done, r.closing)
				}
				if r.done && rest != "NEXT" {
					t.Errorf("%s: left %q, want %q", how, rest, "NEXT")
				}
			}
		})
	}
}

func TestResponseReset(t *testing.T) {
	var r response
	wire := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n" +
		"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
	_, wire, err := parseAll(&r, wire, func() int { return 7 })
	if err != nil || !r.done {
		t.Fatalf("first response: done %v, %v", r.done, err)
	}
	r.reset()
	body, rest, err := parseAll(&r, wire, func() int { return 7 })
	if err != nil || !r.done || r.status != 404 || body != "no" || rest != "" || r.size != 2 || r.closing {
		t.Errorf("second response: got %+v, body %q, rest %q, %v", r, body, rest, err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 3)
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", 4)
	f.Fuzz(func(t *testing.T, wire string, cut int) {
		cut = max(1, min(cut, len(wire)))
		var whole, cutUp response
		body, _, err := parseAll(&whole, wire, func() int { return max(1, len(wire)) })
		body2, _, err2 := parseAll(&cutUp, wire, func() int { return cut })
		if (err == nil) != (err2 == nil) && len(wire) < maxHead {
			t.Fatalf("whole: %v, cut up: %v", err, err2)
		}
		if err == nil && (body != body2 || whole.done != cutUp.done || whole.status != cutUp.status) {
			t.Fatalf("whole: %q %+v, cut up: %q %+v", body, whole, body2, cutUp)
		}
	})
}
