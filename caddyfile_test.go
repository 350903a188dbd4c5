package httpout

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/handler"
)

// parseOptions parses the lines of an httpout block.
func parseOptions(t *testing.T, lines string, where place) (*settings, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser("httpout {\n" + lines + "\n}")
	d.Next()
	return parseSettings(d, where)
}

func TestParseSettings(t *testing.T) {
	ptr := func(n int64) *int64 { return &n }
	num := func(n int) *int { return &n }
	dur := func(d time.Duration) *caddy.Duration { v := caddy.Duration(d); return &v }

	for _, tc := range []struct {
		name  string
		input string
		want  handler.Options
	}{
		{name: "nothing"},
		{name: "rdirs", input: "rdirs a b rules.ini", want: handler.Options{ReadDirs: []string{"a", "b", "rules.ini"}}},
		{name: "wdir", input: "wdir incoming", want: handler.Options{WriteDir: "incoming"}},
		{name: "hmode", input: "hmode default", want: handler.Options{Mode: "default"}},
		{name: "switch alone", input: "dlist", want: handler.Options{DirList: true}},
		{name: "switch on", input: "dlist on", want: handler.Options{DirList: true}},
		{name: "switch true", input: "dlist true", want: handler.Options{DirList: true}},
		{name: "switch yes", input: "dlist yes", want: handler.Options{DirList: true}},
		{name: "switch off", input: "dlist off"},
		{name: "switch false", input: "dlist false"},
		{name: "switch no", input: "dlist no"},
		{name: "all switches", input: "sutc\nnorange\nclose\nfsync\npass_thru", want: handler.Options{
			ServerUTC: true, NoRange: true, Close: true, Fsync: true, PassThru: true,
		}},
		{name: "cors alone", input: "cors", want: handler.Options{CORS: "on"}},
		{name: "cors yes", input: "cors yes", want: handler.Options{CORS: "on"}},
		{name: "cors no", input: "cors no", want: handler.Options{CORS: "off"}},
		{name: "cors auto", input: "cors auto", want: handler.Options{CORS: "auto"}},
		{name: "ranges", input: "ranges multipart", want: handler.Options{Ranges: "multipart"}},
		{name: "sizes", input: "zmax 0\nmaxs 50M", want: handler.Options{ZMax: ptr(0), MaxUpload: ptr(50_000_000)}},
		{name: "counts", input: "maxc 0\nmaxp 12\nmax_client_errors 3", want: handler.Options{
			MaxConns: num(0), MaxPeerConns: num(12), MaxClientErrors: num(3),
		}},
		{name: "timeout", input: "timeout 10", want: handler.Options{Timeout: dur(10 * time.Second)}},
		{name: "timeout for ever", input: "timeout 0", want: handler.Options{Timeout: dur(0)}},
		{name: "texts", input: "user_agent \"me 1\"\ncache_control none", want: handler.Options{UserAgent: "me 1", CacheControl: "none"}},
		{name: "hdrs on several lines", input: "hdrs a 1 b 2\nhdrs a 3", want: handler.Options{
			Headers: http.Header{"A": {"1", "3"}, "B": {"2"}},
		}},
		{name: "hdrs placeholder", input: "hdrs X {http.request.host}", want: handler.Options{
			Headers: http.Header{"X": {"{http.request.host}"}},
		}},
		{name: "reqlog", input: "reqlog GET,PUT", want: handler.Options{ReqLog: "GET,PUT"}},
		{name: "files", input: "users u\ngroups g", want: handler.Options{Users: "u", Groups: "g"}},
		{name: "hide", input: "hide *.tmp .git", want: handler.Options{Hide: []string{"*.tmp", ".git"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := parseOptions(t, tc.input, inSite)
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if !reflect.DeepEqual(s.Options, tc.want) {
				t.Errorf("got %+v, want %+v", s.Options, tc.want)
			}
		})
	}
}

func TestOptionsOfLaterVersionsAreRefused(t *testing.T) {
	later := "max_cache_segs cte post ka js js_timeout js_workers js_allow gmem_max"
	for name := range strings.FieldsSeq(later) {
		for _, input := range []string{name, name + " x", name + " x y"} {
			_, err := parseOptions(t, "dlist\n"+input, inSite)
			want := name + " is not available in this version, at Testfile:3"
			if err == nil || err.Error() != want {
				t.Errorf("%s: got error %v, want %q", input, err, want)
			}
		}
	}
	// nothing else is missing
	for i := range options {
		if opt := &options[i]; opt.set == nil && !strings.Contains(" "+later+" ", " "+opt.name+" ") {
			t.Errorf("%s cannot be set", opt.name)
		}
	}
}

func TestOptionsAreRefusedTwice(t *testing.T) {
	s := new(settings)
	values := map[string]string{
		"hmode": "default", "ranges": "concat", "zmax": "1", "maxs": "1", "maxc": "1", "maxp": "1",
		"timeout": "1", "max_client_errors": "1", "reqlog": "GET", "port": "1",
		"dst": "/x", "mime": "a/b", "max_async_buf": "1", "block_size": "1",
	}
	for i := range options {
		opt := &options[i]
		if opt.set == nil || opt.repeat {
			continue
		}
		args := []string{"x"}
		if v, ok := values[opt.name]; ok {
			args[0] = v
		}
		if opt.min == 0 {
			args = nil
		}
		if err := opt.apply(s, opt.places, args); err != nil {
			t.Errorf("%s: got error %v, want none", opt.name, err)
		}
		if err := opt.apply(s, opt.places, args); err == nil || err.Error() != opt.name+" is given twice" {
			t.Errorf("%s again: got error %v, want that it is given twice", opt.name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name     string
		input    string
		server   string // the options of the server that it names
		wantErr  string
		wantVoid string
	}{
		{name: "read", input: "rdirs a"},
		{name: "write", input: "wdir a"},
		{name: "same directory for both", input: "rdirs a\nwdir a"},
		{name: "nothing", input: "dlist", wantErr: "nothing to serve: set rdirs, wdir or input"},
		{name: "server", input: "server x", server: "rdirs a"},
		{name: "server and certificate", input: "server x\ncert c\npkey k", server: "wdir a"},
		{name: "server and destination", input: "server x\ninput a\ndst /b", server: "ice"},
		{name: "server and options", input: "server x\nwdir a", wantErr: "wdir cannot be set here"},
		{name: "cert alone", input: "rdirs a\ncert c", wantErr: "cert and pkey go together"},
		{name: "pkey alone", input: "rdirs a\npkey k", wantErr: "cert and pkey go together"},
		{name: "same folder name", input: "rdirs x/a y/a/", wantErr: "mounted at /a/"},
		{name: "same folder", input: "rdirs x/a x/../x/a", wantErr: "twice"},
		{name: "same rule file", input: "rdirs rules.ini ./rules.ini", wantErr: "twice"},
		{name: "rule files of the same name", input: "rdirs x/rules.ini y/rules.ini"},
		{name: "placeholders", input: "rdirs {env.A} {env.A}"},
		{name: "mode is void", input: "wdir a\nhmode default", wantVoid: "hmode is ignored, as wdir is set"},
		{name: "mode is not void", input: "rdirs a\nhmode default"},
		{name: "ranges is void", input: "rdirs a\nnorange\nranges concat", wantVoid: "ranges is ignored, as norange is set"},
		{name: "sink", input: "input a\ndst /b\nhold\nreopen\nice\next mp3\nmime a/b\nmax_async_buf 1\nblockio\nblock_size 1\nquit"},
		{name: "sink and directory", input: "input a\nrdirs b", wantErr: "storing an input in rdirs is not available in this version"},
		{name: "sink and uploads", input: "input a\nwdir b", wantErr: "wdir beside an input is not available in this version"},
		{name: "source", input: "input a\nhmode source\nmaxs 1\nhold\nblock_size 1"},
		{name: "source without an input", input: "hmode source", wantErr: "hmode source needs an input"},
		{name: "source and directory", input: "hmode source\ninput a\nrdirs b", wantErr: "rdirs and hmode source cannot be in one block"},
		{name: "destination without an input", input: "rdirs a\ndst /b", wantErr: "dst is where an input appears"},
		{name: "source mode is void", input: "wdir a\nhmode source", wantVoid: "hmode is ignored, as wdir is set"},
		{name: "one is void without an input", input: "rdirs a\nice", wantVoid: "ice is ignored, as there is no input"},
		{name: "void without an input", input: "rdirs a\nhold\nblock_size 1", wantVoid: "hold, block_size are ignored, as there is no input"},
		{name: "void in a sink", input: "input a\ndlist\nmaxs 1", wantVoid: "dlist, maxs are ignored, as only a live stream is served"},
		{name: "void in a source", input: "hmode source\ninput a\ndst /b\ndlist\nreopen", wantVoid: "dst is ignored, as hmode is source; dlist, reopen are ignored, as hmode is source"},
		{name: "off is not void", input: "rdirs a\nice off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := parseOptions(t, tc.input, inSite)
			if err != nil {
				t.Fatal(err)
			}
			o := &s.Options
			if tc.server != "" {
				shared, err := parseOptions(t, tc.server, inServer)
				if err != nil {
					t.Fatal(err)
				}
				o = &shared.Options
			}
			void, err := s.check(o)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if got := strings.Join(void, "; "); got != tc.wantVoid {
				t.Errorf("got void %q, want %q", got, tc.wantVoid)
			}
		})
	}
}

func TestHideFiles(t *testing.T) {
	s := &settings{pkey: "tls/key.pem"}
	s.Hide = []string{"*.tmp"}
	s.hideFiles("Caddyfile", "", "conf/../Caddyfile", "conf/site")
	want := []string{"*.tmp", "./Caddyfile", "conf/site", "tls/key.pem"}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "/", string(os.PathSeparator))
	}
	if !reflect.DeepEqual(s.Hide, want) {
		t.Errorf("got %q, want %q", s.Hide, want)
	}
}

