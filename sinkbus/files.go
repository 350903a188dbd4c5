package sinkbus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Files is what a process knows of the files it is writing, whichever Dir they
// are written through. All paths are absolute.
type Files struct {
	// Uploads are the files that are being written, by path.
	Uploads *Bus

	// epoch changes when an append begins and when it ends; active is how
	// many there are. Together they tell a reader whether the size it read
	// may be one of a half-done append.
	epoch  atomic.Uint64
	active atomic.Int32

	// mu guards what follows.
	mu        sync.Mutex
	locks     map[string]*pathLock
	appending map[string]fs.FileInfo // what the file was before

	// foldersMu guards created, and is held while a folder is made or removed,
	// so that created is true to the disk.
	foldersMu sync.Mutex
	created   map[string]struct{} // folders that uploads created
}

// pathLock is held by who changes what is under a path.
type pathLock struct {
	users int           // holder and waiters; guarded by Files.mu
	sem   chan struct{} // full while held
}

// NewFiles returns an empty Files.
func NewFiles() *Files {
	return &Files{
		Uploads:   NewBus(BusOptions{}),
		locks:     make(map[string]*pathLock),
		appending: make(map[string]fs.FileInfo),
		created:   make(map[string]struct{}),
	}
}

// lock waits for the path's lock. It returns the context's error when that is
// done first.
func (f *Files) lock(ctx context.Context, path string) (unlock func(), err error) {
	f.mu.Lock()
	l := f.locks[path]
	if l == nil {
		l = &pathLock{sem: make(chan struct{}, 1)}
		f.locks[path] = l
	}
	l.users++
	f.mu.Unlock()

	leave := func() {
		f.mu.Lock()
		if l.users--; l.users == 0 {
			delete(f.locks, path)
		}
		f.mu.Unlock()
	}
	select {
	case l.sem <- struct{}{}:
		return func() { <-l.sem; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// stat returns what file is, and, while it is being appended to, what it was
// before: the path's readers never see half an append.
func (f *Files) stat(path string, file *os.File) (fs.FileInfo, error) {
	epoch := f.epoch.Load()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if f.active.Load() == 0 && f.epoch.Load() == epoch {
		return info, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, ok := f.appending[path]; ok && os.SameFile(before, info) {
		return before, nil
	}
	return file.Stat() // no append of this file can begin now
}

// beginAppend makes readers see the file as it is until endAppend.
func (f *Files) beginAppend(path string, info fs.FileInfo) {
	f.mu.Lock()
	f.appending[path] = info
	f.active.Add(1)
	f.epoch.Add(1)
	f.mu.Unlock()
}

func (f *Files) endAppend(path string) {
	f.mu.Lock()
	delete(f.appending, path)
	f.active.Add(-1)
	f.epoch.Add(1)
	f.mu.Unlock()
}

// makeFolder makes a folder by calling mkdir, and remembers it if it was not
// there.
func (f *Files) makeFolder(path string, mkdir func() error) error {
	f.foldersMu.Lock()
	defer f.foldersMu.Unlock()
	err := mkdir()
	if err == nil {
		f.created[path] = struct{}{}
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return err
}

// removeFolder removes a folder by calling remove, if uploads created it. It
// tells whether it is gone; one that is not empty stays.
func (f *Files) removeFolder(path string, remove func() error) bool {
	f.foldersMu.Lock()
	defer f.foldersMu.Unlock()
	if _, ok := f.created[path]; !ok || remove() != nil {
		return false
	}
	delete(f.created, path)
	return true
}
