package sourcebus

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"time"
)

// scanEvery is how often a scanner looks at a folder, unless that takes long.
const scanEvery = 250 * time.Millisecond

// scanner is a notifier that looks at the folder again and again, where the
// system does not tell what happens in it.
type scanner struct {
	dir    string
	root   *os.Root
	self   fs.FileInfo // the folder itself
	files  map[string]fs.FileInfo
	gone   []fs.FileInfo // those with temporary names that are no longer there
	next   time.Time     // when to look again
	events []fileEvent
}

// newScanner returns a scanner, which tells of the files that are there already
// if all is set.
func newScanner(dir string, root *os.Root, all bool) (*scanner, error) {
	self, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	s := &scanner{dir: dir, root: root, self: self, files: make(map[string]fs.FileInfo)}
	if !all {
		if err := s.scan(); err != nil {
			return nil, err
		}
		s.events = nil
	}
	return s, nil
}

// wait implements notifier.
func (s *scanner) wait(ctx context.Context, d time.Duration) ([]fileEvent, error) {
	end := time.Now().Add(d)
	for d != 0 {
		until := s.next
		if d > 0 && end.Before(until) {
			until = end
		}
		if err := pause(ctx, time.Until(until)); err != nil {
			return nil, err
		}
		if until.Before(s.next) {
			break
		}
		if err := s.scan(); err != nil {
			return nil, err
		}
		if len(s.events) > 0 {
			break
		}
	}
	events := s.events
	s.events = nil
	return events, ctx.Err()
}

// scan looks at the folder, and notes what is not as it was.
func (s *scanner) scan() error {
	began := time.Now()
	if self, err := os.Stat(s.dir); err != nil || !os.SameFile(self, s.self) {
		return errFolderGone
	}
	before, now := s.files, make(map[string]fs.FileInfo, len(s.files))
	if err := walkFiles(s.root, func(name string, info fs.FileInfo) { now[name] = info }); err != nil {
		return errFolderGone
	}
	// The new name of a file may only be seen the next time.
	renamed := s.gone
	s.gone = nil
	for name, old := range before {
		if now[name] == nil && passedOver(name) {
			s.gone = append(s.gone, old)
		}
	}
	renamed = append(renamed, s.gone...)
	var changed []string
	for name, info := range now {
		old := before[name]
		if !passedOver(name) && (old == nil || !os.SameFile(old, info) || old.Size() != info.Size() || !old.ModTime().Equal(info.ModTime())) {
			changed = append(changed, name)
		}
	}
	// segments come before the manifest that names them
	slices.SortFunc(changed, func(a, b string) int { return now[a].ModTime().Compare(now[b].ModTime()) })
	for _, name := range changed {
		op := fileFound
		if slices.ContainsFunc(renamed, func(temp fs.FileInfo) bool { return os.SameFile(temp, now[name]) }) {
			op = fileMoved
		}
		s.events = append(s.events, fileEvent{op, name})
	}
	for name := range before {
		if now[name] == nil && !passedOver(name) {
			s.events = append(s.events, fileEvent{fileRemoved, name})
		}
	}
	s.files = now
	s.next = time.Now().Add(max(scanEvery, 10*time.Since(began)))
	return nil
}

// tellsClose implements notifier.
func (*scanner) tellsClose(fs.FileInfo) bool { return false }

// Close implements notifier.
func (*scanner) Close() error { return nil }
