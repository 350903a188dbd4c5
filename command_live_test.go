package httpout

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// liveConfig returns the inputs, the servers and the handlers that a command
// line produces, as JSON.
func liveConfig(t *testing.T, args ...string) (l *launch, inputs, servers string, handlers []string) {
	t.Helper()
	l, err := parseArgs(args...)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.findInput(); err != nil {
		t.Fatal(err)
	}
	cfg, err := l.config(nil)
	if err != nil {
		t.Fatal(err)
	}
	var app struct{ Inputs, Servers json.RawMessage }
	if err := json.Unmarshal(cfg.AppsRaw["httpout"], &app); err != nil {
		t.Fatal(err)
	}
	var http caddyhttp.App
	if err := json.Unmarshal(cfg.AppsRaw["http"], &http); err != nil {
		t.Fatal(err)
	}
	for _, srv := range http.Servers {
		if len(srv.Routes) != 1 {
			t.Fatalf("got %d routes, want 1", len(srv.Routes))
		}
		handlers = nil // those of all servers are the same
		for _, raw := range srv.Routes[0].HandlersRaw {
			handlers = append(handlers, string(raw))
		}
	}
	return l, string(app.Inputs), string(app.Servers), handlers
}

func TestConfigOfInput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "Music.MP3")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	quoted := func(path string) string {
		text, err := json.Marshal(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tc := range []struct {
		name    string
		args    []string
		input   string // without its name
		handler string // without its kind and the name of the input
		url     string
	}{
		{
			name: "standard input", args: []string{"-i", "-"},
			input: `{"producer":{"kind":"pipe","path":"-"}}`, handler: `"dst":"/live"`, url: "/live",
		},
		{
			name: "with a path", args: []string{"--input=-", "--dst=/radio/one.mp3", "--ice", "--mime", "audio/mpeg"},
			input:   `{"producer":{"kind":"pipe","path":"-"},"mime":"audio/mpeg"}`,
			handler: `"dst":"/radio/one.mp3","ice":true,"mime":"audio/mpeg"`, url: "/radio/one.mp3",
		},
		{
			name: "path by type", args: []string{"-i", "-", "--mime", "Video/MP2T"},
			input:   `{"producer":{"kind":"pipe","path":"-"},"mime":"Video/MP2T"}`,
			handler: `"dst":"/live.ts","mime":"Video/MP2T"`, url: "/live.ts",
		},
		{
			name: "path by unknown type", args: []string{"-i", "-", "--mime", "x/y"},
			input:   `{"producer":{"kind":"pipe","path":"-"},"mime":"x/y"}`,
			handler: `"dst":"/live","mime":"x/y"`, url: "/live",
		},
		{
			name: "path by extension", args: []string{"-i", "-", "--ext", "aac", "--mime", "x/y"},
			input:   `{"producer":{"kind":"pipe","path":"-"},"mime":"x/y"}`,
			handler: `"dst":"/live.aac","ext":"aac","mime":"x/y"`, url: "/live.aac",
		},
		{
			name: "path to be escaped", args: []string{"-i", "-", "--dst", "/my radio?.mp3"},
			input: `{"producer":{"kind":"pipe","path":"-"}}`, handler: `"dst":"/my radio?.mp3"`, url: "/my%20radio%3F.mp3",
		},
		{
			name: "file", args: []string{"-i", file, "--quit", "--reopen", "--hold", "--blockio", "--block-size=4k", "--max_async_buf", "1M"},
			input:   `{"producer":{"kind":"file","path":` + quoted(file) + `,"realtime":true}}`,
			handler: `"block_size":4000,"blockio":true,"dst":"/live.mp3","hold":true,"max_async_buf":1000000,"quit":true,"reopen":true`, url: "/live.mp3",
		},
		{
			name: "folder", args: []string{"-i", dir, "--ext", "ts"},
			input: `{"producer":{"dir":` + quoted(dir) + `,"kind":"watch"}}`, handler: `"dst":"/","ext":"ts"`, url: "/",
		},
		{
			name: "folder at a path", args: []string{"-i", dir, "--dst", "/tv/", "--mime", "video/mp2t"},
			input: `{"producer":{"dir":` + quoted(dir) + `,"kind":"watch"}}`, handler: `"dst":"/tv/","mime":"video/mp2t"`, url: "/tv/",
		},
		{
			name: "URL", args: []string{"-i", "https://radio.example.com/one.ogg?a=b"},
			input:   `{"producer":{"kind":"http","url":"https://radio.example.com/one.ogg?a=b"}}`,
			handler: `"dst":"/live.ogg"`, url: "/live.ogg",
		},
		{
			name: "TCP", args: []string{"-i", "tcp://:9000"},
			input: `{"producer":{"address":":9000","kind":"tcp"}}`, handler: `"dst":"/live"`, url: "/live",
		},
		{
			name: "UDP", args: []string{"-i", "udp://239.0.0.1:1234/", "--ext=.ts"},
			input: `{"producer":{"address":"239.0.0.1:1234","kind":"udp"}}`, handler: `"dst":"/live.ts","ext":"ts"`, url: "/live.ts",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, inputs, servers, handlers := liveConfig(t, tc.args...)
			if want := `{"input":` + tc.input + `}`; inputs != want {
				t.Errorf("got inputs %s, want %s", inputs, want)
			}
			if servers != "" {
				t.Errorf("got servers %s, want none", servers)
			}
			wantJSON(t, handlers, `{"handler":"httpout","input":"input",`+tc.handler+`}`)
			if got, want := l.urls([]string{"h"}), []string{"http://h" + tc.url}; !reflect.DeepEqual(got, want) {
				t.Errorf("got URLs %v, want %v", got, want)
			}
		})
	}
}

