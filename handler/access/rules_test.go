package access

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// parseRules parses rules as if they were in a file of dir.
func parseRules(t testing.TB, dir, text string) *Rules {
	t.Helper()
	rules, err := ParseRules(strings.NewReader(text), filepath.Join(dir, "rules.ini"), nil)
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return rules
}

func TestParseRules(t *testing.T) {
	base := t.TempDir()
	abs := filepath.Join(base, "elsewhere")
	t.Setenv("HTTPOUT_TEST_DIR", abs)

	for _, tc := range []struct {
		name, input string
		want        []Section
	}{
		{
			name:  "one directory",
			input: "[films]",
			want:  []Section{{Dir: filepath.Join(base, "films"), Line: 1}},
		},
		{
			name:  "everything",
			input: "# films\n\n[ films ]\nname = /my films/new/\nru=bob, eve\n\trg = staff\t\n  # not for all\nwu=$NONE\nwg = up1,up2\nfilters = rtspout, httpout\n",
			want: []Section{{
				Dir:   filepath.Join(base, "films"),
				Name:  "my films/new",
				Read:  Permission{Users: []string{"bob", "eve"}, Groups: []string{"staff"}},
				Write: Permission{Users: []string{"$NONE"}, Groups: []string{"up1", "up2"}, none: true},
				Line:  3,
			}},
		},
		{
			name:  "byte order mark and carriage returns",
			input: "\ufeff[a]\r\nru=$ALL\r\n",
			want:  []Section{{Dir: filepath.Join(base, "a"), Read: Permission{Users: []string{"$ALL"}, all: true}, Line: 1}},
		},
		{
			name:  "order is kept",
			input: "[b]\n[a]\n[a/c]\n",
			want: []Section{
				{Dir: filepath.Join(base, "b"), Line: 1},
				{Dir: filepath.Join(base, "a"), Line: 2},
				{Dir: filepath.Join(base, "a", "c"), Line: 3},
			},
		},
		{
			name:  "folder of the rule file, above it and below",
			input: "[.]\n[../up]\n[x/../y//z/]\n",
			want: []Section{
				{Dir: base, Line: 1},
				{Dir: filepath.Join(filepath.Dir(base), "up"), Line: 2},
				{Dir: filepath.Join(base, "y", "z"), Line: 3},
			},
		},
		{
			name:  "brackets in a directory",
			input: "[Film [2020]]\n",
			want:  []Section{{Dir: filepath.Join(base, "Film [2020]"), Line: 1}},
		},
		{
			name:  "placeholder",
			input: "[{env.HTTPOUT_TEST_DIR}/in]\n",
			want:  []Section{{Dir: filepath.Join(abs, "in"), Line: 1}},
		},
		{
			name:  "sections for others are left out",
			input: "[a]\nfilters=rtspout\nru=bob\n[a]\nfilters=httpout\n[b]\nfilters=*\n[c]\nfilters=all\n[d]\nfilters=httpout2\n",
			want: []Section{
				{Dir: filepath.Join(base, "a"), Line: 4},
				{Dir: filepath.Join(base, "b"), Line: 6},
				{Dir: filepath.Join(base, "c"), Line: 8},
			},
		},
		{
			name:  "no line end at the end",
			input: "[a]\nru=bob",
			want:  []Section{{Dir: filepath.Join(base, "a"), Read: Permission{Users: []string{"bob"}}, Line: 1}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			filename := filepath.Join(base, "rules.ini")
			expand := func(s string) string {
				return strings.ReplaceAll(s, "{env.HTTPOUT_TEST_DIR}", os.Getenv("HTTPOUT_TEST_DIR"))
			}
			rules, err := ParseRules(strings.NewReader(tc.input), filename, expand)
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if len(rules.Sections) != len(tc.want) {
				t.Fatalf("got %d sections, want %d", len(rules.Sections), len(tc.want))
			}
			for i, s := range rules.Sections {
				want := tc.want[i]
				want.filename = filename
				if !reflect.DeepEqual(*s, want) {
					t.Errorf("section %d: got %+v, want %+v", i, *s, want)
				}
			}
		})
	}
}

