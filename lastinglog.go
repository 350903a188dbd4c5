package httpout

import (
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
)

// lastingLogger returns a logger for what outlives a configuration: it writes to
// the logs of the one that is current, whereas those of an earlier one may have
// been closed.
func lastingLogger(name string) *zap.Logger { return zap.New(currentCore{}).Named(name) }

// currentCore passes entries on to Caddy's current logger.
type currentCore struct{ fields []zap.Field }

// Enabled implements zapcore.LevelEnabler.
func (currentCore) Enabled(level zapcore.Level) bool { return caddy.Log().Core().Enabled(level) }

// With implements zapcore.Core.
func (c currentCore) With(fields []zap.Field) zapcore.Core {
	return currentCore{slices.Concat(c.fields, fields)}
}

// Check implements zapcore.Core.
func (c currentCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c currentCore) Write(e zapcore.Entry, fields []zap.Field) error {
	if checked := caddy.Log().Core().Check(e, nil); checked != nil {
		checked.Write(slices.Concat(c.fields, fields)...)
	}
	return nil
}

// Sync implements zapcore.Core.
func (currentCore) Sync() error { return caddy.Log().Core().Sync() }

// Interface guards
var _ zapcore.Core = currentCore{}
