//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// getLoad is a closed loop of identical requests without bodies: each
// connection asks again as soon as it has its answer.
type getLoad struct {
	method string
	path   string
	header string // further header lines, each with its CRLF
	conns  int

	// What to ask for before the window instead, where an answer takes long. It
	// must be a file of ours. The check before the load will have to do, then.
	warmWith *servedFile

	status int
	// check verifies a whole answer, before the load and after it. It gets the
	// server's response, whose body it reads to the end.
	check func(*http.Response) error
	// Every answer on the first connection is compared with this body from
	// this offset while the load runs. Bodies of the other connections are
	// counted but not copied.
	sampled bool
	bodyID  uint64
	bodyOff int64
}

// cell is one measurement of one peer in one round.
type cell struct {
	Round int    `json:"round"`
	Case  string `json:"case"`
	Peer  string `json:"peer"`
	Error string `json:"error,omitempty"`

	Units    int64   `json:"units"`        // requests, uploads, chunks × readers, packets × listeners
	Bytes    int64   `json:"bytes"`        // of bodies
	CPU      float64 `json:"cpu_s"`        // of the server's processes
	CPUUnit  float64 `json:"cpu_us_unit"`  // CPU for each unit
	Wall     float64 `json:"wall_s"`       // from first request to last answer
	Rate     float64 `json:"units_per_s"`  // throughput
	P50      float64 `json:"p50_us"`       // latency
	P99      float64 `json:"p99_us"`       //
	Max      float64 `json:"max_us"`       //
	Client   float64 `json:"client_cpu_s"` // of this program
	Other    float64 `json:"other_cpu_s"`  // of everything else
	RSS      int64   `json:"peak_rss"`     // of the server so far, in bytes
	Verified int64   `json:"verified"`     // bytes compared

	Fanout *fanoutFigures `json:"fanout,omitempty"`
}

// fill computes a cell from what was measured. latencies is in nanoseconds and
// sorted.
func (c *cell) fill(u usage, units, bytes int64, latencies []int64) {
	c.Units, c.Bytes = units, bytes
	c.CPU, c.Wall = u.server.Seconds(), u.wall.Seconds()
	c.Client, c.Other = u.client.Seconds(), u.other.Seconds()
	if units > 0 {
		c.CPUUnit = c.CPU / float64(units) * 1e6
		c.Rate = float64(units) / c.Wall
	}
	c.times(latencies)
}

// times sets the latencies of a cell.
func (c *cell) times(latencies []int64) {
	us := func(p float64) float64 { return float64(percentile(latencies, p)) / 1e3 }
	c.P50, c.P99, c.Max = us(50), us(99), us(100)
}

// run measures a peer. The window opens and closes on an idle server, so what
// is charged is exactly the requests that are counted.
func (g getLoad) run(ctx context.Context, b *bench, p *peer) (c cell, err error) {
	size, err := g.checked(ctx, b, p)
	if err != nil {
		return c, fmt.Errorf("before the load: %w", err)
	}
	m := &meter{pids: p.pids()}
	poll, err := newPoller()
	if err != nil {
		return c, err
	}
	defer poll.close()

	var (
		head      []byte
		want      int64
		latencies []int64
		stop      time.Time
		pending   int
		verified  int64
	)
	err = poll.open(p.addr, b.mss, g.conns, func(i int, cn *conn) {
		cn.resp.toHead = g.method == "HEAD"
		cn.skip = i > 0 || !g.sampled
		if !cn.skip {
			cn.body = func(cn *conn, part []byte, _ int64) error {
				off := g.bodyOff + cn.resp.size - int64(len(part))
				if at := mismatch(part, g.bodyID, off); at >= 0 {
					return fmt.Errorf("byte %d of the body is wrong", at-g.bodyOff)
				}
				verified += int64(len(part))
				return nil
			}
		}
		cn.end = func(cn *conn, at int64) error {
			if cn.resp.status != g.status || cn.resp.size != want {
				return fmt.Errorf("status %d with %d bytes, want %d with %d", cn.resp.status, cn.resp.size, g.status, want)
			}
			if cn.resp.closing {
				return fmt.Errorf("the server asked to close the connection")
			}
			latencies = append(latencies, at-cn.began)
			cn.resp.reset()
			if time.Now().After(stop) {
				pending--
				return nil
			}
			return cn.request(head)
		}
	})
	if err != nil {
		return c, err
	}
	phase := func(d time.Duration) error { // with the head and size that are set
		latencies, stop, pending = latencies[:0], time.Now().Add(d), len(poll.conns)
		for _, cn := range poll.conns {
			if err := cn.request(head); err != nil {
				return fmt.Errorf("sending a request: %w", err)
			}
		}
		return poll.run(ctx, func() bool { return pending > 0 })
	}
	head, want = requestHead(g.method, g.path, p, g.header), size
	if f := g.warmWith; f != nil {
		head, want = requestHead("GET", "/"+f.name, p, ""), f.size
	}
	if err := phase(b.warm); err != nil {
		return c, fmt.Errorf("warming up: %w", err)
	}
	head, want = requestHead(g.method, g.path, p, g.header), size
	if err := m.start(); err != nil {
		return c, err
	}
	if err := phase(b.dur); err != nil {
		return c, err
	}
	u, err := m.stop()
	if err != nil {
		return c, err
	}
	n := int64(len(latencies))
	slices.Sort(latencies)
	c.fill(u, n, n*size, latencies)
	c.RSS = peakMemory(m.pids)
	c.Verified = verified + 2*size
	if _, err := g.checked(ctx, b, p); err != nil {
		return c, fmt.Errorf("after the load: %w", err)
	}
	return c, nil
}

func requestHead(method, path string, p *peer, header string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n%s\r\n", method, path, p.addr, header)
}

// checked makes one request with the standard library's client, which shares no
// code with the load, verifies the answer and returns the size of its body.
func (g getLoad) checked(ctx context.Context, b *bench, p *peer) (size int64, err error) {
	resp, err := b.ask(ctx, g.method, "http://"+p.addr.String()+g.path, g.header)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != g.status {
		return 0, fmt.Errorf("status %d, want %d", resp.StatusCode, g.status)
	}
	count := &counter{Reader: resp.Body}
	resp.Body = io.NopCloser(count)
	if g.check != nil {
		if err := g.check(resp); err != nil {
			return 0, err
		}
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return count.n, nil
}

// counter counts the bytes read through it.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}
