package caddytest_test

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// program is a child process of a test.
type program struct {
	name   string
	cmd    *exec.Cmd
	out    *logs
	exited chan struct{} // closed when the process has ended
	err    error         // how it ended; valid once exited is closed
}

// startProgram starts a child process. It is killed when the test ends, and what
// it wrote is shown if the test fails.
func startProgram(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{name: cmd.Args[0], cmd: cmd, out: newLogs(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	go func() {
		defer close(p.exited)
		p.err = cmd.Wait()
		p.out.close()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%q wrote:\n%s", cmd.Args, p.out)
		}
	})
	return p
}

// stop interrupts the program, which must end then. How it ends is its own
// business: some take an interrupt for an error.
func (p *program) stop(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
		t.Errorf("%s has ended by itself: %v", p.name, p.err)
		return
	default:
	}
	p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.exited:
	case <-time.After(wait):
		t.Errorf("%s did not end within %v of an interrupt", p.name, wait)
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// wantSuccess waits for the program to end well.
func (p *program) wantSuccess(t testing.TB, limit time.Duration) {
	t.Helper()
	select {
	case <-p.exited:
		if p.err != nil {
			t.Errorf("%s: %v", p.name, p.err)
		}
	case <-time.After(limit):
		t.Errorf("%s did not end within %v", p.name, limit)
	}
}

// wantFailure waits for the program to end with an error, and returns what it
// wrote.
func (p *program) wantFailure(t testing.TB, limit time.Duration) string {
	t.Helper()
	select {
	case <-p.exited:
		if p.err == nil {
			t.Errorf("%s ended well, want an error", p.name)
		}
	case <-time.After(limit):
		t.Errorf("%s did not end within %v", p.name, limit)
	}
	return p.out.String()
}

// awaitMount waits until what the program feeds is there, and returns the header
// of a response to HEAD. ready may want more of it.
func (p *program) awaitMount(t testing.TB, url string, ready func(http.Header) error) http.Header {
	t.Helper()
	c := newClient(t, plain)
	defer c.CloseIdleConnections()
	var header http.Header
	await(t, time.Minute, "HEAD "+url, func() error {
		select {
		case <-p.exited:
			t.Fatalf("%s has ended by itself: %v", p.name, p.err)
		default:
		}
		r := do(t, c, http.MethodHead, url, "")
		if r.status != http.StatusOK {
			return fmt.Errorf("got status %d", r.status)
		}
		header = r.header
		return ready(header)
	})
	return header
}

// wantNoMount waits until there is nothing at a URL any more.
func wantNoMount(t testing.TB, url string) {
	t.Helper()
	c := newClient(t, plain)
	await(t, wait, "the end of "+url, func() error {
		if r := do(t, c, http.MethodHead, url, ""); r.status != http.StatusNotFound {
			return fmt.Errorf("got status %d", r.status)
		}
		return nil
	})
}

// hasType returns a check of the media type for awaitMount.
func hasType(want string) func(http.Header) error {
	return func(h http.Header) error {
		if got := h.Get("Content-Type"); got != want {
			return errors.New("the media type is " + got)
		}
		return nil
	}
}
