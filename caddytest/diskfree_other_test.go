//go:build !linux && !darwin

package caddytest_test

import "errors"

func diskFree(string) (int64, error) { return 0, errors.ErrUnsupported }
