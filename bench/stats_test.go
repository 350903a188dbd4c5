//go:build linux

package main

import (
	"math"
	"slices"
	"testing"
)

func TestPercentile(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, tc := range []struct {
		name   string
		sorted []int64
		p      float64
		want   int64
	}{
		{"none", nil, 50, 0},
		{"one", []int64{7}, 99, 7},
		{"lowest", hundred, 0, 1},
		{"median", hundred, 50, 50},
		{"p99", hundred, 99, 99},
		{"highest", hundred, 100, 100},
		{"p99 of few is the highest", []int64{1, 2, 3}, 99, 3},
		{"median of three", []int64{1, 2, 30}, 50, 2},
		{"median of two is the lower", []int64{1, 2}, 50, 1},
	} {
		if got := percentile(tc.sorted, tc.p); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestMedian(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 2, 3}, 2.5},
		{[]float64{nan, 5, nan}, 5},
		{[]float64{nan}, nan},
		{nil, nan},
	} {
		before := slices.Clone(tc.values)
		if got := median(tc.values); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("median of %v: got %v, want %v", tc.values, got, tc.want)
		}
		for i := range before {
			if before[i] != tc.values[i] && !math.IsNaN(before[i]) {
				t.Errorf("median reordered its argument to %v", tc.values)
			}
		}
	}
}

func TestPairedRatios(t *testing.T) {
	nan := math.NaN()
	// the machine was slow in the second round, for both, and the first peer
	// failed in the third
	s := spreadOf(pairedRatios([]float64{1, 8, nan, 2.2}, []float64{2, 10, 2, 4}))
	if s.mid != 0.55 || s.low != 0.5 || s.high != 0.8 {
		t.Errorf("got %+v", s)
	}
	if s := spreadOf(pairedRatios([]float64{1}, []float64{0})); !math.IsNaN(s.mid) || !math.IsNaN(s.high) {
		t.Errorf("ratio to nothing: got %+v", s)
	}
}
