//go:build unix && !solaris && !aix

package sinkbus

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openRead opens what can be read without waiting for it: a FIFO that somebody
// put in the directory must not hang a request.
const openRead = os.O_RDONLY | unix.O_NONBLOCK

// lockFile takes the lock that says that a temporary file is in use. It is
// gone with the file's last descriptor, so with its process. It fails when
// another has it, and when the file has been removed.
func lockFile(f *os.File) bool {
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = c.Control(func(fd uintptr) {
		var st unix.Stat_t
		ok = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) == nil &&
			unix.Fstat(int(fd), &st) == nil && st.Nlink > 0
	})
	return ok && err == nil
}

// IsFull tells whether a write failed because the disk, or the user's share of
// it, is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
