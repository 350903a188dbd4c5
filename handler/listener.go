package handler

import (
	"errors"
	"net/http"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// listener is one client of a sink, and the way to it.
type listener interface {
	// follow writes a stream until it ends: then it returns nil or io.EOF, or
	// the reason why it was aborted. Any other error is the client's.
	follow(r *sinkbus.LiveReader) error

	// watch has the request's left tell when the client leaves, while nothing
	// is written to it, until the function that it returns is called.
	watch() func()

	// left tells whether an error of follow means that the client is gone.
	left(err error) bool

	// end ends the response as complete.
	end() error

	// abort breaks the response off. It may not return.
	abort(err error) error

	// close gives back what the listener holds.
	close()
}

// newListener begins the body of a live response, whose header has been written:
// on the connection itself where that can be had, else through the writers of
// Caddy.
func (q *request) newListener() (listener, error) {
	rc := http.NewResponseController(q.w)
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, errLeft
	}
	if q.canTakeOver() {
		return q.takeOver(rc)
	}
	return &writerListener{q: q, rc: rc}, nil
}

// writerListener writes through the writers of Caddy: for TLS, HTTP/2 and
// HTTP/3.
type writerListener struct {
	q  *request
	rc *http.ResponseController
}

func (l *writerListener) follow(r *sinkbus.LiveReader) error {
	q := l.q
	for {
		p, err := r.Next(q.blockSize)
		if err != nil {
			return err
		}
		if err := q.write(p); err != nil {
			return err
		}
		if r.Buffered() > 0 {
			continue
		}
		if err := l.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return errLeft
		}
	}
}

// watch does nothing, as the request's context tells.
func (l *writerListener) watch() func() { return func() {} }

func (l *writerListener) left(err error) bool {
	return errors.Is(err, errLeft) || l.q.r.Context().Err() != nil
}

func (l *writerListener) end() error { return nil }

func (l *writerListener) abort(err error) error {
	l.q.abort(err)
	return nil
}

func (l *writerListener) close() {}
