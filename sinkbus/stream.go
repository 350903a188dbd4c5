package sinkbus

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of streams.
var (
	// ErrAborted is what readers of an aborted stream and its writer get when
	// no other reason was given.
	ErrAborted = errors.New("the stream was aborted")

	// ErrBehind is returned to a reader whose next bytes are no longer kept.
	ErrBehind = errors.New("the reader fell behind the bytes that are kept")

	// ErrClosed is returned for a new reader of a stream that has been
	// released, and for writes to a stream that has ended.
	ErrClosed = errors.New("the stream is closed")
)

// State says how far a stream is.
type State int32

// The states of a stream. It is open until its writer completes it, or until
// anybody aborts it.
const (
	Open State = iota
	Complete
	Aborted
)

// Options are the properties of a new stream.
type Options struct {
	// MediaType is what the producer declared, empty when it did not.
	MediaType string

	// Length is the number of bytes that the stream will have, if its producer
	// declared it; otherwise -1.
	Length int64

	// Tail is how many bytes are kept in memory, rounded up to whole blocks
	// and at least two of them. 0 keeps all of them.
	Tail int64

	// Spill takes the bytes that no longer fit in Tail. Without it they are
	// gone, and readers that still want them get ErrBehind.
	Spill Spill

	// Live makes a stream that readers join while it goes on. Tail and Spill are
	// not used: as much is kept in memory as readers need that keep up, and
	// more, on disk, only for those that want the stream whole.
	Live bool

	// Framer tells where readers can join a live stream; nil is anywhere.
	Framer Framer

	// Properties are what the producer declared.
	Properties Properties
}

// Stream is the bytes of one URL while they are being produced, and shortly
// after. It has one writer and any number of readers.
//
// Write, ReadFrom, WriteAt, Flush, Complete and Release are for one goroutine
// at a time, the writer; all else may be called by anyone.
type Stream struct {
	// Name is the stream's path on its bus.
	Name string

	// MediaType, Length and Properties are as in Options.
	MediaType  string
	Length     int64
	Properties Properties

	// Opened is when the stream was opened.
	Opened time.Time

	log    *log
	state  atomic.Int32
	bus    *Bus  // nil for a stream that is on none
	serial int64 // its number on the bus
	live   *live // nil for a stream that is not live

	waiting waitlist
	claims  claims
	stopped chan struct{} // closed when the stream has ended

	// mu guards what follows.
	mu       sync.Mutex
	err      error // why it was aborted
	released bool
	onIdle   func() // called once when released and the last reader is gone

	overflown *overflowFile // of a live stream; nil if it has none
}

// NewStream returns an open stream that is on no bus.
func NewStream(name string, o Options) *Stream {
	s := &Stream{
		Name:       name,
		MediaType:  o.MediaType,
		Length:     o.Length,
		Properties: o.Properties,
		Opened:     time.Now(),
		stopped:    make(chan struct{}),
	}
	if !o.Live {
		s.log = newLog(blockShift(o.Length), o.Tail, o.Spill)
		return s
	}
	s.live = newLive(o.Framer)
	s.log = newLog(blockShift(o.Length), liveTail, nil)
	s.log.retain = func(end int64) (memory, wanted int64) {
		return s.live.memory(end), s.claims.lowest()
	}
	s.log.overflow = s.overflow
	return s
}

// overflow makes the spill of a live stream, which is given up with the stream.
func (s *Stream) overflow() (Spill, error) {
	spill, err := newOverflowFile()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return nil, errors.Join(ErrClosed, spill.Close())
	}
	s.overflown = spill
	return spill, nil
}

// blockShift returns the size of blocks for a stream of the given length, so
// that small ones do not hold a large block.
func blockShift(length int64) uint {
	if length < 0 || length >= 1<<maxShift {
		return maxShift
	}
	return max(minShift, uint(bits.Len64(uint64(max(1, length)-1))))
}

// Size returns how many bytes have been written so far.
func (s *Stream) Size() int64 { return s.log.end.Load() }

// Head returns a copy of the first bytes of the stream, at most n and at most as
// many as there are in one piece now.
func (s *Stream) Head(n int64) []byte {
	r, err := s.NewReader(context.Background(), 0)
	if err != nil {
		return nil
	}
	defer r.Close()
	p, err := r.TryNext(n)
	if err != nil {
		return nil
	}
	return slices.Clone(p)
}

// State returns the stream's state.
func (s *Stream) State() State { return State(s.state.Load()) }

// Ended is closed when the stream has ended.
func (s *Stream) Ended() <-chan struct{} { return s.stopped }

