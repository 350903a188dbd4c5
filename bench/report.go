//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report turns cells into tables and verdicts.
type report struct {
	bench   *bench
	began   time.Time
	loadavg string
	json    *jsonLines
}

// open begins the report.
func (r *report) open() (err error) {
	r.loadavg = loadAverage()
	if r.bench.json != "" {
		r.json, err = newJSONLines(r.bench.json)
	}
	return err
}

// cell reports one measurement as it is made.
func (r *report) cell(c cell) {
	r.json.write("cell", c)
	if c.Error != "" {
		progress("round %d  %-17s %-12s ERROR: %s", c.Round+1, c.Case, c.Peer, c.Error)
		return
	}
	more := ""
	if f := c.Fanout; f != nil {
		more = fmt.Sprintf("  connected in %s, lost %d B, %s a listener", micros(f.Connect*1e6), f.Lost, kilobytes(float64(f.RSS)))
	}
	progress("round %d  %-17s %-12s %8d units  CPU %-9s a unit  %10.1f/s  p50 %-9s p99 %-9s%s",
		c.Round+1, c.Case, c.Peer, c.Units, micros(c.CPUUnit), c.Rate, micros(c.P50), micros(c.P99), more)
}

// metric is a figure of a cell.
type metric struct {
	name  string
	value func(cell) float64
}

var (
	cpuMetric  = metric{"cpu", func(c cell) float64 { return c.CPUUnit }}
	rateMetric = metric{"throughput", func(c cell) float64 { return c.Rate }}
	p50Metric  = metric{"p50", func(c cell) float64 { return c.P50 }}
	p99Metric  = metric{"p99", func(c cell) float64 { return c.P99 }}
	maxMetric  = metric{"max", func(c cell) float64 { return c.Max }}
)

// table is what was measured, by case and peer, one value a round.
type table struct {
	rounds int
	cells  map[[2]string][]cell
}

func newTable(rounds int, cells []cell) table {
	t := table{rounds, map[[2]string][]cell{}}
	for _, c := range cells {
		k := [2]string{c.Case, c.Peer}
		if t.cells[k] == nil {
			t.cells[k] = make([]cell, rounds)
			for i := range t.cells[k] {
				t.cells[k][i].Error = "not measured"
			}
		}
		t.cells[k][c.Round] = c
	}
	return t
}

// values returns a metric round by round, NaN where there is none.
func (t table) values(name, peer string, m metric) []float64 {
	v := make([]float64, t.rounds)
	cells := t.cells[[2]string{name, peer}]
	for i := range v {
		v[i] = math.NaN()
		if i < len(cells) && cells[i].Error == "" {
			v[i] = m.value(cells[i])
		}
	}
	return v
}

// ratio returns how we compare with a peer.
func (t table) ratio(name, peer string, m metric) spread {
	return spreadOf(pairedRatios(t.values(name, us, m), t.values(name, peer, m)))
}

// finish prints the tables and the verdicts.
func (r *report) finish(w io.Writer, cells []cell, missing map[string]error) error {
	b := r.bench
	t := newTable(b.rounds, cells)
	var out bytes.Buffer
	r.intro(&out, cells)

	var load, live, fanouts []benchCase
	for _, c := range b.cases {
		switch {
		case c.mount:
			fanouts = append(fanouts, c)
		case strings.HasPrefix(c.name, "live"):
			live = append(live, c)
		default:
			load = append(load, c)
		}
	}
	if len(load) > 0 {
		r.section(&out, t, load, "CPU of the server for each unit of work", func(c benchCase, peer string) string {
			return micros(median(t.values(c.name, peer, cpuMetric)))
		}, cpuMetric)
		r.section(&out, t, load, "Throughput", func(c benchCase, peer string) string {
			return rate(c, t, peer)
		}, rateMetric)
		r.section(&out, t, load, "Latency, p50 / p99", func(c benchCase, peer string) string {
			return pair(t, c.name, peer)
		}, p50Metric, p99Metric)
	}
	if len(live) > 0 {
		r.section(&out, t, live, "Live: CPU of the server for each chunk and reader", func(c benchCase, peer string) string {
			return micros(median(t.values(c.name, peer, cpuMetric)))
		}, cpuMetric)
		r.section(&out, t, live, "Live: from write to receipt, p50 / p99 / worst", func(c benchCase, peer string) string {
			return pair(t, c.name, peer) + " / " + micros(spreadOf(t.values(c.name, peer, maxMetric)).high)
		}, p50Metric, p99Metric)
	}
	if len(fanouts) > 0 {
		r.fanouts(&out, t, fanouts)
	}
	r.memory(&out, cells)
	r.verdicts(&out, t)
	r.errors(&out, cells, missing)
	if _, err := w.Write(out.Bytes()); err != nil {
		return err
	}
	return r.json.close()
}

