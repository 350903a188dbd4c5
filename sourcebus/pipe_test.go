package sourcebus

import (
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestPipeProvision(t *testing.T) {
	t.Setenv("HTTPOUT_TEST_EMPTY", "")
	for _, test := range []struct {
		path string
		ok   bool
	}{
		{"-", true},
		{"/run/radio.fifo", hasFIFOs},
		{"", false},
		{"{env.HTTPOUT_TEST_EMPTY}", false},
	} {
		if err := provision(&Pipe{Path: test.path}); (err == nil) != test.ok {
			t.Errorf("%q: got error %v, want success: %v", test.path, err, test.ok)
		}
	}
}

func TestPipeCaddyfile(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // empty for an error
	}{
		{"pipe -", "-"},
		{"pipe /run/radio.fifo", "/run/radio.fifo"},
		{"pipe", ""},
		{"pipe a b", ""},
	} {
		var p Pipe
		err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if (err == nil) != (test.want != "") || err == nil && p.Path != test.want {
			t.Errorf("%s: got %q and error %v, want %q", test.text, p.Path, err, test.want)
		}
	}
}
