package handler

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-httpout/httpout/handler/access"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// hiding is which files are never served, listed or written: what hide says, as
// in file_server, and our own.
type hiding struct {
	// Without a separator: for any component of a path.
	names, nameGlobs []string

	// With one: absolute paths, which hide what is below them too.
	paths, pathGlobs []string
}

// newHiding sorts the patterns of hide, and files that are hidden by themselves.
func newHiding(patterns, files []string) hiding {
	var h hiding
	for _, p := range patterns {
		glob := strings.ContainsAny(p, `*?[\`)
		switch {
		case p == "":
		case containsSeparator(p):
			h.addPath(p, glob)
		case glob:
			h.nameGlobs = append(h.nameGlobs, p)
		default:
			h.names = append(h.names, p)
		}
	}
	for _, file := range files {
		if file != "" {
			h.addPath(file, false)
		}
	}
	return h
}

// addPath adds a path as it was written and as it really is.
func (h *hiding) addPath(p string, glob bool) {
	abs, err := filepath.Abs(p)
	if err != nil {
		abs = p
	}
	for _, p := range slices.Compact([]string{abs, access.Resolve(abs)}) {
		h.paths = append(h.paths, p)
		if glob {
			h.pathGlobs = append(h.pathGlobs, p)
		}
	}
}

func containsSeparator(p string) bool {
	return slices.ContainsFunc([]byte(p), os.IsPathSeparator)
}

// hides tells whether a place is hidden.
func (h *hiding) hides(p place) bool {
	for part := range strings.SplitSeq(p.name, "/") {
		if h.hidesName(part) {
			return true
		}
	}
	return len(h.paths) > 0 && h.hidesPath(p.abs())
}

// hidesName tells whether a component of a path is hidden wherever it is.
func (h *hiding) hidesName(name string) bool {
	if sinkbus.IsTemp(name) || slices.Contains(h.names, name) {
		return true
	}
	return matchesAny(h.nameGlobs, name)
}

// hidesPath tells whether an absolute path is hidden.
func (h *hiding) hidesPath(abs string) bool {
	for _, p := range h.paths {
		if rest, ok := strings.CutPrefix(abs, p); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
			return true
		}
	}
	return matchesAny(h.pathGlobs, abs)
}

func matchesAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := filepath.Match(glob, name) // patterns were checked when the configuration was loaded
		return err == nil && ok
	})
}

// below returns what tells whether an entry of a folder that is not hidden
// itself is.
func (h *hiding) below(folder string) func(name string) bool {
	prefix := strings.TrimSuffix(folder, string(filepath.Separator)) + string(filepath.Separator)
	// most folders have no hidden path in them
	paths := slices.DeleteFunc(slices.Clone(h.paths), func(p string) bool { return !strings.HasPrefix(p, prefix) })
	return func(name string) bool {
		if h.hidesName(name) {
			return true
		}
		if len(paths) == 0 && len(h.pathGlobs) == 0 {
			return false
		}
		return h.hidesPath(prefix + name)
	}
}
