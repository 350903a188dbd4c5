package httpout

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-httpout/httpout/handler"
	"github.com/caddy-httpout/httpout/sourcebus"
)

// parseGlobal parses the lines of the httpout global option.
func parseGlobal(tokens []caddyfile.Token) (*App, error) {
	opt, err := parseGlobalOption(caddyfile.NewDispenser(tokens), nil)
	if err != nil {
		return nil, err
	}
	app := new(App)
	return app, json.Unmarshal(opt.(httpcaddyfile.App).Value, app)
}

func globalTokens(t *testing.T, lines string) []caddyfile.Token {
	t.Helper()
	tokens, err := caddyfile.Tokenize([]byte("httpout {\n"+lines+"\n}"), "Testfile")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestParseInput(t *testing.T) {
	for _, tc := range []struct {
		name     string
		input    string
		producer string
		want     sourcebus.Config // without the producer
	}{
		{name: "no kind", input: "input a", producer: `{"kind":"upload"}`},
		{name: "no kind but a block", input: "input a {\nmime audio/mpeg\n}", producer: `{"kind":"upload"}`, want: sourcebus.Config{MediaType: "audio/mpeg"}},
		{name: "empty block", input: "input a {\n}", producer: `{"kind":"upload"}`},
		{name: "kind in the line", input: "input a pipe -", producer: `{"kind":"pipe","path":"-"}`},
		{name: "kind in the block", input: "input a {\npipe -\n}", producer: `{"kind":"pipe","path":"-"}`},
		{
			name: "kind among options", input: "input a {\next .ts\npipe -\nwidth 1920\n}",
			producer: `{"kind":"pipe","path":"-"}`, want: sourcebus.Config{Ext: "ts", Width: 1920},
		},
		{
			name: "brace as an argument", input: "input a exec sh \"{\" x {\nheight 2\n}",
			producer: `{"command":["sh","{","x"],"kind":"exec"}`, want: sourcebus.Config{Height: 2},
		},
		{name: "restart before its kind", input: "input a {\nrestart never\nexec x\n}", producer: `{"command":["x"],"kind":"exec","restart":"never"}`},
		{
			name: "restart with a delay", input: "input a exec x {\nrestart always 1.5\n}",
			producer: `{"command":["x"],"kind":"exec","restart":"always","restart_delay":1500000000}`,
		},
		{
			name:     "properties",
			input:    "input a {\nservice_name \"Radio 1\"\nmeta Ice-Genre Jazz\nmeta ice-url http://x/\nsamplerate 48k\nchannels 2\nbitrate 128000\n}",
			producer: `{"kind":"upload"}`,
			want: sourcebus.Config{
				ServiceName: "Radio 1", Meta: map[string]string{"ice-genre": "Jazz", "ice-url": "http://x/"},
				SampleRate: 48_000, Channels: 2, Bitrate: 128_000,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app, err := parseGlobal(globalTokens(t, tc.input))
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			got := app.Inputs["a"]
			if got == nil {
				t.Fatalf("got inputs %v, want one named a", app.Inputs)
			}
			if string(got.ProducerRaw) != tc.producer {
				t.Errorf("got producer %s, want %s", got.ProducerRaw, tc.producer)
			}
			got.ProducerRaw = nil
			if !reflect.DeepEqual(*got, tc.want) {
				t.Errorf("got %+v, want %+v", *got, tc.want)
			}
		})
	}
}

func TestParseOutput(t *testing.T) {
	app, err := parseGlobal(globalTokens(t, "output a exec x -y\noutput a file z\noutput b file z"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range app.Outputs {
		got = append(got, o.Input+" "+string(o.ConsumerRaw))
	}
	want := []string{
		`a {"command":["x","-y"],"kind":"exec"}`,
		`a {"dir":"z","kind":"file"}`,
		`b {"dir":"z","kind":"file"}`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// blockInput is a kind of input whose configuration is a block, as those of
// other plugins may be.
type blockInput struct {
	Device string   `json:"device,omitempty"`
	Modes  []string `json:"modes,omitempty"`
}

func (blockInput) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "httpout.inputs.test_block", New: func() caddy.Module { return new(blockInput) }}
}

func (b *blockInput) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&b.Device) {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		b.Modes = append(b.Modes, d.Val())
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	return nil
}

// bareInput is a kind of input that a Caddyfile cannot configure.
type bareInput struct{}

func (bareInput) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "httpout.inputs.test_bare", New: func() caddy.Module { return new(bareInput) }}
}

