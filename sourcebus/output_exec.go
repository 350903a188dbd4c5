package sourcebus

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() {
	caddy.RegisterModule(ExecOutput{})
}

// ExecOutput starts a program for each stream, when its first bytes have come,
// and writes the stream to the program's standard input, which is closed at the
// end of the stream. The program's environment has the variables `HTTPOUT_NAME`,
// the stream's path, and `HTTPOUT_TYPE`, its media type, which is empty if it is
// not known.
//
// A stream whose producer has declared its length is kept until the program has
// read it. Of any other, up to 4 MiB wait for the program, or what came in the
// last half second if that is more; a program that falls behind further misses
// what comes until the place where a decoder can go on. So a program that does
// not read delays nobody.
//
// The program runs in a process group of its own. When it has ended, what it has
// started is killed. When the output is stopped, its standard input is closed,
// and it is killed 2 seconds later. What it writes is logged: standard error at
// the info level, standard output for debugging.
type ExecOutput struct {
	// The program and its arguments. No shell is involved. Placeholders of the
	// environment and other global ones are replaced when the configuration is
	// loaded.
	Command []string `json:"command,omitempty"`

	args []string // the command without placeholders
}

// CaddyModule returns the Caddy module information.
func (ExecOutput) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.outputs.exec",
		New: func() caddy.Module { return new(ExecOutput) },
	}
}

// Provision sets up the output. Whether there is such a program shows only when
// it is started.
func (x *ExecOutput) Provision(caddy.Context) error {
	var err error
	x.args, err = expandCommand(x.Command)
	return err
}

// UnmarshalCaddyfile sets up the output from Caddyfile tokens. Syntax:
//
//	exec <command...>
func (x *ExecOutput) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	x.Command = d.RemainingArgs()
	if len(x.Command) == 0 {
		return d.ArgErr()
	}
	return nil
}

// Consume implements Consumer.
func (x *ExecOutput) Consume(ctx context.Context, o *Output) error {
	return o.Each(ctx, &programs{args: x.args, logger: o.Logger})
}

// programs are given a stream each.
type programs struct {
	args   []string
	logger *zap.Logger
}

// Take implements Taker.
func (x *programs) Take(ctx context.Context, s *sinkbus.Stream, r *sinkbus.Reader) (func(context.Context) error, error) {
	life, end := context.WithCancel(ctx) // done when the program has ended, too
	defer end()
	logger := x.logger.With(zap.String("stream", s.Name))
	in, err := openTap(life, s, r, logger)
	if err != nil {
		return nil, err
	}
	defer in.close()
	first, err := in.next()
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return nil, nil // nothing has come
		}
		return nil, err
	}

	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pw.Close()
	cmd := exec.Command(x.args[0], x.args[1:]...)
	cmd.Env = append(os.Environ(), "HTTPOUT_NAME="+s.Name, "HTTPOUT_TYPE="+contentType(s, first))
	cmd.Stdin = pr
	p, err := startProcess(cmd, logger)
	pr.Close()
	if err != nil {
		return nil, err
	}

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.stopWith(ctx, p.exited, nil)
		end()
		// what the program has started may keep its input open without reading
		if pw.SetWriteDeadline(time.Now()) != nil {
			pw.Close()
		}
	}()
	_, err = copyStream(ctx, s, pw, first, in.next)
	in.close() // the program may take its time with the rest
	pw.Close()
	early := err != nil && life.Err() != nil
	<-stopped
	exitErr := p.finish(ctx.Err() != nil)
	switch {
	case ctx.Err() != nil || exitErr != nil:
		return nil, nil // it has been logged
	case early:
		return nil, errors.New("the process has ended before the stream")
	}
	return nil, err
}

// Delete implements Taker: programs are not told.
func (*programs) Delete(context.Context, string) error { return nil }

// Interface guards
var (
	_ Consumer              = (*ExecOutput)(nil)
	_ caddy.Provisioner     = (*ExecOutput)(nil)
	_ caddyfile.Unmarshaler = (*ExecOutput)(nil)
	_ Taker                 = (*programs)(nil)
)
