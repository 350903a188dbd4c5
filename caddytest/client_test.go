package caddytest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// protocol is a way to talk to the server.
type protocol struct {
	name string
	port string // the port it is spoken on
	want string // what a response says it came by
}

// The protocols, of which the first is the only one without TLS.
var (
	plain = protocol{"h1", "HTTP", "HTTP/1.1"}
	h1    = protocol{"h1-tls", "HTTPS", "HTTP/1.1"}
	h2    = protocol{"h2", "HTTPS", "HTTP/2.0"}
	h3    = protocol{"h3", "HTTPS", "HTTP/3.0"}

	protocols = []protocol{plain, h1, h2, h3}
)

// newClient returns a client with a connection of its own.
func newClient(t testing.TB, p protocol) *http.Client {
	t.Helper()
	// the certificates are those of the server's own authority
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
	var rt http.RoundTripper
	switch p {
	case h3:
		tr := &http3.Transport{TLSClientConfig: cfg, DisableCompression: true}
		t.Cleanup(func() { tr.Close() })
		rt = tr
	default:
		tr := &http.Transport{
			TLSClientConfig:    cfg,
			ForceAttemptHTTP2:  p == h2,
			DisableCompression: true,
			MaxIdleConns:       1,
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				addr = strings.Replace(addr, "localhost:", "127.0.0.1:", 1)
				return new(net.Dialer).DialContext(ctx, "tcp4", addr)
			},
		}
		t.Cleanup(tr.CloseIdleConnections)
		rt = tr
	}
	return &http.Client{
		Transport: rt,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// reply is a response, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // how the body ended, when not well
	proto  string
}

// wait is how long a test waits for something that ought to happen at once.
const wait = 20 * time.Second

// do sends a request and reads the whole response. Header lines are given as
// "Name: value".
func do(t testing.TB, c *http.Client, method, url, body string, header ...string) *reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r := exchangeOn(c, newRequest(t, ctx, method, url, rd, header...))
	if r.status == 0 {
		t.Fatalf("%s %s: %v", method, url, r.err)
	}
	return r
}

// exchangeOn sends a request and reads the whole response. Without a response
// the status is 0. It may be used by any goroutine.
func exchangeOn(c *http.Client, req *http.Request) *reply {
	resp, err := c.Do(req)
	if err != nil {
		return &reply{err: err}
	}
	return readReply(resp)
}

func newRequest(t testing.TB, ctx context.Context, method, url string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	return req
}

func readReply(resp *http.Response) *reply {
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return &reply{resp.StatusCode, resp.Header, string(data), err, resp.Proto}
}

// wantReply checks the status and the body of a response that ended well.
func wantReply(t testing.TB, what string, r *reply, status int, body string) {
	t.Helper()
	if r.err != nil {
		t.Errorf("%s: the body ended with %v", what, r.err)
	}
	equal(t, what+": status", r.status, status)
	equal(t, what+": body", r.body, body)
}

// follower is a GET whose response is read bit by bit.
type follower struct {
	t      testing.TB
	resp   *http.Response
	cancel context.CancelFunc
}

// follow sends a GET, again and again until what it asks for is there.
func follow(t testing.TB, c *http.Client, url string, header ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	f := &follower{t: t, cancel: cancel}
	await(t, wait, "GET "+url, func() error {
		resp, err := c.Do(newRequest(t, ctx, http.MethodGet, url, nil, header...))
		if err != nil {
			return err
		}
		if resp.StatusCode >= 300 {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return fmt.Errorf("got status %s", resp.Status)
		}
		f.resp = resp
		return nil
	})
	t.Cleanup(func() { f.resp.Body.Close() })
	return f
}

// want reads as many bytes as the text has, and compares them.
func (f *follower) want(text string) {
	f.t.Helper()
	stop := time.AfterFunc(wait, f.cancel)
	defer stop.Stop()
	buf := make([]byte, len(text))
	n, err := io.ReadFull(f.resp.Body, buf)
	if err != nil || string(buf) != text {
		f.t.Fatalf("following %s: got %v (%v), want %v", f.resp.Request.URL, shorten(string(buf[:n])), err, shorten(text))
	}
}

// rest reads on to the end of the response.
func (f *follower) rest() (string, error) {
	stop := time.AfterFunc(wait, f.cancel)
	defer stop.Stop()
	defer f.resp.Body.Close()
	data, err := io.ReadAll(f.resp.Body)
	return string(data), err
}

// wantEnd reads the rest of the response, which must end well.
func (f *follower) wantEnd(rest string) {
	f.t.Helper()
	got, err := f.rest()
	if err != nil {
		f.t.Errorf("following %s: ended with %v, want a good end", f.resp.Request.URL, err)
	}
	equal(f.t, "rest of "+f.resp.Request.URL.Path, got, rest)
}

