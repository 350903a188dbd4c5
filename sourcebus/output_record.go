package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// errStopped is why a file is discarded that was to be complete.
var errStopped = errors.New("the output was stopped")

// errPartial is why a stream with a length is not taken.
var errPartial = errors.New("its first bytes are gone")

// recording is a stream that is to be had from where it makes sense to its end.
type recording struct {
	s      *sinkbus.Stream
	r      *sinkbus.Reader
	header []byte // what comes before the bytes of r
}

// openRecording returns a recording of the stream that r reads, which belongs
// to it from then on. It begins with the stream, or, where the first bytes are
// gone, at a join point; it waits for one.
func openRecording(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader) (*recording, error) {
	defer r.Close() // not before there is another one that claims the bytes
	off := r.Offset()
	var header []byte
	if off > 0 {
		if s.Length >= 0 {
			return nil, errPartial
		}
		var err error
		if header, off, err = awaitJoin(ctx, s); err != nil {
			return nil, err
		}
	}
	whole, err := s.NewWholeReader(ctx, off, 0)
	if err != nil {
		return nil, err
	}
	return &recording{s: s, r: whole, header: header}, nil
}

// awaitJoin waits until a stream can be joined. It returns the first bytes for
// who has joined, and where those after them are in the stream.
func awaitJoin(ctx context.Context, s *sinkbus.Stream) (first []byte, off int64, err error) {
	live, err := s.Join(ctx, sinkbus.JoinOptions{})
	if err != nil {
		return nil, 0, err
	}
	defer live.Close()
	first, err = live.Next(0)
	return slices.Clone(first), live.Offset(), err
}

func (in *recording) close() { in.r.Close() }

// next returns the next bytes, as a Reader does.
func (in *recording) next() ([]byte, error) {
	if p := in.header; len(p) > 0 {
		in.header = nil
		return p, nil
	}
	return in.r.Next(0)
}

// copy writes the stream to w, after its first bytes, which were had from next.
// When ctx is done first, it writes what there is of a stream without a length,
// which makes sense up to any of its bytes, and returns an error for any other.
func (in *recording) copy(ctx context.Context, w io.Writer, first []byte) error {
	stopped, err := copyStream(ctx, in.s, w, first, in.next)
	switch length := in.s.Length; {
	case err != nil || length < 0:
		return err
	case stopped:
		return errStopped
	case in.s.Size() != length:
		return fmt.Errorf("it has %d bytes instead of %d", in.s.Size(), length)
	}
	return nil
}
