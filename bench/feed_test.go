//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// testSource accepts one source and answers the head of its request.
func testSource(t *testing.T, answer string) (*mount, <-chan io.Reader) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	bodies := make(chan io.Reader, 1)
	go func() {
		defer close(bodies)
		c, err := l.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
		br := bufio.NewReader(c)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		user, password, _ := r.BasicAuth()
		if r.Method != "PUT" || r.URL.Path != mountPath || user+":"+password != sourceLogin || r.Header.Get("Content-Type") != mediaType {
			t.Errorf("got request %v", r)
		}
		io.WriteString(c, answer)
		if len(r.TransferEncoding) > 0 {
			bodies <- r.Body
		} else {
			bodies <- br
		}
	}()
	return &mount{source: netip.MustParseAddrPort(l.Addr().String()), path: mountPath}, bodies
}

func TestFeed(t *testing.T) {
	const gap, packets = 2 * time.Millisecond, 20
	for _, tc := range []struct {
		chunked bool
		answer  string
	}{
		{true, ""},
		{false, "HTTP/1.1 100 Continue\r\n\r\n"},
		{false, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n"},
	} {
		t.Run(fmt.Sprintf("chunked %v %.12s", tc.chunked, tc.answer), func(t *testing.T) {
			m, bodies := testSource(t, tc.answer)
			m.chunked = tc.chunked
			f, err := openFeed(m, 1448, 7, gap)
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := make(chan error, 1)
			go func() { sent <- f.send(ctx) }()

			began := time.Now()
			var numbers []uint64
			fw := follower{run: 7, got: func(number uint64, at, _ int64) {
				numbers = append(numbers, number)
				if age := time.Since(time.Unix(0, at)); age < 0 || age > time.Since(began)+gap {
					t.Errorf("packet %d says that it is %v old", number, age)
				}
			}}
			body := <-bodies
			buf := make([]byte, 1000)
			for len(numbers) < packets {
				n, err := body.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				fw.feed(buf[:n], 0)
			}
			if d := time.Since(began); d < (packets-2)*gap {
				t.Errorf("%d packets took %v, want %v between two", packets, d, gap)
			}
			for i, n := range numbers {
				if n != uint64(i) {
					t.Fatalf("got packets %v", numbers)
				}
			}
			cancel()
			if err := <-sent; err != nil {
				t.Errorf("unexpected error: %v", err)
			}
		})
	}
}

func TestFeedIsRefused(t *testing.T) {
	for _, tc := range []struct{ answer, wantErr string }{
		{"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"},
		{"nonsense\r\n\r\n", "nonsense"},
	} {
		m, _ := testSource(t, tc.answer)
		if _, err := openFeed(m, 1448, 7, time.Millisecond); err == nil || !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("got error %v, want %q", err, tc.wantErr)
		}
	}
}

func TestFeedSaysHowLateItIs(t *testing.T) {
	m, bodies := testSource(t, "HTTP/1.1 100 Continue\r\n\r\n")
	f, err := openFeed(m, 1448, 7, time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- f.send(ctx) }()
	body := <-bodies
	// nobody reads, so that the source is held up as soon as buffers are full
	const held = 100 * time.Millisecond
	for began := time.Now(); time.Since(began) < held+50*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	for time.Duration(f.late.Load()) < held {
		if _, err := body.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	drained := make(chan struct{})
	go func() {
		io.Copy(io.Discard, body)
		close(drained)
	}()
	if err := <-sent; err != nil {
		t.Errorf("unexpected error: %v", err)
	}
	f.close()
	<-drained
}
