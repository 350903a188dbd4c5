//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// jsonLines writes objects to a file, one a line. A nil one writes nothing.
type jsonLines struct {
	f   *os.File
	err error
}

// ratioLine is how we compare with a peer in one case by one metric.
type ratioLine struct {
	Case   string  `json:"case"`
	Metric string  `json:"metric"`
	Peer   string  `json:"peer"`
	Versus string  `json:"versus"`
	Ratio  float64 `json:"ratio"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func newJSONLines(name string) (*jsonLines, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &jsonLines{f: f}, nil
}

// write adds {"KIND": v}. The first error is kept for close.
func (j *jsonLines) write(kind string, v any) {
	if j == nil || j.err != nil {
		return
	}
	b, err := json.Marshal(map[string]any{kind: v})
	if err == nil {
		_, err = j.f.Write(append(b, '\n'))
	}
	if err != nil {
		j.err = fmt.Errorf("writing %s: %w", j.f.Name(), err)
	}
}

func (j *jsonLines) close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.err, j.f.Close())
}
