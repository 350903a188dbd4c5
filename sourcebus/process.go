package sourcebus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
)

const (
	// stopGrace is how long a program may take to end when it is to.
	stopGrace = 2 * time.Second

	// killGrace is how long the system may take to end a program that was
	// killed: one that waits for a dead disk cannot be ended.
	killGrace = 500 * time.Millisecond

	// drainGrace is how long output is waited for when all of a group are gone:
	// what has left the group may keep it open.
	drainGrace = 100 * time.Millisecond
)

// uploadPlaceholder stands for the address to which a packager uploads.
const uploadPlaceholder = "{httpout.upload}"

// errUnkillable is returned for a program that goes on after it was killed.
var errUnkillable = errors.New("the process cannot be killed")

// expandCommand replaces the placeholders of a command, those of the environment
// and other global ones, and leaves unknown ones as they are.
func expandCommand(command []string) ([]string, error) {
	if len(command) == 0 || command[0] == "" {
		return nil, errors.New("the command is empty")
	}
	repl := caddy.NewReplacer()
	args := make([]string, len(command))
	for i, arg := range command {
		if strings.Contains(arg, uploadPlaceholder) {
			return nil, fmt.Errorf("%s is not available in this version", uploadPlaceholder)
		}
		args[i] = repl.ReplaceKnown(arg, "")
	}
	if args[0] == "" {
		return nil, fmt.Errorf("the command is empty: %s", command[0])
	}
	return args, nil
}

// process is a program that runs in a process group of its own, with all that
// it starts. What it writes to standard error is logged. It must be ended by
// finish.
type process struct {
	cmd     *exec.Cmd
	group   group
	logger  *zap.Logger
	started time.Time

	exited  chan struct{} // closed when the program has ended
	release chan struct{} // closed when its number need not be kept any more
	reaped  chan struct{} // closed when nothing is left of it
	err     error         // how it ended, once reaped is closed

	pipes   []*os.File // the ends that are read for the log
	logging sync.WaitGroup
	stderr  *lineLog
}

// startProcess starts a command. Its standard output is logged if it is not set.
func startProcess(cmd *exec.Cmd, logger *zap.Logger) (*process, error) {
	p := &process{
		cmd:     cmd,
		logger:  logger,
		exited:  make(chan struct{}),
		release: make(chan struct{}),
		reaped:  make(chan struct{}),
		stderr:  &lineLog{logger: logger, level: zapcore.InfoLevel},
	}
	logs := []*lineLog{p.stderr}
	stderr, err := p.pipe()
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if cmd.Stdout == nil {
		stdout, err := p.pipe()
		if err != nil {
			p.closePipes()
			return nil, err
		}
		defer stdout.Close()
		cmd.Stdout = stdout
		logs = append(logs, &lineLog{logger: logger, level: zapcore.DebugLevel})
	}

	prepareGroup(cmd)
	p.started = time.Now()
	if err := cmd.Start(); err != nil {
		p.closePipes()
		return nil, err
	}
	if p.group, err = openGroup(cmd); err != nil {
		p.closePipes()
		err = fmt.Errorf("making a process group: %w", err)
		return nil, errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	logger.Info("process started", zap.Int("pid", cmd.Process.Pid), zap.String("command", cmd.Path))
	for i, l := range logs {
		p.logging.Go(func() { l.run(p.pipes[i]) })
	}
	go p.wait()
	return p, nil
}

// pipe returns the end of a new pipe that is for the program.
func (p *process) pipe() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.pipes = append(p.pipes, r)
	return w, nil
}

func (p *process) closePipes() {
	for _, r := range p.pipes {
		r.Close()
	}
}

// ignoreExit returns err unless it only tells how a program ended.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// wait reaps the program once it has ended and its number is not needed any
// more. It is a goroutine of its own, which ends with the program, so is waited
// for by finish.
func (p *process) wait() {
	defer close(p.reaped)
	if awaitExit(p.cmd.Process.Pid) {
		close(p.exited)
		<-p.release
		p.err = p.cmd.Wait()
	} else {
		p.err = p.cmd.Wait()
		close(p.exited)
		<-p.release
	}
	p.group.reap()
}

// stopWith ends the program with ctx, by calling ask first, if it is not nil.
// Those of the group who are still there after stopGrace are killed. It returns
// when that is done, or when over is closed: all has ended by itself.
func (p *process) stopWith(ctx context.Context, over <-chan struct{}, ask func() error) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	if ask != nil {
		if err := ask(); err != nil {
			p.logger.Warn("ending the process", zap.Error(err))
		}
	}
	select {
	case <-over:
	case <-time.After(stopGrace):
		// finish says so if this fails
		_ = p.group.kill()
	}
}

// finish kills what is left of the group, and returns how the program ended. It
// is called once, when the program has ended or was killed. With stopped set,
// it was to end, so no error is one.
func (p *process) finish(stopped bool) error {
	killErr := p.group.kill()
	close(p.release)
	for _, r := range p.pipes {
		endReads(r, drainGrace)
	}
	p.logging.Wait()
	p.closePipes()

	fields := []zap.Field{zap.Int("pid", p.cmd.Process.Pid), zap.Duration("duration", time.Since(p.started))}
	select {
	case <-p.reaped:
	case <-time.After(killGrace):
		err := errors.Join(errUnkillable, killErr)
		p.logger.Error("process does not end", append(fields, zap.Error(err))...)
		return err
	}
	if err := p.group.close(); err != nil {
		p.logger.Warn("closing the process group", zap.Error(err))
	}
	fields = append(fields, zap.Stringer("status", p.cmd.ProcessState))
	if stopped || p.err == nil {
		p.logger.Info("process ended", fields...)
		return nil
	}
	p.logger.Warn("process ended", append(fields, zap.Strings("last_lines", p.stderr.last))...)
	return p.err
}
