package sourcebus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// firstRead is how much is read before a stream is opened.
const firstRead = 4 << 10

// feedSingle writes all that r has to the single stream of an input. It is opened
// when its first bytes have come: what fails before that does not end a response
// that waits for it. The caller ends the stream; it is nil if r had nothing.
//
// The wait for the input's first client ends with ctx, and a wait for readers
// with last, which completes the stream. For the end of reads see Feed.
func feedSingle(ctx, last context.Context, in *Input, r io.Reader) (*sinkbus.Stream, error) {
	if err := in.Await(ctx); err != nil {
		return nil, err
	}
	first := make([]byte, firstRead)
	n, err := io.ReadAtLeast(r, first, 1)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := in.openSingle(sinkbus.Declared{Length: -1})
	if err != nil {
		return nil, err
	}
	defer untilDone(last, s)()
	return s, in.Feed(ctx, s, io.MultiReader(bytes.NewReader(first[:n]), r))
}

// endReads has reads of a file end after a while, though somebody may keep the
// other end of it open.
func endReads(f *os.File, after time.Duration) {
	if f.SetReadDeadline(time.Now().Add(after)) != nil {
		f.Close() // which ends them too
	}
}
