package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/handler/access"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// folders are a server's directories: what the configuration names, and what is
// opened of it.
type folders struct {
	plain []plainFolder // the rdirs that are no rule files, in order
	named bool          // whether there are several rdirs, so that plain ones have names

	current atomic.Pointer[mountTable]

	// mu guards what follows, and the making of a new table.
	mu   sync.RWMutex
	open map[string]*sinkbus.Dir // by the path they were opened with
}

type plainFolder struct {
	name, path string
}

// mountTable says which URL path is in which directory. It does not change; a
// new one is made when a rule file does.
type mountTable struct {
	rights access.Rights
	mounts []mount // in the order of lookup: those with a name before the others
	write  *mount  // wdir, nil without one

	// seen are the rule files that the table was made for. They are rights,
	// unless those could not be used.
	seen access.Rights
}

// mount is a directory that can be read, or written. Those without a name are
// laid over each other at "/".
type mount struct {
	name string
	dir  *sinkbus.Dir
}

// provisionFolders sorts out the directories of the configuration and reads the
// rule files, without a change on disk.
func (s *Server) provisionFolders(expand func(string) (string, error)) error {
	f := &s.folders
	f.open = make(map[string]*sinkbus.Dir)
	f.named = len(s.opts.ReadDirs) > 1
	for _, configured := range s.opts.ReadDirs {
		name, err := expand(configured)
		if err != nil {
			return fmt.Errorf("rdirs: %v", err)
		}
		if name == "gmem" {
			return errors.New("rdirs gmem is not available in this version")
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			return fmt.Errorf("rdirs: %v", err)
		}
		info, err := os.Stat(abs)
		switch {
		case err == nil && info.Mode().IsRegular():
			if err := s.provisionRules(abs, expand); err != nil {
				return err
			}
		case err == nil && !info.IsDir():
			return fmt.Errorf("rdirs: %s is neither a directory nor a rule file", configured)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("rdirs: %v", err)
		default:
			f.plain = append(f.plain, plainFolder{name: filepath.Base(abs), path: abs})
		}
	}
	if s.opts.WriteDir != "" {
		name, err := expand(s.opts.WriteDir)
		if err != nil {
			return fmt.Errorf("wdir: %v", err)
		}
		if s.writeDir, err = filepath.Abs(name); err != nil {
			return fmt.Errorf("wdir: %v", err)
		}
		if info, err := os.Stat(s.writeDir); err == nil && !info.IsDir() {
			return fmt.Errorf("wdir: %s is not a directory; rule files go into rdirs", name)
		}
	}
	return s.checkNames(s.rights())
}

// provisionRules reads a rule file.
func (s *Server) provisionRules(filename string, expand func(string) (string, error)) error {
	parse := func(r io.Reader, filename string) (*access.Rules, error) {
		var expandErr error
		rules, err := access.ParseRules(r, filename, func(v string) string {
			out, err := expand(v)
			if err != nil {
				expandErr = err
			}
			return out
		})
		if err == nil {
			err = expandErr
		}
		if err == nil {
			err = rules.Validate(func(dir string) bool {
				info, err := os.Stat(dir)
				return err == nil && info.IsDir()
			})
		}
		return rules, err
	}
	w, err := access.NewWatched(filename, parse, s.keptOld("rules"))
	if err != nil {
		return fmt.Errorf("reading rules: %v", err)
	}
	s.rules = append(s.rules, w)
	return nil
}

// rights returns the rule files as they are now.
func (s *Server) rights() access.Rights {
	if len(s.rules) == 0 {
		return nil
	}
	rights := make(access.Rights, len(s.rules))
	for i, w := range s.rules {
		rights[i] = w.Get()
	}
	return rights
}

