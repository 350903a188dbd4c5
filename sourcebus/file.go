package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/framing"
)

func init() {
	caddy.RegisterModule(File{})
}

// File is an input that reads a file. The file is one stream, and its end is
// the end of the input.
type File struct {
	// The path of the file. Placeholders are replaced when the configuration is
	// loaded. With `loop` the file is opened again for each round, so that it can
	// be replaced.
	Path string `json:"path,omitempty"`

	// Whether the file is read as fast as it plays, by its own timing (MP3, ADTS,
	// MPEG-TS, fragmented MP4, Ogg, WebM, FLV) or, where it has none, by the
	// input's bitrate. Default: it is read as fast as its consumers can take it.
	Realtime bool `json:"realtime,omitempty"`

	// Whether the file is read again from its start when its end is reached. The
	// same stream goes on if the format allows that (MP3, ADTS, MPEG-TS, Ogg),
	// otherwise each round is a stream of its own.
	Loop bool `json:"loop,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (File) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.file",
		New: func() caddy.Module { return new(File) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	file <path> [realtime] [loop]
func (f *File) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.Args(&f.Path) {
		return d.ArgErr()
	}
	for d.NextArg() {
		var word *bool
		switch d.Val() {
		case "realtime":
			word = &f.Realtime
		case "loop":
			word = &f.Loop
		default:
			return d.Errf("unrecognized word '%s' after the path of the file: there are 'realtime' and 'loop'", d.Val())
		}
		if *word {
			return d.Errf("'%s' is there twice", d.Val())
		}
		*word = true
	}
	return nil
}

// Provision sets the input up.
func (f *File) Provision(caddy.Context) error { return expand("the path of the file", &f.Path) }

// Many implements Producer.
func (*File) Many() bool { return false }

// Produce implements Producer.
func (f *File) Produce(ctx context.Context, in *Input) error {
	if f.Loop && !f.Realtime {
		in.Logger.Warn("loop without realtime reads the file over and over, as fast as its consumers take it")
	}
	var clock paceClock
	var s *sinkbus.Stream
	for {
		file, err := openRegular(f.Path)
		if err != nil {
			return err
		}
		if s == nil {
			d := sinkbus.Declared{MediaType: mediatype.ByName(f.Path), Length: -1}
			if s, err = in.openSingle(d); err != nil {
				return errors.Join(err, file.Close())
			}
		}
		goesOn, err := f.round(ctx, in, s, file, &clock)
		file.Close()
		switch {
		case err != nil:
			End(ctx, s, err)
			return err
		case !f.Loop:
			s.Complete()
			return nil
		case !goesOn:
			s.Complete()
			s = nil
		}
	}
}

// openRegular opens a file that has an end.
func openRegular(path string) (*os.File, error) {
	// opening a FIFO would wait for its writer
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// round writes the file to the stream once. It tells whether the stream can go
// on with the file's start.
func (f *File) round(ctx context.Context, in *Input, s *sinkbus.Stream, file *os.File, clock *paceClock) (goesOn bool, err error) {
	defer untilDone(ctx, s)()
	if err := in.Await(ctx); err != nil {
		return false, err
	}
	framer := framing.New(s.MediaType, f.Path)
	before := s.Size()
	if f.Realtime {
		err = pace(ctx, s, file, framer, in.Config.Bitrate, clock)
	} else {
		_, err = s.ReadFrom(file)
	}
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == errNoTiming:
		return false, fmt.Errorf("%s has no timing that is understood: set the input's bitrate, or leave realtime out", f.Path)
	case err != nil:
		return false, err
	case !f.Loop:
		return false, nil
	case s.Size() == before:
		return false, fmt.Errorf("%s is empty", f.Path)
	}
	if !f.Realtime {
		if err := scanStart(framer, file); err != nil {
			return false, err
		}
	}
	return framer.Info().Loose, nil
}

// scanStart has a framer look at the file until it knows the format.
func scanStart(framer sinkbus.Framer, file io.ReaderAt) error {
	buf := make([]byte, 64<<10)
	for off := int64(0); off < 1<<20; {
		n, err := file.ReadAt(buf, off)
		framer.Scan(buf[:n], ignoreBoundary)
		if info := framer.Info(); err == io.EOF || info.MediaType != "" || info.Unknown {
			return nil
		}
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func ignoreBoundary(int64, bool) {}

// Interface guards
var (
	_ Producer              = (*File)(nil)
	_ caddy.Provisioner     = (*File)(nil)
	_ caddyfile.Unmarshaler = (*File)(nil)
)