func TestParseSize(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int64 // negative: an error
	}{
		{"0", 0},
		{"50000", 50_000},
		{"1k", 1000},
		{"50M", 50_000_000},
		{"50m", 50_000_000},
		{"50MB", 50_000_000},
		{"50 MB", 50_000_000},
		{"50MiB", 50 << 20},
		{"1.5G", 1_500_000_000},
		{"9223372036854775807", math.MaxInt64},
		{"9223372036854775808", -1},
		{"99999999999999999999", -1},
		{"100000EB", -1},
		{"-1", -1},
		{"", -1},
		{"M", -1},
		{"50Q", -1},
		{"1e9", -1},
	} {
		got, err := parseSize(tc.in)
		if tc.want < 0 {
			if err == nil {
				t.Errorf("%q: got %d, want an error", tc.in, got)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%q: got %d and error %v, want %d", tc.in, got, err, tc.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want time.Duration // negative: an error
	}{
		{"0", 0},
		{"30", 30 * time.Second},
		{"1.5", 1500 * time.Millisecond},
		{".5", 500 * time.Millisecond},
		{"250ms", 250 * time.Millisecond},
		{"1m30s", 90 * time.Second},
		{"1d", 24 * time.Hour},
		{"9000000000", 9_000_000_000 * time.Second},
		{"9300000000", -1},
		{"1e3", -1},
		{"inf", -1},
		{"nan", -1},
		{"0x10", -1},
		{"1.2.3", -1},
		{".", -1},
		{"", -1},
		{"-1", -1},
		{"-1s", -1},
	} {
		got, err := parseDuration(tc.in)
		if tc.want < 0 {
			if err == nil {
				t.Errorf("%q: got %v, want an error", tc.in, got)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%q: got %v and error %v, want %v", tc.in, got, err, tc.want)
		}
	}
}

func TestParseReqLog(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"GET", "GET"},
		{"get, Put", "GET,PUT"},
		{"*", "*"},
		{"*,REC", "*,REC"},
		{"-*", "-*"},
		{"-GET,rec", "-GET,REC"},
		{"SOURCE", "SOURCE"},
		{"", ""},
		{"-", ""},
		{"GET,", ""},
		{"--GET", ""},
		{"GET,-PUT", ""},
		{"TRACE", ""},
	} {
		got, err := parseReqLog(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q: got %q and error %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

func TestSuggestion(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"rdir", ", did you mean 'rdirs'?"},
		{"WDIR", ", did you mean 'wdir'?"},
		{"CacheControl", ", did you mean 'cache_control'?"},
		{"max-client-errors", ", did you mean 'max_client_errors'?"},
		{"useragent", ", did you mean 'user_agent'?"},
		{"browse", ", did you mean 'dlist'?"},
		{"rdirs=a:wdir=b", ", write 'rdirs a:wdir=b'"},
		{"x=y", ""},
		{"xyz", ""},
		{"", ""},
		{strings.Repeat("long", 100), ""},
	} {
		if got := suggestion(tc.in); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

// TestOptionsAreDocumented keeps the document and the parsers together.
func TestOptionsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range options {
		opt := &options[i]
		if !strings.Contains(string(doc), "\n### "+opt.name+"\n") {
			t.Errorf("docs/options.md has no section for %s", opt.name)
			continue
		}
		_, section, _ := strings.Cut(string(doc), "\n### "+opt.name+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		section = strings.Join(strings.Fields(section), " ")
		missing := strings.Contains(section, "Not available in this version.")
		if missing != (opt.set == nil) {
			t.Errorf("docs/options.md, %s: got that it is not available %v, want %v", opt.name, missing, opt.set == nil)
		}
		if !strings.Contains(string(doc), "\n| [`"+opt.name+"`](#"+opt.name+")") {
			t.Errorf("docs/options.md has no line for %s in its table", opt.name)
		}
	}
	for name := range strings.FieldsSeq("admin debug access-log") {
		if !strings.Contains(string(doc), "`--"+name) {
			t.Errorf("docs/options.md does not mention --%s", name)
		}
	}
}

func FuzzCaddyfile(f *testing.F) {
	f.Add("rdirs a b\ndlist\nzmax 50MiB\ntimeout 1.5")
	f.Add("wdir \"a b\"\nhdrs X 1 Y 2\nhdrs X 3\nreqlog -GET,REC")
	f.Add("server x\ncert c\npkey k")
	f.Add("hold {\n\tx\n}")
	f.Add("input radio\ndst /live.mp3\nhold\nreopen\nice\next .mp3\nmime \"audio/ogg; codecs=opus\"")
	f.Add("hmode source\ninput a.b-c_d\nmax_async_buf 1MiB\nblockio\nblock_size 4k\nquit")
	f.Add("port 80\nifce eth0\nhide *")
	f.Fuzz(func(t *testing.T, lines string) {
		tokens, err := caddyfile.Tokenize([]byte("httpout {\n"+lines+"\n}"), "Fuzzfile")
		if err != nil {
			t.Skip()
		}
		for _, where := range []place{inSite, inServer} {
			d := caddyfile.NewDispenser(tokens)
			d.Next()
			s, err := parseSettings(d, where)
			if err != nil {
				continue
			}
			_, _ = s.check(&s.Options)

			// what was accepted must load
			data, err := json.Marshal(&s.Handler)
			if err != nil {
				t.Fatal(err)
			}
			if err := caddy.StrictUnmarshalJSON(data, new(handler.Handler)); err != nil {
				t.Errorf("loading %s: %v", data, err)
			}
		}
	})
}
