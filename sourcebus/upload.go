package sourcebus

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(Upload{})
}

// Upload is an input that is fed by the uploads which sites with `hmode source`
// take: each opens a stream under its path.
type Upload struct{}

// CaddyModule returns the Caddy module information.
func (Upload) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.upload",
		New: func() caddy.Module { return new(Upload) },
	}
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	upload
func (*Upload) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Produce implements Producer: there is nothing to be done but to wait.
func (*Upload) Produce(ctx context.Context, _ *Input) error {
	<-ctx.Done()
	return nil
}

// Many implements Producer.
func (*Upload) Many() bool { return true }

// Interface guards
var (
	_ Producer              = (*Upload)(nil)
	_ caddyfile.Unmarshaler = (*Upload)(nil)
)
