package sourcebus

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// When a program that has ended is started again.
const (
	restartOnFailure = "on-failure"
	restartAlways    = "always"
	restartNever     = "never"
)

// checkRestart refuses unknown policies.
func checkRestart(policy string) error {
	switch policy {
	case restartOnFailure, restartAlways, restartNever:
		return nil
	default:
		return fmt.Errorf("unknown restart policy '%s': want on-failure, always or never", policy)
	}
}

// supervise calls run, and calls it again after a delay when it ends, as the
// policy has it. It returns the error of the last run, and nil once ctx is
// done.
func supervise(ctx context.Context, policy string, initial time.Duration, logger *zap.Logger, run func(context.Context) error) error {
	b := backoff{initial: initial}
	for {
		started := time.Now()
		err := run(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case policy == restartNever, policy == restartOnFailure && err == nil:
			return err
		}
		delay := b.delay(time.Since(started), err != nil)
		logger.Info("process restarts", zap.Duration("delay", delay), zap.Error(err))
		if pause(ctx, delay) != nil {
			return nil
		}
	}
}
