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

// temp creates a temporary file in a folder, which it creates if need be. The
// file is locked, so that no other process takes it for a left-over.
func (d *Dir) temp(folder, suffix string) (*os.File, string, error) {
	var lastErr error
	for range 10 {
		name := path.Join(folder, tempPrefix+rand.Text()[:16]+suffix)
		f, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// no such folder, or one that was removed just now
			if err := d.makeFolders(folder); err != nil {
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
