package access

import (
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Decision is the answer to whether somebody may read or write a path.
type Decision uint8

// The zero value refuses, so that a decision nobody made opens nothing.
const (
	// Forbidden: this user may not, or nobody may.
	Forbidden Decision = iota

	// NeedLogin: some user may; who is asking has not logged in.
	NeedLogin

	// NoWriteSide: the path is not one that can be written by anybody.
	NoWriteSide

	// Allowed: go on.
	Allowed
)

// Status returns the HTTP status of the decision: 200, 401, 403 or 405
// (RFC 9110 section 15.5).
func (d Decision) Status() int {
	switch d {
	case Allowed:
		return http.StatusOK
	case NeedLogin:
		return http.StatusUnauthorized
	case NoWriteSide:
		return http.StatusMethodNotAllowed
	default:
		return http.StatusForbidden
	}
}

func (d Decision) String() string {
	switch d {
	case Allowed:
		return "allowed"
	case NeedLogin:
		return "need login"
	case NoWriteSide:
		return "no write side"
	default:
		return "forbidden"
	}
}

// Permission is who may do one thing, reading or writing, in one section.
type Permission struct {
	// The users and the groups as they are listed, reserved words included.
	// Being one of the users or in one of the groups is enough. Both are
	// empty when the rule file does not say.
	Users, Groups []string

	all, none bool // $ALL, $NONE in either list
}

// resolve finds the reserved words in the lists and returns an error if what
// they say is contradictory.
func (p *Permission) resolve() error {
	for _, list := range [][]string{p.Users, p.Groups} {
		p.all = p.all || slices.Contains(list, anyone)
		p.none = p.none || slices.Contains(list, nobody)
		if len(list) > 1 && slices.Contains(list, nobody) {
			return fmt.Errorf("%s must be alone in its list", nobody)
		}
	}
	if p.all && p.none {
		return fmt.Errorf("both %s and %s", anyone, nobody)
	}
	return nil
}

// isSet reports whether the rule file names anybody.
func (p *Permission) isSet() bool {
	return len(p.Users) > 0 || len(p.Groups) > 0
}

// decide applies a permission that is set.
func (p *Permission) decide(user string, groups []*Groups) Decision {
	switch {
	case p.none:
		return Forbidden // a login would not help
	case p.all:
		return Allowed
	case user == "":
		return NeedLogin
	case slices.Contains(p.Users, user):
		return Allowed
	}
	for _, group := range p.Groups {
		for _, g := range groups {
			if g.Has(group, user) {
				return Allowed
			}
		}
	}
	return Forbidden
}

// HasRead reports whether the section says who may read.
func (s *Section) HasRead() bool { return s != nil && s.Read.isSet() }

// HasWrite reports whether the section says who may write.
func (s *Section) HasWrite() bool { return s != nil && s.Write.isSet() }

// CanRead decides whether user, who is empty before a login, may read what the
// section covers. A user is in a group if any of groups says so; nil ones are
// skipped. Anyone may read where no section (s is nil) or no key says who.
func (s *Section) CanRead(user string, groups ...*Groups) Decision {
	if !s.HasRead() {
		return Allowed
	}
	return s.Read.decide(user, groups)
}

// CanWrite is CanRead for writing, except that nobody may write where no
// section or no key says who. A write directory that no section covers is
// open; as only the caller knows that it is one, it must test for nil first.
func (s *Section) CanWrite(user string, groups ...*Groups) Decision {
	if !s.HasWrite() {
		return NoWriteSide
	}
	return s.Write.decide(user, groups)
}

// Position returns "file:line" of the section, for messages.
func (s *Section) Position() string {
	return fmt.Sprintf("%s:%d", s.filename, s.Line)
}

// Rights are the rule files of one server, which decide together. The earlier
// one wins where two have a section for the same directory or name.
type Rights []*Rules

// Validate checks that no two rule files have a section for the same directory
// or name. Each file must have been checked by itself already.
func (r Rights) Validate() error {
	dirs, names := make(map[string]*Section), make(map[string]*Section)
	for _, rules := range r {
		for _, s := range rules.Sections {
			if other := dirs[dirKey(s.Dir)]; other != nil {
				return errorAt(s.filename, s.Line, "directory %q has a section at %s already", s.Dir, other.Position())
			}
			dirs[dirKey(s.Dir)] = s
			if s.Name == "" {
				continue
			}
			if other := names[s.Name]; other != nil {
				return errorAt(s.filename, s.Line, "name %q is used at %s already", s.Name, other.Position())
			}
			names[s.Name] = s
		}
	}
	return nil
}

// ForPath returns the section that decides about a file or directory: the one
// for its nearest ancestor, or for itself. It returns nil if no section covers
// it. The path is absolute and is compared by its words only: the caller must
// ask again with the target's path when it follows a symbolic link.
func (r Rights) ForPath(name string) *Section {
	if len(r) == 0 {
		return nil
	}
	dir := dirKey(filepath.Clean(name))
	for {
		for _, rules := range r {
			if s := rules.byDir[dir]; s != nil {
				return s
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

// ForURL returns the section whose name covers a decoded URL path: that with
// the most components that are also the first ones of the path. It returns nil
// if there is none. It is for paths that are no files, such as those of
// scripts and inputs; whether the directory exists makes no difference.
func (r Rights) ForURL(urlPath string) *Section {
	if len(r) == 0 {
		return nil
	}
	name := strings.TrimPrefix(urlPath, "/")
	if name == "" || name[0] == '/' || name[0] == '.' || path.Clean(name) != name {
		// Doubled slashes and dots must not hide the name. Cleaning a rooted
		// path, other than a relative one, leaves no ".." at its start.
		name = path.Clean("/" + name)[1:]
	}
	for name != "" {
		for _, rules := range r {
			if s := rules.byName[name]; s != nil {
				return s
			}
		}
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	return nil
}

// Mounts returns the sections whose directories are served, in order: those
// with a name at "/name/", the others at "/". A section without a name that
// lies inside another one's directory is only about rights, and one whose
// directory does not exist has nothing to serve.
func (r Rights) Mounts() []*Section {
	var mounts []*Section
	for _, rules := range r {
		for _, s := range rules.Sections {
			if !s.Virtual && (s.Name != "" || !r.isNested(s)) {
				mounts = append(mounts, s)
			}
		}
	}
	return mounts
}

// isNested reports whether the section lies inside another one's directory.
func (r Rights) isNested(s *Section) bool {
	parent := filepath.Dir(s.Dir)
	return parent != s.Dir && r.ForPath(parent) != nil
}

// Within reports whether path is dir or lies below it. Both are absolute and
// cleaned; they are compared component by component.
func Within(path, dir string) bool {
	path, dir = dirKey(path), dirKey(dir)
	rest, ok := strings.CutPrefix(path, dir)
	if !ok {
		return false
	}
	sep := string(filepath.Separator)
	return rest == "" || strings.HasPrefix(rest, sep) || strings.HasSuffix(dir, sep)
}

// Resolve returns an absolute, cleaned path without the symbolic links in it, as
// far as it exists: what rules and requests say of a file is compared by that,
// whatever way each of them reaches it.
func Resolve(path string) string {
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(resolved, rest)
		}
		if filepath.Dir(dir) == dir {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