// wantAbort reads the rest of the response, which must be cut off. It returns
// what came before.
func (f *follower) wantAbort() string {
	f.t.Helper()
	got, err := f.rest()
	switch {
	case err == nil:
		f.t.Errorf("following %s: ended well after %v, want an aborted response", f.resp.Request.URL, shorten(got))
	case errors.Is(err, context.Canceled):
		f.t.Errorf("following %s: still open, want an aborted response", f.resp.Request.URL)
	}
	return got
}

// upload is a request whose body the test writes bit by bit.
type upload struct {
	t      testing.TB
	pipe   *io.PipeWriter
	cancel context.CancelFunc
	done   chan struct{}
	reply  *reply // valid once done is closed
	err    error  // likewise
	once   sync.Once
}

// begin starts an upload.
func begin(t testing.TB, c *http.Client, method, url string, header ...string) *upload {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	rd, wr := io.Pipe()
	u := &upload{t: t, pipe: wr, cancel: cancel, done: make(chan struct{})}
	req := newRequest(t, ctx, method, url, rd, header...)
	go func() {
		defer close(u.done)
		u.reply = exchangeOn(c, req)
		if u.reply.status == 0 {
			u.err = u.reply.err
		}
		rd.CloseWithError(errors.New("the response has ended"))
	}()
	t.Cleanup(func() {
		u.abort()
		<-u.done
	})
	return u
}

// write sends a part of the body.
func (u *upload) write(text string) {
	u.t.Helper()
	if _, err := io.WriteString(u.pipe, text); err != nil {
		u.t.Fatalf("writing the upload: %v", err)
	}
}

// finish completes the body and returns the response.
func (u *upload) finish() *reply {
	u.t.Helper()
	u.pipe.Close()
	return u.wait()
}

// wait waits for the response.
func (u *upload) wait() *reply {
	u.t.Helper()
	select {
	case <-u.done:
	case <-time.After(60 * time.Second):
		u.t.Fatal("the upload got no response")
	}
	if u.err != nil {
		u.t.Fatalf("the upload failed: %v", u.err)
	}
	return u.reply
}

// abort ends the request in the middle: the connection, or the stream, is reset.
func (u *upload) abort() {
	u.once.Do(func() {
		u.cancel()
		u.pipe.CloseWithError(context.Canceled)
	})
}

// rawConn is a connection on which a test writes what it likes.
type rawConn struct {
	t testing.TB
	net.Conn
	rd *bufio.Reader
}

// dial opens a raw connection.
func dial(t testing.TB, addr string) *rawConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(wait))
	return &rawConn{t, c, bufio.NewReader(c)}
}

// send writes text as it is.
func (c *rawConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// response reads a response to a request of the given method.
func (c *rawConn) response(method string) (*reply, error) {
	resp, err := http.ReadResponse(c.rd, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	r := readReply(resp)
	// what net/http has moved elsewhere
	if resp.Close && r.header.Get("Connection") == "" {
		r.header.Set("Connection", "close")
	}
	if len(resp.TransferEncoding) > 0 {
		r.header.Set("Transfer-Encoding", strings.Join(resp.TransferEncoding, ", "))
	}
	return r, nil
}

// want reads a response, which must come.
func (c *rawConn) want(method string) *reply {
	c.t.Helper()
	r, err := c.response(method)
	if err != nil {
		c.t.Fatalf("reading the response: %v", err)
	}
	return r
}

// wantEOF checks that the server closes the connection without more.
func (c *rawConn) wantEOF() {
	c.t.Helper()
	rest, err := io.ReadAll(c.rd)
	if err != nil {
		c.t.Errorf("got %v, want the connection to be closed", err)
	}
	if len(rest) > 0 {
		c.t.Errorf("got %v after the response, want the connection to be closed", shorten(string(rest)))
	}
}

// raw sends a request on a connection of its own. Lines end in LF in the given
// text; a Host field is added. The connection is closed for writing after it.
func raw(t testing.TB, addr, request string) *reply {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	c.send(rawText(request))
	method, _, _ := strings.Cut(request, " ")
	return c.want(method)
}

// rawText makes the bytes of a request out of readable text: the head's lines
// end in LF, the body is what follows the first empty line.
func rawText(request string) string {
	head, body, _ := strings.Cut(request, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	var b bytes.Buffer
	b.WriteString(line + "\r\n")
	if !strings.Contains(strings.ToLower(head), "\nhost:") {
		b.WriteString("Host: localhost\r\n")
	}
	for field := range strings.SplitSeq(fields, "\n") {
		if field != "" {
			b.WriteString(field + "\r\n")
		}
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// chunked encodes a body in chunks, one for each text.
func chunked(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(text), text)
	}
	return b.String() + "0\r\n\r\n"
}

// pattern returns n bytes that differ everywhere and depend on the seed.
func pattern(seed uint64, n int) string {
	b := make([]byte, n)
	x := seed*0x9E3779B97F4A7C15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}
