package sinkbus

import "time"

// Framer follows the units of a container format (frames, packets, pages,
// clusters, fragments) in the bytes of a stream, so that readers of an endless
// stream can join it, or skip ahead in it, at places where a decoder can go on.
// It is used by the stream's writer alone, one call after the other, and keeps
// no slice that it was given.
type Framer interface {
	// Scan looks at the next bytes of the stream, in pieces as they happen to
	// arrive. It calls boundary for places between two units, in their order;
	// offsets count from the start of the stream. Not every boundary has to be
	// reported, but at least one every 64 KiB where the format has one, and all
	// at which a reader may join, with join set. A boundary may be reported
	// when the first bytes of the unit that begins there have been seen, or
	// before.
	Scan(p []byte, boundary func(off int64, join bool))

	// Header returns what a reader has to be given before the bytes from the
	// last boundary with join set on: nil where the format needs nothing. The
	// slice does not change afterwards; when the header does, it is another
	// slice.
	Header() []byte

	// Info returns what is known about the stream so far.
	Info() Info
}

// Info is what the bytes of a stream tell about it. Fields are zero while they
// are not known.
type Info struct {
	// MediaType is the stream's type by its content.
	MediaType string

	// Unknown tells that the content is of no format with units, as far as can
	// be told: readers join it wherever they come.
	Unknown bool

	// Loose tells that a decoder which was cut off in the middle of a unit goes
	// on with the next one, and with another stream of the same format.
	Loose bool

	SampleRate int // Hz
	Channels   int
	Bitrate    int // bits a second
	Width      int // pixels
	Height     int // pixels

	// Played is how long the units seen so far last, where the format tells.
	Played time.Duration
}