// Err returns why the stream was aborted, nil when it was not.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Readers returns the number of open readers.
func (s *Stream) Readers() int { return int(s.waiting.readers.Load()) }

// Write appends p. It returns the reason when the stream has been aborted, and
// an error of the spill when bytes could not be kept; the stream should then be
// aborted.
func (s *Stream) Write(p []byte) (int, error) {
	var n int
	if s.live != nil {
		s.live.writes(len(p))
	}
	for whole := p; len(p) > 0; {
		s.awaitReaders()
		if err := s.writable(); err != nil {
			return n, err
		}
		room, err := s.log.room()
		if err != nil {
			return n, err
		}
		m := copy(room, p)
		s.log.commit(m)
		n += m
		p = p[m:]
		if len(p) == 0 && s.live != nil {
			s.live.wrote(whole, s.log.end.Load())
		}
	}
	s.notify()
	return n, nil
}

// ReadFrom appends all that r has, reading straight into the log. It ends with
// nil at the end of r, with r's error, or as Write does.
func (s *Stream) ReadFrom(r io.Reader) (int64, error) {
	var n int64
	for {
		s.awaitReaders()
		if err := s.writable(); err != nil {
			return n, err
		}
		room, err := s.log.room()
		if err != nil {
			return n, err
		}
		m, err := r.Read(room)
		if m > 0 {
			s.log.commit(m)
			n += int64(m)
			if s.live != nil {
				s.live.wrote(room[:m], s.log.end.Load())
			}
			s.notify()
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// WriteAt overwrites bytes that have been written already. Readers that are not
// yet there see the new bytes, and each sees the old or the new of them within
// one slice. It is an error to write beyond the end.
func (s *Stream) WriteAt(p []byte, off int64) (int, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	if off < 0 || off+int64(len(p)) > s.Size() {
		return 0, errors.New("patching beyond the end of the stream")
	}
	if err := s.log.writeAt(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *Stream) writable() error {
	switch s.State() {
	case Complete:
		return ErrClosed
	case Aborted:
		return s.Err()
	default:
		return nil
	}
}

// Flush writes what is only in memory to the spill.
func (s *Stream) Flush() error { return s.log.flush() }

// Complete ends the stream: readers get io.EOF after its last byte. It does
// nothing to a stream that has ended.
func (s *Stream) Complete() { s.end(Complete, nil) }

// Abort ends the stream as broken: readers get the reason, ErrAborted if err is
// nil, at once. It does nothing to a stream that has ended. Anybody may abort a
// stream; its writer finds out with its next write.
func (s *Stream) Abort(err error) {
	if err == nil {
		err = ErrAborted
	}
	s.end(Aborted, err)
}

func (s *Stream) end(to State, err error) {
	s.mu.Lock()
	if s.State() != Open {
		s.mu.Unlock()
		return
	}
	s.err = err
	s.state.Store(int32(to))
	close(s.stopped)
	if s.live != nil {
		// what is in memory stays for the readers that there are
		s.released = true
		s.onIdle = s.closeOverflow
	}
	s.mu.Unlock()

	if s.bus != nil {
		kind := Completed
		if to == Aborted {
			kind = Broken
		}
		s.bus.ended(s, Event{Kind: kind, Name: s.Name, Stream: s})
	}
	s.waiting.wakeAll()
	s.idle()
}

// closeOverflow gives up the spill of a live stream.
func (s *Stream) closeOverflow() {
	s.mu.Lock()
	spill := s.overflown
	s.overflown = nil
	s.mu.Unlock()
	if spill != nil {
		// nothing is lost: the file has no name, and nobody reads it any more
		_ = spill.Close()
	}
}

// Release says that the writer is done with the stream, which must have ended.
// Its memory is given back; readers go on from the spill. When the last of them
// is gone, idle is called, once, if it is not nil: the place to close the spill.
func (s *Stream) Release(idle func()) {
	s.log.release()
	s.mu.Lock()
	s.released = true
	s.onIdle = idle
	s.mu.Unlock()
	s.idle()
}

// idle calls onIdle if nobody needs the stream any more.
func (s *Stream) idle() {
	s.mu.Lock()
	f := s.onIdle
	if !s.released || s.waiting.readers.Load() > 0 {
		s.mu.Unlock()
		return
	}
	s.onIdle = nil
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

// notify wakes the readers that wait for data.
func (s *Stream) notify() { s.waiting.notify() }

// Interface guards
var (
	_ io.Writer     = (*Stream)(nil)
	_ io.ReaderFrom = (*Stream)(nil)
	_ io.WriterAt   = (*Stream)(nil)
)
