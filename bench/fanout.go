//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// fanoutLoad is one endless stream and its listeners, as on the radio. The
// server is a fresh process.
//
// Latency is from just before the source writes a packet to the kernel queueing
// its last byte on the listener's socket. A read that finds several packets
// queued gives all of them the arrival time of the last, so it errs to the high
// side.
type fanoutLoad struct {
	listeners int
	rate      int  // of the stream, in bits a second
	secure    bool // listeners use TLS; the source does not
	http2     bool
}

// Connecting may hold up a stream. The window opens when nothing of it has been
// older than fanoutAge for as long as fanoutWarm, or after ioTimeout at the latest.
const (
	fanoutWarm = 700 * time.Millisecond
	fanoutAge  = 500 * time.Millisecond
)

// fanoutFigures is what a cell of a fan-out has beyond those of other loads.
type fanoutFigures struct {
	Listeners int     `json:"listeners"`
	Connect   float64 `json:"connect_s"`        // until all had the head of a response
	Due       int64   `json:"bytes_due"`        // of the packets of the window, to all
	Lost      int64   `json:"bytes_lost"`       // of these
	Cut       int64   `json:"listeners_cut"`    // by the server
	RSS       int64   `json:"rss_per_listener"` // growth of the server's memory, in bytes
	Late      float64 `json:"source_late_us"`   // the source's worst delay, which is the server's doing or the machine's
}

// run measures a peer. The window opens when all listeners follow the stream,
// which goes on before, in and after it.
func (l fanoutLoad) run(ctx context.Context, b *bench, p *peer) (c cell, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := p.mount
	run := uint64(now())
	f, err := openFeed(m, b.mss, run, time.Duration(packetSize*8*int(time.Second)/l.rate))
	if err != nil {
		return c, err
	}
	defer f.close()
	var secure *tls.Config
	addr := m.source
	if l.secure {
		addr, secure = m.secure, m.trust(l.http2)
	}
	stream := newWindow()
	a, err := newAudience(addr, m.path, l.listeners, b.mss, secure, l.http2, stream)
	if err != nil {
		return c, err
	}
	defer a.close()

	// both are joined whatever happens: they use what is closed on return
	running := make(chan error, 2)
	for _, work := range []func(context.Context) error{f.send, a.listen} {
		go func() {
			err := work(ctx)
			cancel(err)
			running <- err
		}()
	}
	c, err = l.measure(ctx, b, p, f, a)
	cancel(nil)
	werr := errors.Join(<-running, <-running)
	switch {
	case werr != nil:
		return c, werr
	case err != nil && a.reason != nil:
		return c, fmt.Errorf("%w: %w", err, a.reason)
	case err != nil:
		return c, err
	}
	return c, l.fill(&c, f, a)
}

// measure connects the listeners and takes the figures while the stream runs.
func (l fanoutLoad) measure(ctx context.Context, b *bench, p *peer, f *feed, a *audience) (c cell, err error) {
	if err := l.checked(ctx, a, f.run); err != nil {
		return c, fmt.Errorf("before the load: %w", err)
	}
	meter := &meter{pids: p.pids()}
	before := residentMemory(meter.pids)
	connect, err := a.connect(ctx, f.run, p.mount.pace)
	if err != nil {
		return c, err
	}
	if err := a.await(ctx, "got a packet", &a.joined); err != nil {
		return c, err
	}
	a.settle(ctx)
	if p.window != nil { // a profile of the window and of nothing else
		defer p.window()()
	}
	if err := meter.start(); err != nil {
		return c, err
	}
	f.late.Store(0)
	bytes := a.bytes.Load()
	first := f.mark(&a.stream.from)
	time.Sleep(b.live)
	last := f.mark(&a.stream.to)
	use, err := meter.stop()
	if err != nil {
		return c, err
	}
	bytes = a.bytes.Load() - bytes
	c.fill(use, bytes/packetSize, bytes, nil)
	c.RSS = peakMemory(meter.pids)
	c.Fanout = &fanoutFigures{
		Listeners: l.listeners,
		Connect:   connect.Seconds(),
		Due:       int64(last-first) * packetSize * int64(l.listeners),
		RSS:       max(0, residentMemory(meter.pids)-before) / int64(l.listeners),
		Late:      float64(f.late.Load()) / 1e3,
	}
	a.drain(ctx)
	if ctx.Err() != nil {
		return c, context.Cause(ctx)
	}
	if err := l.checked(ctx, a, f.run); err != nil {
		return c, fmt.Errorf("after the load: %w", err)
	}
	return c, nil
}

// fill adds what is known when nothing comes any more.
func (l fanoutLoad) fill(c *cell, f *feed, a *audience) error {
	got := int64(len(a.latencies)) * packetSize
	slices.Sort(a.latencies)
	c.times(a.latencies)
	c.Verified = got
	c.Fanout.Lost, c.Fanout.Cut = c.Fanout.Due-got, a.gone.Load()
	if c.Fanout.Cut > 0 {
		progress("%d of %d listeners were cut off, the first of them: %v", c.Fanout.Cut, l.listeners, a.reason)
	}
	if n := a.corrupt(); n > 0 {
		return fmt.Errorf("in %d places listeners got what was not sent", n)
	}
	if c.Fanout.Due == 0 {
		return fmt.Errorf("no packet was sent in the window: the source was held up for %v", time.Duration(f.late.Load()))
	}
	return nil
}

// checked has the standard library's client listen for three packets. It shares
// no code with the listeners but what knows a packet.
func (l fanoutLoad) checked(ctx context.Context, a *audience, run uint64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, ioTimeout, errStalled)
	defer cancel()
	scheme, tr := "http", &http.Transport{DisableCompression: true, DisableKeepAlives: !l.http2}
	if a.secure != nil {
		scheme, tr.TLSClientConfig, tr.ForceAttemptHTTP2 = "https", a.secure.Clone(), l.http2
	}
	defer tr.CloseIdleConnections()
	packets := 0
	f := follower{run: run, got: func(uint64, int64, int64) { packets++ }}
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", scheme+"://"+a.addr.String()+a.path, nil)
		if err != nil {
			return err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusNotFound { // the server has not got round to the stream yet
			resp.Body.Close()
			time.Sleep(10 * time.Millisecond)
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, want 200", resp.StatusCode)
		}
		if (resp.ProtoMajor == 2) != l.http2 {
			return fmt.Errorf("the answer came by %s", resp.Proto)
		}
		buf := make([]byte, 4<<10)
		for packets < 3 {
			n, err := resp.Body.Read(buf)
			f.feed(buf[:n], 0)
			if err != nil && packets < 3 {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return fmt.Errorf("after %d packets: %w", packets, err)
			}
		}
		if f.corrupt > 0 {
			return errors.New("got what was not sent")
		}
		return nil
	}
}
