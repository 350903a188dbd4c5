package sourcebus

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// kind is a producer that a Caddyfile can configure.
type kind interface {
	Producer
	caddyfile.Unmarshaler
	caddy.Provisioner
}

func TestReadersAreConfigured(t *testing.T) {
	t.Setenv("HTTPOUT_TEST_NAME", "value")
	kinds := map[string]func() kind{
		"file":  func() kind { return new(File) },
		"tcp":   func() kind { return new(TCP) },
		"udp":   func() kind { return new(UDP) },
		"http":  func() kind { return new(HTTP) },
		"watch": func() kind { return new(Watch) },
	}
	for _, tc := range []struct {
		line string
		want string // JSON after provisioning
		err  string
	}{
		{line: "file a.mp3", want: `{"path":"a.mp3"}`},
		{line: "file a.mp3 realtime", want: `{"path":"a.mp3","realtime":true}`},
		{line: `file "a b.mp3" loop realtime`, want: `{"path":"a b.mp3","realtime":true,"loop":true}`},
		{line: "file /{env.HTTPOUT_TEST_NAME}.ts", want: `{"path":"/value.ts"}`},
		{line: "file /{env.HTTPOUT_TEST_MISSING}.ts", err: "placeholder"},
		{line: "file", err: "wrong argument count"},
		{line: `file ""`, err: "is missing"},
		{line: "file a.mp3 b.mp3", err: "unrecognized word 'b.mp3'"},
		{line: "file a.mp3 loop realtime loop", err: "'loop' is there twice"},

		{line: "tcp :9000", want: `{"address":":9000"}`},
		{line: "tcp 127.0.0.1:9000", want: `{"address":"127.0.0.1:9000"}`},
		{line: "tcp [::1]:9000", want: `{"address":"[::1]:9000"}`},
		{line: "tcp tcp4/:9000", want: `{"address":"tcp4/:9000"}`},
		{line: "tcp unix//run/radio.sock", want: `{"address":"unix//run/radio.sock"}`},
		{line: "tcp", err: "wrong argument count"},
		{line: "tcp :9000 :9001", err: "wrong argument count"},
		{line: "tcp 127.0.0.1", err: "has no port"},
		{line: "tcp :9000-9001", err: "has several ports"},
		{line: "tcp :port", err: "parsing address"},
		{line: "tcp udp/:9000", err: `network "udp" is not one of [tcp tcp4 tcp6 unix]`},

		{line: "udp :1234", want: `{"address":":1234"}`},
		{line: "udp 239.0.0.1:1234", want: `{"address":"239.0.0.1:1234"}`},
		{line: "udp 239.0.0.1:1234 eth0", want: `{"address":"239.0.0.1:1234","interface":"eth0"}`},
		{line: "udp 239.0.0.1:1234 {env.HTTPOUT_TEST_NAME}", want: `{"address":"239.0.0.1:1234","interface":"value"}`},
		{line: "udp [ff02::1%eth0]:1234", want: `{"address":"[ff02::1%eth0]:1234","interface":"eth0"}`},
		{line: "udp", err: "wrong argument count"},
		{line: "udp 239.0.0.1:1234 eth0 eth1", err: "wrong argument count"},
		{line: "udp 127.0.0.1:1234 eth0", err: "only for multicast groups"},
		{line: "udp 239.0.0.1", err: "has no port"},
		{line: "udp tcp/:1234", err: "is not one of"},

		{line: "http http://radio.example/live.mp3", want: `{"url":"http://radio.example/live.mp3"}`},
		{line: "http https://u:p@radio.example:8443/", want: `{"url":"https://u:p@radio.example:8443/"}`},
		{line: "http http://radio.example/{env.HTTPOUT_TEST_NAME}", want: `{"url":"http://radio.example/value"}`},
		{line: "http", err: "wrong argument count"},
		{line: "http http://a/ http://b/", err: "wrong argument count"},
		{line: "http ftp://u:secret@radio.example/", err: "the URL ftp://u:xxxxx@radio.example/ is of neither http nor https"},
		{line: "http radio.example/live", err: "is of neither http nor https"},
		{line: "http http:///live", err: "has no host"},
		{line: "http http://u:secret@a:port/", err: "parsing the URL: invalid port"},

		{line: "watch /srv/out", want: `{"dir":"/srv/out"}`},
		{line: "watch", err: "wrong argument count"},
		{line: "watch a b", err: "wrong argument count"},
		{line: "watch {env.HTTPOUT_TEST_MISSING}", err: "placeholder"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			name, _, _ := strings.Cut(tc.line, " ")
			p := kinds[name]()
			err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tc.line))
			if err == nil {
				err = p.Provision(caddy.Context{Context: context.Background()})
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret") {
					t.Fatalf("got error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(p); string(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if p.Many() != (name == "watch") {
				t.Errorf("got many %v", p.Many())
			}
		})
	}
}