// intro says what was measured, where and how.
func (r *report) intro(w io.Writer, cells []cell) {
	b := r.bench
	info := map[string]any{
		"go": runtime.Version(), "kernel": kernel(), "cpus": runtime.NumCPU(),
		"caddy": version(b.caddy, "version"), "nginx": version(b.nginx, "-v"), "icecast": version(b.icecast, "-v"),
		"rounds": b.rounds, "dur": b.dur.String(), "mss": b.mss,
		"load_before": r.loadavg, "load_after": loadAverage(),
	}
	var wall, other float64
	for _, c := range cells {
		wall += c.Wall
		other += c.Other
	}
	busy := 0.0
	if wall > 0 {
		busy = other / wall
	}
	info["other_cores"] = busy
	r.json.write("run", info)
	fmt.Fprintf(w, "# httpout side by side\n\n")
	fmt.Fprintf(w, "%s, %d CPUs, Linux %s, Caddy %s, %s, Icecast %s.\n",
		info["go"], info["cpus"], info["kernel"], info["caddy"], info["nginx"], info["icecast"])
	fmt.Fprintf(w, "%d rounds, %v a cell, segments of %d bytes, %v in all. Figures are medians of the rounds, ratios are medians of the\n",
		b.rounds, b.dur, b.mss, time.Since(r.began).Round(time.Second))
	fmt.Fprintf(w, "rounds' own ratios, with the lowest and the highest in parentheses. Other programs used %.2f CPUs while we measured\n", busy)
	fmt.Fprintf(w, "(load average %s before, %s after).\n", info["load_before"], info["load_after"])
	if b.same {
		fmt.Fprintf(w, "\n**A/A run: the column %s is a second file_server.**\n", us)
	}
}

// section prints a table of the cases: a column for each peer, and our ratio to
// each of the others by each metric.
func (r *report) section(w io.Writer, t table, cases []benchCase, title string, show func(benchCase, string) string, metrics ...metric) {
	var peers []string
	for _, name := range peerNames {
		if slices.ContainsFunc(cases, func(c benchCase) bool { return t.cells[[2]string{c.name, name}] != nil }) {
			peers = append(peers, name)
		}
	}
	fmt.Fprintf(w, "\n## %s\n\n| case | unit |", title)
	for _, p := range peers {
		fmt.Fprintf(w, " %s |", p)
	}
	columns := len(peers)
	compared := len(metrics) > 0 && slices.Contains(peers, us)
	for _, p := range peers {
		if p != us && compared {
			fmt.Fprintf(w, " %s / %s |", us, p)
			columns++
		}
	}
	fmt.Fprintf(w, "\n| --- | --- |%s\n", strings.Repeat(" ---: |", columns))
	for _, c := range cases {
		fmt.Fprintf(w, "| %s | %s |", c.name, c.unit)
		for _, p := range peers {
			if t.cells[[2]string{c.name, p}] == nil {
				fmt.Fprint(w, " |") // does not take part
			} else if math.IsNaN(median(t.values(c.name, p, cpuMetric))) {
				fmt.Fprint(w, " error |")
			} else {
				fmt.Fprintf(w, " %s |", show(c, p))
			}
		}
		for _, p := range peers {
			if p == us || !compared {
				continue
			}
			var parts []string
			for _, m := range metrics {
				if s := t.ratio(c.name, p, m); !math.IsNaN(s.mid) {
					parts = append(parts, s.String())
					r.json.write("ratio", ratioLine{c.name, m.name, us, p, s.mid, s.low, s.high})
				}
			}
			fmt.Fprintf(w, " %s |", strings.Join(parts, " / "))
		}
		fmt.Fprintln(w)
	}
}

// memory prints the largest size that each server has had.
func (r *report) memory(w io.Writer, cells []cell) {
	peak := map[string]int64{}
	for _, c := range cells {
		peak[c.Peer] = max(peak[c.Peer], c.RSS)
	}
	fmt.Fprint(w, "\n## Peak resident memory over the whole run\n\n")
	for _, p := range peerNames {
		if peak[p] > 0 {
			fmt.Fprintf(w, "- %s: %.0f MB\n", p, float64(peak[p])/1e6)
		}
	}
}

// micros formats microseconds with three digits and a fitting unit.
func micros(v float64) string {
	switch {
	case v >= 1e6:
		return digits(v/1e6) + " s"
	case v >= 1e3:
		return digits(v/1e3) + " ms"
	default:
		return digits(v) + " µs"
	}
}

// digits formats a number with three significant digits, but whole ones whole.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// String implements fmt.Stringer.
func (s spread) String() string {
	mid := digits(s.mid)
	if mid == "1.00" { // which side of it decides a verdict
		mid = fmt.Sprintf("%.3f", s.mid)
	}
	if s.low == s.high {
		return mid
	}
	return fmt.Sprintf("%s (%s–%s)", mid, digits(s.low), digits(s.high))
}

// rate formats throughput: units a second, and bytes where they are many.
func rate(c benchCase, t table, peer string) string {
	v := median(t.values(c.name, peer, rateMetric))
	s := digits(v) + "/s"
	bps := median(t.values(c.name, peer, metric{"", func(c cell) float64 { return float64(c.Bytes) / c.Wall }}))
	if bps >= 100e6 {
		s += ", " + digits(bps/1e6) + " MB/s"
	}
	return s
}

// pair formats the two percentiles of latency.
func pair(t table, name, peer string) string {
	return micros(median(t.values(name, peer, p50Metric))) + " / " + micros(median(t.values(name, peer, p99Metric)))
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

// version asks a program for its version. nginx answers on stderr.
func version(program, arg string) string {
	if program == "" {
		return "–"
	}
	out, err := exec.Command(program, arg).CombinedOutput()
	if err != nil {
		return "–"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line = strings.TrimPrefix(strings.TrimPrefix(line, "nginx version: "), "Icecast ")
	first, _, _ := strings.Cut(line, " ")
	return first
}
