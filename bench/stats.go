//go:build linux

package main

import (
	"math"
	"slices"
)

// percentile returns the smallest of the sorted values that at least p percent
// of them do not exceed, or 0 if there are none.
func percentile(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// median returns the middle of the values, NaN if there are none. NaNs, which
// stand for rounds that failed, do not count.
func median(values []float64) float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// spread is a median with the smallest and the largest value.
type spread struct{ mid, low, high float64 }

func spreadOf(values []float64) spread {
	s := spread{median(values), math.NaN(), math.NaN()}
	for _, v := range values {
		if !math.IsNaN(v) {
			s.low, s.high = fmin(s.low, v), fmax(s.high, v)
		}
	}
	return s
}

// fmin and fmax ignore NaN, unlike math.Min and math.Max.
func fmin(a, b float64) float64 {
	if math.IsNaN(a) || b < a {
		return b
	}
	return a
}

func fmax(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// pairedRatios divides a by b round by round: both of a round were measured
// within seconds, so what disturbed one most likely disturbed the other.
func pairedRatios(a, b []float64) []float64 {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	r := make([]float64, 0, n)
	for i := range a {
		q := a[i] / b[i]
		if math.IsInf(q, 0) {
			q = math.NaN()
		}
		r = append(r, q)
	}
	return r
}
