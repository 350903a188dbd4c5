package handler

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/handler/encoding"
	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/handler/precond"
)

// get answers GET and HEAD: with an upload in progress, a file or a listing.
func (q *request) get() error {
	if len(q.table.mounts) == 0 {
		return q.notAllowed()
	}
	if q.path.name == "." {
		return q.list()
	}
	// What is not found in one directory may be in the next; what may not be
	// read there decides when it is in none, so that nobody learns what exists
	// where they may not look.
	var denied error
	err := errNotFound
	q.places(func(p place) bool {
		if q.hidden.hides(p) {
			return true
		}
		if denial := q.mayRead(p); denial != nil {
			if denied == nil {
				denied = denial
			}
			return true
		}
		err = q.getPlace(p)
		return errors.Is(err, errNotFound)
	})
	switch {
	case !errors.Is(err, errNotFound):
		return err
	case denied != nil:
		return denied
	case q.hasMountBelow():
		return q.list()
	}
	if denied := q.mayReadVirtual(); denied != nil {
		return denied
	}
	if q.opts.PassThru {
		return errNext
	}
	return err
}

// getPlace answers with what is at a place, or returns errNotFound.
func (q *request) getPlace(p place) error {
	if s := p.dir.Uploading(p.name); s != nil && !q.path.slash && !mediatype.IsManifest(p.name, s.MediaType) {
		err := q.live(p, s)
		if !errors.Is(err, errNotFound) {
			return err
		}
		// it ended just now: it is a file, or was aborted
	}
	f, info, err := p.dir.Open(p.name)
	if err != nil {
		if missing(err) {
			return errNotFound
		}
		return err
	}
	defer f.Close()
	switch {
	case info.IsDir():
		return q.list()
	case q.path.slash || !info.Mode().IsRegular():
		return errNotFound
	}
	return q.file(p, f, info)
}

// missing tells whether an error of opening means that there is nothing under
// the name, or nothing that can be served.
func missing(err error) bool {
	status, _ := explain(err)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENXIO) || isEscape(err) ||
		status == http.StatusConflict || status == http.StatusNotFound
}

// lacksSlash tells whether relative links in a listing would be wrong, because
// the client's own path, from which something may have been stripped, does not
// end with a slash. One that was rewritten to another name is let alone.
func (q *request) lacksSlash() bool {
	original := q.originalPath()
	return !strings.HasSuffix(original, "/") &&
		(q.path.name == "." || path.Base(original) == path.Base(q.path.name))
}

// redirectToSlash sends the client to the directory's own URL, in which
// relative links work. The query is kept.
func (q *request) redirectToSlash() error {
	// Relative to the last element, the location is right under any prefix
	// that was stripped on the way here. A "./" before it keeps a name with a
	// colon from being taken for a scheme.
	location := "./" + url.PathEscape(path.Base(q.originalPath())) + "/"
	if q.r.URL.RawQuery != "" {
		location += "?" + q.r.URL.RawQuery
	}
	h := q.w.Header()
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	q.writeHeader(http.StatusPermanentRedirect)
	return nil
}

// etagOf returns the strong validator of a file's version, empty where
// cache_control none asks for none.
func (q *request) etagOf(info fs.FileInfo) precond.ETag {
	if q.opts.CacheControl == "none" {
		return ""
	}
	return etag(info)
}

// etag is the modification time, in nanoseconds, and the size (RFC 9110 section
// 8.8.3): versions that we write never share the two.
func etag(info fs.FileInfo) precond.ETag {
	b := make([]byte, 0, 32)
	b = append(b, '"')
	b = strconv.AppendInt(b, info.ModTime().UnixNano(), 36)
	b = append(b, '-')
	b = strconv.AppendInt(b, info.Size(), 36)
	b = append(b, '"')
	return precond.ETag(b)
}

