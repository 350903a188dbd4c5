package caddytest_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisk uploads more than a disk holds: nothing is lost, and the server
// keeps working.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", dir).CombinedOutput()
	if err != nil {
		skip(t, "mounting a small disk: %v: %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() {
		// the server is stopped by now, as this was registered before
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting the disk: %v: %s", err, out)
		}
	})
	old := pattern(1, 1_000_000)
	s := start(t, setup{
		root: dir,
		sites: `
http://:{$HTTP} https://localhost:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
`,
		files: map[string]string{"old": old},
	})
	large := pattern(2, 6_000_000)
	for _, tc := range []struct {
		name, method, path string
		chunked            bool
		header             []string
	}{
		{name: "new", method: "PUT", path: "/new"},
		{name: "new, chunked", method: "PUT", path: "/new", chunked: true},
		{name: "in a new folder", method: "POST", path: "/made/new", chunked: true},
		{name: "replaced", method: "PUT", path: "/old", chunked: true},
		{name: "appended", method: "PUT", path: "/old", header: []string{"Range: bytes=1000000-"}},
		{name: "patched", method: "PATCH", path: "/old", header: []string{"Content-Range: bytes 0-5999999/*"}},
	} {
		for _, p := range protocols {
			t.Run(tc.name+"/"+p.name, func(t *testing.T) {
				c := newClient(t, p)
				var r *reply
				if tc.chunked {
					up := begin(t, c, tc.method, s.url(p.port, tc.path), tc.header...)
					up.write(large[:1000])
					var f *follower
					if tc.path != "/old" {
						f = follow(t, newClient(t, plain), s.url("HTTP", tc.path))
						f.want(large[:1000])
					}
					if _, err := up.pipe.Write([]byte(large[1000:])); err == nil {
						up.pipe.Close()
					}
					<-up.done
					r = up.reply
					if f != nil {
						f.wantAbort()
					}
				} else {
					r = exchangeOn(c, newRequest(t, t.Context(), tc.method, s.url(p.port, tc.path), strings.NewReader(large), tc.header...))
				}
				if r.status != http.StatusInsufficientStorage {
					t.Errorf("status: got %d (%v), want 507", r.status, r.err)
				}
				s.wantFile(t, "old", old)
				s.wantNoFile(t, "new")
				s.wantNoFile(t, "made")
				s.wantNoTemporaries(t)
				wantReply(t, "GET", do(t, c, http.MethodGet, s.url(p.port, "/old"), ""), http.StatusOK, old)
			})
		}
	}
	t.Run("afterwards", func(t *testing.T) {
		c := newClient(t, plain)
		equal(t, "status", do(t, c, http.MethodPut, s.url("HTTP", "/fits"), old).status, http.StatusCreated)
		s.wantFile(t, "fits", old)
	})
}
