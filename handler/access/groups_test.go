package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parseGroups(t testing.TB, text string) *Groups {
	t.Helper()
	g, err := ParseGroups(strings.NewReader(text), "groups")
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return g
}

func TestParseGroups(t *testing.T) {
	g := parseGroups(t, "# staff\nstaff: bob  eve\n\nempty:\nstaff:ann\r\n other : zoë\t$ALL\n")
	for _, tc := range []struct {
		group, user string
		want        bool
	}{
		{"staff", "bob", true},
		{"staff", "eve", true},
		{"staff", "ann", true},
		{"staff", "zoë", false},
		{"other", "zoë", true},
		{"empty", "bob", false},
		{"none", "bob", false},
		{"", "", false},
	} {
		if got := g.Has(tc.group, tc.user); got != tc.want {
			t.Errorf("%q in %q: got %v, want %v", tc.user, tc.group, got, tc.want)
		}
	}
	if got := g.Len(); got != 3 {
		t.Errorf("got %d groups, want 3", got)
	}
	var none *Groups
	if none.Has("staff", "bob") || none.Len() != 0 {
		t.Error("got members of no groups, want none")
	}
}

func TestParseGroupsErrors(t *testing.T) {
	for _, tc := range []struct{ name, input, want string }{
		{"no colon", "\nstaff bob\n", `groups:2: got "staff bob", want "group: user user"`},
		{"no group", ": bob\n", "groups:1: "},
		{"space in group", "the staff: bob\n", "groups:1: "},
		{"commas", "a: b\nstaff: bob, eve\n", `groups:2: group "staff": comma in the list`},
		{"zero byte", "staff: b\x00b\n", "groups:1: control character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseGroups(strings.NewReader(tc.input), "groups")
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestLoadGroups(t *testing.T) {
	filename := filepath.Join(t.TempDir(), "groups")
	if _, err := LoadGroups(filename); !os.IsNotExist(err) {
		t.Errorf("got error %v, want one for a missing file", err)
	}
	if err := os.WriteFile(filename, []byte("staff: bob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := LoadGroups(filename)
	if err != nil || !g.Has("staff", "bob") {
		t.Errorf("got error %v, want bob in the group", err)
	}
}
