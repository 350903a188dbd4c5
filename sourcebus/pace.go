package sourcebus

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/caddy-httpout/httpout/sinkbus"
)

const (
	// paceLead is how far a paced stream may be ahead of the clock, so that
	// clients have something to begin with.
	paceLead = 200 * time.Millisecond

	// paceLate is how late a paced stream may be and still catch up. One that
	// is later, because it had to wait for its readers or the machine slept,
	// goes on from where it is.
	paceLate = time.Second

	// paceGroup is how long the units last that are looked at together, at
	// least; paceStep is how long what is written at a time lasts, at most.
	paceGroup = 40 * time.Millisecond
	paceStep  = 50 * time.Millisecond

	// scanStep is how many bytes are looked at before asking how long they
	// last. maxBlind is how many may pass without any progress of time.
	scanStep = 1 << 10
	maxBlind = 64 << 20
)

// errNoTiming is returned for content that cannot be paced.
var errNoTiming = errors.New("the content has no timing")

// paceClock tells when the next part of a stream is due. Its zero value starts
// when it is first asked.
type paceClock struct {
	start  time.Time
	played time.Duration // how long all that was asked for lasts
}

// wait waits until what lasts for d may be written.
func (c *paceClock) wait(ctx context.Context, d time.Duration) error {
	now := time.Now()
	if c.start.IsZero() {
		c.start = now
	}
	c.played += d
	ahead := c.played - paceLead - now.Sub(c.start)
	if ahead > 0 {
		return pause(ctx, ahead)
	}
	if ahead < -paceLate {
		c.start = c.start.Add(-ahead)
	}
	return ctx.Err()
}

// pacer finds out how long the parts of a file last. It looks at them before
// they are written, because a unit may be seconds long, and some formats tell
// its length only behind it.
type pacer struct {
	file    io.ReaderAt
	framer  sinkbus.Framer
	bitrate int // bits a second, for content without timing; 0 if unknown

	at     int64         // where the part begins that is looked at
	lasted time.Duration // how long all before it lasts
	byRate bool

	end    int64         // up to where the framer has looked
	total  time.Duration // how long it said that what it has seen lasts
	played time.Duration // what it said last

	buf     []byte
	unknown []byte // the part of buf that the framer has not seen
}

// inFront are the types of formats whose units tell in front how long they
// last. Others have time stamps, which tell that of what was before them.
var inFront = map[string]bool{
	"audio/mpeg": true, "audio/aac": true, "audio/ogg": true, "video/ogg": true, "audio/mp4": true, "video/mp4": true,
}

// next returns the size of the next part of the file, and how long it lasts. It
// returns io.EOF at the end, and errNoTiming.
func (p *pacer) next() (int64, time.Duration, error) {
	for !p.byRate {
		end, total, err := p.look()
		if err != nil && err != io.EOF {
			return 0, 0, err
		}
		n, d := end-p.at, total-p.lasted
		switch {
		case n > 0 && d >= paceGroup:
			return p.part(n, d)
		case err == io.EOF && n == 0:
			return 0, 0, io.EOF
		case err == nil && p.end-p.at < maxBlind && (p.total > 0 || !p.framer.Info().Unknown):
			// more has to be seen
		case p.total > 0:
			// The tail, or what the framer cannot follow: it lasts no less than
			// as much of what was there before.
			n, d = p.end-p.at, p.total-p.lasted
			if p.at > 0 && (err == nil || !inFront[p.framer.Info().MediaType]) {
				d = max(d, time.Duration(float64(p.lasted)*float64(n)/float64(p.at)))
			}
			return p.part(n, d)
		case p.bitrate <= 0:
			return 0, 0, errNoTiming
		default:
			p.byRate = true
		}
	}
	n := max(1, int64(p.bitrate)*int64(paceStep/time.Millisecond)/8000)
	return p.part(n, time.Duration(float64(n)*8*float64(time.Second)/float64(p.bitrate)))
}

// part ends the part that is looked at.
func (p *pacer) part(n int64, d time.Duration) (int64, time.Duration, error) {
	p.at += n
	p.lasted += d
	p.total = max(p.total, p.lasted)
	return n, d, nil
}

// look has the framer see some more of the file. It returns a place that is
// known to be between two units, and how long all before it lasts.
func (p *pacer) look() (end int64, total time.Duration, err error) {
	before, told := p.end, p.total
	err = p.scan()
	info := p.framer.Info()
	p.total += max(0, info.Played-p.played)
	p.played = info.Played
	switch {
	case err != nil, !inFront[info.MediaType]:
		return p.end, p.total, err
	case p.total > told:
		return before, told, nil // a unit begins at about there
	default:
		return p.at, p.lasted, nil
	}
}

// scan shows the framer some more of the file.
func (p *pacer) scan() error {
	if len(p.unknown) == 0 {
		if p.buf == nil {
			p.buf = make([]byte, 64<<10)
		}
		n, err := p.file.ReadAt(p.buf, p.end)
		if n == 0 {
			return err
		}
		p.unknown = p.buf[:n]
	}
	piece := p.unknown[:min(scanStep, len(p.unknown))]
	p.unknown = p.unknown[len(piece):]
	p.framer.Scan(piece, ignoreBoundary)
	p.end += int64(len(piece))
	return nil
}

// pace writes the file to the stream as fast as it plays.
func pace(ctx context.Context, s *sinkbus.Stream, file io.ReaderAt, framer sinkbus.Framer, bitrate int, clock *paceClock) error {
	p := &pacer{file: file, framer: framer, bitrate: bitrate}
	for off := int64(0); ; {
		n, d, err := p.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		// a part that lasts long is written in steps
		steps := max(1, min(n, int64((d+paceStep-1)/paceStep)))
		end := off + n
		for i := range steps {
			if err := clock.wait(ctx, d/time.Duration(steps)); err != nil {
				return err
			}
			to := end - n + n*(i+1)/steps
			m, err := s.ReadFrom(io.NewSectionReader(file, off, to-off))
			if err != nil {
				return err
			}
			if off += m; off < to {
				return nil // the file ends here
			}
		}
	}
}
