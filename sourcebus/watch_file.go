package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
)

const (
	// watchTurn is how much of a file is read before others have their turn.
	watchTurn = 16 << 20

	// settleFile is how long a file does not grow that is complete, and
	// settleManifest is how long a manifest is not written to.
	settleFile     = 2 * time.Second
	settleManifest = 500 * time.Millisecond

	// maxManifest bounds the size of manifests.
	maxManifest = 16 << 20
)

// errRewritten aborts the stream of a file that has become another one before
// it was complete.
var errRewritten = errors.New("the file was written anew")

// growing is a file that is followed.
type growing struct {
	name   string
	file   *os.File
	info   fs.FileInfo // at the beginning
	link   bool        // the name is that of a symbolic link
	whole  bool        // it is a manifest, which is read when it is complete
	length int64       // of a file that was complete from the beginning, otherwise -1

	stream *sinkbus.Stream // nil if whole
	undo   func() bool     // of what completes stream in the end
	off    int64           // up to where it has been read

	dirty bool      // there is more to read, as far as is known
	told  bool      // it will be told when the file is closed
	due   time.Time // when it is complete unless it grows; zero if that is told
}

// written takes note of something having been written to the file.
func (g *growing) written(told bool) {
	g.dirty = true
	g.told = g.told || told
	g.settle()
}

// settle sets when the file is complete unless it grows.
func (g *growing) settle() {
	switch {
	case g.length >= 0:
	case g.whole:
		g.due = time.Now().Add(settleManifest)
	case g.told:
		g.due = time.Time{}
	default:
		g.due = time.Now().Add(settleFile)
	}
}

