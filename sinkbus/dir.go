package sinkbus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// ErrIsDirectory is returned for writes to a path that is a directory.
var ErrIsDirectory = errors.New("is a directory")

// Dir is a directory whose files are replaced whole. No path leaves it: neither
// by "..", nor by symbolic links, which are followed only when they are
// relative and stay inside.
//
// All names are slash-separated, relative and clean, as for io/fs; "." is the
// directory itself. Errors of the file system come back as they are.
type Dir struct {
	// Path is the directory's absolute path, free of symbolic links.
	Path string

	root  *os.Root
	files *Files
	users atomic.Int32
}

// OpenDir opens a directory, which it creates with its parents if need be.
func OpenDir(name string, files *Files) (*Dir, error) {
	if err := os.MkdirAll(name, 0o777); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: abs, root: root, files: files}
	d.users.Store(1)
	return d, nil
}

// Use keeps the directory open for a request that may outlive its owner. Each
// call is undone by one of Close.
func (d *Dir) Use() { d.users.Add(1) }

// Close closes the directory when nobody uses it any more.
func (d *Dir) Close() error {
	if d.users.Add(-1) > 0 {
		return nil
	}
	return d.root.Close()
}

// Root returns the directory as what confines it.
func (d *Dir) Root() *os.Root { return d.root }

// Abs returns the absolute path of a name.
func (d *Dir) Abs(name string) string {
	return filepath.Join(d.Path, filepath.FromSlash(name))
}

// Open opens a file or directory for reading and tells what it is: for a file
// that is just being appended to, what it was before. The size that comes back
// is how many bytes of it are whole.
func (d *Dir) Open(name string) (*os.File, fs.FileInfo, error) {
	f, err := d.root.OpenFile(filepath.FromSlash(name), openRead, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := d.files.stat(d.Abs(name), f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Stat is Open without keeping the file open.
func (d *Dir) Stat(name string) (fs.FileInfo, error) {
	f, info, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	return info, f.Close()
}

// Uploading returns the newest upload in progress under the name, nil if there
// is none, whichever Dir it goes through.
func (d *Dir) Uploading(name string) *Stream {
	if d.files.Uploads.Len() == 0 {
		return nil
	}
	abs := d.Abs(name)
	if s := d.files.Uploads.Lookup(abs); s != nil || !strings.Contains(name, "/") {
		return s
	}
	if canonical := resolveFolder(abs); canonical != abs {
		return d.files.Uploads.Lookup(canonical)
	}
	return nil
}

// UploadingIn returns the uploads in progress directly in a folder, by name.
func (d *Dir) UploadingIn(folder string) map[string]*Stream {
	if d.files.Uploads.Len() == 0 {
		return nil
	}
	abs := resolveFolder(filepath.Join(d.Abs(folder), "x"))
	abs = filepath.Dir(abs)
	var found map[string]*Stream
	for _, s := range d.files.Uploads.Streams() {
		if filepath.Dir(s.Name) == abs {
			if found == nil {
				found = make(map[string]*Stream)
			}
			found[filepath.Base(s.Name)] = s
		}
	}
	return found
}

// resolveFolder resolves the symbolic links in the folder of a path, so that
// the path names its file whatever way it was reached.
func resolveFolder(abs string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return abs
	}
	return filepath.Join(dir, filepath.Base(abs))
}

// Remove deletes a file, if check agrees to what is there. It tells whether
// there was one. Folders that uploads created and that are empty now are
// removed with it. A directory is ErrIsDirectory.
func (d *Dir) Remove(ctx context.Context, name string, check func(fs.FileInfo) error) (bool, error) {
	unlock, err := d.files.lock(ctx, resolveFolder(d.Abs(name)))
	if err != nil {
		return false, err
	}
	defer unlock()
	info, err := d.target(name)
	if err != nil {
		return false, err
	}
	if err := check(info); err != nil {
		return false, err
	}
	err = d.root.Remove(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		d.prune(path.Dir(name))
	}
	return err == nil, err
}

// makeFolders creates a folder with its parents and remembers those that were
// not there.
func (d *Dir) makeFolders(name string) error {
	if name == "." {
		return nil
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		folder := strings.Join(parts[:i+1], "/")
		err := d.files.makeFolder(d.Abs(folder), func() error {
			return d.root.Mkdir(filepath.FromSlash(folder), 0o777)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// prune removes a folder and its parents, as far up as they are empty and were
// created by uploads.
func (d *Dir) prune(folder string) {
	for folder != "." && d.files.removeFolder(d.Abs(folder), func() error {
		return d.root.Remove(filepath.FromSlash(folder))
	}) {
		folder = path.Dir(folder)
	}
}

// target returns what readers find under a name that is to be written: nil if
// there is nothing. A directory is ErrIsDirectory.
func (d *Dir) target(name string) (fs.FileInfo, error) {
	info, err := d.root.Lstat(filepath.FromSlash(name))
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if info, err = d.root.Stat(filepath.FromSlash(name)); err != nil {
			return nil, nil //nolint:nilerr // it leads nowhere, or out of the directory
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s: %w", path.Base(name), ErrIsDirectory)
	}
	return info, nil
}