func TestParseInputOfAnotherPlugin(t *testing.T) {
	for _, m := range []caddy.Module{blockInput{}, bareInput{}} {
		if _, err := caddy.GetModule(string(m.CaddyModule().ID)); err != nil {
			caddy.RegisterModule(m)
		}
	}

	app, err := parseGlobal(globalTokens(t, "input a {\ntest_block dev {\nx\ny\n}\nwidth 1\n}\ninput b {\ntest_block dev {\n}\n}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(app.Inputs["a"].ProducerRaw), `{"device":"dev","kind":"test_block","modes":["x","y"]}`; got != want {
		t.Errorf("got producer %s, want %s", got, want)
	}
	if app.Inputs["a"].Width != 1 {
		t.Errorf("got width %d, want what follows the kind's block, 1", app.Inputs["a"].Width)
	}
	if got, want := string(app.Inputs["b"].ProducerRaw), `{"device":"dev","kind":"test_block"}`; got != want {
		t.Errorf("got producer %s, want %s", got, want)
	}

	for input, want := range map[string]string{
		"input a {\ntest_block dev {\nx y\n}\n}":              "wrong argument count or unexpected line ending after 'y', at Testfile:4",
		"input a test_bare":                                   "httpout.inputs.test_bare cannot be configured in a Caddyfile, at Testfile:2",
		"input a {\npipe - {\nx\n}\n}":                        "pipe does not take '{', at Testfile:3",
		"input a pipe - {\npipe -\n}":                         "the input has two kinds, pipe and pipe: an input has one, at Testfile:3",
		"input a upload x":                                    "at Testfile:2",
		"input a {\nrestart always\n}":                        "parsing restart: only what is run can be restarted: an exec input, at Testfile:3",
		"input a exec x {\nrestart never 1\nrestart never\n}": "restart is given twice, at Testfile:4",
	} {
		if _, err := parseGlobal(globalTokens(t, input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", input, err, want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int // 0: an error
	}{
		{"1", 1},
		{"44100", 44_100},
		{"44.1k", 44_100},
		{"128K", 128_000},
		{"2.5M", 2_500_000},
		{"2147483647", 2_147_483_647},
		{"2147483648", 0},
		{"9999999999999999999999M", 0},
		{"0", 0},
		{"0.4", 0},
		{"-1", 0},
		{"1e3", 0},
		{"0x10", 0},
		{"inf", 0},
		{"k", 0},
		{".", 0},
		{"", 0},
		{"128kb", 0},
		{"128 k", 0},
	} {
		got, err := parseRate(tc.in)
		if got != tc.want || (err == nil) != (tc.want != 0) {
			t.Errorf("%q: got %d and error %v, want %d", tc.in, got, err, tc.want)
		}
	}
}

func TestCheckInputName(t *testing.T) {
	for name, want := range map[string]bool{
		"radio": true, "Radio-1_a.b": true, "0": true, ".": true,
		"": false, "a b": false, "a/b": false, "ä": false, "a:b": false, "{env.X}": false, "a\x00": false,
	} {
		if err := checkInputName(name); (err == nil) != want {
			t.Errorf("%q: got error %v, want that it is valid %v", name, err, want)
		}
	}
}

// TestInputsAreDocumented keeps the document and the parser together.
func TestInputsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, kind := range kindsOf(inputKinds) {
		if !strings.HasPrefix(kind, "test_") && !strings.Contains(doc, "\n#### "+kind+"\n") {
			t.Errorf("docs/options.md has no section for the input kind %s", kind)
		}
	}
	for _, kind := range kindsOf(outputKinds) {
		if !strings.Contains(doc, "\n#### output "+kind+"\n") {
			t.Errorf("docs/options.md has no section for the output kind %s", kind)
		}
	}
	_, table, _ := strings.Cut(doc, "\n### Options of an input\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for i := range inputOptions {
		if name := inputOptions[i].name; !strings.Contains(table, "| `"+name+" ") && !strings.Contains(table, "| `"+name+"` ") {
			t.Errorf("docs/options.md does not explain %s of an input", name)
		}
	}
}

func FuzzGlobalOption(f *testing.F) {
	f.Add("input radio")
	f.Add("input radio exec ffmpeg -re -i \"a b\" - {\nrestart always 1.5\nmime audio/mpeg\nmeta ice-genre x\n}")
	f.Add("input a {\nfile x realtime loop\nbitrate 128k\nservice_name \"a b\"\n}\ninput b pipe -")
	f.Add("input a tcp :1\ninput b udp 239.0.0.1:2 eth0\ninput c http http://x/\ninput d watch dir\ninput e upload")
	f.Add("output a exec x y\noutput a file dir\nserver s {\nhmode source\nhold\n}")
	f.Add("input a {\ntcp :1 {\nx {\n}\n}\n}")
	f.Add("push http://x/ {\ninput a\n}")
	f.Fuzz(func(t *testing.T, lines string) {
		tokens, err := caddyfile.Tokenize([]byte("httpout {\n"+lines+"\n}"), "Fuzzfile")
		if err != nil {
			t.Skip()
		}
		opt, err := parseGlobalOption(caddyfile.NewDispenser(tokens), nil)
		if err != nil {
			return
		}

		// what was accepted must load
		var app App
		if err := caddy.StrictUnmarshalJSON(opt.(httpcaddyfile.App).Value, &app); err != nil {
			t.Fatalf("loading %s: %v", opt.(httpcaddyfile.App).Value, err)
		}
		for name, c := range app.Inputs {
			if err := c.Check(); err != nil {
				t.Errorf("input %q: %v", name, err)
			}
			loadKind(t, inputKinds, c.ProducerRaw)
		}
		for _, c := range app.Outputs {
			loadKind(t, outputKinds, c.ConsumerRaw)
		}
		for name, o := range app.Servers {
			if o == nil {
				t.Errorf("server %q has no options", name)
			}
		}
		for name := range app.Inputs {
			if err := checkServed(new(handler.Options), handler.Destination{Input: name}); err != nil {
				t.Errorf("input %q cannot be served: %v", name, err)
			}
		}
	})
}

// loadKind decodes the configuration of a module as Caddy would.
func loadKind(t *testing.T, namespace string, raw json.RawMessage) {
	t.Helper()
	var fields map[string]json.RawMessage
	var kind string
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatalf("loading %s: %v", raw, err)
	}
	if err := json.Unmarshal(fields["kind"], &kind); err != nil {
		t.Fatalf("loading %s: %v", raw, err)
	}
	delete(fields, "kind")
	rest, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	info, err := caddy.GetModule(namespace + "." + kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.StrictUnmarshalJSON(rest, info.New()); err != nil {
		t.Errorf("loading %s: %v", raw, err)
	}
}
