package caddytest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestExamples runs each example as it stands, but for its port.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../examples/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	// what each example says that it does: request, credentials, status
	type request struct {
		method, path, user, password string
		status                       int
	}
	requests := map[string][]request{
		"fileserver": {
			{"GET", "/", "", "", 200}, {"PUT", "/x", "", "", 405}, {"GET", "/none", "", "", 404},
		},
		"origin": {
			{"PUT", "/live.mpd", "", "", 201}, {"GET", "/live.mpd", "", "", 200}, {"DELETE", "/live.mpd", "", "", 200},
		},
		"upload": {
			{"PUT", "/movie.mp4", "", "", 401},
			{"PUT", "/movie.mp4", "alice", "wonderland", 201},
			{"GET", "/movie.mp4", "", "", 200},
			{"GET", "/", "", "", 200},
			{"DELETE", "/movie.mp4", "alice", "wonderland", 200},
		},
		"rules": {
			{"GET", "/films/", "", "", 200},
			{"GET", "/drafts/", "", "", 401},
			{"GET", "/drafts/", "bob", "builder", 200},
			{"PUT", "/drafts/movie.mp4", "bob", "builder", 201},
			{"PUT", "/films/movie.mp4", "alice", "wonderland", 201},
			{"PUT", "/drafts/movie2.mp4", "alice", "wonderland", 403},
		},
	}
	requests["radio"] = []request{
		{"GET", "/live.mp3", "", "", 404},
		{"PUT", "/live.mp3", "", "", 401},
		{"PUT", "/live.mp3", "source", "hackme", 201},
		{"HEAD", "/live.mp3", "", "", 404}, // it was short; a GET waits for the next one
	}
	requests["station"] = []request{{"HEAD", "/live.mp3", "", "", 200}, {"PUT", "/live.mp3", "", "", 405}}
	requests["ingest"] = []request{{"PUT", "/camera.ts", "", "", 201}, {"GET", "/camera.ts", "", "", 405}}
	port := regexp.MustCompile(`(?m)^(.*):8080 \{$`)
	global := regexp.MustCompile(`(?m)^\{$`)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".Caddyfile")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{dir: t.TempDir(), ports: map[string]int{"HTTP": freePort(t)}}
			if err := os.CopyFS(s.dir, os.DirFS("../examples")); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !port.Match(text) {
				t.Fatal("the example does not listen on :8080")
			}
			text = port.ReplaceAll(text, []byte("${1}:{$$HTTP} {"))
			options := "{\n\tadmin off\n\tpersist_config off\n\tdefault_bind 127.0.0.1\n\tauto_https off\n"
			if global.Match(text) {
				text = global.ReplaceAllLiteral(text, []byte(options))
			} else {
				text = append([]byte(options+"}\n"), text...)
			}
			writeFile(t, s.configFile(), string(text))
			s.run(t, setup{})
			want, ok := requests[name]
			if !ok {
				t.Fatal("the test does not know what this example does")
			}
			for _, q := range want {
				text := q.method + " " + q.path + " HTTP/1.1\n"
				if q.user != "" {
					text += basic(q.user, q.password) + "\n"
				}
				if q.method == "PUT" {
					text += "Content-Length: 1\n\nx"
				} else {
					text += "\n"
				}
				equal(t, fmt.Sprintf("%s %s by %q", q.method, q.path, q.user), raw(t, s.addr("HTTP"), text).status, q.status)
			}
		})
	}
}