// file answers with a complete file.
func (q *request) file(p place, f *os.File, info fs.FileInfo) error {
	h := q.w.Header()
	contentType, err := fileType(p.name, f, info.Size())
	if err != nil {
		return err
	}
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")

	tag := q.etagOf(info)
	var packed []byte
	if compressible, _ := encoding.Compressible(contentType); compressible && info.Size() > 0 && info.Size() <= q.zmax {
		h.Add("Vary", "Accept-Encoding")
		if q.r.Header.Get("Range") == "" {
			enc, body, err := q.compress(p, f, info, contentType)
			if err != nil {
				return err
			}
			if body != nil {
				packed = body
				h.Set("Content-Encoding", enc.String())
				if tag != "" {
					tag = tag.ForEncoding(enc.String())
				}
			}
		}
	}
	if tag != "" {
		h["Etag"] = []string{string(tag)}
	}
	if modified := info.ModTime(); modified.Unix() > 0 {
		h.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
	q.cacheControl(h)
	q.acceptRanges(h)

	result := precond.Evaluate(q.r.Method, q.r.Header, precond.Resource{
		Exists: true, ETag: tag, ModTime: info.ModTime(), Now: time.Now(),
	})
	switch result.Outcome {
	case precond.Proceed:
	case precond.NotModified:
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		q.writeHeader(http.StatusNotModified)
		return nil
	case precond.PreconditionFailed:
		return fail(http.StatusPreconditionFailed, "The precondition "+result.Field+" does not hold")
	}
	if packed != nil {
		return q.sendBytes(packed)
	}
	if result.UseRange && !q.opts.NoRange {
		return q.ranges(f, info.Size(), contentType)
	}
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	q.writeHeader(http.StatusOK)
	return q.sendFile(f, 0, info.Size())
}

// cacheControl sets the Cache-Control of complete resources.
func (q *request) cacheControl(h http.Header) {
	if v := q.opts.CacheControl; v != "" && v != "none" {
		h.Set("Cache-Control", q.repl.ReplaceAll(v, ""))
	}
}

func (q *request) acceptRanges(h http.Header) {
	if q.opts.NoRange {
		h.Set("Accept-Ranges", "none")
	} else {
		h.Set("Accept-Ranges", "bytes")
	}
}

// fileType returns the media type of a file: by its name, else by its content.
func fileType(name string, f io.ReaderAt, size int64) (string, error) {
	if t := mediatype.ByName(name); t != "" {
		return t, nil
	}
	var buf [mediatype.SniffLen]byte
	n, err := f.ReadAt(buf[:min(int64(len(buf)), size)], 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return mediatype.Sniff(buf[:n]), nil
}

// ranges answers with the parts of a file that were asked for (RFC 9110 section
// 14).
func (q *request) ranges(f *os.File, size int64, contentType string) error {
	h := q.w.Header()
	spec, err := byterange.Parse(rangeHeader(q.r))
	if err != nil {
		return q.unsatisfied(size, err)
	}
	if spec.Whole() {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		q.writeHeader(http.StatusOK)
		return q.sendFile(f, 0, size)
	}
	var few [4]byterange.Range
	ranges, err := spec.AppendResolve(few[:0], size)
	if err != nil {
		return q.unsatisfied(size, err)
	}
	if len(ranges) > 1 && q.wantsMultipart() {
		return q.multipart(f, size, contentType, ranges)
	}
	value, total := byterange.ConcatContentRange(ranges, size)
	h.Set("Content-Range", value)
	h.Set("Content-Length", strconv.FormatInt(total, 10))
	q.writeHeader(http.StatusPartialContent)
	for _, r := range ranges {
		if err := q.sendFile(f, r.Start, r.Length); err != nil {
			return err
		}
	}
	return nil
}

// rangeHeader returns the Range of a request, whose lines are one list.
func rangeHeader(r *http.Request) string {
	return strings.Join(r.Header.Values("Range"), ",")
}

func (q *request) unsatisfied(size int64, err error) error {
	q.w.Header().Set("Content-Range", byterange.Unsatisfied(size))
	return failWith(http.StatusRequestedRangeNotSatisfiable, err.Error(), err)
}

// wantsMultipart tells whether several ranges are to be multipart/byteranges:
// as the site is configured, or because the client names that type.
func (q *request) wantsMultipart() bool {
	return q.opts.Ranges == "multipart" ||
		strings.Contains(strings.ToLower(strings.Join(q.r.Header.Values("Accept"), ",")), "multipart/byteranges")
}
