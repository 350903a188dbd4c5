package framing

import (
	"encoding/binary"
	"math"
)

// mp4Fragment is what a movie fragment box tells about the track that decides.
type mp4Fragment struct {
	samples      bool // there are some
	sync         bool // the first of them can be decoded alone
	placed       bool // they are found by their place in the file
	timed        bool // start is known
	start, lasts int64
}

// Flags of boxes and samples (ISO 14496-12, sections 8.8.3, 8.8.7 and 8.8.8).
const (
	tfhdBase        = 0x000001
	tfhdDescription = 0x000002
	tfhdDuration    = 0x000008
	tfhdSize        = 0x000010
	tfhdFlags       = 0x000020

	trunOffset      = 0x000001
	trunFirstFlags  = 0x000004
	trunDuration    = 0x000100
	trunSize        = 0x000200
	trunFlags       = 0x000400
	trunComposition = 0x000800

	sampleNotSync   = 0x00010000
	sampleDependsOn = 0x03000000
	sampleDepends   = 0x01000000 // of those, that it depends on others
)

// boxes calls f for each box in p, as far as they are whole, without those of
// sizes that a movie fragment cannot have.
func boxes(p []byte, f func(kind string, data []byte)) {
	for len(p) >= 8 {
		size := int64(binary.BigEndian.Uint32(p))
		if size < 8 || size > int64(len(p)) {
			return
		}
		f(string(p[4:8]), p[8:size])
		p = p[size:]
	}
}

// fullBox returns the version, the flags and the rest of a box that has them.
func fullBox(p []byte) (version byte, flags uint32, rest fields) {
	if len(p) < 4 {
		return 0, 0, fields{}
	}
	return p[0], binary.BigEndian.Uint32(p) & 0xFFFFFF, fields{p: p[4:]}
}

// fields takes numbers off the front of a box; they are 0 beyond its end.
type fields struct {
	p     []byte
	short bool
}

func (f *fields) uint32() uint32 {
	if len(f.p) < 4 {
		f.p, f.short = nil, true
		return 0
	}
	v := binary.BigEndian.Uint32(f.p)
	f.p = f.p[4:]
	return v
}

func (f *fields) skip(n int) { f.p = f.p[min(n, len(f.p)):] }

// fragment reads a movie fragment box.
func (m *mp4Movie) fragment(moof []byte) (f mp4Fragment) {
	boxes(moof, func(kind string, traf []byte) {
		if kind == "traf" {
			m.trackFragment(traf, &f)
		}
	})
	return f
}

// trackFragment reads a track fragment box, if it is of the track that decides.
func (m *mp4Movie) trackFragment(traf []byte, f *mp4Fragment) {
	var d mp4Defaults
	var mine bool
	boxes(traf, func(kind string, data []byte) {
		version, flags, v := fullBox(data)
		switch {
		case kind == "tfhd":
			track := v.uint32()
			if mine = track == m.track && !v.short; mine {
				d = m.defaults[track]
				f.placed = d.replace(flags, v)
			}
		case !mine:
		case kind == "tfdt":
			f.timed = true
			if f.start = int64(v.uint32()); version == 1 {
				f.start = (f.start<<32 | int64(v.uint32())) & math.MaxInt64
			}
		case kind == "trun":
			r := d.run(flags, v)
			if r.samples > 0 && !f.samples {
				f.samples, f.sync = true, r.sync
			}
			f.lasts += r.time
		}
	})
}

// replace takes the defaults that a track fragment's header has. It reports
// whether samples are found by their place in the file, which is another one
// for who joins later, so that nobody can.
func (d *mp4Defaults) replace(flags uint32, v fields) (placed bool) {
	if flags&tfhdBase != 0 {
		placed = true
		v.skip(8)
	}
	if flags&tfhdDescription != 0 {
		v.skip(4)
	}
	if flags&tfhdDuration != 0 {
		d.duration = v.uint32()
	}
	if flags&tfhdSize != 0 {
		v.skip(4)
	}
	if flags&tfhdFlags != 0 {
		d.flags = v.uint32()
	}
	return placed
}

// mp4Run is what a track run box tells.
type mp4Run struct {
	samples uint32
	sync    bool // the first one can be decoded alone
	time    int64
}

// run reads a track run box.
func (d mp4Defaults) run(flags uint32, v fields) mp4Run {
	r := mp4Run{samples: v.uint32()}
	if flags&trunOffset != 0 {
		v.skip(4)
	}
	first := d.flags
	if flags&trunFirstFlags != 0 {
		first = v.uint32()
	}
	if flags&(trunDuration|trunFlags) == 0 {
		r.time = int64(min(r.samples, maxUnit)) * int64(d.duration)
	} else {
		for i := uint32(0); i < r.samples && len(v.p) > 0; i++ {
			lasts := d.duration
			if flags&trunDuration != 0 {
				lasts = v.uint32()
			}
			r.time += int64(lasts)
			if flags&trunSize != 0 {
				v.skip(4)
			}
			if flags&trunFlags != 0 {
				if own := v.uint32(); i == 0 && flags&trunFirstFlags == 0 {
					first = own
				}
			}
			if flags&trunComposition != 0 {
				v.skip(4)
			}
		}
	}
	r.sync = first&sampleNotSync == 0 && first&sampleDependsOn != sampleDepends
	return r
}
