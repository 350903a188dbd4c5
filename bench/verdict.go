//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// bound is the most that a figure of ours may be, in every round.
type bound struct {
	metric metric
	most   float64
	show   func(float64) string
}

// verdict is whether we meet what we hold ourselves to: the ratio of a metric of
// ours to a peer's, which should be 1 or less, or the metric alone.
type verdict struct {
	Case   string  `json:"case"`
	Metric string  `json:"metric"`
	Versus string  `json:"versus,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Most   float64 `json:"most"`
	Pass   bool    `json:"pass"`

	show func(float64) string
}

// judge compares us with the peer and the bounds that each case names.
func (r *report) judge(t table) (vs []verdict) {
	for _, c := range r.bench.cases {
		held := c.held
		if held == nil {
			held = []metric{cpuMetric}
		}
		for _, m := range held {
			if s := t.ratio(c.name, c.versus, m); !math.IsNaN(s.mid) {
				vs = append(vs, verdict{c.name, m.name, c.versus, s.mid, s.low, s.high, 1, s.mid <= 1, nil})
			}
		}
		for _, b := range c.bounds {
			if s := spreadOf(t.values(c.name, us, b.metric)); !math.IsNaN(s.mid) {
				vs = append(vs, verdict{c.name, b.metric.name, "", 0, s.low, s.high, b.most, s.high <= b.most, b.show})
			}
		}
	}
	return vs
}

func (r *report) verdicts(w io.Writer, t table) {
	fmt.Fprint(w, "\n## Verdicts\n\n")
	vs := r.judge(t)
	if len(vs) == 0 {
		fmt.Fprintln(w, "None: we or the peer were not measured.")
	}
	for _, v := range vs {
		fmt.Fprintln(w, "- "+v.line(r.bench.rounds))
		r.json.write("verdict", v)
	}
}

// line says how a verdict came about.
func (v verdict) line(rounds int) string {
	word, sign, doubt := "PASS", "<=", ""
	if !v.Pass {
		word, sign = "FAIL", ">"
	}
	name := v.Metric
	if name == cpuMetric.name {
		name = "CPU"
	}
	if v.Versus == "" {
		return fmt.Sprintf("%s %s: %s of %s = %s, %s %s", word, v.Case, name, us, v.show(v.High), sign, v.show(v.Most))
	}
	if v.Low <= 1 && v.High > 1 && rounds > 1 {
		doubt = ": the rounds disagree"
	}
	return fmt.Sprintf("%s %s: %s %s / %s = %s, %s 1.00%s", word, v.Case, name, us, v.Versus, spread{v.Ratio, v.Low, v.High}, sign, doubt)
}

// errors lists what could not be measured or was wrong.
func (r *report) errors(w io.Writer, cells []cell, missing map[string]error) {
	if len(missing) == 0 && !slices.ContainsFunc(cells, func(c cell) bool { return c.Error != "" }) {
		return
	}
	fmt.Fprint(w, "\n## Errors\n\n")
	for _, name := range peerNames {
		if err := missing[name]; err != nil {
			fmt.Fprintf(w, "- %s did not start: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "\n  "))
		}
	}
	for _, c := range cells {
		if c.Error != "" {
			fmt.Fprintf(w, "- %s, %s, round %d: %s\n", c.Case, c.Peer, c.Round+1, c.Error)
		}
	}
}

// failure is the error that the run ends with.
func (r *report) failure(cells []cell, missing map[string]error) error {
	wrong := len(missing)
	for _, c := range cells {
		if c.Error != "" {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d measurements failed, see Errors", wrong)
	}
	if r.bench.gate {
		for _, v := range r.judge(newTable(r.bench.rounds, cells)) {
			if !v.Pass {
				return errors.New(v.line(r.bench.rounds))
			}
		}
	}
	return nil
}
