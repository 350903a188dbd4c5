//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testReport makes a report of canned figures.
func testReport(t *testing.T, gate bool) (*report, []cell) {
	t.Helper()
	b := &bench{rounds: 2, gate: gate, json: filepath.Join(t.TempDir(), "out.json"), peers: map[string]*peer{}}
	for _, c := range allCases(1 << 30) {
		if c.name == "get-1k" || c.name == "put-1m-8" || c.name == "live-100" {
			b.cases = append(b.cases, c)
		}
	}
	mk := func(round int, name, peer string, cpu float64) cell {
		return cell{Round: round, Case: name, Peer: peer, Units: 10, CPUUnit: cpu, Rate: 5, P50: 100, P99: 200, Wall: 1}
	}
	cells := []cell{
		mk(0, "get-1k", fileServer, 70), mk(0, "get-1k", nginx, 14), mk(0, "get-1k", us, 56),
		mk(1, "get-1k", fileServer, 140), mk(1, "get-1k", nginx, 28), mk(1, "get-1k", us, 98),
		mk(0, "put-1m-8", nginx, 1000), mk(0, "put-1m-8", us, 900),
		mk(1, "put-1m-8", nginx, 1000), mk(1, "put-1m-8", us, 1500),
		mk(0, "live-100", floorHTTP, 34), mk(0, "live-100", us, 17),
		{Round: 1, Case: "live-100", Peer: us, Error: "byte 7 of the upload is wrong"},
	}
	r := &report{bench: b, began: time.Now()}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	return r, cells
}

func TestReport(t *testing.T) {
	r, cells := testReport(t, false)
	for _, c := range cells {
		r.cell(c)
	}
	var out bytes.Buffer
	if err := r.finish(&out, cells, map[string]error{nginx: errors.New("not found")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| get-1k | request | 105 µs | 21.0 µs | 77.0 µs | 0.75 (0.70–0.80) | 3.75 (3.50–4.00) |",
		"| live-100 | chunk and reader | 34.0 µs | 17.0 µs | 0.50 |",
		"- PASS get-1k: CPU httpout / file_server = 0.75 (0.70–0.80), <= 1.00\n",
		"- FAIL put-1m-8: CPU httpout / nginx = 1.20 (0.90–1.50), > 1.00: the rounds disagree\n",
		"- nginx did not start: not found\n",
		"- live-100, httpout, round 2: byte 7 of the upload is wrong\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, &out)
		}
	}
	b, err := os.ReadFile(r.bench.json)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range bytes.Lines(b) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		for k := range v {
			kinds[k]++
		}
	}
	if kinds["cell"] != len(cells) || kinds["verdict"] != 2 || kinds["run"] != 1 || kinds["ratio"] == 0 {
		t.Errorf("got lines %v", kinds)
	}
}

func TestReportOfFanout(t *testing.T) {
	b := &bench{rounds: 2, json: filepath.Join(t.TempDir(), "out.json")}
	for _, c := range allCases(1 << 30) {
		if c.name == "fanout-5000" || c.name == "fanout-100-h2" {
			b.cases = append(b.cases, c)
		}
	}
	mk := func(round int, name, peer string, cpu, p99 float64, f fanoutFigures) cell {
		return cell{
			Round: round, Case: name, Peer: peer, Units: 10, CPU: cpu, CPUUnit: cpu, Bytes: 2e6,
			P50: 100, P99: p99, Max: p99, Wall: 1, Fanout: &f,
		}
	}
	cells := []cell{
		mk(0, "fanout-5000", icecast, 0.010, 4000, fanoutFigures{Connect: 120, RSS: 2000, Lost: 1316, Cut: 1}),
		mk(1, "fanout-5000", icecast, 0.020, 4000, fanoutFigures{Connect: 100, RSS: 2200}),
		mk(0, "fanout-5000", us, 0.005, 5000, fanoutFigures{Connect: 1, RSS: 9000}),
		mk(1, "fanout-5000", us, 0.008, 6000, fanoutFigures{Connect: 6, RSS: 9000, Lost: 2632}),
		mk(0, "fanout-100-h2", floorHTTP, 0.030, 4000, fanoutFigures{Connect: 1, RSS: 70000}),
		mk(1, "fanout-100-h2", floorHTTP, 0.030, 4000, fanoutFigures{Connect: 1, RSS: 70000}),
		mk(0, "fanout-100-h2", us, 0.015, 4000, fanoutFigures{Connect: 1, RSS: 70000}),
		mk(1, "fanout-100-h2", us, 0.015, 4000, fanoutFigures{Connect: 1, RSS: 70000}),
	}
	r := &report{bench: b, began: time.Now()}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, c := range cells {
		r.cell(c)
	}
	if err := r.finish(&out, cells, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| case | unit | icecast | net/http | httpout | httpout / icecast | httpout / net/http |\n",
		"| fanout-5000 | listener and MB | 7.50 ms | | 3.25 ms | 0.45 (0.40–0.50) |  |\n",
		"| fanout-100-h2 | listener and MB | | 15.0 ms | 7.50 ms |  | 0.50 |\n",
		"| fanout-5000 | listener and MB | 100 µs / 4.00 ms / 4.00 ms | | 100 µs / 5.50 ms / 6.00 ms |",
		"| fanout-5000 | listener and MB | 110 s | | 3.50 s |",
		"| fanout-5000 | listener and MB | 2.10 kB | | 9.00 kB |",
		"| fanout-5000 | listener and MB | 1316 B (1) | | 2632 B |\n",
		"- PASS fanout-5000: CPU httpout / icecast = 0.45 (0.40–0.50), <= 1.00\n",
		"- FAIL fanout-5000: p99 httpout / icecast = 1.38 (1.25–1.50), > 1.00\n",
		"- FAIL fanout-5000: lost bytes of httpout = 2632 B, > 0 B\n",
		"- FAIL fanout-5000: time to connect of httpout = 6.00 s, > 5.00 s\n",
		"- PASS fanout-100-h2: CPU httpout / net/http = 0.50, <= 1.00\n",
		"- PASS fanout-100-h2: lost bytes of httpout = 0 B, <= 0 B\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, &out)
		}
	}
}

func TestFailure(t *testing.T) {
	r, cells := testReport(t, false)
	if err := r.failure(cells, nil); err == nil {
		t.Error("a wrong byte does not fail the run")
	}
	sound := cells[:len(cells)-1]
	if err := r.failure(sound, map[string]error{nginx: errors.New("not found")}); err == nil {
		t.Error("a peer that is missing does not fail the run")
	}
	if err := r.failure(sound, nil); err != nil {
		t.Errorf("unexpected error without -gate: %v", err)
	}
	r.bench.gate = true
	if err := r.failure(sound, nil); err == nil || !strings.Contains(err.Error(), "FAIL put-1m-8: CPU httpout / nginx") {
		t.Errorf("with -gate: got error %v", err)
	}
}

func TestMicros(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.50 µs", 12.34: "12.3 µs", 999: "999 µs", 1234: "1.23 ms", 2.5e6: "2.50 s"} {
		if got := micros(v); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
