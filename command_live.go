package httpout

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/caddy-httpout/httpout/handler"
	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sourcebus"
)

// commandInput is the name of the one input that the command line can have.
const commandInput = "input"

// producer is what fills the input of the command line.
type producer struct {
	kind   string
	module any
	many   bool // whether it has several streams
}

// checkLive looks at the options of live streams together. It does not touch
// the disk.
func (l *launch) checkLive() error {
	source := modeOf(&l.Options) == modeSource
	switch {
	case source && l.source != "":
		return errors.New("--input cannot be used with --hmode source, as uploads are the input")
	case source && len(l.ReadDirs) > 0:
		return errors.New("--rdirs cannot be used with --hmode source, as uploads are not stored")
	case l.source != "" && len(l.ReadDirs) > 0:
		return fmt.Errorf("--input and --rdirs: %w", unavailableError("storing an input in a directory"))
	case l.source != "" && l.WriteDir != "":
		return fmt.Errorf("--input and --wdir: %w", unavailableError("an input beside a directory"))
	case l.Dst != "" && l.source == "" && !source:
		return errors.New("--dst needs --input or --hmode source: it is where the live stream appears")
	}
	if source {
		l.Input = commandInput
		l.from = producer{kind: kindUpload, module: new(sourcebus.Upload), many: true}
		return nil
	}
	from, err := parseSource(l.source)
	if err != nil {
		return fmt.Errorf("--input: %w", err)
	}
	l.from = from
	return nil
}

// parseSource returns the producer that the value of --input names. It is of no
// kind for a path, as only the disk tells what that is.
func parseSource(text string) (producer, error) {
	if text == "-" {
		return producer{kind: "pipe", module: &sourcebus.Pipe{Path: text}}, nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return producer{}, nil
	}
	switch scheme {
	case "http", "https":
		if u, err := url.Parse(text); err != nil || u.Hostname() == "" {
			return producer{}, errors.New("the URL cannot be understood")
		}
		return producer{kind: "http", module: &sourcebus.HTTP{URL: text}}, nil
	case "tcp":
		return producer{kind: scheme, module: &sourcebus.TCP{Address: strings.TrimSuffix(rest, "/")}}, nil
	case "udp":
		return producer{kind: scheme, module: &sourcebus.UDP{Address: strings.TrimSuffix(rest, "/")}}, nil
	default:
		return producer{}, fmt.Errorf("'%s' is of an unknown scheme: want http, https, tcp or udp", text)
	}
}

// findInput completes what of --input and --dst depends on the disk: what the
// path is that --input names, and where its stream appears.
func (l *launch) findInput() error {
	if l.Input == "" {
		return nil
	}
	if l.from.kind == "" {
		info, err := os.Stat(l.source)
		if err != nil {
			return fmt.Errorf("--input: %w", err)
		}
		switch mode := info.Mode(); {
		case mode.IsDir():
			l.from = producer{kind: "watch", module: &sourcebus.Watch{Dir: l.source}, many: true}
		case mode.IsRegular():
			l.from = producer{kind: "file", module: &sourcebus.File{Path: l.source, Realtime: true}}
		case mode&fs.ModeNamedPipe != 0:
			l.from = producer{kind: "pipe", module: &sourcebus.Pipe{Path: l.source}}
		default:
			return fmt.Errorf("--input: %s is neither a file, a FIFO nor a folder", l.source)
		}
	}
	if l.Dst == "" {
		l.Dst = l.defaultDst()
	}
	return nil
}

// defaultDst returns where streams appear without --dst.
func (l *launch) defaultDst() string {
	if l.from.many {
		return "/"
	}
	const base = "/live"
	if l.Ext != "" {
		return base + "." + l.Ext
	}
	if l.MediaType != "" {
		return base + extensionOf(l.MediaType)
	}
	name := l.source
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		name = u.Path
	}
	if mediatype.ByName(name) == "" {
		return base
	}
	return base + strings.ToLower(path.Ext(name))
}

// extensionOf returns the usual extension of live streams of a media type, with
// its dot, or none.
func extensionOf(mediaType string) string {
	want, _, _ := strings.Cut(mediaType, ";")
	for ext := range strings.FieldsSeq(".mp3 .aac .ts .ogg .opus .flac .webm .mkv .mp4 .m4a .flv .wav") {
		if strings.EqualFold(mediatype.ByName(ext), strings.TrimSpace(want)) {
			return ext
		}
	}
	return ""
}

// inputs returns the inputs of the command line.
func (l *launch) inputs() (map[string]*sourcebus.Config, error) {
	if l.Input == "" {
		return nil, nil
	}
	raw, err := moduleJSON(l.from.module, l.from.kind)
	if err != nil {
		return nil, err
	}
	c := &sourcebus.Config{ProducerRaw: raw}
	if !l.from.many {
		c.MediaType = l.MediaType
	}
	return map[string]*sourcebus.Config{commandInput: c}, nil
}

// handlers returns the handlers of the command line, one after the other. In
// source mode there are two: what is uploaded to the first is served by the
// second.
func (l *launch) handlers() []handler.Handler {
	if modeOf(&l.Options) != modeSource {
		return []handler.Handler{l.Handler}
	}
	source, sink := l.Handler, l.Handler
	source.Dst = ""
	sink.Mode = ""
	return []handler.Handler{source, sink}
}
