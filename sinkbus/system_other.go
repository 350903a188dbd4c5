//go:build !unix || solaris || aix

package sinkbus

import (
	"errors"
	"os"
	"syscall"
)

const openRead = os.O_RDONLY

// lockFile succeeds: on these systems a file that is open cannot be removed,
// which is what the lock is for.
func lockFile(*os.File) bool { return true }

// IsFull tells whether a write failed because the disk is full: on Windows
// ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.Errno(112)) || errors.Is(err, syscall.Errno(39))
}
