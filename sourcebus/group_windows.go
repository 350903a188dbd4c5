package sourcebus

import (
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a program with all that it has started, which is a job object. It
// ends with our process, whatever becomes of that.
type group struct{ job windows.Handle }

// prepareGroup keeps Ctrl-C from a command that is to be started.
func prepareGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// openGroup returns the group of a command that was started. What the command
// has started before that is not in it.
func openGroup(cmd *exec.Cmd) (group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return group{}, err
	}
	g := group{job}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		g.close()
		return group{}, err
	}
	p, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err != nil {
		g.close()
		return group{}, err
	}
	defer windows.CloseHandle(p)
	if err := windows.AssignProcessToJobObject(job, p); err != nil {
		g.close()
		return group{}, err
	}
	return g, nil
}

// terminate ends all of the group: there is no way to ask.
func (g group) terminate() error { return g.kill() }

// kill ends all of the group.
func (g group) kill() error { return windows.TerminateJobObject(g.job, 1) }

// reap does nothing: no process has to be waited for.
func (group) reap() {}

// close gives up what the group holds.
func (g group) close() error { return windows.CloseHandle(g.job) }
