//go:build race

package caddytest_test

// raceEnabled tells whether the tests, and so the server under test, run with
// the race detector.
const raceEnabled = true
