package sourcebus

import (
	"context"
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(Pipe{})
}

// stdinPath stands for standard input.
const stdinPath = "-"

// Pipe is an input that reads a FIFO, or standard input.
//
// What is written to the FIFO until all of its writers have closed it is one
// stream, which is opened with the first bytes; those who write to it next begin
// another. Two writers at a time are mixed, and so are two that follow each
// other at once, as the system cannot tell them apart.
//
// Standard input is one stream, whose end is that of the input. Only one input
// at a time reads it: others wait. Where it was read up to is kept over changes
// of the configuration.
type Pipe struct {
	// The path of the FIFO, which is made if there is none, or "-" for standard
	// input. Placeholders of the environment and other global ones are replaced.
	// On Windows there is only "-".
	Path string `json:"path,omitempty"`

	path string // without placeholders
}

// CaddyModule returns the Caddy module information.
func (Pipe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.pipe",
		New: func() caddy.Module { return new(Pipe) },
	}
}

// Provision sets up the input. The FIFO is made when the input starts.
func (p *Pipe) Provision(caddy.Context) error {
	p.path = caddy.NewReplacer().ReplaceKnown(p.Path, "")
	switch {
	case p.path == "":
		return errors.New("the path is empty")
	case p.path != stdinPath && !hasFIFOs:
		return errors.New("there are no FIFOs on this system: only '-' can be read")
	}
	return nil
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	pipe <fifo|->
func (p *Pipe) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	if !d.AllArgs(&p.Path) {
		return d.ArgErr()
	}
	return nil
}

// Produce implements Producer.
func (p *Pipe) Produce(ctx context.Context, in *Input) error {
	if p.path == stdinPath {
		return produceShared(ctx, in, standardInput)
	}
	return produceFIFO(ctx, in, p.path)
}

// Many implements Producer.
func (*Pipe) Many() bool { return false }

// Interface guards
var (
	_ Producer              = (*Pipe)(nil)
	_ caddy.Provisioner     = (*Pipe)(nil)
	_ caddyfile.Unmarshaler = (*Pipe)(nil)
)
