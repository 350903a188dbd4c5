package listing

import (
	"os"
	"time"
)

// Entry is one line of a listing.
type Entry struct {
	// Name is a single path element, as it is on disk: it may hold any byte but
	// a slash, and need not be valid UTF-8.
	Name string

	// Size is the length in bytes; of a stream in progress, what has arrived so
	// far. It means nothing for a directory.
	Size int64

	// ModTime is the time of the last change. A zero time is shown as none.
	ModTime time.Time

	// Dir tells a directory from a file.
	Dir bool

	// Live marks a stream in progress.
	Live bool
}

// Read returns the entries of the directory rel below root, in no particular
// order; an empty rel is the root itself. The error is that of opening or
// reading the directory, and wraps fs.ErrNotExist and the like.
//
// Omitted are names that begin with a dot, names for which skip (which may be
// nil) returns true, and what cannot be served: entries that cannot be
// stat'ed, because they have just been removed for instance, devices, pipes
// and sockets, and symbolic links that are absolute, dangling or leave the
// root. Other links appear with the size, time and kind of their targets.
func Read(root *os.Root, rel string, skip func(name string) bool) ([]Entry, error) {
	if rel == "" {
		rel = "."
	}
	return read(root, rel, func(name string) bool {
		return name[0] == '.' || skip != nil && skip(name)
	})
}

// readLink returns the entry for the symbolic link name in the directory rel,
// and false if its target must not or cannot be shown.
func readLink(root *os.Root, rel, name string) (Entry, bool) {
	target := name
	if rel != "." {
		target = rel + "/" + name
	}
	// os.Root refuses what is absolute or leaves the root
	info, err := root.Stat(target)
	if err != nil {
		return Entry{}, false
	}
	return entryOf(name, info)
}

// entryOf returns the entry for a file or directory, and false for anything
// else.
func entryOf(name string, info os.FileInfo) (Entry, bool) {
	if !info.IsDir() && !info.Mode().IsRegular() {
		return Entry{}, false
	}
	return Entry{Name: name, Size: info.Size(), ModTime: info.ModTime().UTC(), Dir: info.IsDir()}, true
}