// checkNames checks that no two directories have the same name in URLs.
func (s *Server) checkNames(rights access.Rights) error {
	if err := rights.Validate(); err != nil {
		return err
	}
	names := make(map[string]string)
	add := func(name, path string) error {
		if other, ok := names[name]; ok && name != "" {
			return fmt.Errorf("two read directories would be /%s/: %s and %s; give one another name in a rule file ([directory] with name=...)",
				name, other, path)
		}
		names[name] = path
		return nil
	}
	if s.folders.named {
		for _, p := range s.folders.plain {
			if err := add(p.name, p.path); err != nil {
				return err
			}
		}
	}
	for _, sec := range rights.Mounts() {
		if err := add(sec.Name, sec.Dir); err != nil {
			return err
		}
	}
	return nil
}

// table returns the directories as they are to be used now.
func (f *folders) table(s *Server) (*mountTable, error) {
	t := f.current.Load()
	if t != nil && len(s.rules) == 0 {
		return t, nil
	}
	rights := s.rights()
	if t != nil && slices.Equal(t.seen, rights) {
		return t, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.current.Load(); now != t {
		return now, nil // made meanwhile
	}
	next, err := f.build(s, rights)
	if err != nil {
		if t == nil {
			return nil, err
		}
		s.logger.Error("keeping the rules as they were: the edited file cannot be used", zap.Error(err))
		next = &mountTable{rights: t.rights, mounts: t.mounts, write: t.write, seen: rights}
	}
	f.current.Store(next)
	return next, nil
}

// build opens what a table needs.
func (f *folders) build(s *Server, rights access.Rights) (*mountTable, error) {
	if err := s.checkNames(rights); err != nil {
		return nil, err
	}
	t := &mountTable{rights: rights, seen: rights}
	for _, p := range f.plain {
		dir, err := f.openDir(s, p.path)
		if err != nil {
			return nil, fmt.Errorf("opening read directory: %w", err)
		}
		m := mount{dir: dir}
		if f.named {
			m.name = p.name
		}
		t.mounts = append(t.mounts, m)
	}
	for _, sec := range rights.Mounts() {
		dir, err := f.openDir(s, sec.Dir)
		if err != nil {
			return nil, fmt.Errorf("opening the directory of %s: %w", sec.Position(), err)
		}
		t.mounts = append(t.mounts, mount{name: sec.Name, dir: dir})
	}
	// a name may be below another one, and no name is below all
	slices.SortStableFunc(t.mounts, func(a, b mount) int { return len(b.name) - len(a.name) })
	if s.writeDir != "" {
		dir, err := f.openDir(s, s.writeDir)
		if err != nil {
			return nil, fmt.Errorf("opening write directory: %w", err)
		}
		t.write = &mount{dir: dir}
	}
	return t, nil
}

// openDir opens a directory, unless it is open already.
func (f *folders) openDir(s *Server, path string) (*sinkbus.Dir, error) {
	if d, ok := f.open[path]; ok {
		return d, nil
	}
	d, err := sinkbus.OpenDir(path, s.state.files)
	if err != nil {
		return nil, err
	}
	f.open[path] = d
	return d, nil
}

// close closes the directories, if nobody has come to use them by then. Uploads
// in progress keep theirs.
func (f *folders) close(unused func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !unused() {
		return
	}
	f.current.Store(nil)
	for _, d := range f.open {
		d.Close()
	}
	clear(f.open)
}

// Sweep removes what uploads of a process that died have left in the server's
// directories. Each directory is swept once in the life of a process.
func (s *Server) Sweep(ctx context.Context) {
	s.use()
	defer s.release()
	t, err := s.folders.table(s)
	if err != nil {
		return // Open has told
	}
	var writable []*sinkbus.Dir
	if t.write != nil {
		writable = append(writable, t.write.dir)
	}
	for _, m := range t.mounts {
		if t.rights.ForPath(m.dir.Path).HasWrite() {
			writable = append(writable, m.dir)
		}
	}
	for _, d := range writable {
		if !s.state.firstSweep(d.Path) {
			continue
		}
		n, err := d.Sweep(ctx)
		if err != nil {
			s.logger.Warn("sweeping left-over temporary files", zap.String("directory", d.Path), zap.Error(err))
		}
		if n > 0 {
			s.logger.Info("removed left-over temporary files", zap.String("directory", d.Path), zap.Int("files", n))
		}
	}
}
