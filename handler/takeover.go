//go:build unix

package handler

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"syscall"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// A plain HTTP/1 connection is taken over from net/http for a live response: its
// goroutine then only waits for the client to leave, while a broadcast writes
// to all of them. What Caddy counts and logs for a request goes on, as the
// request does.

// canTakeOver tells whether the response, whose header has been sent, can go on
// on the connection itself: a plain one, whose bytes nobody on the way changes.
func (q *request) canTakeOver() bool {
	if q.r.ProtoMajor != 1 || q.r.TLS != nil || q.opts.BlockIO || q.w.Header().Get("Content-Encoding") != "" {
		return false
	}
	if _, ok := q.conn.netConn.(*net.TCPConn); !ok {
		return false
	}
	return onlyPasses(q.w)
}

// passing are the types of response writers that pass bytes on as they are: all
// of Caddy's own that may stand between us and net/http.
var passing = map[string]bool{
	"*http.response":                   true,
	"*caddyhttp.responseRecorder":      true,
	"*caddyhttp.IdleTimeoutWriter":     true,
	"*caddyhttp.readDeadlineWriter":    true,
	"*caddyhttp.ResponseWriterWrapper": true,
	"*encode.responseWriter":           true,
	"*headers.responseWriterWrapper":   true,
}

// onlyPasses tells whether w and the writers below it pass bytes on.
func onlyPasses(w http.ResponseWriter) bool {
	for {
		if !passing[reflect.TypeOf(w).String()] {
			return false
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return true
		}
		w = u.Unwrap()
	}
}

// rawConn is a connection that was taken over.
type rawConn struct {
	tcp *net.TCPConn
	raw syscall.RawConn
}

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// wake ends the read that the connection's goroutine waits in.
func (c *rawConn) wake() {
	// a connection that is closed has nobody to wake
	_ = c.tcp.SetReadDeadline(longAgo)
}

// frameWriter writes to connections without waiting. It is for one goroutine.
type frameWriter struct {
	b   []byte
	n   int
	err error
	try func(fd uintptr) bool
}

// write writes what the connection takes at once.
func (w *frameWriter) write(m *member, b []byte) (int, error) {
	if w.try == nil {
		w.try = func(fd uintptr) bool {
			w.n, w.err = syscall.Write(int(fd), w.b)
			return w.err != syscall.EINTR
		}
	}
	w.b = b
	err := m.raw.Write(w.try)
	switch {
	case err != nil:
		return 0, err
	case w.err == syscall.EAGAIN:
		return 0, nil
	}
	return max(0, w.n), w.err
}

// rawListener writes on a connection that was taken over.
type rawListener struct {
	q        *request
	m        member
	hijacked net.Conn // what Caddy's recorder made of it
	out      frame
	done     func()
}

// takeOver takes the connection of a response whose header has been sent.
func (q *request) takeOver(rc *http.ResponseController) (listener, error) {
	tcp := q.conn.netConn.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	hijacked, _, release, err := q.hijack(rc)
	if err != nil {
		return nil, err
	}
	l := &rawListener{q: q, hijacked: hijacked, done: release}
	l.m.rawConn = rawConn{tcp, raw}
	l.m.chunked = q.r.ProtoAtLeast(1, 1)
	return l, nil
}

// errGone is what ends a taken over connection whose client has left.
var errGone = errors.New("the client has left")

func (l *rawListener) left(err error) bool { return errors.Is(err, errGone) }

// follow writes a stream until it ends.
func (l *rawListener) follow(r *sinkbus.LiveReader) error {
	for {
		p, err := r.TryNext(l.q.pieceSize())
		if err != nil {
			return err
		}
		if len(p) > 0 {
			if err := l.write(p); err != nil {
				return err
			}
			continue
		}
		l.m.from, l.m.fresh = r.Offset(), !r.Joined()
		r.Suspend()
		from := r.Offset()
		left := l.broadcast(r.Stream())
		if left == nil {
			from = l.m.from // of one that left, the loop may still write
		}
		if err := r.Resume(from); left == nil && err != nil {
			return nil //nolint:nilerr // it is over, and was whole
		}
		if left != nil {
			return left
		}
	}
}

