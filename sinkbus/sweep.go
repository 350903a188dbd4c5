package sinkbus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes the temporary files that processes which are gone have left in
// the directory, and undoes the appends that they did not finish. Files of
// uploads in progress, in this process or another, are let alone. It returns
// how many files were removed, and what went wrong; it goes on after an error.
func (d *Dir) Sweep(ctx context.Context) (int, error) {
	d.Use()
	defer d.Close()
	var removed int
	var errs []error
	err := fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			if e != nil && e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() || !IsTemp(e.Name()) {
			return nil
		}
		ok, err := d.sweepFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		if ok {
			removed++
		}
		return nil
	})
	return removed, errors.Join(append(errs, err)...)
}

// sweepFile removes one left-over, unless it is in use.
func (d *Dir) sweepFile(name string) (bool, error) {
	f, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !lockFile(f) {
		return false, nil
	}
	if strings.HasSuffix(name, appendSuffix) {
		if err := d.undoAppend(path.Dir(name), f); err != nil {
			return false, fmt.Errorf("undoing the append of %s: %w", name, err)
		}
	}
	if err := d.root.Remove(filepath.FromSlash(name)); err != nil {
		return false, err
	}
	d.prune(path.Dir(name))
	return true, nil
}

// undoAppend cuts a file back to the size that the journal of an append gives.
func (d *Dir) undoAppend(folder string, journal *os.File) error {
	lines := bufio.NewScanner(journal)
	lines.Scan()
	size, err := strconv.ParseInt(lines.Text(), 10, 64)
	if err != nil || !lines.Scan() {
		return nil // it was never finished, so nothing was appended
	}
	name := lines.Text()
	if name == "" || strings.ContainsAny(name, `/\`) || IsTemp(name) {
		return fmt.Errorf("the journal names %q", name)
	}
	f, err := d.root.OpenFile(filepath.FromSlash(path.Join(folder, name)), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= size {
		return err
	}
	return f.Truncate(size)
}
