package sinkbus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// uploadTail is how much of an upload is kept in memory: enough for readers
// that keep up to never touch the disk. It is also how much is written at a
// time: with 128 KiB a PUT costs some 15 % more CPU, and with 1 MiB and more the
// page cache of Linux takes huge pages, whose first touch costs three times as
// much in a virtual machine.
const uploadTail = 4 << maxShift

// Upload is a file on its way into a Dir: a stream that can be read while it
// arrives, and that appears under its name when it is committed.
type Upload struct {
	*Stream

	dir    *Dir
	name   string // where it will be
	temp   string
	file   *os.File
	linked bool // whether temp is still the name of file
}

// UploadOptions are the properties of a new upload.
type UploadOptions struct {
	// MediaType and Length are as for streams.
	MediaType string
	Length    int64

	// Hidden uploads are not on the bus: nobody reads them while they arrive.
	Hidden bool
}

// Create begins an upload to a name. Its folder is created if need be. It
// returns ErrIsDirectory if the name is one, or an error of the file system.
// The upload must be ended by Commit or Discard.
func (d *Dir) Create(name string, o UploadOptions) (*Upload, error) {
	if _, err := d.target(name); err != nil {
		return nil, err
	}
	f, temp, err := d.temp(path.Dir(name), uploadSuffix)
	if err != nil {
		return nil, err
	}
	d.Use()
	u := &Upload{dir: d, name: name, temp: temp, file: f, linked: true}
	so := Options{MediaType: o.MediaType, Length: o.Length, Tail: uploadTail, Spill: spillFile{f}}
	abs := resolveFolder(d.Abs(name))
	if o.Hidden {
		u.Stream = NewStream(abs, so)
	} else {
		u.Stream = d.files.Uploads.Open(abs, so)
	}
	return u, nil
}

// CommitOptions say how an upload becomes a file.
type CommitOptions struct {
	// Fsync flushes the file to disk before it appears.
	Fsync bool

	// Check is asked, if it is not nil, about what is under the name at that
	// moment, nil if nothing is. Its error ends the commit.
	Check func(old fs.FileInfo) error
}

// Commit makes the upload the file of its name, in one step, and completes its
// stream. It tells whether there was none before, and what the file is now.
// After an error nothing has changed under the name, and the upload is over.
func (u *Upload) Commit(ctx context.Context, o CommitOptions) (created bool, info fs.FileInfo, err error) {
	defer func() {
		if err != nil {
			u.Discard(err)
		}
	}()
	if err := u.Err(); err != nil {
		return false, nil, err
	}
	if err := u.Flush(); err != nil {
		return false, nil, err
	}
	unlock, err := u.dir.files.lock(ctx, u.Name)
	if err != nil {
		return false, nil, err
	}
	defer unlock()
	return u.commitLocked(o)
}

// commitLocked is Commit for who holds the path's lock and has flushed the
// stream.
func (u *Upload) commitLocked(o CommitOptions) (created bool, info fs.FileInfo, err error) {
	old, err := u.dir.target(u.name)
	if err != nil {
		return false, nil, err
	}
	if o.Check != nil {
		if err := o.Check(old); err != nil {
			return false, nil, err
		}
	}
	if info, err = u.finish(old, o.Fsync); err != nil {
		return false, nil, err
	}
	if err := u.dir.root.Rename(filepath.FromSlash(u.temp), filepath.FromSlash(u.name)); err != nil {
		return false, nil, err
	}
	u.linked = false
	if o.Fsync {
		if err := u.dir.syncFolder(path.Dir(u.name)); err != nil {
			return false, nil, err
		}
	}
	u.Complete()
	u.release()
	return old == nil, info, nil
}

// finish gives the temporary file what it needs before it becomes a version of
// old: its rights and a modification time of its own.
func (u *Upload) finish(old fs.FileInfo, fsync bool) (fs.FileInfo, error) {
	info, err := u.file.Stat()
	if err != nil {
		return nil, err
	}
	if old != nil && old.Mode().IsRegular() && old.Mode().Perm() != info.Mode().Perm() {
		if err := u.file.Chmod(old.Mode().Perm()); err != nil {
			return nil, err
		}
	}
	// The file system's own clock ticks every few milliseconds; two versions
	// of one size within a tick would share a validator.
	now := time.Now()
	if err := u.dir.root.Chtimes(filepath.FromSlash(u.temp), now, now); err != nil {
		return nil, err
	}
	if fsync {
		if err := u.file.Sync(); err != nil {
			return nil, err
		}
	}
	return u.file.Stat()
}

// Discard ends an upload that is not to become a file: its readers get err,
// and nothing of it remains. It does nothing to one that was committed.
func (u *Upload) Discard(err error) {
	if u.file == nil {
		return
	}
	u.Abort(err)
	if u.linked {
		// what cannot be removed now is swept at the next start
		_ = u.dir.root.Remove(filepath.FromSlash(u.temp))
		u.linked = false
		u.dir.prune(path.Dir(u.name))
	}
	u.release()
}

// release gives up the writer's share of the stream and the file.
func (u *Upload) release() {
	f, d := u.file, u.dir
	u.file = nil
	u.Release(func() {
		f.Close()
		d.Close()
	})
}

// syncFolder flushes a folder, so that a rename in it survives a power loss.
func (d *Dir) syncFolder(name string) error {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("flushing the folder: %w", err)
	}
	return nil
}
