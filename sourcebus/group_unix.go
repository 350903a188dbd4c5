//go:build unix

package sourcebus

import (
	"errors"
	"os/exec"
	"syscall"
)

// group is a program with all that it has started, apart from what has moved to
// a process group of its own. Its number is not given to others while the
// program has not been reaped.
type group struct{ pid int }

// prepareGroup has a command that is to be started lead a group.
func prepareGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// openGroup returns the group of a command that was started.
func openGroup(cmd *exec.Cmd) (group, error) { return group{cmd.Process.Pid}, nil }

// terminate asks all of the group to end.
func (g group) terminate() error { return g.signal(syscall.SIGTERM) }

// kill ends all of the group.
func (g group) kill() error { return g.signal(syscall.SIGKILL) }

// signal returns no error if there is nobody left.
func (g group) signal(sig syscall.Signal) error {
	err := syscall.Kill(-g.pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// reap waits for the members of a killed group whose parents are gone, where
// they have become our children: as the first process of a container we have
// nobody who does that for us.
func (g group) reap() {
	for {
		_, err := syscall.Wait4(-g.pid, nil, 0, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return // there are none
		}
	}
}

// close gives up what the group holds.
func (group) close() error { return nil }
