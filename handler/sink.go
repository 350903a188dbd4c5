package handler

import (
	"errors"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/icy"
)

// sinkMethods are what a sink can be used with.
const sinkMethods = "GET, HEAD, OPTIONS"

// sink answers with a live input: its stream from where the client can join it,
// until it ends.
func (q *request) sink() error {
	find := q.dest.find(q.path)
	if find == nil {
		return errNotFound
	}
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		q.w.Header().Set("Content-Length", "0")
		q.w.Header().Set("Allow", sinkMethods)
		q.writeHeader(http.StatusOK)
		return nil
	default:
		return q.notAllowed()
	}
	if q.r.Method == http.MethodGet {
		q.dest.bus.Release()
	}
	s, err := q.firstStream(find)
	if err != nil {
		return err
	}
	// before the header, so that the client gets whatever comes after it
	r := q.join(s, sinkbus.JoinOptions{})
	q.sinkHeader(s)
	if q.r.Method == http.MethodHead {
		return nil
	}
	q.state.listeners.enter()
	defer q.state.listeners.leave()
	return q.listen(r, find)
}

// join returns a reader of a stream for the client, which begins as o says. It is
// nil if there is no stream, or not any more.
func (q *request) join(s *sinkbus.Stream, o sinkbus.JoinOptions) *sinkbus.LiveReader {
	if s == nil || q.r.Method != http.MethodGet {
		return nil
	}
	o.MaxLag, o.Block = q.maxAsync, q.opts.BlockIO
	r, err := s.Join(q.r.Context(), o)
	if err != nil {
		return nil
	}
	return r
}

// firstStream returns the stream that a request asks for. It is nil for an input
// with one stream that has not had any yet: its clients wait for it.
func (q *request) firstStream(find func() *sinkbus.Stream) (*sinkbus.Stream, error) {
	bus := q.dest.bus
	over := func() bool {
		select {
		case <-bus.Over():
			return true
		default:
			return false
		}
	}
	changed := bus.Changed()
	s := find()
	switch {
	case s != nil:
		return s, nil
	case bus.Opened() == 0 && !bus.Many() && !over():
		return nil, nil
	case bus.Opened() == 0 || bus.Many() && q.dest.below:
		return nil, errNotFound
	case q.opts.Reopen && !over() && q.r.Method == http.MethodGet:
		if s := q.awaitStream(find, changed); s != nil {
			return s, nil
		}
		if q.r.Context().Err() != nil {
			return nil, errLeft
		}
	}
	return nil, fail(http.StatusNotFound, "This stream is no longer available")
}

// awaitStream waits, at most for the timeout, until a stream opens. It returns
// nil when that does not happen, or will not any more.
func (q *request) awaitStream(find func() *sinkbus.Stream, changed <-chan struct{}) *sinkbus.Stream {
	var late <-chan time.Time
	if q.timeout > 0 {
		t := time.NewTimer(q.timeout)
		defer t.Stop()
		late = t.C
	}
	return q.awaitOpen(find, changed, late)
}

// awaitOpen waits until a stream opens, the input is over, the client leaves, or
// it is too late.
func (q *request) awaitOpen(find func() *sinkbus.Stream, changed <-chan struct{}, late <-chan time.Time) *sinkbus.Stream {
	for {
		select {
		case <-changed:
		case <-q.gone():
			return nil
		case <-late:
			return nil
		case <-q.state.drained:
			return nil
		}
		changed = q.dest.bus.Changed()
		if s := find(); s != nil {
			return s
		}
		select {
		case <-q.dest.bus.Over():
			return nil
		default:
		}
	}
}

// sinkHeader sends the header of a live response; s is nil if there is no stream
// yet.
func (q *request) sinkHeader(s *sinkbus.Stream) {
	h := q.w.Header()
	h.Set("Content-Type", q.dest.servedType(s, "/"+q.path.name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache, no-store, no-transform")
	h.Set("Incremental", "?1") // RFC 10036: nobody on the way is to hold it back
	h.Set("Accept-Ranges", "none")
	q.closeConnection()
	if q.opts.Ice {
		var known sinkbus.Properties
		if s != nil {
			known = s.Known()
		} else {
			known = q.dest.bus.Properties()
		}
		icy.SetHeader(h, known)
	}
	q.writeHeader(http.StatusOK)
}

// listen writes a stream to the client, and the following ones with reopen. r is
// nil if the first one is still to come.
func (q *request) listen(r *sinkbus.LiveReader, find func() *sinkbus.Stream) error {
	defer q.overrideWriteTimeout()()
	l, err := q.newListener()
	if err != nil {
		if r != nil {
			r.Close()
		}
		return err
	}
	defer l.close()
	for {
		if r == nil {
			if r = q.awaitFirst(find); r == nil {
				return l.end()
			}
		}
		s := r.Stream()
		err := l.follow(r)
		r.Close()
		q.logSkips(r)
		if l.left(err) {
			return errLeft
		}
		ended := err == nil || errors.Is(err, io.EOF)
		if next := q.nextStream(l, s, find); next != nil {
			r = q.join(next, sinkbus.JoinOptions{Next: true})
			continue
		}
		if ended {
			return l.end()
		}
		return l.abort(err)
	}
}

// awaitFirst waits for the first stream of an input that has one at a time. It
// returns nil when there will be none for the client.
func (q *request) awaitFirst(find func() *sinkbus.Stream) *sinkbus.LiveReader {
	for {
		changed := q.dest.bus.Changed()
		s := find()
		if s == nil {
			s = q.awaitOpen(find, changed, nil)
		}
		if s == nil {
			return nil
		}
		if r := q.join(s, sinkbus.JoinOptions{Start: true}); r != nil {
			return r
		}
	}
}

// nextStream returns the stream that a client goes on with after one has ended,
// nil if there is none for it.
func (q *request) nextStream(l listener, s *sinkbus.Stream, find func() *sinkbus.Stream) *sinkbus.Stream {
	format := s.Info()
	if !q.opts.Reopen || !format.Loose {
		return nil
	}
	defer l.watch()()
	changed := q.dest.bus.Changed()
	next := find()
	if next == nil || next == s {
		if next = q.awaitStream(find, changed); next == nil {
			return nil
		}
	}
	if t := next.Info().MediaType; t != "" && t != format.MediaType {
		return nil // what the client was told would not be true
	}
	return next
}

// gone is closed when the client of a request has left.
func (q *request) gone() <-chan struct{} {
	if q.left != nil {
		return q.left
	}
	return q.r.Context().Done()
}

// logSkips logs, once for each reader, that it was moved ahead.
func (q *request) logSkips(r *sinkbus.LiveReader) {
	if times, n := r.Skips(); times > 0 {
		q.logger.Debug("a slow client was moved ahead",
			zap.String("client_ip", q.clientIP), zap.String("path", q.r.URL.Path),
			zap.Int64("times", times), zap.Int64("bytes", n))
	}
}
