package sourcebus

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// tapLag is how many bytes of a stream without a length wait for a program.
const tapLag = 4 << 20

// tap is a stream as a program gets it: whole, if the stream has a length, or
// else from its first byte as long as the program keeps up.
type tap struct {
	logger *zap.Logger

	// start reads a stream with a length, and the beginning of one without,
	// where nothing is kept for it. live goes on once it knows where a decoder
	// could, and start is nil from then on. live is nil if there is a length.
	start *sinkbus.Reader
	live  *sinkbus.LiveReader

	missed bool // whether the program has missed anything
}

// openTap returns a tap of the stream that r reads, which belongs to it from then
// on. Waiting ends with ctx.
func openTap(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader, logger *zap.Logger) (*tap, error) {
	defer r.Close() // not before there are other readers
	t := &tap{logger: logger}
	var err error
	if s.Length >= 0 {
		if r.Offset() > 0 {
			return nil, errPartial
		}
		t.start, err = s.NewWholeReader(ctx, r.Offset(), 0)
		return t, err
	}
	if t.live, err = s.Join(ctx, sinkbus.JoinOptions{MaxLag: tapLag}); err != nil {
		return nil, err
	}
	if r.Offset() == 0 {
		if t.start, err = s.NewReader(ctx, 0); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

// close gives back what the tap holds. It may be called more than once.
func (t *tap) close() {
	t.closeStart()
	if t.live != nil {
		t.live.Close()
		t.live = nil
	}
}

func (t *tap) closeStart() {
	if t.start != nil {
		t.start.Close()
		t.start = nil
	}
}

// next returns the next bytes, as a Reader does.
func (t *tap) next() ([]byte, error) {
	if t.start != nil && t.live != nil {
		t.handOver()
	}
	if t.start != nil {
		p, err := t.start.Next(0)
		if t.live == nil || !errors.Is(err, sinkbus.ErrBehind) {
			return p, err
		}
		t.miss()
		t.closeStart() // live goes on where it can join
	}
	p, err := t.live.Next(0)
	if times, _ := t.live.Skips(); times > 0 {
		t.miss()
	}
	return p, err
}

// handOver has live go on where start is, if it can tell where it would join.
func (t *tap) handOver() {
	// what it returns is had from start
	if _, err := t.live.TryNext(0); err != nil || !t.live.Joined() {
		return
	}
	t.live.Suspend()
	if t.live.Resume(t.start.Offset()) != nil {
		t.live = nil // the stream is gone, apart from what start has
		return
	}
	t.closeStart()
}

// miss notes that the program has missed something.
func (t *tap) miss() {
	if !t.missed {
		t.missed = true
		t.logger.Warn("process is too slow and misses some of the stream")
	}
}
