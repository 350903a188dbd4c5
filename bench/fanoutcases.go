//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// fanoutCases returns the cases of one stream and many listeners: in the clear,
// by TLS, and by HTTP/2, which Icecast does not speak. The small rate is that of
// a radio station, the large one that of a video.
func fanoutCases() (cases []benchCase) {
	const small, large = 128_000, 8_000_000
	plain := []fanoutLoad{
		{listeners: 100, rate: small},
		{listeners: 1000, rate: small},
		{listeners: 5000, rate: small},
		{listeners: 100, rate: large},
	}
	loads := slices.Clone(plain)
	for _, l := range plain {
		l.secure = true
		loads = append(loads, l)
	}
	for _, l := range plain[:2] {
		l.secure, l.http2 = true, true
		loads = append(loads, l)
	}
	for _, l := range loads {
		c := benchCase{
			name: fmt.Sprintf("fanout-%d", l.listeners), unit: "listener and MB", peers: []string{icecast, floorHTTP, us}, versus: icecast,
			load: func(*bench, *peer) (loader, error) { return l, nil },
			held: []metric{cpuMetric, p99Metric}, bounds: []bound{{lostMetric, 0, byteCount}},
			files: uint64(l.listeners + 500), mount: true,
		}
		if l.rate == large {
			c.name += "-8m"
		}
		switch {
		case l.http2:
			c.name += "-h2"
			c.peers, c.versus = c.peers[1:], floorHTTP
		case l.secure:
			c.name += "-tls"
		case l.listeners == 5000:
			c.bounds = append(c.bounds, bound{connectMetric, 5e6, micros})
		}
		cases = append(cases, c)
	}
	return cases
}

// fanoutMetric is a metric of the fan-outs.
func fanoutMetric(name string, value func(*fanoutFigures) float64) metric {
	return metric{name, func(c cell) float64 {
		if c.Fanout == nil {
			return math.NaN()
		}
		return value(c.Fanout)
	}}
}

var (
	megabyteMetric = metric{"cpu", func(c cell) float64 { return c.CPU * 1e6 / (float64(c.Bytes) / 1e6) }}
	connectMetric  = fanoutMetric("time to connect", func(f *fanoutFigures) float64 { return f.Connect * 1e6 })
	lostMetric     = fanoutMetric("lost bytes", func(f *fanoutFigures) float64 { return float64(f.Lost) })
	cutMetric      = fanoutMetric("listeners cut off", func(f *fanoutFigures) float64 { return float64(f.Cut) })
	growthMetric   = fanoutMetric("memory", func(f *fanoutFigures) float64 { return float64(f.RSS) })
)

// fanouts prints the tables of the fan-outs.
func (r *report) fanouts(w io.Writer, t table, cases []benchCase) {
	show := func(m metric, format func(float64) string) func(benchCase, string) string {
		return func(c benchCase, peer string) string { return format(median(t.values(c.name, peer, m))) }
	}
	r.section(w, t, cases, "Fan-out: CPU of the server for each listener and MB", show(megabyteMetric, micros), megabyteMetric)
	r.section(w, t, cases, "Fan-out: from write to receipt, p50 / p99 / worst", func(c benchCase, peer string) string {
		return pair(t, c.name, peer) + " / " + micros(spreadOf(t.values(c.name, peer, maxMetric)).high)
	}, p50Metric, p99Metric)
	r.section(w, t, cases, "Fan-out: until all listeners were connected and answered", show(connectMetric, micros), connectMetric)
	r.section(w, t, cases, "Fan-out: memory for each listener, on a fresh server", show(growthMetric, kilobytes), growthMetric)
	r.section(w, t, cases, "Fan-out: bytes lost in the worst round (listeners cut off)", func(c benchCase, peer string) string {
		s := byteCount(spreadOf(t.values(c.name, peer, lostMetric)).high)
		if n := spreadOf(t.values(c.name, peer, cutMetric)).high; n > 0 {
			s += fmt.Sprintf(" (%.0f)", n)
		}
		return s
	})
}

// kilobytes formats a number of bytes.
func kilobytes(v float64) string { return digits(v/1e3) + " kB" }

// byteCount formats a number of bytes of which each matters.
func byteCount(v float64) string { return fmt.Sprintf("%.0f B", v) }
