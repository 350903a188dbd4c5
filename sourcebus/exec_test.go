package sourcebus

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestExecProvision(t *testing.T) {
	t.Setenv("HTTPOUT_TEST_WORD", "a word")
	t.Setenv("HTTPOUT_TEST_EMPTY", "")
	for _, test := range []struct {
		name string
		exec Exec
		args []string
		want string // part of the error
	}{
		{name: "plain", exec: Exec{Command: []string{"true", "x"}}, args: []string{"true", "x"}},
		{name: "placeholders", exec: Exec{Command: []string{"echo", "{env.HTTPOUT_TEST_WORD}!", "{unknown.thing}", "{"}}, args: []string{"echo", "a word!", "{unknown.thing}", "{"}},
		{name: "no command", want: "the command is empty"},
		{name: "empty command", exec: Exec{Command: []string{"", "x"}}, want: "the command is empty"},
		{name: "empty variable", exec: Exec{Command: []string{"{env.HTTPOUT_TEST_EMPTY}"}}, want: "the command is empty: {env.HTTPOUT_TEST_EMPTY}"},
		{name: "upload", exec: Exec{Command: []string{"ffmpeg", "{httpout.upload}/live.mpd"}}, want: "{httpout.upload} is not available in this version"},
		{name: "policy", exec: Exec{Command: []string{"true"}, Restart: "sometimes"}, want: "unknown restart policy 'sometimes'"},
		{name: "delay", exec: Exec{Command: []string{"true"}, RestartDelay: -1}, want: "restart_delay is negative"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := test.exec
			err := provision(&x)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if !reflect.DeepEqual(x.args, test.args) {
				t.Errorf("got %q, want %q", x.args, test.args)
			}
			if x.Restart != "on-failure" || time.Duration(x.RestartDelay) != time.Second {
				t.Errorf("got restart %s after %s, want on-failure after 1s", x.Restart, time.Duration(x.RestartDelay))
			}
		})
	}
}

func TestExecCaddyfile(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string // nil for an error
	}{
		{"exec true", []string{"true"}},
		{`exec sh -c "echo 'a b'"`, []string{"sh", "-c", "echo 'a b'"}},
		{"exec", nil},
	} {
		var x Exec
		err := x.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if (err == nil) != (test.want != nil) || !reflect.DeepEqual(x.Command, test.want) {
			t.Errorf("%s: got %q and error %v, want %q", test.text, x.Command, err, test.want)
		}
		var o ExecOutput
		err = o.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if (err == nil) != (test.want != nil) || !reflect.DeepEqual(o.Command, test.want) {
			t.Errorf("%s as an output: got %q and error %v, want %q", test.text, o.Command, err, test.want)
		}
	}
}

func TestExecSetRestart(t *testing.T) {
	for _, test := range []struct {
		policy string
		delay  time.Duration
		ok     bool
	}{
		{"on-failure", 0, true},
		{"always", 5 * time.Second, true},
		{"never", 0, true},
		{"", 0, false},
		{"Always", 0, false},
		{"always", -1, false},
	} {
		var x Exec
		err := x.SetRestart(test.policy, test.delay)
		if (err == nil) != test.ok {
			t.Errorf("%q %s: got error %v, want success: %v", test.policy, test.delay, err, test.ok)
		}
		if test.ok && (x.Restart != test.policy || x.RestartDelay != caddy.Duration(test.delay)) {
			t.Errorf("got restart %s after %s, want %s after %s", x.Restart, time.Duration(x.RestartDelay), test.policy, test.delay)
		}
	}
}
