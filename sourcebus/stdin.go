package sourcebus

import (
	"context"
	"io"
	"os"
)

// sharedRead is how much is read at a time.
const sharedRead = 64 << 10

// standardInput is that of the process, which there is only one of.
var standardInput = newSharedReader(os.Stdin)

// sharedReader reads what can neither be interrupted nor opened twice, for one
// user at a time. No byte is lost from one user to the next.
//
// A goroutine reads it, from the first time that somebody wants to until it
// ends: a read that waits cannot be given up.
type sharedReader struct {
	// user is full while there is a user, to whom all else belongs but what the
	// goroutine has.
	user chan struct{}

	// want asks the goroutine to read once; got is how that went. Neither is
	// more than one ahead.
	want chan struct{}
	got  chan int

	started bool
	asked   bool
	r       io.Reader
	rest    []byte // what has been read but not been taken
	err     error  // what comes after it

	// The goroutine's between want and got.
	buf     []byte
	readErr error
}

func newSharedReader(r io.Reader) *sharedReader {
	return &sharedReader{
		user: make(chan struct{}, 1),
		want: make(chan struct{}, 1),
		got:  make(chan int, 1),
		r:    r,
	}
}

// acquire waits until there is no other user; it calls busy before it waits. It
// returns the context's error.
func (s *sharedReader) acquire(ctx context.Context, busy func()) error {
	select {
	case s.user <- struct{}{}:
	default:
		busy()
		select {
		case s.user <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !s.started {
		s.started = true
		s.buf = make([]byte, sharedRead)
		go s.run()
	}
	return nil
}

// free is for the user who has done.
func (s *sharedReader) free() { <-s.user }

// run is the goroutine.
func (s *sharedReader) run() {
	for range s.want {
		n, err := s.r.Read(s.buf)
		s.readErr = err
		s.got <- n
		if err != nil {
			return
		}
	}
}

// read reads for the user, and waits for something, or for the end of ctx.
func (s *sharedReader) read(ctx context.Context, p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if !s.asked {
			s.asked = true
			s.want <- struct{}{}
		}
		select {
		case n := <-s.got:
			s.asked = false
			s.rest, s.err = s.buf[:n], s.readErr
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// produceShared feeds an input with all that a shared reader has.
func produceShared(ctx context.Context, in *Input, r *sharedReader) error {
	err := r.acquire(ctx, func() {
		in.Logger.Warn("waiting for another input that reads standard input")
	})
	if err != nil {
		return nil //nolint:nilerr // it was stopped before its turn came
	}
	defer r.free()
	s, err := feedSingle(ctx, ctx, in, readerFunc(func(p []byte) (int, error) { return r.read(ctx, p) }))
	if s != nil {
		End(ctx, s, err)
	}
	return err
}

// readerFunc is a function that is an io.Reader.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