// wantJSON compares what the texts mean.
func wantJSON(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %q, want %q", got, want)
		return
	}
	for i := range got {
		var g, w any
		if err := json.Unmarshal([]byte(got[i]), &g); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want[i]), &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}

func TestConfigOfSource(t *testing.T) {
	l, inputs, servers, handlers := liveConfig(t, "--hmode=source", "--ice", "--maxc=7")
	if want := `{"input":{"producer":{"kind":"upload"}}}`; inputs != want {
		t.Errorf("got inputs %s, want %s", inputs, want)
	}
	if servers != "" {
		t.Errorf("got servers %s, want none", servers)
	}
	wantJSON(t, handlers,
		`{"handler":"httpout","hmode":"source","input":"input","ice":true,"maxc":7}`,
		`{"handler":"httpout","input":"input","dst":"/","ice":true,"maxc":7}`)
	if got, want := l.urls([]string{"h"}), []string{"http://h/"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got URLs %v, want %v", got, want)
	}

	_, _, _, handlers = liveConfig(t, "--hmode=source", "--dst=/live.mp3", "--mime=audio/mpeg")
	wantJSON(t, handlers,
		`{"handler":"httpout","hmode":"source","input":"input","mime":"audio/mpeg"}`,
		`{"handler":"httpout","input":"input","dst":"/live.mp3","mime":"audio/mpeg"}`)

	// the write side comes first
	_, inputs, _, handlers = liveConfig(t, "--hmode=source", "--wdir=a")
	if inputs != "" {
		t.Errorf("got inputs %s, want none", inputs)
	}
	wantJSON(t, handlers, `{"handler":"httpout","hmode":"source","wdir":"a"}`)
}

func TestConfigOfSourceOnTwoPorts(t *testing.T) {
	_, _, servers, handlers := liveConfig(t, "--hmode=source", "--reopen", "--cert=c", "--pkey=k/k.pem", "--port=80,443")
	key, err := json.Marshal(filepath.FromSlash("k/k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	hide := `"hide":[` + string(key) + `]`
	wantJSON(t, []string{servers}, `{"source":{"hmode":"source","reopen":true,`+hide+`},"main":{"reopen":true,`+hide+`}}`)
	wantJSON(t, handlers,
		`{"handler":"httpout","server":"source","input":"input"}`,
		`{"handler":"httpout","server":"main","input":"input","dst":"/"}`)
}

// TestConfigOfInputLoads has Caddy check what the command would run.
func TestConfigOfInputLoads(t *testing.T) {
	for _, args := range []string{
		"-i -", "-i " + t.TempDir() + " --dst /x/", "-i http://localhost/live.mp3 --ice --quit", "-i tcp://127.0.0.1:1",
		"-i udp://127.0.0.1:1", "--hmode source", "--hmode source --maxs 0 --dst /live.mp3",
	} {
		l, err := parseArgs(strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.findInput(); err != nil {
			t.Fatal(err)
		}
		cfg, err := l.config(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(cfg); err != nil {
			t.Errorf("%s: got error %v, want none", args, err)
		}
	}
}

func TestFindInputErrors(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ source, want string }{
		{filepath.Join(dir, "none.mp3"), "--input: "},
		{os.DevNull, "is neither a file, a FIFO nor a folder"},
	} {
		l, err := parseArgs("-i", tc.source)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.findInput(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want %q", tc.source, err, tc.want)
		}
	}
}
