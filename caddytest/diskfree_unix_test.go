//go:build linux || darwin

package caddytest_test

import "syscall"

// diskFree is how many bytes the disk of a folder has left.
func diskFree(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
