package sourcebus

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	// maxGrowing is how many files are followed at a time.
	maxGrowing = 1024

	// eventMargin is by how much the time stamps of files may differ from the
	// clock.
	eventMargin = 2 * time.Second
)

// folder makes streams of the files in a folder. It is for one goroutine, so
// that what happens to the files is told in the order in which it happened.
type folder struct {
	in       *Input
	root     *os.Root
	notifier notifier
	files    map[string]*growing
	queue    []fileEvent // still to be looked at
	seen     time.Time   // when there were events last
	status   statusLog   // of files that cannot be read
}

// run follows the files until ctx is done or the folder is gone.
func (f *folder) run(ctx context.Context) error {
	f.seen = time.Now()
	for {
		if err := f.fetch(ctx, f.patience()); err != nil {
			return err
		}
		for len(f.queue) > 0 {
			e := f.queue[0]
			f.queue = f.queue[1:]
			if err := f.apply(ctx, e); err != nil {
				return err
			}
		}
		f.advanceAll(ctx)
		if err := f.completeSettled(ctx); err != nil {
			return err
		}
	}
}

// close lets go of all files, whose streams are complete with what they have.
func (f *folder) close(ctx context.Context) {
	for _, g := range f.files {
		if ctx.Err() == nil {
			f.finish(ctx, g)
		} else {
			f.forget(g)
		}
	}
}

// fetch adds what has happened to the queue, and waits for it for up to d.
func (f *folder) fetch(ctx context.Context, d time.Duration) error {
	events, err := f.notifier.wait(ctx, d)
	if err != nil {
		return err
	}
	if len(events) > 0 && !slices.ContainsFunc(events, func(e fileEvent) bool { return e.op == eventsLost }) {
		f.seen = time.Now()
	}
	f.queue = append(f.queue, events...)
	return nil
}

// patience returns how long there is nothing to do unless something happens.
func (f *folder) patience() time.Duration {
	if len(f.queue) > 0 {
		return 0
	}
	patience := time.Duration(-1)
	for _, g := range f.files {
		if g.dirty {
			return 0
		}
		if !g.due.IsZero() {
			if d := max(time.Millisecond, time.Until(g.due)); patience < 0 || d < patience {
				patience = d
			}
		}
	}
	return patience
}

// apply does what an event asks for.
func (f *folder) apply(ctx context.Context, e fileEvent) error {
	g := f.files[e.name]
	switch e.op {
	case fileFound, fileWritten:
		if g != nil && (g.length >= 0 || e.op == fileFound && f.replaced(g)) {
			f.finish(ctx, g) // it was complete, and is something else now
			g = nil
		}
		if g == nil {
			if g = f.open(ctx, e.name, false); g == nil {
				return nil
			}
		}
		g.written(e.op == fileWritten && !g.link && f.notifier.tellsClose(g.info))
	case fileClosed:
		if g != nil && g.length < 0 {
			return f.complete(ctx, g, true)
		}
	case fileMoved:
		if g != nil {
			f.finish(ctx, g)
		}
		if g = f.open(ctx, e.name, true); g == nil {
			return nil
		}
		if g.whole {
			return f.publish(ctx, g)
		}
		f.advance(ctx, g)
	case fileRemoved:
		if g != nil {
			f.finish(ctx, g)
		}
		f.in.Delete("/" + e.name)
	case eventsLost:
		return f.resync(ctx)
	case folderRemoved:
		for name, g := range f.files {
			if strings.HasPrefix(name, e.name+"/") {
				f.finish(ctx, g)
				f.in.Delete("/" + name)
			}
		}
	}
	return nil
}

// replaced tells whether another file has got the name of one that is followed.
func (f *folder) replaced(g *growing) bool {
	info, err := f.root.Stat(g.name)
	return err == nil && !os.SameFile(info, g.info)
}

// resync finds out what has happened when events were lost.
func (f *folder) resync(ctx context.Context) error {
	f.in.Logger.Warn("too much has happened in the folder at once, looking at all of its files")
	since := f.seen.Add(-eventMargin)
	f.seen = time.Now()
	for _, g := range f.files {
		_, err := f.root.Lstat(g.name)
		switch {
		case err != nil:
			f.finish(ctx, g)
			f.in.Delete("/" + g.name)
		case f.replaced(g):
			f.finish(ctx, g)
		default:
			g.told = false // its closing may be among what was lost
			g.written(false)
		}
	}
	return walkFiles(f.root, func(name string, info fs.FileInfo) {
		if f.files[name] == nil && !passedOver(name) && info.ModTime().After(since) {
			f.queue = append(f.queue, fileEvent{fileFound, name})
		}
	})
}

// walkFiles calls fn for all files in a folder and those within it whose names
// are not passed over, but for what vanishes meanwhile. Names of files may be
// such that are passed over.
func walkFiles(root *os.Root, fn func(name string, info fs.FileInfo)) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			return nil //nolint:nilerr // a folder that is gone, or not for us
		case name == ".":
			return nil
		case d.IsDir() && passedOver(name):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if info, err := d.Info(); err == nil {
			fn(name, info)
		}
		return nil
	})
}

// advanceAll appends what has come to the files that are written to.
func (f *folder) advanceAll(ctx context.Context) {
	for _, g := range f.files {
		if g.dirty && !g.whole {
			f.advance(ctx, g)
		}
		if g.whole {
			g.dirty = false
		}
	}
}

// completeSettled completes the files that have not grown for long enough.
func (f *folder) completeSettled(ctx context.Context) error {
	now := time.Now()
	for _, g := range f.files {
		if g.dirty || g.due.IsZero() || now.Before(g.due) {
			continue
		}
		if err := f.complete(ctx, g, false); err != nil {
			return err
		}
	}
	return nil
}

// willBeWritten tells whether the queue has it that a file is written to.
func (f *folder) willBeWritten(name string) bool {
	return slices.ContainsFunc(f.queue, func(e fileEvent) bool {
		return e.name == name && (e.op == fileWritten || e.op == fileFound)
	})
}

// unreadable logs why a file is not followed.
func (f *folder) unreadable(name string, err error) {
	f.status.log(zap.WarnLevel, "cannot follow a file", name, zap.String("file", name), zap.Error(err))
}
