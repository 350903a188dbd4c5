//go:build unix

package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/sinkbus"
)

const hasFIFOs = true

// pollEvery is how often a FIFO is looked at on systems that do not tell when
// there is something in it (macOS).
const pollEvery = 20 * time.Millisecond

// produceFIFO reads the FIFO at a path, stream after stream, until ctx is done.
func produceFIFO(ctx context.Context, in *Input, path string) error {
	for {
		f, err := openFIFO(ctx, path)
		if err != nil {
			return err
		}
		in.Logger.Debug("reading fifo", zap.String("path", path))
		err = f.produce(in)
		f.close()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fifo is a FIFO that is open for reading, whether anybody writes to it or not.
// It stays open from one writer to the next, so that none finds it closed.
type fifo struct {
	file *os.File
	ctx  context.Context
	stop func() bool // undoes what ends reads with ctx

	begun  bool // whether some of the current stream has been read
	polled bool // whether the system does not tell when there is something
}

// openFIFO opens the FIFO at a path, which it makes if there is nothing. Reads
// end with ctx.
func openFIFO(ctx context.Context, path string) (*fifo, error) {
	if err := unix.Mkfifo(path, 0o666); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making fifo %s: %w", path, err)
	}
	// without O_NONBLOCK this would wait for a writer, and nothing ends that
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Type() != fs.ModeNamedPipe {
		err = fmt.Errorf("%s is not a fifo", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &fifo{
		file:   file,
		ctx:    ctx,
		stop:   context.AfterFunc(ctx, func() { endReads(file, 0) }),
		polled: errors.Is(file.SetReadDeadline(time.Time{}), os.ErrNoDeadline),
	}, nil
}

func (f *fifo) close() {
	f.stop()
	f.file.Close()
}

// produce reads streams until ctx is done, or until the FIFO is to be opened
// anew: when there is another one at its path, or when a stream was ended by
// somebody else, so that its writer finds out.
func (f *fifo) produce(in *Input) error {
	for {
		f.begun = false
		s, err := feedSingle(f.ctx, f.ctx, in, f)
		if s == nil {
			return err
		}
		ended := s.State() != sinkbus.Open
		End(f.ctx, s, err)
		if ended || f.replaced() {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// replaced tells whether there is something else at the path by now.
func (f *fifo) replaced() bool {
	there, err := os.Stat(f.file.Name())
	if err != nil {
		return true
	}
	here, err := f.file.Stat()
	return err != nil || !os.SameFile(here, there)
}

// Read reads from the FIFO. A stream ends when nobody has the FIFO open for
// writing any more, and it begins with its first byte: until then there may be
// nobody either.
func (f *fifo) Read(p []byte) (int, error) {
	for {
		n, err := f.read(p)
		switch {
		case n > 0:
			f.begun = true
			return n, nil
		case f.ctx.Err() != nil:
			return 0, f.ctx.Err()
		case errors.Is(err, io.EOF) && !f.begun, errors.Is(err, unix.EAGAIN):
			if err := pause(f.ctx, pollEvery); err != nil {
				return 0, err
			}
		default:
			return 0, err
		}
	}
}

// read reads once. It waits where the system tells when there is something.
func (f *fifo) read(p []byte) (int, error) {
	if f.begun || f.polled {
		return f.file.Read(p)
	}
	raw, err := f.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		n, readErr = unix.Read(int(fd), p)
		for errors.Is(readErr, unix.EINTR) {
			n, readErr = unix.Read(int(fd), p)
		}
		// neither is a reason to return: nobody writes to it, or nothing yet
		return n != 0 && !errors.Is(readErr, unix.EAGAIN)
	})
	if err != nil {
		return 0, err
	}
	return max(0, n), readErr
}
