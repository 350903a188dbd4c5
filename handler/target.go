package handler

import (
	"net/http"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// target is the path of a request, decoded and clean.
type target struct {
	// name is relative and without a slash at its ends, as for io/fs; "." is
	// the root.
	name string

	// slash tells that the URL ended with one: it means a directory.
	slash bool
}

// maxPath bounds the length of a decoded path, in bytes.
const maxPath = 4096

// parseTarget returns the target of a decoded URL path. What can be no file
// name anywhere is 400. Dots lead no further up than to the root.
func parseTarget(p string) (target, error) {
	switch {
	case strings.IndexByte(p, 0) >= 0:
		return target{}, fail(http.StatusBadRequest, "The path has a NUL byte")
	case len(p) > maxPath:
		return target{}, fail(http.StatusBadRequest, "The path is too long")
	case runtime.GOOS == "windows" && strings.ContainsAny(p, `\:`):
		return target{}, fail(http.StatusBadRequest, "The path has a character that is not possible here")
	}
	// a dot element at the end means the directory, as a slash does
	slash := strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..") || p == ""
	name := strings.TrimPrefix(path.Clean("/"+p), "/")
	if name == "" {
		return target{name: ".", slash: true}, nil
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return target{}, fail(http.StatusBadRequest, "The path cannot be a file name here")
	}
	return target{name: name, slash: slash}, nil
}

// place is where a target is in one of the directories.
type place struct {
	*mount
	name string // in the directory, as for io/fs
}

// abs returns the place's absolute path.
func (p place) abs() string { return p.dir.Abs(p.name) }

// in returns where the target is in a mount, if it is.
func (t target) in(m *mount) (place, bool) {
	if m.name == "" {
		return place{m, t.name}, true
	}
	rest, ok := strings.CutPrefix(t.name, m.name)
	switch {
	case !ok:
		return place{}, false
	case rest == "":
		return place{m, "."}, true
	case rest[0] == '/':
		return place{m, rest[1:]}, true
	default:
		return place{}, false
	}
}

// places calls yield with each place the target may be read from, in order,
// until it returns false. A mount with a name hides what others have there.
func (q *request) places(yield func(place) bool) {
	for i := range q.table.mounts {
		m := &q.table.mounts[i]
		p, ok := q.path.in(m)
		if !ok {
			continue
		}
		if !yield(p) || m.name != "" {
			return
		}
	}
}

// writeMount returns where the target is written to: a directory whose rules
// give it a write side, else wdir.
func (q *request) writeMount() (place, bool) {
	if len(q.table.rights) > 0 {
		var found place
		ok := false
		q.places(func(p place) bool {
			if q.table.rights.ForPath(p.abs()).HasWrite() && (p.mount.name != "" || q.table.write == nil) {
				found, ok = p, true
			}
			return !ok
		})
		if ok {
			return found, true
		}
	}
	if q.table.write == nil {
		return place{}, false
	}
	return place{q.table.write, q.path.name}, true
}
