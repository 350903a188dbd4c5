package sourcebus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// errRun is how runs fail.
var errRun = errors.New("it broke")

// run is one of a program.
type run struct {
	lasts time.Duration
	err   error
}

// supervised supervises runs until there are no more of them, and returns how
// long it took from the end of each to the start of the next, and the error.
func supervised(t *testing.T, policy string, initial time.Duration, runs []run) ([]time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var delays []time.Duration
	var ended time.Time
	n := 0
	err := supervise(ctx, policy, initial, zap.NewNop(), func(ctx context.Context) error {
		if n > 0 {
			delays = append(delays, time.Since(ended))
		}
		if n == len(runs) {
			cancel()
			return ctx.Err()
		}
		r := runs[n]
		n++
		time.Sleep(r.lasts)
		ended = time.Now()
		return r.err
	})
	return delays, err
}

func TestSupervise(t *testing.T) {
	const s = time.Second
	fails := func(n int) []run {
		runs := make([]run, n)
		for i := range runs {
			runs[i] = run{0, errRun}
		}
		return runs
	}
	for _, test := range []struct {
		name    string
		policy  string
		initial time.Duration
		runs    []run
		want    []time.Duration // without jitter
		err     error
	}{
		{"ends well", restartOnFailure, s, []run{{s, nil}}, nil, nil},
		{"fails", restartOnFailure, s, fails(9), []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s}, nil},
		{"fails, then ends well", restartOnFailure, s, append(fails(2), run{s, nil}), []time.Duration{s, 2 * s}, nil},
		{"fails after a while", restartOnFailure, s, append(fails(3), run{10 * s, errRun}), []time.Duration{s, 2 * s, 4 * s, s}, nil},
		{"fails before that", restartOnFailure, s, append(fails(1), run{9 * s, errRun}), []time.Duration{s, 2 * s}, nil},
		{"always", restartAlways, s, []run{{0, nil}, {0, nil}, {0, nil}}, []time.Duration{s, s, s}, nil},
		{"always, with failures", restartAlways, s, append(fails(2), run{0, nil}), []time.Duration{s, 2 * s, s}, nil},
		{"never", restartNever, s, fails(1), nil, errRun},
		{"never, ends well", restartNever, s, []run{{0, nil}}, nil, nil},
		{"a long delay", restartOnFailure, 120 * s, fails(2), []time.Duration{120 * s, 120 * s}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := supervised(t, test.policy, test.initial, test.runs)
				if !errors.Is(err, test.err) {
					t.Errorf("got error %v, want %v", err, test.err)
				}
				if len(got) != len(test.want) {
					t.Fatalf("got delays %v, want about %v", got, test.want)
				}
				for i, d := range got {
					if off := (d - test.want[i]).Abs(); off > test.want[i]/5 {
						t.Errorf("got delay %d of %s, want %s or a fifth more or less", i, d, test.want[i])
					}
				}
			})
		})
	}
}

func TestSuperviseStopsWithinDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := supervise(ctx, restartAlways, time.Hour, zap.NewNop(), func(context.Context) error { return errRun })
		if d := time.Since(began); err != nil || d != 100*time.Millisecond {
			t.Errorf("got error %v after %s, want none after 100ms", err, d)
		}
	})
}

func TestBackoffDiffers(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 50 {
		b := backoff{initial: time.Second}
		seen[b.delay(0, true)] = true
	}
	if len(seen) < 25 {
		t.Errorf("got %d different delays of 50, want most of them to differ", len(seen))
	}
}
