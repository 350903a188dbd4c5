package access

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// watchInterval is how long a value is used before its file is looked at
	// again. With all delays of watchSettle it adds up to less than a second.
	watchInterval = 600 * time.Millisecond

	// watchSettle is how old a change must be before it is read, so that a
	// file is not read while it is being written. A file that keeps changing
	// is read after maxSettle such delays.
	watchSettle = 100 * time.Millisecond
	maxSettle   = 3

	// watchGranularity is the coarsest clock of a file system that is in use
	// (FAT). A file changed this recently may change again without its time
	// showing it.
	watchGranularity = 2 * time.Second
)

// Watched is a value that was parsed from a file and follows its changes. It
// looks at the file when the value is used, but not more often than about once
// a second; there is nothing to stop or close. It may be used by many
// goroutines.
type Watched[T any] struct {
	filename string
	parse    func(io.Reader, string) (T, error)
	onError  func(error)

	value atomic.Pointer[T]
	start time.Time
	next  atomic.Int64 // when to look again, nanoseconds after start

	mu       sync.Mutex // guards the fields below; held while the file is read
	version  os.FileInfo
	sum      [sha256.Size]byte // of the version that was parsed last
	failed   bool              // whether that version was no good
	reported string            // the last error since the file was good
	settling int               // delays since the file began to change
}

// NewWatched parses the file for the first time and returns its error, if any.
//
// Later versions that cannot be read or parsed are given to onError, which may
// be nil, once each, and the value stays as it is. A bad version is tried again at every look, as the fault need not be
// in the file: a directory that it names may be missing.
func NewWatched[T any](filename string, parse func(io.Reader, string) (T, error), onError func(error)) (*Watched[T], error) {
	w := &Watched[T]{filename: filename, parse: parse, onError: onError, start: time.Now()}
	data, info, err := readFile(filename)
	if err != nil {
		return nil, err
	}
	value, err := parse(bytes.NewReader(data), filename)
	if err != nil {
		return nil, err
	}
	w.value.Store(&value)
	w.version, w.sum = info, sha256.Sum256(data)
	w.next.Store(int64(watchInterval))
	return w, nil
}

// Filename returns the name of the file.
func (w *Watched[T]) Filename() string { return w.filename }

// Get returns the value of the latest good version of the file. One caller at
// a time may have to wait until it is read; the others get the value as it is.
func (w *Watched[T]) Get() T {
	if int64(time.Since(w.start)) >= w.next.Load() && w.mu.TryLock() {
		err := w.lookLocked()
		w.mu.Unlock()
		if err != nil && w.onError != nil {
			w.onError(err)
		}
	}
	return *w.value.Load()
}

// lookLocked reads the file if it has changed. It returns an error if there is
// one to report.
func (w *Watched[T]) lookLocked() error {
	if int64(time.Since(w.start)) < w.next.Load() {
		return nil // another one looked just now
	}
	// Set last, so that nobody looks in the meantime.
	wait := watchInterval
	defer func() { w.next.Store(int64(time.Since(w.start) + wait)) }()

	info, err := os.Stat(w.filename)
	if err != nil {
		return w.failLocked(err)
	}
	changed := !sameVersion(info, w.version)
	age := time.Since(info.ModTime()) // negative where clocks disagree
	if !changed && !w.failed && age >= watchGranularity {
		return nil
	}
	if changed && age >= 0 && age < watchSettle && w.settling < maxSettle {
		w.settling++
		wait = watchSettle
		return nil
	}

	data, info, err := readFile(w.filename)
	if err != nil {
		return w.failLocked(err)
	}
	if after, err := os.Stat(w.filename); err != nil || !sameVersion(info, after) {
		wait = watchSettle // it changed while it was read
		return nil
	}
	w.settling = 0
	sum := sha256.Sum256(data)
	changed = !sameVersion(info, w.version) || sum != w.sum
	if !changed && !w.failed {
		return nil
	}
	if changed {
		w.reported = ""
	}
	w.version, w.sum = info, sum

	value, err := w.parse(bytes.NewReader(data), w.filename)
	if err != nil {
		return w.failLocked(err)
	}
	w.value.Store(&value)
	w.failed, w.reported = false, ""
	return nil
}

// failLocked returns the error to report: err, unless it has been reported.
func (w *Watched[T]) failLocked(err error) error {
	w.failed = true
	if err.Error() == w.reported {
		return nil
	}
	w.reported = err.Error()
	return err
}

// sameVersion reports whether nothing shows that a file has changed.
func sameVersion(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