// TestExamplesAreFormatted runs `caddy fmt` on the examples.
func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../examples/*.Caddyfile")
	for _, file := range files {
		if out, err := exec.CommandContext(t.Context(), binary(t), "fmt", "--diff", file).CombinedOutput(); err != nil {
			t.Errorf("%s is not formatted: %v\n%s", filepath.Base(file), err, out)
		}
	}
}

// TestReadmeAdapts adapts each Caddyfile of the README.
func TestReadmeAdapts(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../README.md", "../docs/options.md", "../docs/guides/radio.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?ms)^ *```(?:caddyfile|caddy|Caddyfile)\n(.*?)^ *```").FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no Caddyfile", file)
		}
		t.Logf("%s has %d Caddyfiles", file, len(blocks))
		for i, m := range blocks {
			block := string(m[1])
			if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block), nil); err == nil {
				continue
			}
			// options by themselves belong into a block, together or one by one
			err := adaptOptions(block)
			if err != nil {
				for line := range strings.Lines(block) {
					if err = adaptOptions(line); err != nil {
						break
					}
				}
			}
			if err != nil {
				t.Errorf("%s, Caddyfile %d: %v\n%s", file, i+1, err, block)
			}
		}
	}
}

// adaptOptions adapts options of httpout.
func adaptOptions(options string) error {
	if !regexp.MustCompile(`(?m)^\s*(rdirs|wdir|server|input) `).MatchString(options) {
		options = "rdirs files\n" + options
	}
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("localhost {\n\thttpout {\n"+options+"\n}\n}\n"), nil)
	return err
}

// command runs `caddy httpout` in an empty folder, and waits for its URLs.
func command(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), ports: map[string]int{"HTTP": freePort(t)}}
	s.root = s.dir
	s.launch(t, nil, append([]string{"httpout", "--ifce", "127.0.0.1", "--port", fmt.Sprint(s.ports["HTTP"])}, args...)...)
	if !s.logs.wait(time.Minute, 0, fmt.Sprintf("http://127.0.0.1:%d", s.ports["HTTP"])) {
		t.Fatalf("the command printed no URL:\n%s", s.logs)
	}
	return s
}

// TestCommand runs `caddy httpout` as the README says.
func TestCommand(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	run := func(t *testing.T, want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-sS", "--fail"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("curl %q: got %v (%v), want %q", args, shorten(string(out)), err, want)
		}
	}
	t.Run("demo", func(t *testing.T) {
		t.Parallel()
		s := command(t)
		url := s.url("HTTP", "/")
		run(t, "<html", url)
		run(t, "", "-T", "../README.md", url)
		readme, err := readWhole("../README.md")
		if err != nil {
			t.Fatal(err)
		}
		run(t, readme, url+"README.md")
		run(t, "README.md", "-H", "Accept: application/json", url)
		run(t, "", "-X", "DELETE", url+"README.md")
		s.wantNoFile(t, "httpout-demo/README.md")
	})
	t.Run("directories", func(t *testing.T) {
		t.Parallel()
		s := command(t, "--rdirs", "public", "--wdir", "public", "--dlist", "--maxs", "10")
		url := s.url("HTTP", "/")
		run(t, "", "-X", "PUT", "--data", "0123456789", url+"f")
		run(t, "0123456789", url+"f")
		run(t, ">f</a>", url)
		r := do(t, newClient(t, plain), http.MethodPut, url+"g", "0123456789x")
		equal(t, "status over the limit", r.status, http.StatusRequestEntityTooLarge)
		s.wantFile(t, "public/f", "0123456789")
	})
	t.Run("interrupt", func(t *testing.T) {
		t.Parallel()
		s := command(t)
		up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"))
		up.write("one")
		f := follow(t, newClient(t, plain), s.url("HTTP", "/live.bin"))
		f.want("one")
		begin := time.Now()
		s.cmd.Process.Signal(os.Interrupt)
		select {
		case <-s.exited:
		case <-time.After(wait):
			t.Fatal("it did not stop")
		}
		took := time.Since(begin)
		t.Logf("it took %v to stop", took)
		if took > 3*time.Second {
			t.Errorf("stopping took %v, want it at once", took)
		}
		f.wantAbort()
		s.wantNoFile(t, "httpout-demo/live.bin")
	})
	t.Run("not cooperative", func(t *testing.T) {
		t.Parallel()
		// a client that is open but neither sends nor reads
		s := command(t)
		stuck := dial(t, s.addr("HTTP"))
		stuck.send(rawText("PUT /live.bin HTTP/1.1\nContent-Length: 100\n\nhello"))
		follow(t, newClient(t, plain), s.url("HTTP", "/live.bin")).want("hello")
		begin := time.Now()
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(wait):
			t.Fatal("it did not stop")
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("stopping took %v, want it at once", took)
		}
	})
	t.Run("both ports", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		openssl := tool(t, "openssl")
		out, err := exec.CommandContext(t.Context(), openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
			"-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem").CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
		s := &server{dir: t.TempDir(), ports: map[string]int{"HTTP": freePort(t), "HTTPS": freePort(t)}}
		s.root = s.dir
		s.launch(t, nil, "httpout", "--ifce", "127.0.0.1", "--rdirs", "d", "--wdir", "d",
			"--port", fmt.Sprintf("%d,%d", s.ports["HTTP"], s.ports["HTTPS"]), "--cert", dir+"/cert.pem", "--pkey", dir+"/key.pem")
		if !s.logs.wait(time.Minute, 0, fmt.Sprintf("https://127.0.0.1:%d", s.ports["HTTPS"])) {
			t.Fatalf("the command printed no URL:\n%s", s.logs)
		}
		// an upload on one is seen on the other, on all protocols
		up := begin(t, newClient(t, plain), http.MethodPut, s.url("HTTP", "/live.bin"))
		up.write("one")
		for _, p := range protocols {
			follow(t, newClient(t, p), s.url(p.port, "/live.bin")).want("one")
		}
		equal(t, "status", up.finish().status, http.StatusCreated)
	})
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"unknown flag", "unknown flag", []string{"--nonsense"}},
		{"two ports without a certificate", "--port", []string{"--port", "1,2"}},
		{"malformed size", "--maxs", []string{"--maxs", "much"}},
		{"certificate without a key", "--pkey", []string{"--cert", "x.pem"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), binary(t), append([]string{"httpout"}, tc.args...)...)
			cmd.Dir = t.TempDir()
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err == nil {
				t.Error("it ended without an error")
			}
			contains(t, "output", out.String(), tc.want)
		})
	}
}
