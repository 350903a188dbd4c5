package handler

import (
	"context"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"strings"

	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// patch answers PATCH: the body fills the ranges that the header gives.
func (q *request) patch() error {
	p, err := q.writable(true)
	if err != nil {
		return err
	}
	if q.path.slash || p.name == "." {
		return fail(http.StatusConflict, "The target is a directory")
	}
	if t, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type")); err == nil && t == "message/byteranges" {
		return fail(http.StatusUnsupportedMediaType, "Give the range in a Content-Range or Range header field")
	}
	if !q.isPartial() {
		return fail(http.StatusBadRequest, "PATCH needs a Content-Range or Range header field")
	}
	if err := q.checkFraming(); err != nil {
		return err
	}
	return q.writePart(p)
}

// isPartial tells whether a write is for a part of the target: by Content-Range
// (RFC 9110 section 14.5), or by Range, as the reference does it.
func (q *request) isPartial() bool {
	return len(q.r.Header["Range"]) > 0 || len(q.r.Header["Content-Range"]) > 0
}

// writePart applies the body to parts of the target's file: all of it or
// nothing.
func (q *request) writePart(p place) error {
	if err := q.precheckPart(p); err != nil {
		return err
	}
	u, err := p.dir.Create(p.name, sinkbus.UploadOptions{Length: q.r.ContentLength, Hidden: true})
	if err != nil {
		return err
	}
	if err := q.receive(u); err != nil {
		u.Discard(err)
		return err
	}
	length := u.Size()
	plan := func(old fs.FileInfo) ([]sinkbus.Piece, error) {
		if err := q.preconditions(old); err != nil {
			return nil, err
		}
		return q.pieces(old, length)
	}
	created, info, err := u.Patch(context.WithoutCancel(q.r.Context()), q.opts.Fsync, plan)
	if err != nil {
		return err
	}
	q.log.fileEvent(q, "file patched", p)
	q.stored(created, info)
	return nil
}

// precheckPart finds what is wrong with the ranges before the body is read.
func (q *request) precheckPart(p place) error {
	info, err := p.dir.Stat(p.name)
	if err != nil && !missing(err) {
		return err
	}
	if info != nil && info.IsDir() {
		return sinkbus.ErrIsDirectory
	}
	if err := q.preconditions(info); err != nil {
		return err
	}
	_, err = q.pieces(info, q.r.ContentLength)
	return err
}

// pieces returns which parts of a file, nil if there is none, a body of the given
// length (-1 if that is not known yet) fills.
func (q *request) pieces(old fs.FileInfo, length int64) ([]sinkbus.Piece, error) {
	var size int64
	if old != nil {
		size = old.Size()
	}
	plan, err := byterange.PlanWrite(rangeHeader(q.r), strings.Join(q.r.Header.Values("Content-Range"), ","), length, size)
	if errors.Is(err, byterange.ErrUnsatisfiable) || errors.Is(err, byterange.ErrTooMany) {
		return nil, q.unsatisfied(size, err)
	}
	if err != nil {
		return nil, err
	}
	pieces := make([]sinkbus.Piece, len(plan.Ranges))
	for i, r := range plan.Ranges {
		pieces[i] = sinkbus.Piece{Offset: r.Start, Length: r.Length}
	}
	return pieces, nil
}
