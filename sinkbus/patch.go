package sinkbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Piece is a part of a file: where it begins and how many bytes it has.
type Piece struct {
	Offset, Length int64
}

// Patch applies the upload's bytes to the file of its name instead of replacing
// it: they fill, in order, the pieces that plan chooses for what is there at
// that moment (nil if nothing is), and no reader ever sees some of them without
// the others. The pieces must be as long as the upload, and none may begin
// beyond the end of what is before it.
//
// Bytes that only extend the file are appended to it, which costs no more than
// they; otherwise a patched copy takes its place. After an error, plan's own
// among them, nothing has changed. The upload is over in any case.
func (u *Upload) Patch(ctx context.Context, fsync bool, plan func(old fs.FileInfo) ([]Piece, error)) (created bool, info fs.FileInfo, err error) {
	defer func() {
		if err != nil {
			u.Discard(err)
		}
	}()
	if err := u.Flush(); err != nil {
		return false, nil, err
	}
	unlock, err := u.dir.files.lock(ctx, u.Name)
	if err != nil {
		return false, nil, err
	}
	defer unlock()

	old, err := u.dir.target(u.name)
	if err != nil {
		return false, nil, err
	}
	pieces, err := plan(old)
	if err != nil {
		return false, nil, err
	}
	switch {
	case old == nil && inOrder(pieces, 0):
		return u.commitLocked(CommitOptions{Fsync: fsync})
	case old == nil:
		return false, nil, fs.ErrNotExist
	case inOrder(pieces, old.Size()):
		info, err = u.appendTo(fsync)
	default:
		info, err = u.patchCopy(pieces, fsync)
	}
	return false, info, err
}

// inOrder tells whether the pieces follow each other from off on.
func inOrder(pieces []Piece, off int64) bool {
	for _, p := range pieces {
		if p.Offset != off {
			return false
		}
		off += p.Length
	}
	return true
}

// appendTo adds the upload to the end of its file. A journal beside the file
// says how long it was, so that a half-done append can be undone after a crash.
func (u *Upload) appendTo(fsync bool) (fs.FileInfo, error) {
	d := u.dir
	f, err := d.root.OpenFile(filepath.FromSlash(u.name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	old, err := f.Stat()
	if err != nil {
		return nil, err
	}
	journal, journalName, err := d.temp(path.Dir(u.name), appendSuffix)
	if err != nil {
		return nil, err
	}
	defer func() {
		journal.Close()
		_ = d.root.Remove(filepath.FromSlash(journalName))
	}()
	if _, err := fmt.Fprintf(journal, "%d\n%s\n", old.Size(), path.Base(u.name)); err != nil {
		return nil, err
	}
	if fsync {
		if err := errors.Join(journal.Sync(), d.syncFolder(path.Dir(u.name))); err != nil {
			return nil, err
		}
	}

	d.files.beginAppend(u.Name, old)
	defer d.files.endAppend(u.Name)
	info, err := u.extend(f, old.Size(), fsync)
	if err != nil {
		if terr := f.Truncate(old.Size()); terr != nil {
			return nil, errors.Join(err, fmt.Errorf("undoing the append: %w", terr))
		}
		return nil, err
	}
	u.Discard(nil)
	return info, nil
}

// extend copies the upload to the end of f.
func (u *Upload) extend(f *os.File, size int64, fsync bool) (fs.FileInfo, error) {
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		return nil, err
	}
	if err := copyFile(f, u.file, u.Size()); err != nil {
		return nil, err
	}
	if fsync {
		if err := f.Sync(); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if err := u.dir.root.Chtimes(filepath.FromSlash(u.name), now, now); err != nil {
		return nil, err
	}
	return f.Stat()
}

// patchCopy replaces the file by a copy of it with the pieces filled.
func (u *Upload) patchCopy(pieces []Piece, fsync bool) (fs.FileInfo, error) {
	d := u.dir
	f, err := d.root.Open(filepath.FromSlash(u.name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	patched, err := d.Create(u.name, UploadOptions{Length: -1, Hidden: true})
	if err != nil {
		return nil, err
	}
	if err := patched.fill(f, info.Size(), u.file, pieces); err != nil {
		patched.Discard(err)
		return nil, err
	}
	_, info, err = patched.commitLocked(CommitOptions{Fsync: fsync})
	if err != nil {
		patched.Discard(err)
		return nil, err
	}
	u.Discard(nil)
	return info, nil
}

// fill makes the upload's file a copy of base with pieces of body.
func (u *Upload) fill(base *os.File, size int64, body *os.File, pieces []Piece) error {
	if err := copyFile(u.file, base, size); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for _, p := range pieces {
		if _, err := u.file.Seek(p.Offset, io.SeekStart); err != nil {
			return err
		}
		if n, err := io.CopyN(u.file, body, p.Length); err != nil {
			return fmt.Errorf("copying piece at %d, %d of %d bytes: %w", p.Offset, n, p.Length, err)
		}
	}
	return nil
}

// copyFile copies the first n bytes of src to where dst is. The kernel does it
// where it can, sharing the blocks on file systems that know how.
func copyFile(dst, src *os.File, n int64) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if m, err := io.CopyN(dst, src, n); err != nil {
		return fmt.Errorf("copying %d of %d bytes: %w", m, n, err)
	}
	return nil
}
