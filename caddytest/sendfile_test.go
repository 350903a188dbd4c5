package caddytest_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

var sendfileCall = regexp.MustCompile(`(?m)sendfile.* = (\d+)$`)

// TestSendfile proves, by the system calls that the server makes, that files are
// sent by sendfile over plain HTTP/1.1.
func TestSendfile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("traces system calls of Linux")
	}
	strace := tool(t, "strace")
	if out, err := exec.CommandContext(t.Context(), strace, "-f", "-e", "trace=sendfile", "true").CombinedOutput(); err != nil {
		skip(t, "tracing processes: %v: %s", err, strings.TrimSpace(string(out)))
	}
	const size = 20_000_000
	large := pattern(1, size)
	trace := filepath.Join(t.TempDir(), "trace")
	s := start(t, setup{
		// with -D the server is our child, and gets our signals
		wrap: []string{strace, "-D", "-f", "-q", "-e", "trace=sendfile", "-e", "signal=none", "-o", trace},
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
	}
}
http://:{$LOGGED} {
	log {
		output discard
	}
	encode
	httpout {
		rdirs {$ROOT}
	}
}
`,
		files: map[string]string{"large.bin": large},
	})
	var before int64
	// sent is how many bytes sendfile has sent since it was called before
	sent := func() int64 {
		data, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		var all int64
		for _, m := range sendfileCall.FindAllStringSubmatch(string(data), -1) {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			all += n
		}
		n := all - before
		before = all
		return n
	}
	for _, tc := range []struct {
		name, port, header string
		first, last        int
	}{
		{"whole", "HTTP", "X: y", 0, size - 1},
		{"range", "HTTP", "Range: bytes=1234567-15000000", 1234567, 15000000},
		{"to the end", "HTTP", "Range: bytes=7-", 7, size - 1},
		{"with an access log and encode", "LOGGED", "Accept-Encoding: gzip", 0, size - 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClient(t, plain)
			r := do(t, c, http.MethodGet, s.url(tc.port, "/large.bin"), "", tc.header)
			if r.err != nil || r.body != large[tc.first:tc.last+1] {
				t.Errorf("got %d bytes (%v), want bytes %d to %d", len(r.body), r.err, tc.first, tc.last)
			}
			want := int64(tc.last - tc.first + 1)
			await(t, wait, "the calls to be traced", func() error {
				got := sent()
				before -= got // to be counted again
				if got < want*9/10 {
					return fmt.Errorf("sendfile sent %d bytes, want nearly all of %d", got, want)
				}
				return nil
			})
			got := sent()
			t.Logf("sendfile sent %d of %d bytes", got, want)
			if got > want {
				t.Errorf("sendfile sent %d bytes, want %d at most", got, want)
			}
		})
	}
}
