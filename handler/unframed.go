package handler

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// Encoders that were made for Icecast send no framing: neither a Content-Length
// nor a transfer coding, but bytes until they close the connection. HTTP says
// that such a request has no body, and net/http reads none; so the connection is
// taken over from it.

// unframed tells whether the body of a request that ought to have one has no
// framing.
func (q *request) unframed() bool {
	r := q.r
	return r.ProtoMajor == 1 && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		r.Header.Get("Content-Length") == ""
}

// challenge tells whether a request only asks how the real one is to be made, as
// libshout does before each stream.
func (q *request) challenge() bool {
	return q.r.ContentLength == 0 && !q.unframed() &&
		(q.r.Method == "SOURCE" || q.r.Header.Get("Prefer") == "return=minimal")
}

// firstByteWait is how long an encoder that does not expect a response may take
// for its first byte. Those that wait for one get it then.
const firstByteWait = 250 * time.Millisecond

// What is sent on a connection that was taken over.
const (
	continueLine = "HTTP/1.1 100 Continue\r\n\r\n"
	sourceOK     = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	sourceDone   = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

// takeInUnframed reads a body without framing into a stream of the input, until
// the client closes the connection.
func (q *request) takeInUnframed(d sinkbus.Declared) error {
	s, err := q.openSource(d)
	if err != nil {
		return err
	}
	conn, buf, release, err := q.hijack(http.NewResponseController(q.w))
	if err != nil {
		s.Abort(err)
		return failWith(http.StatusInternalServerError, "The connection cannot be taken over", err)
	}
	defer release()
	defer conn.Close()
	// net/http sends nothing any more, but what counts and logs requests is to
	// know the status
	q.status = http.StatusCreated
	defer func() { q.w.WriteHeader(q.status) }()

	b := &body{src: buf.Reader, conn: conn, max: q.maxLive()}
	var last string
	q.bytes, err = q.feed(s, b, func() func() {
		last = q.greet(conn, buf.Reader)
		b.timeout = q.timeout
		return func() {}
	})
	// TLS tells a connection that was just closed from one that was closed by
	// the book, which not every encoder does
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		s.Complete()
		_, _ = io.WriteString(conn, last) // to who reads on, which few do
		return nil
	}
	s.Abort(err)
	q.status, _ = explain(err)
	q.logger.Debug("source broke off", zap.String("path", s.Name), zap.Error(err))
	return nil
}

// greet sends what an encoder waits for before its first byte, and returns what
// is to be sent after the last one. An encoder gets no more than it waits for:
// what it leaves unread makes the system reset the connection when the encoder
// closes it, and then nobody could tell the end from a failure.
func (q *request) greet(conn net.Conn, rd *bufio.Reader) (last string) {
	if expectsContinue(q.r) {
		// a client that is gone is found out by the next read
		_, _ = io.WriteString(conn, continueLine)
		return sourceDone
	}
	_ = conn.SetReadDeadline(time.Now().Add(firstByteWait))
	_, err := rd.Peek(1)
	_ = conn.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_, _ = io.WriteString(conn, sourceOK)
		return ""
	}
	return sourceDone
}
