//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestParseChoosesCases(t *testing.T) {
	names := func(args ...string) (names []string) {
		b := &bench{}
		if _, err := b.parse(args); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.cases {
			names = append(names, c.name)
		}
		return names
	}
	if got := names(); !slices.Contains(got, "live-1000") || slices.Contains(got, "fanout-100") {
		t.Errorf("without -only: got %v, want all but the fan-outs", got)
	}
	want := []string{
		"fanout-100", "fanout-1000", "fanout-5000", "fanout-100-8m",
		"fanout-100-tls", "fanout-1000-tls", "fanout-5000-tls", "fanout-100-8m-tls",
		"fanout-100-h2", "fanout-1000-h2",
	}
	if got := names("-only", "fanout"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	b := &bench{}
	if _, err := b.parse([]string{"-only", "fanout-100$|fanout-100-h2", "-peers", "icecast,httpout"}); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{icecast, floorHTTP, us}, {floorHTTP, us}} {
		if !slices.Equal(b.cases[i].peers, want) {
			t.Errorf("%s: got peers %v, want %v", b.cases[i].name, b.cases[i].peers, want)
		}
	}
}