func TestParseRulesErrors(t *testing.T) {
	for _, tc := range []struct {
		name, input, want string
	}{
		{"empty", "", "rules.ini: no section applies to httpout"},
		{"only comments", "# [a]\n", "rules.ini: no section applies to httpout"},
		{"only for others", "[a]\nfilters=rtspout\n", "rules.ini: no section applies to httpout"},
		{"unknown key", "[a]\n\nfoo = 1\n", `rules.ini:3: unknown key "foo" (want name, ru, rg, wu, wg or filters)`},
		{"unknown key of others", "[a]\nfilters=rtspout\nmcast=x\n", `rules.ini:3: unknown key "mcast"`},
		{"upper case key", "[a]\nRU = bob\n", `rules.ini:2: unknown key "RU"`},
		{"key before section", "ru = bob\n[a]\n", `rules.ini:1: key "ru" before the first section`},
		{"no equals sign", "[a]\nru bob\n", `rules.ini:2: got "ru bob", want`},
		{"continued value", "[a]\nru = bob,\n  eve\n", `rules.ini:2: ru: empty name`},
		{"semicolon comment", "[a]\n; no\n", `rules.ini:2: got "; no"`},
		{"unclosed section", "[a\n", `rules.ini:1: section without a closing "]"`},
		{"comment behind section", "[a] # films\n", `rules.ini:1: section without a closing "]"`},
		{"unnamed section", "[ ]\n", "rules.ini:1: section without a name"},
		{"duplicate section", "[a]\n[b]\n[./a/]\n", "a section in line 1 already"},
		{"duplicate key", "[a]\nru=bob\nwu=bob\nru=eve\n", `rules.ini:4: key "ru" is already set in line 2`},
		{"duplicate name", "[a]\nname=x\n[b]\nname=/x/\n", `rules.ini:3: name "x" is used by the section in line 1 already`},
		{"empty name", "[a]\nname =\n", "rules.ini:2: name: empty name"},
		{"slash name", "[a]\nname = //\n", "rules.ini:2: name: empty name"},
		{"dot name", "[a]\nname = .\n", `rules.ini:2: name: "." contains the component "."`},
		{"dots name", "[a]\nname = ..\n", `rules.ini:2: name: ".." contains the component ".."`},
		{"climbing name", "[a]\nname = a/../b\n", `contains the component ".."`},
		{"doubled slash in name", "[a]\nname = a//b\n", `contains the component ""`},
		{"backslash in name", "[a]\nname = a\\..\\b\n", "contains a backslash"},
		{"empty list", "[a]\nru =\n", "rules.ini:2: ru: empty name in the list"},
		{"comment behind list", "[a]\nru = bob # the boss\n", `rules.ini:2: ru: "bob # the boss" contains a space`},
		{"spaces in list", "[a]\nwg = a b\n", `rules.ini:2: wg: "a b" contains a space`},
		{"unknown word", "[a]\nru = $all\n", `rules.ini:2: ru: unknown word "$all" (want $ALL or $NONE)`},
		{"nobody and somebody", "[a]\nru = bob, $NONE\n", "rules.ini:1: ru and rg: $NONE must be alone in its list"},
		{"nobody and anyone", "[a]\n\nwu = $ALL\nwg = $NONE\n", "rules.ini:1: wu and wg: both $ALL and $NONE"},
		{"empty filters", "[a]\nfilters = ,\n", "rules.ini:2: filters: empty list"},
		{"not UTF-8", "[a]\n# \xff\n", "rules.ini:2: not UTF-8 text"},
		{"zero byte", "[a]\nru = b\x00b\n", "rules.ini:2: control character in the line"},
		{"long line", "[a]\n#" + strings.Repeat("x", maxLine), "rules.ini:2: line longer than 1048576 bytes"},
		{"placeholder without value", "[{none}]\n", `rules.ini:1: section "{none}" does not expand to a directory`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expand := func(s string) string { return strings.ReplaceAll(s, "{none}", " ") }
			_, err := ParseRules(strings.NewReader(tc.input), "rules.ini", expand)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestValidateRules(t *testing.T) {
	base := t.TempDir()
	exists := func(dir string) bool { return filepath.Base(dir) == "here" }

	rules := parseRules(t, base, "[here]\nname=a\n[gone]\nname=b\n")
	if err := rules.Validate(exists); err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	for i, want := range []bool{false, true} {
		if got := rules.Sections[i].Virtual; got != want {
			t.Errorf("section %d: got virtual %v, want %v", i, got, want)
		}
	}

	rules = parseRules(t, base, "[here]\n\n[gone]\nru=bob\n")
	err := rules.Validate(exists)
	want := filepath.Join(base, "rules.ini") + ":3: directory"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestRulesHasWrite(t *testing.T) {
	for _, tc := range []struct {
		input string
		want  bool
	}{
		{"[a]\nru=bob\n", false},
		{"[a]\n[b]\nwu=bob\n", true},
		{"[a]\nwg=$NONE\n", true},
	} {
		if got := parseRules(t, t.TempDir(), tc.input).HasWrite(); got != tc.want {
			t.Errorf("%q: got %v, want %v", tc.input, got, tc.want)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add("[films]\nname = movies\nru = bob, eve\nrg=staff\n\n[films/in]\nwu=$ALL\nwg=$NONE\nfilters=httpout\n")
	f.Add("# c\n[a]\r\nfilters=*\r\n[../b]\nname=/x/y/\n")
	f.Add("\ufeff[a [b]]\nru = $NONE\n[{x}]\n")
	f.Add("key=1\n[a\n]]=\n=\n")
	f.Fuzz(func(t *testing.T, input string) {
		expand := func(s string) string { return strings.ReplaceAll(s, "{x}", "y") }
		rules, err := ParseRules(strings.NewReader(input), "f.ini", expand)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.ini:") {
				t.Errorf("got error %v, want it to start with the file", err)
			}
			return
		}
		seen := make(map[string]bool)
		for _, s := range rules.Sections {
			if !filepath.IsAbs(s.Dir) || filepath.Clean(s.Dir) != s.Dir || seen[s.Dir] {
				t.Errorf("got directory %q, want a clean absolute one, once", s.Dir)
			}
			seen[s.Dir] = true
			if got := (Rights{rules}).ForPath(filepath.Join(s.Dir, "\x01", "x")); got != s {
				t.Errorf("got section %v for a file of %q, want its own", got, s.Dir)
			}
			if s.Name != "" {
				if got := (Rights{rules}).ForURL("/" + s.Name); got != s {
					t.Errorf("got section %v for the URL of %q, want its own", got, s.Name)
				}
			}
			for _, p := range []Permission{s.Read, s.Write} {
				if p.all && p.none {
					t.Errorf("got %+v, want no contradiction", p)
				}
			}
		}
		if len(rules.Sections) == 0 {
			t.Error("got no section, want an error")
		}
	})
}
