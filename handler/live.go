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
	part, err := q.liveRange(s)
	if err != nil {
		return err
	}
	reader, err := s.NewReader(q.r.Context(), part.first)
	if err != nil {
		return errNotFound
	}
	defer reader.Close()

	h := q.w.Header()
	status := http.StatusOK
	if part.contentRange != "" {
		status = http.StatusPartialContent
		h.Set("Content-Range", part.contentRange)
	}
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
	return q.follow(reader, part.last)
}

// livePart is which bytes of a stream are asked for: from first to before last,
// or to its end if last is -1.
type livePart struct {
	first, last  int64
	contentRange string // empty for all of it
}

// liveRange returns which bytes of a stream are asked for.
func (q *request) liveRange(s *sinkbus.Stream) (livePart, error) {
	whole := livePart{last: -1}
	header := rangeHeader(q.r)
	if header == "" || q.opts.NoRange || q.r.Header.Get("If-Range") != "" {
		return whole, nil
	}
	spec, err := byterange.Parse(header)
	if err != nil {
		return whole, unsatisfiedLive(err)
	}
	if spec.Whole() {
		return whole, nil
	}
	item, single := spec.Single()
	switch {
	case !single:
		return whole, unsatisfiedLive(errors.New("only one range of a stream in progress"))
	case item.Form == byterange.Suffix:
		return whole, unsatisfiedLive(errors.New("the length of a stream in progress is not known"))
	case item.Form == byterange.Closed:
		r := item.Range()
		return livePart{r.Start, r.Start + r.Length, r.ContentRange(-1)}, nil
	case q.wantsOpenRange():
		return livePart{item.First, -1, byterange.OpenContentRange(item.First)}, nil
	}
	known := s.Size()
	if item.First >= known {
		if known, err = q.awaitByte(s, item.First); err != nil {
			return whole, err
		}
	}
	r := byterange.Range{Start: item.First, Length: known - item.First}
	return livePart{item.First, known, r.ContentRange(-1)}, nil
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

func unsatisfiedLive(err error) error {
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
	if head := s.Head(mediatype.SniffLen); len(head) > 0 {
		return mediatype.Sniff(head)
	}
	return "application/octet-stream"
}

// follow writes the stream from the reader's position, up to before last or, if
// that is -1, to its end. When the stream is aborted, so is the response: the
// client must not take it for complete.
func (q *request) follow(reader *sinkbus.Reader, last int64) error {
	defer q.overrideWriteTimeout()()
	rc := http.NewResponseController(q.w)
	flush := func() error {
		if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return errLeft
		}
		return nil
	}
	if err := flush(); err != nil {
		return err
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
			if err := flush(); err != nil {
				return err
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
