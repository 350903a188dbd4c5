package sourcebus

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(Exec{})
}

// Exec is an input that runs a program, whose standard output is the stream. The
// stream is opened with the first bytes, and is completed when the program has
// closed its output and ended with status 0. It is aborted when the program
// fails.
//
// The program runs in a process group of its own. When it has ended, what it has
// started is killed, unless that keeps the output open: then the stream goes on.
// When the input is stopped, all of the group are asked to end (SIGTERM), and
// killed 2 seconds later; what is written meanwhile is still part of the stream.
// On Windows they are killed at once. What has moved to another process group is
// let alone.
//
// What the program writes to standard error is logged, one entry for each line,
// of which 2 KiB are kept. Lines that are written over, as displays of progress
// are, are logged at the debug level.
type Exec struct {
	// The program and its arguments. No shell is involved. Placeholders of the
	// environment and other global ones are replaced when the configuration is
	// loaded.
	Command []string `json:"command,omitempty"`

	// Whether the program is started again when it has ended: "on-failure",
	// "always" or "never". Default: on-failure. Each start opens a new stream;
	// if there is none, the input is over.
	Restart string `json:"restart,omitempty"`

	// How long to wait before that. It doubles with each failure, up to a
	// minute, and is what it was at first after the program has run for 10
	// seconds or has ended without a failure. Delays differ by up to a fifth, by
	// chance. Default: 1s.
	RestartDelay caddy.Duration `json:"restart_delay,omitempty"`

	args []string // the command without placeholders
}

// CaddyModule returns the Caddy module information.
func (Exec) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout.inputs.exec",
		New: func() caddy.Module { return new(Exec) },
	}
}

// Provision sets up the input. Whether there is such a program shows only when
// it is started.
func (x *Exec) Provision(caddy.Context) error {
	if x.Restart == "" {
		x.Restart = restartOnFailure
	}
	if x.RestartDelay == 0 {
		x.RestartDelay = caddy.Duration(defaultRestartDelay)
	}
	var err error
	x.args, err = expandCommand(x.Command)
	return err
}

// Validate refuses what cannot be.
func (x *Exec) Validate() error {
	if x.RestartDelay < 0 {
		return errors.New("restart_delay is negative")
	}
	return checkRestart(x.Restart)
}

// UnmarshalCaddyfile sets up the input from Caddyfile tokens. Syntax:
//
//	exec <command...>
func (x *Exec) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the kind
	x.Command = d.RemainingArgs()
	if len(x.Command) == 0 {
		return d.ArgErr()
	}
	return nil
}

// SetRestart sets whether the program is started again, and after how long; a
// delay of 0 is the default.
func (x *Exec) SetRestart(policy string, delay time.Duration) error {
	if delay < 0 {
		return errors.New("the delay is negative")
	}
	if err := checkRestart(policy); err != nil {
		return err
	}
	x.Restart, x.RestartDelay = policy, caddy.Duration(delay)
	return nil
}

// Produce implements Producer.
func (x *Exec) Produce(ctx context.Context, in *Input) error {
	return supervise(ctx, x.Restart, time.Duration(x.RestartDelay), in.Logger, func(ctx context.Context) error {
		return x.run(ctx, in)
	})
}

// Many implements Producer.
func (*Exec) Many() bool { return false }

// run starts the program and waits until it, and what it has started, are gone.
// It is started even while the input is held: then it waits, as nobody reads
// what it writes.
func (x *Exec) run(ctx context.Context, in *Input) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(x.args[0], x.args[1:]...)
	cmd.Stdout = w
	p, err := startProcess(cmd, in.Logger)
	w.Close()
	if err != nil {
		return err
	}

	life, end := context.WithCancel(ctx)
	defer end()
	last, endStream := context.WithCancel(context.WithoutCancel(ctx))
	defer endStream()
	fed := make(chan struct{})  // closed when nothing is read any more
	over := make(chan struct{}) // closed when the program has ended, too
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.stopWith(life, over, p.group.terminate)
		if life.Err() == nil {
			return
		}
		endReads(r, drainGrace)
		select {
		case <-fed:
		case <-time.After(drainGrace):
			endStream() // its readers may keep it from reading
		}
	}()

	s, err := feedSingle(ctx, last, in, r)
	close(fed)
	if err != nil {
		r.Close()
		end() // nobody takes what it has to say
	}
	select {
	case <-p.exited:
	case <-stopped:
	}
	close(over)
	<-stopped
	exitErr := p.finish(life.Err() != nil)
	if err == nil {
		err = exitErr
	}
	if s != nil {
		End(ctx, s, err)
	}
	return err
}

// Interface guards
var (
	_ Producer              = (*Exec)(nil)
	_ caddy.Provisioner     = (*Exec)(nil)
	_ caddy.Validator       = (*Exec)(nil)
	_ caddyfile.Unmarshaler = (*Exec)(nil)
)
