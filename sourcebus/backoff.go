package sourcebus

import (
	"math/rand/v2"
	"time"
)

const (
	// defaultRestartDelay is the first delay of a backoff.
	defaultRestartDelay = time.Second

	// maxRestartDelay bounds how far delays grow.
	maxRestartDelay = time.Minute

	// healthyRun is how long something has to run for its next failure to count
	// as the first one.
	healthyRun = 10 * time.Second

	// delayJitter is by how much a delay differs, as a part of it, so that many
	// that failed together do not try again together.
	delayJitter = 0.2
)

// backoff says how long to wait before something that has ended begins anew:
// twice as long after each failure.
type backoff struct {
	initial time.Duration
	next    time.Duration
}

// delay returns how long to wait after something has run for a while and then
// failed, or ended well.
func (b *backoff) delay(ran time.Duration, failed bool) time.Duration {
	if b.next == 0 || !failed || ran >= healthyRun {
		b.next = b.initial
	}
	d := b.next
	b.next = min(2*d, max(maxRestartDelay, b.initial))
	return d + time.Duration(delayJitter*(2*rand.Float64()-1)*float64(d)) //nolint:gosec // nothing depends on it being unpredictable
}
