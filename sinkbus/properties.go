package sinkbus

import "maps"

// Properties are what a producer says of a stream besides its bytes. Fields are
// zero where it does not say.
type Properties struct {
	ServiceName string

	SampleRate int // Hz
	Channels   int
	Bitrate    int // bits a second
	Width      int // pixels
	Height     int // pixels

	// Meta holds further properties by their names in lower case, such as
	// ice-genre. It is not changed once the stream is open.
	Meta map[string]string
}

// Over returns p with what it leaves open taken from other.
func (p Properties) Over(other Properties) Properties {
	if p.ServiceName == "" {
		p.ServiceName = other.ServiceName
	}
	fill := func(field *int, v int) {
		if *field == 0 {
			*field = v
		}
	}
	fill(&p.SampleRate, other.SampleRate)
	fill(&p.Channels, other.Channels)
	fill(&p.Bitrate, other.Bitrate)
	fill(&p.Width, other.Width)
	fill(&p.Height, other.Height)
	switch {
	case len(other.Meta) == 0:
	case len(p.Meta) == 0:
		p.Meta = other.Meta
	default:
		all := maps.Clone(other.Meta)
		maps.Copy(all, p.Meta)
		p.Meta = all
	}
	return p
}

// properties returns what the content tells, as properties.
func (i Info) properties() Properties {
	return Properties{
		SampleRate: i.SampleRate,
		Channels:   i.Channels,
		Bitrate:    i.Bitrate,
		Width:      i.Width,
		Height:     i.Height,
	}
}