// open begins to follow a file, which may be complete. It returns nil if it is
// none, or cannot be read.
func (f *folder) open(ctx context.Context, name string, complete bool) *growing {
	if len(f.files) >= maxGrowing {
		f.unreadable(name, fmt.Errorf("there are more than %d that grow", maxGrowing))
		return nil
	}
	// The root does not follow links out of the folder. A FIFO is not opened,
	// as that would wait.
	entry, err := f.root.Lstat(name)
	if err != nil {
		return nil // it is gone again
	}
	info, err := f.root.Stat(name)
	if err != nil {
		f.unreadable(name, err)
		return nil
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	file, err := f.root.Open(name)
	if err != nil {
		f.unreadable(name, err)
		return nil
	}
	g := &growing{name: name, file: file, whole: mediatype.IsManifest(name, ""), length: -1}
	g.link = entry.Mode()&fs.ModeSymlink != 0
	if g.info, err = file.Stat(); err != nil {
		f.unreadable(name, err)
		file.Close()
		return nil
	}
	if complete {
		g.length, g.dirty = g.info.Size(), true
	}
	if !g.whole {
		if err := f.begin(ctx, g); err != nil {
			f.unreadable(name, err)
			file.Close()
			return nil
		}
	}
	f.files[name] = g
	return g
}

// begin opens the stream of a file.
func (f *folder) begin(ctx context.Context, g *growing) error {
	s, err := f.in.OpenLive("/"+g.name, sinkbus.Declared{MediaType: mediatype.ByName(g.name), Length: g.length})
	if err != nil {
		return err
	}
	g.stream, g.undo, g.off = s, untilDone(ctx, s), 0
	return nil
}

// forget ends the following of a file.
func (f *folder) forget(g *growing) {
	if g.undo != nil {
		g.undo()
	}
	g.file.Close()
	delete(f.files, g.name)
}

// abort ends the stream of a file that cannot be followed any further.
func (f *folder) abort(g *growing, err error) {
	f.in.Logger.Debug("file aborted", zap.String("file", g.name), zap.Error(err))
	g.stream.Abort(err)
	f.forget(g)
}

// advance appends what has come to the file to its stream, up to a bound. One
// that was complete from the beginning is completed at its end. It tells how
// many bytes there were.
func (f *folder) advance(ctx context.Context, g *growing) int64 {
	limit := int64(watchTurn)
	if g.length >= 0 {
		limit = min(limit, g.length-g.off)
	} else if info, err := g.file.Stat(); err == nil && info.Size() < g.off {
		g.undo()
		g.stream.Abort(errRewritten)
		if err := f.begin(ctx, g); err != nil {
			f.unreadable(g.name, err)
			f.forget(g)
			return 0
		}
	}
	n, err := g.stream.ReadFrom(io.NewSectionReader(g.file, g.off, limit))
	g.off += n
	g.dirty = n == limit
	if n > 0 {
		g.settle()
	}
	switch {
	case err != nil && ctx.Err() == nil:
		f.unreadable(g.name, err)
		f.abort(g, err)
	case err != nil:
		g.dirty = false // its stream is complete as the input stops
	case g.length >= 0 && g.off == g.length:
		g.stream.Complete()
		f.forget(g)
	case g.length >= 0 && !g.dirty:
		f.abort(g, io.ErrUnexpectedEOF)
	}
	return n
}

// readRest appends all that is left of the file. It tells how many bytes there
// were, and whether the file is still followed.
func (f *folder) readRest(ctx context.Context, g *growing) (int64, bool) {
	var n int64
	for g.dirty = true; g.dirty && f.files[g.name] == g; {
		n += f.advance(ctx, g)
	}
	return n, f.files[g.name] == g
}

// finish completes a file that has lost its name, with what is left of it.
func (f *folder) finish(ctx context.Context, g *growing) {
	if g.whole {
		f.forget(g)
		return
	}
	if _, ok := f.readRest(ctx, g); ok {
		g.stream.Complete()
		f.forget(g)
	}
}

// complete completes a file that its writer has closed, or that has not grown
// for long enough, unless it is being written to again already.
func (f *folder) complete(ctx context.Context, g *growing, closed bool) error {
	if g.whole {
		return f.publish(ctx, g)
	}
	before, err := g.file.Stat()
	n, ok := f.readRest(ctx, g)
	if !ok {
		return nil
	}
	if err == nil {
		ok, err = f.unchanged(ctx, g, before, g.off)
	}
	switch {
	case err != nil:
		return err
	case ok, n == 0 && g.off == before.Size():
		g.stream.Complete()
		f.forget(g)
	case closed:
		// what was read may be of two versions
		f.abort(g, errRewritten)
	default:
		g.written(false)
	}
	return nil
}

// unchanged tells whether all size bytes that have just been read of a file are
// of one version: it was as before all the time. What is written to a file is
// there a moment before that is told, so that both is looked at.
func (f *folder) unchanged(ctx context.Context, g *growing, before fs.FileInfo, size int64) (bool, error) {
	now, err := g.file.Stat()
	if err != nil {
		return false, err
	}
	if err := f.fetch(ctx, 0); err != nil {
		return false, err
	}
	same := now.Size() == size && now.Size() == before.Size() && now.ModTime().Equal(before.ModTime())
	return same && !f.willBeWritten(g.name), nil
}

// publish makes a stream of a manifest, after those of the files that it may
// name. If it is being written to again already, it will be closed once more.
func (f *folder) publish(ctx context.Context, g *growing) error {
	defer f.forget(g)
	f.advanceAll(ctx)
	text, same, err := f.readWhole(ctx, g)
	switch {
	case ctx.Err() != nil, errors.Is(err, errFolderGone):
		return err
	case err != nil:
		f.unreadable(g.name, err)
		return nil
	case !same, len(text) == 0:
		return nil
	}
	s, err := f.in.OpenLive("/"+g.name, sinkbus.Declared{MediaType: mediatype.ByName(g.name), Length: int64(len(text))})
	if err != nil {
		f.unreadable(g.name, err)
		return nil
	}
	defer untilDone(ctx, s)()
	_, err = s.Write(text)
	End(ctx, s, err)
	return nil
}

// readWhole returns what is in a file, and whether it is of one version.
func (f *folder) readWhole(ctx context.Context, g *growing) (text []byte, same bool, err error) {
	before, err := g.file.Stat()
	if err != nil {
		return nil, false, err
	}
	if before.Size() > maxManifest {
		return nil, false, fmt.Errorf("a manifest has more than %d bytes", maxManifest)
	}
	text = make([]byte, before.Size())
	n, err := g.file.ReadAt(text, 0)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	same, err = f.unchanged(ctx, g, before, int64(n))
	return text, same, err
}
