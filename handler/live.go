package handler

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// live answers with a stream in progress: what there is, and then what comes,
// until it ends. It returns errNotFound when the stream has ended before
// anything was answered.
func (q *request) live(p place, s *sinkbus.Stream) error {
	first, last, status, err := q.liveRange(s)
	if err != nil {
		return err
	}
	reader, err := s.NewReader(q.r.Context(), first)
	if err != nil {
		return errNotFound
	}
	defer reader.Close()

	h := q.w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", streamType(p, s))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("Incremental", "?1") // RFC 10036: nobody on the way is to hold it back
	q.acceptRanges(h)
	q.writeHeader(status)
	if q.r.Method == http.MethodHead {
		return nil
	}
	return q.follow(reader, last)
}

// liveRange returns which bytes of a stream are asked for, from first to before
// last (-1: to its end), and sets Content-Range if it is not all of them.
func (q *request) liveRange(s *sinkbus.Stream) (first, last int64, status int, err error) {
	header := rangeHeader(q.r)
	if header == "" || q.opts.NoRange || q.r.Header.Get("If-Range") != "" {
		return 0, -1, http.StatusOK, nil
	}
	known := s.Size()
	spec, err := byterange.Parse(header)
	if err != nil {
		return 0, 0, 0, q.unsatisfiedLive(err)
	}
	if spec.Whole() {
		return 0, -1, http.StatusOK, nil
	}
	item, single := spec.Single()
	if !single {
		return 0, 0, 0, q.unsatisfiedLive(errors.New("only one range of a stream in progress"))
	}
	h := q.w.Header()
	switch {
	case item.Form == byterange.Suffix:
		return 0, 0, 0, q.unsatisfiedLive(errors.New("the length of a stream in progress is not known"))
	case item.Form == byterange.Closed:
		r := item.Range()
		h.Set("Content-Range", r.ContentRange(-1))
		return r.Start, r.Start + r.Length, http.StatusPartialContent, nil
	case q.wantsOpenRange():
		h.Set("Content-Range", byterange.OpenContentRange(item.First))
		return item.First, -1, http.StatusPartialContent, nil
	}
	if item.First >= known {
		if known, err = q.awaitByte(s, item.First); err != nil {
			return 0, 0, 0, err
		}
	}
	r := byterange.Range{Start: item.First, Length: known - item.First}
	h.Set("Content-Range", r.ContentRange(-1))
	return item.First, known, http.StatusPartialContent, nil
}

// awaitByte waits until a stream has the byte at off, and returns its size then.
func (q *request) awaitByte(s *sinkbus.Stream, off int64) (int64, error) {
	reader, err := s.NewReader(q.r.Context(), off)
	if err != nil {
		return 0, errNotFound
	}
	defer reader.Close()
	switch _, err = reader.Next(1); {
	case err == nil:
		return s.Size(), nil
	case errors.Is(err, io.EOF):
		return 0, q.unsatisfied(s.Size(), byterange.ErrUnsatisfiable)
	case q.r.Context().Err() != nil:
		return 0, errLeft
	default:
		return 0, errNotFound
	}
}

func (q *request) unsatisfiedLive(err error) error {
	return failWith(http.StatusRequestedRangeNotSatisfiable, err.Error(), err)
}

// wantsOpenRange tells whether the client follows an open range to the end of
// the stream: the reference's own does, and others that say so.
func (q *request) wantsOpenRange() bool {
	if strings.HasPrefix(q.r.UserAgent(), "GPAC/") {
		return true
	}
	switch strings.ToLower(q.r.Header.Get("X-Allow-Open-Partial-Range")) {
	case "1", "true", "yes":
		return true
	default:
		return false
	}
}

// streamType returns the media type of a stream: what its producer declared, if
// that is specific, else by its name, else by what there is of it.
func streamType(p place, s *sinkbus.Stream) string {
	if mediatype.Specific(s.MediaType) {
		return s.MediaType
	}
	if t := mediatype.ByName(p.name); t != "" {
		return t
	}
	return mediatype.Sniff(s.Head(mediatype.SniffLen))
}

// follow writes the stream from the reader's position, up to before last or, if
// that is -1, to its end. When the stream is aborted, so is the response: the
// client must not take it for complete.
func (q *request) follow(reader *sinkbus.Reader, last int64) error {
	defer q.overrideWriteTimeout()()
	rc := http.NewResponseController(q.w)
	if err := rc.Flush(); err != nil {
		return errLeft
	}
	for last < 0 || reader.Offset() < last {
		var limit int64
		if last >= 0 {
			limit = last - reader.Offset()
		}
		p, err := reader.Next(limit)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case q.r.Context().Err() != nil:
			return errLeft
		case err != nil:
			q.abort(err)
		}
		if err := q.write(p); err != nil {
			return err
		}
		if reader.Buffered() == 0 {
			if err := rc.Flush(); err != nil {
				return errLeft
			}
		}
	}
	return nil
}

// forEver is the timeout of who has none.
const forEver = 100 * 365 * 24 * time.Hour

// overrideWriteTimeout makes our timeout the one that a client has to take
// data, until the returned function is called.
func (q *request) overrideWriteTimeout() func() {
	_, idle := caddyhttp.IdleTimeoutsFromContext(q.r.Context())
	if idle == nil {
		return func() {}
	}
	timeout := q.timeout
	if timeout == 0 {
		timeout = forEver
	}
	return idle.Override(timeout, 0, 0)
}
