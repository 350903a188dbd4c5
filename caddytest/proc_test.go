package caddytest_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settled waits until the server has no more goroutines and open files than it
// had, and returns how many that are. With zeros it waits for numbers that stay.
func (s *server) settled(t testing.TB, goroutines, files int) (int, int) {
	t.Helper()
	g, f, same := 0, 0, 0
	c := newClient(t, plain)
	await(t, time.Minute, "the server to be idle", func() error {
		defer c.CloseIdleConnections()
		newG, newF := s.goroutines(t, c), s.openFiles(t)
		if newG == g && newF == f {
			same++
		} else {
			same = 0
		}
		g, f = newG, newF
		switch {
		case goroutines == 0 && same < 20:
			return fmt.Errorf("goroutines (%d) and files (%d) still change", g, f)
		case goroutines > 0 && (g > goroutines+1 || f > files):
			return fmt.Errorf("got %d goroutines and %d files, want %d and %d", g, f, goroutines, files)
		}
		return nil
	})
	return g, f
}

var totalOf = regexp.MustCompile(`goroutine profile: total (\d+)`)

// goroutines counts the server's goroutines, by its admin API.
func (s *server) goroutines(t testing.TB, c *http.Client) int {
	t.Helper()
	r := do(t, c, http.MethodGet, "http://"+s.addr("ADMIN")+"/debug/pprof/goroutine?debug=1", "")
	m := totalOf.FindStringSubmatch(r.body)
	if m == nil {
		t.Fatalf("the goroutine profile is %v", shorten(r.body))
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// openFiles counts the server's file descriptors.
func (s *server) openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// watchMemory looks at the server's memory until the function that it returns is
// called, which tells the most that was used. The pages of files that it has
// mapped, which are its program, do not count.
func (s *server) watchMemory() func() int64 {
	done, most := make(chan struct{}), make(chan int64)
	name := fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)
	go func() {
		var top int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			data, _ := os.ReadFile(name)
			for line := range strings.Lines(string(data)) {
				if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
					kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
					top = max(top, kb<<10)
				}
			}
			select {
			case <-tick.C:
			case <-done:
				most <- top
				return
			}
		}
	}()
	return func() int64 {
		close(done)
		return <-most
	}
}
