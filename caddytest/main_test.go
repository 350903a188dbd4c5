package caddytest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// These variables of the environment change how the tests run.
const (
	// binaryEnv names a Caddy with httpout built in that is to be tested,
	// instead of one built from this tree.
	binaryEnv = "HTTPOUT_TEST_CADDY"

	// strictEnv makes a test fail that would be skipped as a tool or a
	// permission is missing.
	strictEnv = "HTTPOUT_TEST_STRICT"
)

// buildDir is where the Caddy under test is built.
var buildDir string

func TestMain(m *testing.M) {
	code := func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "httpout-caddytest-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(buildDir)
		return m.Run()
	}()
	os.Exit(code)
}

// caddyBinary builds the Caddy under test, at its first call: with the race
// detector if the tests have it, so that the packages are compiled only once.
var caddyBinary = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(binaryEnv); file != "" {
		return filepath.Abs(file)
	}
	file := filepath.Join(buildDir, "caddy")
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	args := []string{"build", "-buildvcs=false", "-tags", "nobadger,nomysql,nopgx", "-o", file}
	if raceEnabled {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, "../cmd/caddy")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building caddy: %v\n%s", err, out)
	}
	return file, nil
})

// binary returns the file name of the Caddy under test.
func binary(t testing.TB) string {
	t.Helper()
	file, err := caddyBinary()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// tool returns the path of a program that a test needs.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		if file, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return file
		}
	}
	skip(t, "%s is not installed (scripts/test installs it)", name)
	return ""
}

// skip skips a test for something that the machine lacks, or fails it where
// everything is to be tested.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv(strictEnv) != "" {
		t.Fatalf("cannot run: %s", text)
	}
	t.Skipf("NOT TESTED: %s", text)
}

// await polls until check returns nil, and fails the test if that takes too
// long. It is the only place where a test waits by looking again and again.
func await(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	if err := pollUntil(limit, check); err != nil {
		t.Fatalf("%s: still not after %v: %v", what, limit, err)
	}
}

// pollUntil is await for other goroutines than the test's: it returns what the
// last check returned.
func pollUntil(limit time.Duration, check func() error) error {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}

// equal reports a difference between what a test got and what it wants.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, shorten(got), shorten(want))
	}
}

// shorten keeps the text of failures readable.
func shorten(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if len(s) > 300 {
		return fmt.Sprintf("%q... (%d bytes)", s[:300], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// contains reports text that does not contain what it should.
func contains(t testing.TB, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: got %v, want it to contain %q", what, shorten(got), want)
	}
}
