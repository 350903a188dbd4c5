package caddytest_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// h2specModule is the conformance test of HTTP/2, under the name and version that
// the module proxy has it.
const h2specModule = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// installH2spec builds h2spec, once for all runs of the tests.
func installH2spec(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../.cache/h2spec-2.2.1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "h2spec")
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if _, err := os.Stat(file); err == nil {
		return file
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", h2specModule)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	cmd.Dir = t.TempDir() // outside of this module
	if out, err := cmd.CombinedOutput(); err != nil {
		skip(t, "installing h2spec: %v\n%s", err, out)
	}
	return file
}

// h2spec runs h2spec, or some of its sections, and returns how many tests there
// are and which fail.
func h2spec(t *testing.T, program string, s *server, port, path string, sections ...string) (total int, failed []string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.xml")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// a failed test is not an error: the report tells
	args := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.ports[port]), "-t", "-k", "-o", "2", "-P", path, "-j", report}
	out, _ := exec.CommandContext(ctx, program, append(args, sections...)...).CombinedOutput()
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Package string  `xml:"package,attr"`
				Name    string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &suites); err != nil {
		t.Fatalf("h2spec's report: %v", err)
	}
	for _, suite := range suites.Suites {
		for _, tc := range suite.Cases {
			total++
			if tc.Failure != nil || tc.Error != nil {
				failed = append(failed, tc.Package+": "+tc.Name)
			}
		}
	}
	slices.Sort(failed)
	return total, failed
}

// TestH2spec compares the HTTP/2 conformance of our responses with that of
// Caddy's file server.
func TestH2spec(t *testing.T) {
	t.Parallel()
	program := installH2spec(t)
	s := start(t, setup{
		sites: `
https://localhost:{$HTTPS} https://127.0.0.1:{$HTTPS} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
	}
}
https://localhost:{$STOCK} https://127.0.0.1:{$STOCK} {
	root {$ROOT}
	file_server
}
`,
		files: map[string]string{"f.txt": strings.Repeat("text ", 100)},
	})
	follow(t, liveForever(t, s, "/live.bin"), s.url("HTTPS", "/live.bin"))

	total, stock := h2spec(t, program, s, "STOCK", "/f.txt")
	t.Logf("file_server passes %d of %d", total-len(stock), total)
	if total < 140 {
		t.Errorf("h2spec made %d tests, want at least 140", total)
	}
	for _, path := range []string{"/f.txt", "/live.bin"} {
		n, failed := h2spec(t, program, s, "HTTPS", path)
		t.Logf("%s passes %d of %d", path, n-len(failed), n)
		equal(t, "number of tests", n, total)
		for _, name := range failed {
			if slices.Contains(stock, name) {
				continue
			}
			// some tests depend on how fast the response comes
			section, _, _ := strings.Cut(name, ":")
			again := 0
			for range 5 {
				if _, failed := h2spec(t, program, s, "HTTPS", path, section); slices.Contains(failed, name) {
					again++
				}
			}
			if again == 5 {
				t.Errorf("%s always fails %s, which file_server passes", path, name)
			} else {
				t.Logf("%s failed %s, and then %d times of 5", path, name, again)
			}
		}
	}
}

// liveForever has one upload to a path begin before the one before it ends, so
// that what is there is always in progress, but each response has an end. It
// returns a client.
func liveForever(t *testing.T, s *server, path string) *http.Client {
	t.Helper()
	c := newClient(t, plain)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var bodies []*io.PipeWriter
		replies := make(chan *reply, 10)
		for n := 0; ; n++ {
			select {
			case <-stop:
				for _, wr := range bodies {
					wr.Close()
					<-replies
				}
				stopped <- nil
				return
			case r := <-replies:
				if r.status != http.StatusCreated && r.status != http.StatusOK {
					stopped <- fmt.Errorf("status of an upload: got %d (%v)", r.status, r.err)
					return
				}
			case <-tick.C: // the pace of the packager
				if n%10 == 0 {
					rd, wr := io.Pipe()
					req := newRequest(t, context.Background(), http.MethodPut, s.url("HTTPS", path), rd)
					go func() { replies <- exchangeOn(c, req) }()
					bodies = append(bodies, wr)
				}
				if len(bodies) > 2 {
					bodies[0].Close()
					bodies = bodies[1:]
				}
				for _, wr := range bodies {
					io.WriteString(wr, "live ")
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestLitmus runs the suites of litmus, a test of WebDAV servers, of which parts
// are about HTTP alone. A collection that the tests can be made in is there
// without the server knowing MKCOL.
func TestLitmus(t *testing.T) {
	t.Parallel()
	tool(t, "litmus")
	s := start(t, setup{sites: `
http://:{$HTTP} {
	@mkcol {
		method MKCOL
		path /litmus/
	}
	respond @mkcol 201

	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		maxc 0
		maxp 0
		max_client_errors 0
	}
}
`})
	for _, tc := range []struct {
		suite string
		want  []string // each test and its result
	}{
		{
			suite: "basic",
			want: []string{
				"init pass", "begin pass",
				"options FAIL", // asks for a DAV field
				"put_get pass", "put_get_utf8_segment pass",
				"put_no_parent pass", // with a warning about MKCOL
				"mkcol_over_plain pass", "delete pass",
				"delete_null FAIL",     // wants 404 where we answer 204, as the original does
				"delete_fragment FAIL", // needs MKCOL, as the next ones do
				"mkcol FAIL", "mkcol_again SKIPPED", "delete_coll SKIPPED", "mkcol_no_parent pass", "mkcol_with_body FAIL",
				"finish pass",
			},
		},
		{suite: "http", want: []string{"init pass", "begin pass", "expect100 pass", "finish pass"}},
	} {
		t.Run(tc.suite, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, tool(t, "litmus"), "-k", s.url("HTTP", "/"))
			cmd.Dir = t.TempDir() // for its log
			cmd.Env = append(os.Environ(), "TESTS="+tc.suite)
			out, _ := cmd.CombinedOutput() // a failed test is not an error
			equal(t, "results", strings.Join(litmusResults(string(out)), "\n"), strings.Join(tc.want, "\n"))
			if t.Failed() {
				t.Logf("litmus wrote:\n%s", strings.ReplaceAll(string(out), "\r", "\n"))
			}
		})
	}
}

var (
	litmusTest   = regexp.MustCompile(`^ *\d+\. ([a-z0-9_]+)\.+(?: |$)`)
	litmusResult = regexp.MustCompile(`\.\. (pass|FAIL|SKIPPED)`)
)

// litmusResults takes the tests and their results from the output of litmus.
func litmusResults(out string) []string {
	var results []string
	name := ""
	for line := range strings.Lines(strings.ReplaceAll(out, "\r", "\n")) {
		line = strings.TrimRight(line, "\n")
		if m := litmusTest.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		if m := litmusResult.FindStringSubmatch(line); m != nil && name != "" {
			results = append(results, name+" "+m[1])
			name = ""
		}
	}
	return results
}
