package caddytest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddytest"

	_ "github.com/caddy-httpout/httpout"
)

// TestAdaptFixtures adapts each fixture. A fixture is a Caddyfile, a separator
// line, and either the JSON it becomes or a part of the error it causes. After
// the JSON, and another separator, stand the warnings; without them there must
// be none.
func TestAdaptFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "----------\n")
			if len(parts) < 2 {
				t.Fatal("fixture has no separator line")
			}
			in, want := parts[0], strings.TrimSpace(parts[1])

			_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(in), nil)
			if !strings.HasPrefix(want, "{") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v, want it to contain %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}

			var got strings.Builder
			for _, w := range warnings {
				got.WriteString(w.String() + "\n")
			}
			var wantWarnings string
			if len(parts) > 2 {
				wantWarnings = parts[2]
			}
			if got.String() != wantWarnings {
				t.Errorf("got warnings\n%s\nwant\n%s", got.String(), wantWarnings)
			}

			if runtime.GOOS == "windows" {
				want = strings.ReplaceAll(want, `"./Caddyfile"`, `".\\Caddyfile"`)
				want = strings.ReplaceAll(want, `"./key.pem"`, `".\\key.pem"`)
			}
			caddytest.AssertAdapt(t, in, "caddyfile", want)
		})
	}
}
