package handler

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler/byterange"
	"github.com/caddy-httpout/httpout/handler/encoding"
)

const (
	// copySize is the size of the buffers that files are copied through where
	// there is no sendfile. Files up to it are never sent by sendfile, which
	// costs more than it saves there.
	copySize = 64 << 10

	// minChunk and maxChunk are how much is handed to the kernel at a time, in
	// bytes. Each chunk has to get through within the timeout, so they are only
	// large for clients that are fast.
	minChunk = 64 << 10
	maxChunk = 256 << 10
)

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// sendBytes answers 200 with a body that is in memory.
func (q *request) sendBytes(body []byte) error {
	q.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	q.writeHeader(http.StatusOK)
	return q.write(body)
}

// write writes a piece of the body, if the request's method has one. A client
// that is gone is no error of ours, but ends the response.
func (q *request) write(p []byte) error {
	if q.r.Method == http.MethodHead {
		return nil
	}
	n, err := q.w.Write(p)
	q.bytes += int64(n)
	if err != nil {
		return errLeft
	}
	return nil
}

// sendFile writes n bytes of a file, from off on. The header has been sent, with
// their number: if the file turns out to be shorter, the response is aborted.
func (q *request) sendFile(f *os.File, off, n int64) error {
	if q.r.Method == http.MethodHead || n == 0 {
		return nil
	}
	defer q.overrideWriteTimeout()()
	if n > copySize && q.r.ProtoMajor == 1 && q.r.TLS == nil {
		return q.sendfile(f, off, n)
	}
	return q.copyFile(f, off, n)
}

// copyFile is sendFile by way of a buffer.
func (q *request) copyFile(f io.ReaderAt, off, n int64) error {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	for n > 0 {
		p := buf[:min(copySize, n)]
		m, err := f.ReadAt(p, off)
		if m < len(p) {
			return q.truncated(err)
		}
		if err := q.write(p); err != nil {
			return err
		}
		off, n = off+int64(m), n-int64(m)
	}
	return nil
}

// sendfile is sendFile by the system call of that name. Between us and the
// connection are Caddy's writers, which count bytes and set deadlines; they pass
// a reader on, but wrapped, and the net package sees through one wrapping only.
// So they get a reader that is its own source for net: see fileRange.
func (q *request) sendfile(f *os.File, off, n int64) error {
	rf, ok := q.w.(io.ReaderFrom)
	if !ok {
		return q.copyFile(f, off, n)
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return q.truncated(err)
	}
	// net/http reads the first bytes of a body itself, unless the header is out
	if err := http.NewResponseController(q.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errLeft
	}
	_, idle := caddyhttp.IdleTimeoutsFromContext(q.r.Context())
	chunk := int64(minChunk)
	for n > 0 {
		piece := n
		if n > chunk {
			piece = min(n-n%chunk, 8*chunk)
		}
		start := time.Now()
		m, err := q.sendPiece(rf, idle, f, off, piece, min(piece, chunk))
		q.bytes += m
		if err != nil {
			return errLeft
		}
		if m < piece {
			return q.truncated(nil)
		}
		off, n = off+m, n-m
		if time.Since(start) < fastPiece {
			chunk = maxChunk
		} else {
			chunk = minChunk
		}
	}
	return nil
}

// fastPiece is how long eight chunks take at most with a client that is fast.
const fastPiece = time.Second

// sendPiece sends n bytes, which are a multiple of the chunk.
func (q *request) sendPiece(rf io.ReaderFrom, idle *caddyhttp.IdleTimeoutWriter, f *os.File, off, n, chunk int64) (int64, error) {
	if idle == nil {
		return rf.ReadFrom(&io.LimitedReader{R: f, N: n})
	}
	defer idle.Override(idle.Deadline.Timeout, idle.Deadline.MinRate, int(chunk))()
	return rf.ReadFrom(&fileRange{f: f, end: off + n, chunk: chunk})
}

// fileRange is a part of a file, from its offset on, for IdleTimeoutWriter,
// which reads it chunk by chunk through an io.LimitedReader each. It lends its
// descriptor to sendfile while there is a whole chunk left, so that no byte
// beyond the end is sent, whatever becomes of the file meanwhile.
type fileRange struct {
	f          *os.File
	end, chunk int64
}

// Read implements io.Reader.
func (r *fileRange) Read(p []byte) (int, error) {
	pos, err := r.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	left := r.end - pos
	if left <= 0 {
		return 0, io.EOF
	}
	return r.f.Read(p[:min(int64(len(p)), left)])
}

var errPartChunk = errors.New("less than a chunk is left")

// SyscallConn implements syscall.Conn.
func (r *fileRange) SyscallConn() (syscall.RawConn, error) {
	pos, err := r.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	switch left := r.end - pos; {
	case left >= r.chunk:
		return r.f.SyscallConn()
	case left == 0 && emptyFile() != nil:
		return emptyFile().SyscallConn()
	default:
		return nil, errPartChunk
	}
}

// emptyFile returns a file without a byte or a name. IdleTimeoutWriter asks for
// more after a whole chunk; sendfile finds none in it at once, where the end of
// a fileRange would be found by way of a buffer of 32 KiB. It is nil where it
// cannot be had.
var emptyFile = sync.OnceValue(func() *os.File {
	f, err := os.CreateTemp("", "httpout-empty-")
	if err != nil {
		return nil
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil
	}
	return f
})

// truncated aborts a response whose file is shorter than it was. It does not
// return.
func (q *request) truncated(err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	q.abort(err)
	return nil
}

// multipart answers with several ranges as multipart/byteranges (RFC 9110
// section 14.6).
func (q *request) multipart(f *os.File, size int64, contentType string, ranges []byterange.Range) error {
	m := byterange.NewMultipart(ranges, size, contentType, rand.Text())
	h := q.w.Header()
	h.Set("Content-Type", m.ContentType())
	h.Set("Content-Length", strconv.FormatInt(m.Length, 10))
	q.writeHeader(http.StatusPartialContent)
	var buf []byte
	for i, r := range ranges {
		buf = m.AppendHeader(buf[:0], i)
		if err := q.write(buf); err != nil {
			return err
		}
		if err := q.sendFile(f, r.Start, r.Length); err != nil {
			return err
		}
	}
	return q.write(m.AppendTrailer(buf[:0]))
}

// compress returns a file in the content coding that suits the client best, or
// nothing if it is to be sent as it is.
func (q *request) compress(p place, f *os.File, info fs.FileInfo, contentType string) (encoding.Encoding, []byte, error) {
	var accepted string
	if lines := q.r.Header["Accept-Encoding"]; len(lines) == 1 {
		accepted = lines[0]
	} else {
		for _, line := range lines {
			accepted += line + ","
		}
	}
	enc := encoding.Negotiate(accepted)
	if enc == encoding.Identity {
		return enc, nil, nil
	}
	_, checkUTF8 := encoding.Compressible(contentType)
	key := encoding.Key{
		Path:     p.dir.Abs(p.name),
		ModTime:  info.ModTime().UnixNano(),
		Size:     info.Size(),
		Encoding: enc,
	}
	body, ok, err := q.state.compressed.Get(key, func() ([]byte, error) {
		content := make([]byte, info.Size())
		if _, err := f.ReadAt(content, 0); err != nil && err != io.EOF {
			return nil, err
		}
		if checkUTF8 && !utf8.Valid(content) {
			return nil, nil // of another length: not used
		}
		return content, nil
	})
	if err != nil || !ok {
		return encoding.Identity, nil, err
	}
	return enc, body, nil
}
