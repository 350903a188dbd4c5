package sourcebus

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// retryDelays are how long it takes at least until the next try of what keeps
// failing. Half as much may come on top, so that many do not try at once.
var retryDelays = [...]time.Duration{
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 20 * time.Second,
}

// retries counts the tries of something.
type retries int

// next returns how long to wait before the next try.
func (r *retries) next() time.Duration {
	d := retryDelays[min(int(*r), len(retryDelays)-1)]
	*r++
	return d + rand.N(d/2) //nolint:gosec // nothing depends on it being unpredictable
}

// pause waits. It returns the context's error when that is done first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listenUntil calls listen until it succeeds: an address may come up later, or
// still be in use by an input that is on its way out. It returns the context's
// error when that is done first.
func listenUntil[T any](ctx context.Context, logger *zap.Logger, listen func(context.Context) (T, error)) (T, error) {
	var tries retries
	var reason string
	for {
		l, err := listen(ctx)
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		if text := err.Error(); text != reason {
			reason = text
			logger.Error("cannot listen, trying again", zap.Error(err))
		}
		if err := pause(ctx, tries.next()); err != nil {
			return l, err
		}
	}
}

// statusLog logs how it is with something, once for each change: the same again
// is for debugging.
type statusLog struct {
	logger *zap.Logger
	last   string
}

func (s *statusLog) log(level zapcore.Level, message, reason string, fields ...zap.Field) {
	now := message + "\n" + reason
	if now == s.last {
		level = zap.DebugLevel
	}
	s.last = now
	if c := s.logger.Check(level, message); c != nil {
		c.Write(fields...)
	}
}
