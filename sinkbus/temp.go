package sinkbus

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Names of our temporary files, which lie beside the files they become.
const (
	tempPrefix   = ".httpout-"
	uploadSuffix = ".tmp"    // an upload that is not yet complete
	appendSuffix = ".append" // the journal of an append: the file's size before
)

// IsTemp tells whether a file name, without a folder, is one of ours for
// temporary files. They are never to be served, listed or written by name.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) &&
		(strings.HasSuffix(name, uploadSuffix) || strings.HasSuffix(name, appendSuffix))
}

// tempTries is how often temp tries, as others may remove the folder meanwhile.
const tempTries = 100

// temp creates a temporary file in a folder, which it creates if need be. The
// file is locked, so that no other process takes it for a left-over.
func (d *Dir) temp(folder, suffix string) (*os.File, string, error) {
	var lastErr error
	for range tempTries {
		name := path.Join(folder, tempPrefix+rand.Text()[:16]+suffix)
		f, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// no such folder, or one that was removed just now, which may
			// happen again while it is being made
			if err := d.makeFolders(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, "", err
			}
			lastErr = err
			continue
		case errors.Is(err, fs.ErrExist):
			lastErr = err
			continue
		case err != nil:
			return nil, "", err
		}
		if !lockFile(f) {
			// a sweep has seen it before it was locked, and removes it
			f.Close()
			lastErr = fmt.Errorf("locking %s: taken", name)
			continue
		}
		return f, name, nil
	}
	return nil, "", lastErr
}

// spillFile is a file that takes several blocks in one call where the system
// has one for that: a long call costs less than many short ones, since the Go
// runtime finds another thread for others whenever one takes its time.
type spillFile struct{ *os.File }
