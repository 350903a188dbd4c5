package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() {
	caddy.RegisterModule(FileOutput{})
}

// FileOutput writes each stream to a file of its own in a folder, under the
// path of the stream. Files appear when they are complete, in one step, and
// replace those of the same name; of a stream that was aborted nothing is left.
// What the producer deletes is deleted in the folder.
//
// An input that has one stream at a time names all of them the same. Their files
// have the time in their names at which the stream was opened, in UTC, and the
// extension of their media type, such as `radio-20261125T101500Z.mp3`. The next
// one in the same second is `radio-20261125T101500Z-2.mp3`.
//
// When the output is stopped before a stream has ended, a stream whose producer
// has declared its length leaves nothing, and any other what there is of it: a
// recording of an endless stream so far. An output that is added to an input
// which is running already records endless streams from where a decoder can
// begin.
type FileOutput struct {
	// The folder, which is created if need be. Placeholders of the environment
	// and other global ones are replaced.
	Dir string `json:"dir,omitempty"`

	dir string // without placeholders
}

// CaddyModule returns the Caddy module information.
func (FileOutput) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.outputs.file",
		New: func() caddy.Module { return new(FileOutput) },
	}
}

// Provision sets up the output.
func (f *FileOutput) Provision(caddy.Context) error {
	f.dir = caddy.NewReplacer().ReplaceKnown(f.Dir, "")
	if f.dir == "" {
		return errors.New("the folder is missing")
	}
	return nil
}

// UnmarshalCaddyfile sets up the output from Caddyfile tokens. Syntax:
//
//	file <dir>
func (f *FileOutput) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.AllArgs(&f.Dir) {
		return d.ArgErr()
	}
	return nil
}

// Consume implements Consumer.
func (f *FileOutput) Consume(ctx context.Context, o *Output) error {
	dir, err := sinkbus.OpenDir(f.dir, o.Files)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := dir.Sweep(ctx); ctx.Err() == nil && (n > 0 || err != nil) {
			o.Logger.Info("left-over files were removed", zap.String("folder", dir.Path), zap.Int("files", n), zap.Error(err))
		}
	})
	w := &fileWriter{dir: dir, dated: !o.Input.Many(), taken: make(map[string]struct{}), logger: o.Logger}
	err = o.Each(ctx, w)
	wg.Wait()
	return errors.Join(err, dir.Close())
}

// fileWriter writes streams to files.
type fileWriter struct {
	dir    *sinkbus.Dir
	dated  bool // whether names have the time
	logger *zap.Logger

	// mu guards taken, the dated names in use.
	mu    sync.Mutex
	taken map[string]struct{}
}

// Take implements Taker.
func (w *fileWriter) Take(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader) (func(context.Context) error, error) {
	in, err := openRecording(ctx, s, r)
	if err != nil {
		return nil, err
	}
	defer in.close()
	first, err := in.next()
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return nil, nil // nothing has come
		}
		return nil, err
	}
	name, free, err := w.name(s, first)
	if err != nil {
		return nil, err
	}
	// hidden, as it is not the file's reader who is to be served live
	u, err := w.dir.Create(name, sinkbus.UploadOptions{MediaType: s.MediaType, Length: s.Length, Hidden: true})
	if err != nil {
		free()
		return nil, err
	}
	if err := in.copy(ctx, u, first); err != nil {
		u.Discard(err)
		free()
		return nil, err
	}
	return func(ctx context.Context) error {
		defer free()
		_, info, err := u.Commit(ctx, sinkbus.CommitOptions{})
		if err != nil {
			return err
		}
		w.logger.Debug("file written", zap.String("file", name), zap.Int64("bytes", info.Size()))
		return nil
	}, nil
}

// Delete implements Taker. Dated files stay: what is deleted is the stream that
// is to be found now.
func (w *fileWriter) Delete(ctx context.Context, stream string) error {
	if w.dated {
		return nil
	}
	name, err := fileName(stream)
	if err != nil {
		return err
	}
	_, err = w.dir.Remove(ctx, name, func(fs.FileInfo) error { return nil })
	return err
}

// name returns the name of the file for a stream that begins with the given
// bytes. A dated one is not given again until free is called.
func (w *fileWriter) name(s *sinkbus.Stream, first []byte) (name string, free func(), err error) {
	name, err = fileName(s.Name)
	if err != nil || !w.dated {
		return name, func() {}, err
	}
	ext := path.Ext(name)
	base := strings.TrimSuffix(name, ext) + s.Opened.UTC().Format("-20060102T150405Z")
	if ext == "" {
		ext = extensionOf(contentType(s, first))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	name = base + ext
	for n := 2; w.isTaken(name); n++ {
		name = fmt.Sprintf("%s-%d%s", base, n, ext)
	}
	w.taken[name] = struct{}{}
	return name, func() {
		w.mu.Lock()
		delete(w.taken, name)
		w.mu.Unlock()
	}, nil
}

// isTaken tells whether a dated name is in use. The caller holds w.mu.
func (w *fileWriter) isTaken(name string) bool {
	if _, ok := w.taken[name]; ok {
		return true
	}
	_, err := w.dir.Stat(name)
	return err == nil
}

// fileName returns the name of a file for the path of a stream. Those that leave
// the folder, and those that our temporary files have, are refused.
func fileName(stream string) (string, error) {
	name := strings.TrimPrefix(stream, "/")
	if !fs.ValidPath(name) || name == "." || sinkbus.IsTemp(path.Base(name)) {
		return "", fmt.Errorf("%q cannot be the name of a file", stream)
	}
	return name, nil
}

// Interface guards
var (
	_ Consumer              = (*FileOutput)(nil)
	_ caddy.Provisioner     = (*FileOutput)(nil)
	_ caddyfile.Unmarshaler = (*FileOutput)(nil)
	_ Taker                 = (*fileWriter)(nil)
)
