package handler

import (
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// destination is a live input and where it appears, as one handler has it. It
// does not change.
type destination struct {
	bus   *sinkbus.Bus
	input string // its name

	// prefix is the clean path of dst: that of a stream or, with below set, the
	// folder that streams are in, with its final slash.
	prefix string
	below  bool

	// What is taken of an input that has many streams, and the type that is
	// served of one that has not. Empty is any.
	mediaType, ext string
}

// newDestination returns the destination of a handler with the options.
func newDestination(d Destination, o *Options, bus *sinkbus.Bus) (*destination, error) {
	dst := d.Dst
	switch {
	case dst == "":
		dst = "/"
	case !strings.HasPrefix(dst, "/"):
		return nil, fmt.Errorf("dst is %q, want a path that begins with a slash", d.Dst)
	}
	out := &destination{bus: bus, input: d.Input, mediaType: o.MediaType, ext: strings.TrimPrefix(o.Ext, ".")}
	out.below = strings.HasSuffix(dst, "/")
	out.prefix = path.Clean(dst)
	if out.below && out.prefix != "/" {
		out.prefix += "/"
	}
	if o.MediaType != "" {
		if _, _, err := mime.ParseMediaType(o.MediaType); err != nil {
			return nil, fmt.Errorf("mime is %q: %v", o.MediaType, err)
		}
	}
	return out, nil
}

// find returns what a path asks for: a function that looks up the open stream,
// nil if the path is not the destination's.
func (d *destination) find(t target) func() *sinkbus.Stream {
	p := "/" + t.name
	if t.name == "." {
		p = "/"
	} else if t.slash {
		p += "/"
	}
	switch {
	case !d.bus.Many():
		if p != d.prefix {
			return nil
		}
		return func() *sinkbus.Stream { return d.bus.Newest(func(*sinkbus.Stream) bool { return true }) }
	case !d.below:
		if p != d.prefix {
			return nil
		}
		return func() *sinkbus.Stream { return d.bus.Newest(d.takes) }
	default:
		rest, ok := strings.CutPrefix(p, d.prefix)
		if !ok || rest == "" || t.slash {
			return nil
		}
		return func() *sinkbus.Stream {
			if s := d.bus.Lookup("/" + rest); s != nil && d.takes(s) {
				return s
			}
			return nil
		}
	}
}

// takes tells whether a stream of an input with many is one of those that the
// destination takes.
func (d *destination) takes(s *sinkbus.Stream) bool {
	if d.mediaType != "" {
		return strings.EqualFold(bareType(typeOf(s)), bareType(d.mediaType))
	}
	if d.ext != "" {
		return strings.EqualFold(strings.TrimPrefix(path.Ext(s.Name), "."), d.ext) ||
			strings.EqualFold(bareType(typeOf(s)), bareType(mediatype.ByName("x."+d.ext)))
	}
	return true
}

// typeOf returns the media type of a stream that is known so far, empty if none
// is: what its producer declared, if that is specific, else by its name, else
// by its content.
func typeOf(s *sinkbus.Stream) string {
	if mediatype.Specific(s.MediaType) {
		return s.MediaType
	}
	if t := mediatype.ByName(s.Name); t != "" {
		return t
	}
	return s.Info().MediaType
}

// bareType returns a media type without its parameters.
func bareType(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.TrimSpace(t)
}

// servedType returns the type that a stream is served with at a path, which may
// be nil if none is open yet. It is never empty.
func (d *destination) servedType(s *sinkbus.Stream, p string) string {
	if !d.bus.Many() {
		if d.mediaType != "" {
			return d.mediaType
		}
		if t := mediatype.ByName("x." + d.ext); d.ext != "" && t != "" {
			return t
		}
	}
	if s != nil && mediatype.Specific(s.MediaType) {
		return s.MediaType
	}
	if t := mediatype.ByName(p); t != "" {
		return t
	}
	if s != nil {
		if t := typeOf(s); t != "" {
			return t
		}
	}
	return "application/octet-stream"
}
