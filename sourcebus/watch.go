package sourcebus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(Watch{})
}

// Watch is an input for packagers that can only write files: each file that is
// created or grows in a folder, or in a folder within it, is a stream under its
// path there. Files that are there at the start are not streams until something
// is written to them; then they are streams from their first byte on.
//
// A stream is complete when its file has been closed by its writer, where the
// system tells (Linux, for files that are written on the same machine);
// elsewhere when it has not grown for two seconds. A file that is renamed into
// place is a stream of known length. Files whose names end in .tmp or .part or
// begin with a dot are passed over until they get another name; folders as well.
//
// Manifests are only taken whole: when closed, renamed, or not written to for
// half a second. A file that gets shorter, or is written to after it was
// complete, is a new stream under the same name. Removing a file deletes it at
// the input's destinations. What is overwritten in the middle of a file is not
// seen after it was read.
//
// Symbolic links to files within the folder are followed, other ones are not.
type Watch struct {
	// The folder. If it does not exist, the input waits for it, and all that is
	// in it then is new. Placeholders are replaced when the configuration is
	// loaded.
	Dir string `json:"dir,omitempty"`

	// scan has the folder looked at again and again even where the system
	// tells what happens in it, for tests.
	scan bool
}

// folderRetry is how often an input looks for its folder.
const folderRetry = time.Second

// errFolderGone is returned when a folder that is watched is no longer there.
var errFolderGone = errors.New("the folder is gone")

// CaddyModule returns the Caddy module information.
func (Watch) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.watch",
		New: func() caddy.Module { return new(Watch) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	watch <folder>
func (w *Watch) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.AllArgs(&w.Dir) {
		return d.ArgErr()
	}
	return nil
}

// Provision sets the input up.
func (w *Watch) Provision(caddy.Context) error { return expand("the folder", &w.Dir) }

// Many implements Producer.
func (*Watch) Many() bool { return true }

// Produce implements Producer.
func (w *Watch) Produce(ctx context.Context, in *Input) error {
	status := statusLog{logger: in.Logger}
	all := false // whether what is in the folder already is new
	for {
		root, err := os.OpenRoot(w.Dir)
		if err == nil {
			err = w.follow(ctx, in, root, all, &status)
			root.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errFolderGone) {
			all = true
		}
		status.log(zap.WarnLevel, "cannot watch the folder, trying again", err.Error(), zap.Error(err))
		if err := pause(ctx, folderRetry); err != nil {
			return err
		}
	}
}

// follow makes streams of what happens in the folder until ctx is done or the
// folder is gone.
func (w *Watch) follow(ctx context.Context, in *Input, root *os.Root, all bool, status *statusLog) error {
	var n notifier
	var err error
	if w.scan {
		n, err = newScanner(w.Dir, root, all)
	} else {
		n, err = newNotifier(w.Dir, root, all, in.Logger)
	}
	if err != nil {
		return err
	}
	defer n.Close()
	status.log(zap.InfoLevel, "watching", "", zap.String("folder", w.Dir))
	if err := in.Await(ctx); err != nil {
		return err
	}
	f := &folder{in: in, root: root, notifier: n, files: make(map[string]*growing), status: statusLog{logger: in.Logger}}
	defer f.close(ctx)
	return f.run(ctx)
}

// notifier tells what happens to the files in a folder and in those within it.
type notifier interface {
	// wait returns what has happened since the last time, and waits for it, but
	// not for longer than d, where 0 is not at all and less than 0 for ever. It
	// returns the context's error, or errFolderGone.
	wait(ctx context.Context, d time.Duration) ([]fileEvent, error)

	// tellsClose tells whether there will be an event when the file is closed
	// that somebody writes to now.
	tellsClose(info fs.FileInfo) bool

	Close() error
}

// fileEvent is something that has happened in a folder.
type fileEvent struct {
	op   fileOp
	name string // the path within the folder, with slashes; empty for eventsLost
}

type fileOp uint8

const (
	fileFound     fileOp = iota + 1 // it is new or has changed, and nobody knows whether it will again
	fileWritten                     // somebody writes to it
	fileClosed                      // who wrote to it has closed it
	fileMoved                       // it has got its name, with all that is in it
	fileRemoved                     // it no longer has its name
	folderRemoved                   // the same for a folder, with all that is in it
	eventsLost                      // there was more than could be told
)

// passedOver tells whether a file or folder with this name is none of ours.
func passedOver(name string) bool {
	name = path.Base(name)
	switch strings.ToLower(path.Ext(name)) {
	case ".tmp", ".part":
		return true
	}
	return strings.HasPrefix(name, ".") || !utf8.ValidString(name)
}

// Interface guards
var (
	_ Producer              = (*Watch)(nil)
	_ caddy.Provisioner     = (*Watch)(nil)
	_ caddyfile.Unmarshaler = (*Watch)(nil)
)
