//go:build !linux

package sourcebus

import (
	"os"
	"strconv"
	"syscall"
)

// children returns nothing: it is not known.
func children() []string { return nil }

// isAlive tells whether there is a process.
func isAlive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	p, err := os.FindProcess(n)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}
