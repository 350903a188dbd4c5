//go:build !linux && !darwin

package caddytest_test

import "errors"

// diskFree is how many bytes the disk of a folder has left.
func diskFree(string) (int64, error) { return 0, errors.ErrUnsupported }
