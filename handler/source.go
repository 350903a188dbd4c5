package handler

import (
	"errors"
	"net/http"
	"path"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/icy"
)

// sourceMethods are what a source can be used with.
const sourceMethods = "POST, PUT, OPTIONS"

// source makes an upload a stream of the input: nothing is stored.
func (q *request) source() error {
	switch q.r.Method {
	case http.MethodPut, http.MethodPost, "SOURCE":
		return q.takeIn()
	case http.MethodDelete:
		if !q.dest.bus.Followed() {
			return q.notAllowed()
		}
		q.dest.bus.Delete("/" + q.path.name)
		q.w.Header().Set("Content-Length", "0")
		q.writeHeader(http.StatusOK)
		return nil
	case http.MethodOptions:
		q.w.Header().Set("Allow", sourceMethods)
		q.w.Header().Set("Content-Length", "0")
		q.writeHeader(http.StatusOK)
		return nil
	default:
		return q.notAllowed()
	}
}

// takeIn reads the body into a stream of the input.
func (q *request) takeIn() error {
	r := q.r
	if r.Header.Get("Range") != "" || r.Header.Get("Content-Range") != "" {
		return fail(http.StatusRequestedRangeNotSatisfiable, "A live input takes whole uploads, no ranges")
	}
	if q.path.slash || q.path.name == "." {
		return fail(http.StatusConflict, "The path needs a name")
	}
	if q.maxUpload > 0 && r.ContentLength > q.maxUpload {
		return errTooLarge
	}
	if q.challenge() {
		h := q.w.Header()
		h.Set("Allow", sourceMethods) // so that libshout takes PUT, whose end is told better
		h.Set("Content-Length", "0")
		q.writeHeader(http.StatusOK)
		return nil
	}
	d := sinkbus.Declared{
		MediaType:  r.Header.Get("Content-Type"),
		Length:     r.ContentLength,
		Properties: icy.Properties(r.Header),
	}
	if q.unframed() {
		d.Length = -1
		return q.takeInUnframed(d)
	}
	s, err := q.openSource(d)
	if err != nil {
		return err
	}
	b := &body{src: r.Body, conn: http.NewResponseController(q.w), max: q.maxLive()}
	q.reading = true
	n, err := q.feed(s, b, func() func() { return b.setTimeout(q.timeout, r) })
	q.bytes = n
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = errShort
	}
	if err != nil {
		s.Abort(err)
		if errors.Is(err, errStalled) {
			q.closeConnection()
		}
		return err
	}
	s.Complete()
	q.received = true
	h := q.w.Header()
	h.Set("Content-Length", "0")
	q.writeHeader(http.StatusCreated)
	return nil
}

// maxLive is the largest upload that does not declare its length, 0 for no
// limit: the default is for those that do.
func (q *request) maxLive() int64 {
	if q.opts.MaxUpload == nil {
		return 0
	}
	return q.maxUpload
}

// openSource opens the stream of an upload.
func (q *request) openSource(d sinkbus.Declared) (*sinkbus.Stream, error) {
	s, err := q.dest.bus.OpenLive("/"+path.Clean(q.path.name), d)
	if err != nil {
		return nil, failWith(http.StatusServiceUnavailable, "The input is over", err)
	}
	q.logger.Debug("source connected", zap.String("input", q.dest.input), zap.String("path", s.Name),
		zap.String("client_ip", q.clientIP), zap.String("type", s.MediaType))
	return s, nil
}

// feed reads a body into a stream, once the input's producers may go on. When
// the stream is ended by somebody else, reading ends. setTimeout begins the
// time in which the client has to send something, and returns what ends it.
func (q *request) feed(s *sinkbus.Stream, b *body, setTimeout func() func()) (int64, error) {
	if !q.state.beginBody(b) {
		return 0, errStopping
	}
	defer q.state.endBody(b)
	read, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.Ended():
			b.interrupt()
		case <-read:
		}
	}()
	defer func() {
		close(read)
		<-watched
	}()
	if err := q.dest.bus.Await(q.r.Context()); err != nil {
		return 0, errLeft
	}
	defer setTimeout()()
	b.piece = q.blockSize
	n, err := s.ReadFrom(b)
	select {
	case <-q.state.drained:
		return n, errStopping
	default:
	}
	switch {
	case s.State() != sinkbus.Open:
		return n, fail(http.StatusServiceUnavailable, "The input has ended")
	case b.err != nil:
		return n, b.err
	default:
		return n, err
	}
}
