package handler

import (
	"net/http"
	"strings"
	"testing"
)

// TestKeyTellsServersApart checks what the counters are found by after a
// reload.
func TestKeyTellsServersApart(t *testing.T) {
	key := func(server string, o Options) string {
		t.Helper()
		k, err := Key(server, o)
		if err != nil || k == "" || strings.Contains(k, "secret") {
			t.Errorf("got %q, %v, want a key that tells no options", k, err)
		}
		return k
	}
	base := func() Options {
		return Options{ReadDirs: []string{"secret"}, Headers: http.Header{"A": {"1"}, "B": {"2"}}}
	}
	other := base()
	other.WriteDir = "secret"
	equal(t, "the same again", key("srv0", base()), key("srv0", base()))
	for what, k := range map[string]string{
		"other options": key("srv0", other),
		"other server":  key("srv1", base()),
		"no options":    key("srv0", Options{}),
	} {
		equal(t, what+": the same key", k == key("srv0", base()), false)
	}
}

func TestOptionsThatAreEmpty(t *testing.T) {
	zero := int64(0)
	for _, tc := range []struct {
		name string
		o    Options
		want bool
	}{
		{"none", Options{}, true},
		{"what the adapter hides", Options{Hide: []string{"Caddyfile"}}, true},
		{"a switch", Options{DirList: true}, false},
		{"a limit of nothing", Options{ZMax: &zero}, false},
		{"folders", Options{ReadDirs: []string{"www"}}, false},
	} {
		equal(t, tc.name, tc.o.empty(), tc.want)
	}
}
