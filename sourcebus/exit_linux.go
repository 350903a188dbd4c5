package sourcebus

import (
	"errors"

	"golang.org/x/sys/unix"
)

// awaitExit waits until a child has ended, and leaves its number taken. It
// returns false where that cannot be done.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