// pieceSize is the most that is written at a time, in bytes.
func (q *request) pieceSize() int64 {
	if q.blockSize > 0 {
		return q.blockSize
	}
	return maxFrame
}

// broadcast has the loop write the stream to the connection until it gives that
// back, and then writes what is left over.
func (l *rawListener) broadcast(s *sinkbus.Stream) error {
	m := &l.m
	for {
		c, err := l.q.state.casts.of(s, m.from)
		if err != nil {
			return nil //nolint:nilerr // it is over, as follow finds
		}
		if err := m.tcp.SetReadDeadline(time.Time{}); err != nil {
			return errGone
		}
		if c.join(m) {
			break
		}
		if m.fresh {
			return nil
		}
	}
	if err := l.await(); err != nil {
		return err
	}
	if m.err != nil {
		return errGone
	}
	rest := m.rest
	m.rest = nil
	return l.writeAll(rest)
}

// await waits until the loop has given the connection back. A client that leaves
// is noticed at once.
func (l *rawListener) await() error {
	m := &l.m
	var buf [256]byte
	for m.in.Load() {
		_, err := m.tcp.Read(buf[:])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return errGone // the loop finds it closed
		}
	}
	return nil
}

// write writes a piece of a stream, and waits until the client has taken it.
func (l *rawListener) write(p []byte) error {
	l.out.set(p, 0)
	l.m.sent.Add(int64(len(p)))
	return l.writeAll(l.out.bytes(l.m.chunked))
}

// writeAll writes bytes within the timeout.
func (l *rawListener) writeAll(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var deadline time.Time
	if l.q.timeout > 0 {
		deadline = time.Now().Add(l.q.timeout)
	}
	tcp := l.m.tcp
	if tcp.SetWriteDeadline(deadline) != nil {
		return errGone
	}
	if _, err := tcp.Write(b); err != nil {
		return errGone
	}
	if tcp.SetWriteDeadline(time.Time{}) != nil {
		return errGone
	}
	return nil
}

// watch reads from the connection, as nobody else does meanwhile.
func (l *rawListener) watch() func() {
	tcp := l.m.tcp
	left, done := make(chan struct{}), make(chan struct{})
	// a connection that is closed is found to be by Read
	_ = tcp.SetReadDeadline(time.Time{})
	go func() {
		defer close(done)
		var buf [256]byte
		for {
			_, err := tcp.Read(buf[:])
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				close(left)
				return
			}
		}
	}()
	l.q.left = left
	return func() {
		l.m.wake()
		<-done
		l.q.left = nil
	}
}

func (l *rawListener) end() error {
	if l.m.chunked {
		_ = l.writeAll([]byte("0\r\n\r\n")) // the client may be gone by now
	}
	_ = l.m.tcp.CloseWrite()
	return nil
}

func (l *rawListener) abort(err error) error {
	_ = l.m.tcp.SetLinger(0) // the connection is reset
	l.close()
	l.q.abort(err)
	return nil
}

// close closes the connection, and tells Caddy's recorder how much was sent.
func (l *rawListener) close() {
	if l.done == nil {
		return
	}
	l.q.bytes = l.m.sent.Load()
	if rf, ok := l.hijacked.(io.ReaderFrom); ok {
		_, _ = rf.ReadFrom(counted(l.q.bytes)) // it has no bytes, so nothing is written
	}
	l.hijacked.Close()
	l.done()
	l.done = nil
}

// counted stands for bytes that have been written already: who copies it learns
// how many they were.
type counted int64

func (c counted) Read([]byte) (int, error) { return 0, io.EOF }

// WriteTo implements io.WriterTo.
func (c counted) WriteTo(io.Writer) (int64, error) { return int64(c), nil }

// Interface guards
var (
	_ listener    = (*rawListener)(nil)
	_ io.WriterTo = counted(0)
)
