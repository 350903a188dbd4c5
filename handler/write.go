package handler

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/precond"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// writable returns the place that a request writes to, if it may: follow tells
// whether it goes through a link there, or replaces that.
func (q *request) writable(follow bool) (place, error) {
	p, ok := q.writeMount()
	if !ok {
		return place{}, q.notAllowed()
	}
	if err := q.mayWrite(p, follow); err != nil {
		return place{}, err
	}
	if q.hidden.hides(p) {
		return place{}, fail(http.StatusForbidden, "This name cannot be written")
	}
	return p, nil
}

// put stores the body under the target's name, whole or in part.
func (q *request) put() error {
	p, err := q.writable(q.isPartial())
	if err != nil {
		return err
	}
	if q.path.slash || p.name == "." {
		return fail(http.StatusConflict, "The target is a directory")
	}
	if err := q.checkFraming(); err != nil {
		return err
	}
	if q.isPartial() {
		return q.writePart(p)
	}
	if err := q.precheck(p); err != nil {
		return err
	}
	u, err := p.dir.Create(p.name, sinkbus.UploadOptions{
		MediaType: q.r.Header.Get("Content-Type"),
		Length:    q.r.ContentLength,
	})
	if err != nil {
		return err
	}
	q.log.fileEvent(q, "file opened", p)
	if err := q.receive(u); err != nil {
		u.Discard(err)
		return err
	}
	created, info, err := u.Commit(context.WithoutCancel(q.r.Context()), sinkbus.CommitOptions{
		Fsync: q.opts.Fsync,
		Check: q.preconditions,
	})
	if err != nil {
		return err
	}
	q.log.fileEvent(q, "file closed", p)
	q.stored(created, info)
	return nil
}

// checkFraming refuses bodies that are too large, before anything is read of
// them, and bodies that HTTP/1 cannot tell the end of: those would be empty.
func (q *request) checkFraming() error {
	r := q.r
	if q.maxUpload > 0 && r.ContentLength > q.maxUpload {
		return errTooLarge
	}
	if r.ProtoMajor == 1 && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		r.Header.Get("Content-Length") == "" && expectsContinue(r) {
		return fail(http.StatusLengthRequired, "The body needs a Content-Length or chunked transfer coding")
	}
	return nil
}

func expectsContinue(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Expect"), "100-continue")
}

// precheck evaluates the preconditions before the body is read: they are looked
// at again when the upload takes its name.
func (q *request) precheck(p place) error {
	if !hasPreconditions(q.r.Header) {
		return nil
	}
	info, err := p.dir.Stat(p.name)
	if err != nil && !missing(err) {
		return err
	}
	return q.preconditions(info)
}

