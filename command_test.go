package httpout

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler"
)

// parseArgs parses a command line.
func parseArgs(args ...string) (*launch, error) {
	fs := pflag.NewFlagSet("httpout", pflag.ContinueOnError)
	addFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, flagError(err)
	}
	return parseFlags(fs)
}

func TestParseFlags(t *testing.T) {
	zero := 0
	for _, tc := range []struct {
		name  string
		args  []string
		want  handler.Options
		ports []int
	}{
		{
			name: "list with commas",
			args: []string{"--rdirs", "a,b"},
			want: handler.Options{ReadDirs: []string{"a", "b"}}, ports: []int{80},
		},
		{
			name: "list by repeating",
			args: []string{"--rdirs", "a", "--rdirs=b,c"},
			want: handler.Options{ReadDirs: []string{"a", "b", "c"}}, ports: []int{80},
		},
		{
			name: "list with quotes",
			args: []string{"--rdirs", `"a,b",c`},
			want: handler.Options{ReadDirs: []string{"a,b", "c"}}, ports: []int{80},
		},
		{
			name: "underscores",
			args: []string{"--rdirs=a", "--cache_control=none", "--max_client_errors", "0", "--user_agent=x"},
			want: handler.Options{ReadDirs: []string{"a"}, CacheControl: "none", MaxClientErrors: &zero, UserAgent: "x"}, ports: []int{80},
		},
		{
			name: "hyphens",
			args: []string{"--rdirs=a", "--cache-control=none", "--max-client-errors", "0", "--user-agent=x"},
			want: handler.Options{ReadDirs: []string{"a"}, CacheControl: "none", MaxClientErrors: &zero, UserAgent: "x"}, ports: []int{80},
		},
		{
			name: "switches",
			args: []string{"--wdir=a", "--dlist", "--sutc=on", "--norange=false", "--cors"},
			want: handler.Options{WriteDir: "a", DirList: true, ServerUTC: true, CORS: "on"}, ports: []int{80},
		},
		{
			name: "headers",
			args: []string{"--rdirs=a", "--hdrs", `A,1,B,"2, 3"`, "--hdrs", "A,4"},
			want: handler.Options{ReadDirs: []string{"a"}, Headers: map[string][]string{"A": {"1", "4"}, "B": {"2, 3"}}}, ports: []int{80},
		},
		{
			name: "reqlog",
			args: []string{"--rdirs=a", "--reqlog=-get", "--reqlog", "put,REC"},
			want: handler.Options{ReadDirs: []string{"a"}, ReqLog: "-GET,PUT,REC"}, ports: []int{80},
		},
		{
			name: "nothing to serve is the demo",
			want: handler.Options{ReadDirs: []string{demoDir}, WriteDir: demoDir, DirList: true}, ports: []int{8080},
		},
		{
			name: "demo with options",
			args: []string{"--port=9000", "--dlist=off", "--cors=auto"},
			want: handler.Options{ReadDirs: []string{demoDir}, WriteDir: demoDir, CORS: "auto"}, ports: []int{9000},
		},
		{
			name: "certificate",
			args: []string{"--rdirs=a", "--cert=c.pem", "--pkey=tls/k.pem"},
			want: handler.Options{ReadDirs: []string{"a"}, Hide: []string{filepath.FromSlash("tls/k.pem")}}, ports: []int{443},
		},
		{
			name: "default port by number",
			args: []string{"--rdirs=a", "--port=0"},
			want: handler.Options{ReadDirs: []string{"a"}}, ports: []int{80},
		},
		{
			name: "two ports",
			args: []string{"--rdirs=a", "--cert=c.pem", "--pkey=k/k.pem", "--port", "8080,0"},
			want: handler.Options{ReadDirs: []string{"a"}, Hide: []string{filepath.FromSlash("k/k.pem")}}, ports: []int{8080, 443},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := parseArgs(tc.args...)
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if !reflect.DeepEqual(l.Options, tc.want) {
				t.Errorf("got %+v, want %+v", l.Options, tc.want)
			}
			if !reflect.DeepEqual(l.ports, tc.ports) {
				t.Errorf("got ports %v, want %v", l.ports, tc.ports)
			}
		})
	}
}

func TestParseFlagsErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		args string
		want string
	}{
		{"unknown", "--frobnicate", "unknown flag: --frobnicate"},
		{"typo", "--rdir a", "unknown flag: --rdir, did you mean --rdirs?"},
		{"value", "--maxs big", "--maxs: 'big' is not a size"},
		{"value of a switch", "--dlist=maybe", "--dlist: 'maybe' is neither on nor off"},
		{"value of a switch without =", "--dlist off", "unexpected argument 'off'"},
		{"empty value", "--rdirs=", "--rdirs: the value is empty"},
		{"twice", "--wdir a --wdir b", "--wdir is given twice"},
		{"switch twice", "--dlist --dlist=off", "--dlist is given twice"},
		{"odd headers", "--hdrs a,b,c", "--hdrs: want pairs of a name and a value"},
		{"later", "--post", "--post is not available in this version"},
		{"later with a value", "--js x.js", "--js is not available in this version"},
		{"later with =", "--max_cache_segs=5", "--max_cache_segs is not available in this version"},
		{"live stream to a URL", "-i - --dst http://x/y", "--dst with a URL, for hmode push, is not available in this version"},
		{"live stream to no path", "-i - --dst live.mp3", "--dst: 'live.mp3' is not a path: write '/live.mp3'"},
		{"live stream and directory", "-i - --rdirs a", "--input and --rdirs: storing an input in a directory is not available in this version"},
		{"live stream and uploads", "-i - --wdir a", "--input and --wdir: an input beside a directory is not available in this version"},
		{"no input", "--input=", "--input: the value is empty"},
		{"two inputs", "-i - -i a", "--input is given twice"},
		{"input of a source", "-i - --hmode source", "--input cannot be used with --hmode source"},
		{"directory of a source", "--rdirs a --hmode source", "--rdirs cannot be used with --hmode source"},
		{"path without an input", "--dst /live.mp3", "--dst needs --input or --hmode source"},
		{"path of a void source", "--dst /live.mp3 --wdir a --hmode source", "--dst needs --input or --hmode source"},
		{"scheme", "-i srt://x:9", "--input: 'srt://x:9' is of an unknown scheme: want http, https, tcp or udp"},
		{"URL without a host", "-i http:///x", "--input: the URL cannot be understood"},
		{"later mode", "--hmode push", "--hmode push is not available in this version"},
		{"memory", "--rdirs gmem", "--rdirs gmem is not available in this version"},
		{"Caddyfile only", "--server x", "--server is for a Caddyfile only"},
		{"Caddyfile only switch", "--pass_thru", "--pass_thru is for a Caddyfile only"},
		{"no such port", "--port 65536", "--port: '65536' is not a port"},
		{"port is no number", "--port http", "--port: 'http' is not a port"},
		{"three ports", "--port 1,2,3", "--port: want at most two ports"},
		{"same port twice", "--port 80,80", "--port: port 80 is given twice"},
		{"two ports without certificate", "--rdirs a --port 80,443", "--port: two ports are for HTTP and HTTPS"},
		{"two ports of the demo", "--port 80,443", "--port: two ports are for HTTP and HTTPS"},
		{"certificate without key", "--rdirs a --cert c", "--cert and --pkey go together"},
		{"same folder name", "--rdirs a/x,b/x", "--rdirs 'a/x' and 'b/x' would both be mounted at /x/"},
		{"line break", "--rdirs a\nb", "line break"},
		{"argument", "outcoming", "unexpected argument 'outcoming'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseArgs(strings.Split(tc.args, " ")...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestEveryOptionHasItsFlag(t *testing.T) {
	fs := pflag.NewFlagSet("httpout", pflag.ContinueOnError)
	addFlags(fs)
	for i := range options {
		opt := &options[i]
		f := fs.Lookup(opt.name)
		if f == nil {
			t.Errorf("there is no flag for %s", opt.name)
			continue
		}
		if !f.Hidden && f.Usage == "" {
			t.Errorf("--%s has no help text", opt.name)
		}
	}
}

func TestCommandHelpNamesTheFlags(t *testing.T) {
	cmd := &cobra.Command{Use: "httpout"}
	setupCommand(cmd)
	help := cmd.Flags().FlagUsages()
	for _, want := range []string{"--rdirs", "--cache-control", "--port port", "--admin", "--access-log", "-v, --debug", "-i, --input source"} {
		if !strings.Contains(help, want) {
			t.Errorf("got help without %q", want)
		}
	}
	if strings.Contains(help, "--post") {
		t.Error("got help with an option that is not available")
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		hosts []string
		// what each server listens on, and whether with TLS
		listen map[string][]string
		tls    map[string]bool
	}{
		{
			name:   "all addresses",
			args:   []string{"--rdirs=a", "--port=8080"},
			listen: map[string][]string{"http": {":8080"}},
		},
		{
			name:   "some addresses",
			args:   []string{"--rdirs=a"},
			hosts:  []string{"127.0.0.1", "::1"},
			listen: map[string][]string{"http": {"127.0.0.1:80", "[::1]:80"}},
		},
		{
			name:   "HTTPS",
			args:   []string{"--rdirs=a", "--cert=c", "--pkey=k"},
			listen: map[string][]string{"https": {":443"}},
			tls:    map[string]bool{"https": true},
		},
		{
			name:   "both",
			args:   []string{"--rdirs=a", "--cert=c", "--pkey=k", "--port=8080,8443"},
			listen: map[string][]string{"http": {":8080"}, "https": {":8443"}},
			tls:    map[string]bool{"https": true},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := parseArgs(tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := l.config(tc.hosts)
			if err != nil {
				t.Fatal(err)
			}
			if !cfg.Admin.Disabled || *cfg.Admin.Config.Persist {
				t.Error("got the admin API or a stored configuration, want neither")
			}

			var http caddyhttp.App
			if err := json.Unmarshal(cfg.AppsRaw["http"], &http); err != nil {
				t.Fatal(err)
			}
			if http.GracePeriod <= 0 {
				t.Errorf("got grace period %v, want a short one", http.GracePeriod)
			}
			if len(http.Servers) != len(tc.listen) {
				t.Errorf("got %d servers, want %d", len(http.Servers), len(tc.listen))
			}
			for name, srv := range http.Servers {
				if !reflect.DeepEqual(srv.Listen, tc.listen[name]) {
					t.Errorf("%s: got addresses %v, want %v", name, srv.Listen, tc.listen[name])
				}
				if got := len(srv.TLSConnPolicies) > 0; got != tc.tls[name] {
					t.Errorf("%s: got TLS %v, want %v", name, got, tc.tls[name])
				}
				if !srv.AutoHTTPS.Disabled {
					t.Errorf("%s: got automatic HTTPS, want none", name)
				}
			}
			if got := cfg.AppsRaw["tls"] != nil; got != (len(tc.tls) > 0) {
				t.Errorf("got the tls app %v, want %v", got, len(tc.tls) > 0)
			}
		})
	}
}

func TestConfigSharesOneServerBetweenTwoPorts(t *testing.T) {
	l, err := parseArgs("--rdirs=a", "--maxc=7", "--cert=c", "--pkey=k", "--port=80,443")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := l.config(nil)
	if err != nil {
		t.Fatal(err)
	}
	var app App
	if err := json.Unmarshal(cfg.AppsRaw["httpout"], &app); err != nil {
		t.Fatal(err)
	}
	o := app.Servers[sharedServer]
	if o == nil {
		t.Fatalf("got servers %v, want one of them %s", app.Servers, sharedServer)
	}
	if o.MaxConns == nil || *o.MaxConns != 7 {
		t.Errorf("got maxc %v, want 7", o.MaxConns)
	}
	want := `{"handler":"httpout","server":"` + sharedServer + `"}`
	if got := string(cfg.AppsRaw["http"]); strings.Count(got, want) != 2 {
		t.Errorf("got %s, want %s in two servers", got, want)
	}
}

func TestConfigOfFlags(t *testing.T) {
	l, err := parseArgs("--rdirs=a", "--admin=localhost:2020", "-v", "--access-log")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := l.config(nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Admin.Disabled || cfg.Admin.Listen != "localhost:2020" {
		t.Errorf("got admin %+v, want it at localhost:2020", cfg.Admin)
	}
	if cfg.Logging == nil || cfg.Logging.Logs["default"].Level != "DEBUG" {
		t.Error("got no debug log, want one")
	}
	if !strings.Contains(string(cfg.AppsRaw["http"]), `"logs":{}`) {
		t.Errorf("got %s, want an access log", cfg.AppsRaw["http"])
	}
}

func TestURLs(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  string
		hosts []string
		want  []string
	}{
		{"usual port", "--rdirs=a", []string{"h"}, []string{"http://h/"}},
		{"other port", "--rdirs=a --port=8080", []string{"h"}, []string{"http://h:8080/"}},
		{"IPv6", "--rdirs=a", []string{"::1"}, []string{"http://[::1]/"}},
		{"IPv6 and port", "--rdirs=a --port=81", []string{"::1"}, []string{"http://[::1]:81/"}},
		{"HTTPS", "--rdirs=a --cert=c --pkey=k", []string{"h"}, []string{"https://h/"}},
		{"both", "--rdirs=a --cert=c --pkey=k --port=80,8443", []string{"h"}, []string{"http://h/", "https://h:8443/"}},
		{"demo", "--cors", []string{"h"}, []string{"http://h:8080/index.html", "http://h:8080/"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := parseArgs(strings.Split(tc.args, " ")...)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.urls(tc.hosts); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}

	l, err := parseArgs("--rdirs=a")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.urls(nil); got[0] != "http://localhost/" || len(got) > 1+maxShownAddresses {
		t.Errorf("got %v, want localhost first and few others", got)
	}
}

func TestListenHosts(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"127.0.0.1", []string{"127.0.0.1"}},
		{"::1", []string{"::1"}},
		{"[::1]", []string{"::1"}},
	} {
		got, err := listenHosts(tc.in)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: got %v and error %v, want %v", tc.in, got, err, tc.want)
		}
	}
	if got, err := listenHosts("no such interface"); err == nil {
		t.Errorf("got %v, want an error", got)
	}

	ifis, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	for _, ifi := range ifis {
		if ifi.Flags&net.FlagLoopback == 0 || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		got, err := listenHosts(ifi.Name)
		if err != nil || len(got) == 0 {
			t.Errorf("%s: got %v and error %v, want its addresses", ifi.Name, got, err)
		}
	}
}

func TestMakeDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), demoDir)
	if err := makeDemo(dir); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "index.html")
	data, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(data), "curl -T") {
		t.Fatalf("got page %q and error %v, want one with examples", data, err)
	}

	// what is there stays
	if err := os.WriteFile(page, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := makeDemo(dir); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(page); string(data) != "mine" {
		t.Errorf("got page %q, want it as it was", data)
	}
}
