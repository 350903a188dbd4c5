package httpout

import (
	"context"
	"os"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
)

// awaitQuit asks Caddy to stop when every input has ended and the last client
// of a live response has gone, or returns when ctx is done.
func (app *App) awaitQuit(ctx context.Context) {
	for _, in := range app.live.byName {
		select {
		case <-in.Over():
		case <-ctx.Done():
			return
		}
	}
	if !app.state.AwaitListeners(ctx.Done()) {
		return
	}
	app.logger.Info("all inputs have ended and the last client has gone: stopping, as quit is set")
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(os.Interrupt)
	}
	if err == nil {
		return
	}
	// a system without signals
	app.logger.Debug("signalling this process", zap.Error(err))
	if err := caddy.Stop(); err != nil {
		app.logger.Error("stopping", zap.Error(err))
	}
	os.Exit(caddy.ExitCodeSuccess) //nolint:gocritic // everything has been stopped
}