func hasPreconditions(h http.Header) bool {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// preconditions evaluates those of a write for what is under the name, which is
// nil if nothing is.
func (q *request) preconditions(old fs.FileInfo) error {
	res := precond.Resource{Now: time.Now()}
	if old != nil {
		res.Exists, res.ETag, res.ModTime = true, etag(old), old.ModTime()
	}
	if result := precond.Evaluate(q.r.Method, q.r.Header, res); result.Outcome != precond.Proceed {
		return fail(http.StatusPreconditionFailed, "The precondition "+result.Field+" does not hold")
	}
	return nil
}

// receive reads the body into an upload.
func (q *request) receive(u *sinkbus.Upload) error {
	b := &body{src: q.r.Body, conn: http.NewResponseController(q.w), max: q.maxUpload}
	if !q.state.beginBody(b) {
		return errStopping
	}
	defer q.state.endBody(b)
	defer b.setTimeout(q.timeout, q.r)()
	q.reading = true
	n, err := u.ReadFrom(b)
	q.bytes = n
	switch {
	case b.err != nil:
		if errors.Is(b.err, errStalled) {
			q.closeConnection()
		}
		return b.err
	case err != nil:
		return err
	case q.r.ContentLength >= 0 && n != q.r.ContentLength:
		return errShort
	}
	q.received = true
	return nil
}

// body is a request body that is being stored. It keeps the client's errors
// apart from those of the disk.
type body struct {
	src   io.Reader
	conn  interface{ SetReadDeadline(t time.Time) error }
	max   int64 // in bytes, 0 for no limit
	piece int64 // the most that is read at a time, 0 for no limit

	// timeout is what each read may take, where Caddy does not see to that
	// itself; 0 for ever.
	timeout time.Duration

	stopping atomic.Bool
	n        int64
	err      error
}

// interrupt ends a read in progress, and those to come.
func (b *body) interrupt() {
	b.stopping.Store(true)
	// where deadlines are not supported the client's own pace has to do
	_ = b.conn.SetReadDeadline(time.Now())
}

// setTimeout makes ours the time that the client may pause, instead of Caddy's,
// until the returned function is called. 0 is for ever.
func (b *body) setTimeout(timeout time.Duration, r *http.Request) func() {
	idle, _ := caddyhttp.IdleTimeoutsFromContext(r.Context())
	if idle == nil {
		b.timeout = timeout
		return func() {}
	}
	if timeout == 0 {
		timeout = forEver
	}
	return idle.Override(timeout, 0)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.timeout > 0 && !b.stopping.Load() {
		// where deadlines are not supported there is nothing to be done
		_ = b.conn.SetReadDeadline(time.Now().Add(b.timeout))
		if b.stopping.Load() {
			b.interrupt() // its deadline may have been the earlier one
		}
	}
	if b.piece > 0 && int64(len(p)) > b.piece {
		p = p[:b.piece]
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	switch {
	case b.max > 0 && b.n > b.max:
		b.err = errTooLarge
		return 0, b.err
	case err == nil || err == io.EOF:
		return n, err
	case b.stopping.Load():
		b.err = errStopping
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = errStalled
	default:
		if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			b.err = he // request_body's own limit
		} else {
			b.err = failWith(http.StatusBadRequest, "The upload was not completed", err)
		}
	}
	return n, b.err
}

// stored answers an upload that has become a file, or a part of one.
func (q *request) stored(created bool, info fs.FileInfo) {
	h := q.w.Header()
	// two slashes at the beginning would name another host
	location := "/" + strings.TrimLeft(q.originalPath(), "/")
	h.Set("Content-Location", (&url.URL{Path: location}).EscapedPath())
	if tag := q.etagOf(info); tag != "" {
		h["Etag"] = []string{string(tag)}
	}
	h.Set("Content-Length", "0")
	if created {
		q.writeHeader(http.StatusCreated)
	} else {
		q.writeHeader(http.StatusOK)
	}
}

// originalPath returns the decoded path as the client sent it, before Caddy
// stripped or rewrote anything.
func (q *request) originalPath() string {
	if orig, ok := q.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && orig.URL != nil {
		return orig.URL.Path
	}
	return q.r.URL.Path
}

// delete removes a file.
func (q *request) delete() error {
	p, err := q.writable(false)
	if err != nil {
		return err
	}
	if p.name == "." {
		return fail(http.StatusConflict, "The target is a directory")
	}
	if info, err := p.dir.Stat(p.name); q.path.slash && err == nil && !info.IsDir() {
		q.writeHeader(http.StatusNoContent) // a file is not what was meant
		return nil
	}
	removed, err := p.dir.Remove(context.WithoutCancel(q.r.Context()), p.name, q.preconditions)
	if err != nil && (!missing(err) || errors.Is(err, sinkbus.ErrIsDirectory)) {
		return err
	}
	if !removed {
		q.writeHeader(http.StatusNoContent)
		return nil
	}
	q.log.fileEvent(q, "file deleted", p)
	q.w.Header().Set("Content-Length", "0")
	q.writeHeader(http.StatusOK)
	return nil
}
