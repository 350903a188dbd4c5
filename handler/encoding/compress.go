package encoding

import (
	"bytes"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// concurrency is how many compressions run at a time; the others wait. Each of
// them is all computation.
var concurrency = runtime.GOMAXPROCS(0)

var slots = make(chan struct{}, concurrency)

// zstdEncoder is shared by all compressions. Its window is no larger than what
// any client must support (RFC 9659), and an empty content is still a frame.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(concurrency),
		zstd.WithWindowSize(1<<20),
		zstd.WithLowerEncoderMem(true),
		zstd.WithZeroFrames(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

// resetWriter is a writer of gzip or zlib.
type resetWriter interface {
	io.WriteCloser
	Reset(w io.Writer)
}

var (
	gzipWriters = sync.Pool{New: func() any { return resetWriter(gzip.NewWriter(nil)) }}
	zlibWriters = sync.Pool{New: func() any { return resetWriter(zlib.NewWriter(nil)) }}
)

// Append appends src, encoded, to dst. At most as many calls as there are
// processors work at a time; more of them wait. With Identity it is a copy.
func Append(dst, src []byte, e Encoding) []byte {
	slots <- struct{}{}
	defer func() { <-slots }()

	switch e {
	case Zstd:
		return zstdEncoder().EncodeAll(src, dst)
	case Gzip:
		return appendWith(&gzipWriters, dst, src)
	case Deflate:
		return appendWith(&zlibWriters, dst, src)
	default:
		return append(dst, src...)
	}
}

// appendWith appends src as a writer of the pool encodes it.
func appendWith(pool *sync.Pool, dst, src []byte) []byte {
	buf := bytes.NewBuffer(dst)
	w := pool.Get().(resetWriter)
	w.Reset(buf)
	_, _ = w.Write(src) // a buffer takes everything
	_ = w.Close()
	w.Reset(nil) // the pool must not keep the buffer
	pool.Put(w)
	return buf.Bytes()
}
