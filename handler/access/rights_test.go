package access

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDecisions(t *testing.T) {
	groups := parseGroups(t, "staff: bob ann\n")
	more := parseGroups(t, "staff: joe\nempty:\n")

	for _, tc := range []struct {
		keys, user  string
		read, write Decision
	}{
		{"", "", Allowed, NoWriteSide},
		{"", "bob", Allowed, NoWriteSide},
		{"ru=$ALL\nwu=$ALL", "", Allowed, Allowed},
		{"rg=$ALL\nwg=$ALL", "", Allowed, Allowed},
		{"ru=eve,$ALL\nwu=$ALL,eve", "", Allowed, Allowed},
		{"ru=eve\nrg=$ALL\nwu=eve\nwg=$ALL", "bob", Allowed, Allowed},
		{"ru=$NONE\nwu=$NONE", "", Forbidden, Forbidden},
		{"ru=$NONE\nwu=$NONE", "bob", Forbidden, Forbidden},
		{"rg=$NONE\nwg=$NONE", "bob", Forbidden, Forbidden},
		{"ru=$NONE\nrg=staff\nwu=bob\nwg=$NONE", "bob", Forbidden, Forbidden},
		{"ru=bob\nwu=bob,eve", "", NeedLogin, NeedLogin},
		{"ru=bob\nwu=bob,eve", "bob", Allowed, Allowed},
		{"ru=bob\nwu=bob,eve", "eve", Forbidden, Allowed},
		{"ru=bob\nwu=bob,eve", "bo", Forbidden, Forbidden},
		{"ru=bob\nwu=bob,eve", "Bob", Forbidden, Forbidden},
		{"ru=bob", "bob", Allowed, NoWriteSide},
		{"wu=bob", "", Allowed, NeedLogin},
		{"rg=staff", "", NeedLogin, NoWriteSide},
		{"rg=staff\nwg=staff,other", "ann", Allowed, Allowed},
		{"rg=staff\nwg=other", "joe", Allowed, Forbidden},
		{"rg=empty\nwg=unknown", "bob", Forbidden, Forbidden},
		{"ru=eve\nrg=staff\nwu=eve\nwg=staff", "eve", Allowed, Allowed},
		{"ru=eve\nrg=staff\nwu=eve\nwg=staff", "ann", Allowed, Allowed},
		{"ru=eve\nrg=staff\nwu=eve\nwg=staff", "sue", Forbidden, Forbidden},
		{"ru=bob\nwu=bob", "$ALL", Forbidden, Forbidden},
	} {
		s := parseRules(t, t.TempDir(), "[a]\n"+tc.keys+"\n").Sections[0]
		if got := s.CanRead(tc.user, groups, nil, more); got != tc.read {
			t.Errorf("%q, user %q: got read %v, want %v", tc.keys, tc.user, got, tc.read)
		}
		if got := s.CanWrite(tc.user, groups, nil, more); got != tc.write {
			t.Errorf("%q, user %q: got write %v, want %v", tc.keys, tc.user, got, tc.write)
		}
		if got, want := s.HasRead(), strings.Contains(tc.keys, "ru=") || strings.Contains(tc.keys, "rg="); got != want {
			t.Errorf("%q: got HasRead %v, want %v", tc.keys, got, want)
		}
		if got, want := s.HasWrite(), strings.Contains(tc.keys, "wu=") || strings.Contains(tc.keys, "wg="); got != want {
			t.Errorf("%q: got HasWrite %v, want %v", tc.keys, got, want)
		}
	}
}

func TestDecisionsWithoutSection(t *testing.T) {
	var s *Section
	if got := s.CanRead(""); got != Allowed {
		t.Errorf("got read %v, want %v", got, Allowed)
	}
	if got := s.CanWrite("bob"); got != NoWriteSide {
		t.Errorf("got write %v, want %v", got, NoWriteSide)
	}
}

func TestDecisionStatus(t *testing.T) {
	for d, want := range map[Decision]int{Allowed: 200, NeedLogin: 401, Forbidden: 403, NoWriteSide: 405} {
		if got := d.Status(); got != want {
			t.Errorf("%v: got %d, want %d", d, got, want)
		}
	}
	var zero Decision
	if got := zero.Status(); got != 403 {
		t.Errorf("zero decision: got %d, want 403", got)
	}
}

// lineOf returns the line of a section, 0 for none.
func lineOf(s *Section) int {
	if s == nil {
		return 0
	}
	return s.Line
}

func TestMostSpecificSectionDecides(t *testing.T) {
	base := t.TempDir()
	rights := Rights{
		parseRules(t, base, "[web]\n[web/a/b]\n[website]\n[web/a]\n[other/x]\nname=x\n"),
		parseRules(t, base, "\n\n\n\n\n\n\n\n\n[web/a/b/c]\n[web/a]\nname=late\n"),
	}
	for _, tc := range []struct {
		path string
		want int
	}{
		{"web", 1},
		{"web/", 1},
		{"web/f.txt", 1},
		{"web/ab", 1},
		{"website", 3},
		{"website/a/b", 3},
		{"webs", 0},
		{"we", 0},
		{"web/a", 4},
		{"web/a/f", 4},
		{"web/a/bc", 4},
		{"web/a/b", 2},
		{"web/a/b/d/e", 2},
		{"web/a/b/c/d", 10},
		{"web/a/../f", 1},
		{"web/../../web", 0},
		{"other", 0},
		{"other/x/y", 5},
	} {
		name := base + string(filepath.Separator) + filepath.FromSlash(tc.path)
		if got := lineOf(rights.ForPath(name)); got != tc.want {
			t.Errorf("%s: got the section of line %d, want %d", tc.path, got, tc.want)
		}
	}
	if got := rights.ForPath(base); got != nil {
		t.Errorf("got section %v above all sections, want none", got)
	}
	if got := Rights(nil).ForPath(base); got != nil {
		t.Errorf("got section %v without rules, want none", got)
	}
}

func TestSectionOfTheWholeFileSystem(t *testing.T) {
	root := filepath.VolumeName(t.TempDir()) + string(filepath.Separator)
	rights := Rights{parseRules(t, t.TempDir(), "["+root+"]\n")}
	for _, name := range []string{root, root + "a", filepath.Join(root, "a", "b")} {
		if got := lineOf(rights.ForPath(name)); got != 1 {
			t.Errorf("%s: got the section of line %d, want 1", name, got)
		}
	}
}

func TestLongestNameDecides(t *testing.T) {
	rights := Rights{
		parseRules(t, t.TempDir(), "[a]\nname=svc\n[b]\nname=svc/v1/x\n[c]\nname=.hidden\n[d]\n[e]\nname=my films\n"),
		parseRules(t, t.TempDir(), "\n\n\n\n\n\n\n\n\n\n\n\n[z]\nname=svc/v1\n"),
	}
	for _, tc := range []struct {
		url  string
		want int
	}{
		{"/svc", 1},
		{"/svc/", 1},
		{"/svc/foo", 1},
		{"/svcfoo", 0},
		{"/svc/v10", 1},
		{"/svc/v1", 13},
		{"/svc/v1/y", 13},
		{"/svc/v1/x", 3},
		{"/svc/v1/x/y/z", 3},
		{"//svc/foo", 1},
		{"/svc//v1", 13},
		{"/x/../svc/foo", 1},
		{"/../svc/foo", 1},
		{"/../../.hidden", 5},
		{"/.hidden/x", 5},
		{"/./svc", 1},
		{"/svc/../d", 0},
		{"/SVC", 0},
		{"/my films/1.mp4", 8},
		{"/x/svc", 0},
		{"/", 0},
		{"", 0},
		{"svc", 1},
	} {
		if got := lineOf(rights.ForURL(tc.url)); got != tc.want {
			t.Errorf("%s: got the section of line %d, want %d", tc.url, got, tc.want)
		}
	}
	if got := Rights(nil).ForURL("/svc"); got != nil {
		t.Errorf("got section %v without rules, want none", got)
	}
}

func TestMounts(t *testing.T) {
	base := t.TempDir()
	for _, tc := range []struct {
		name  string
		files []string
		want  []int
	}{
		{"all at the root", []string{"[a]\n[b]\n"}, []int{1, 2}},
		{"sub-directory is only about rights", []string{"[a/x]\n[a]\n[ab]\n"}, []int{2, 3}},
		{"named sub-directory is served twice", []string{"[a]\n[a/x]\nname=x\n"}, []int{1, 2}},
		{"below a named one", []string{"[a]\nname=n\n[a/x/y]\n"}, []int{1}},
		{"not existing", []string{"[a]\n[gone]\nname=svc\n"}, []int{1}},
		{"two files", []string{"[a/x]\n[b]\n", "\n\n[a]\n[b/y]\n"}, []int{2, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var rights Rights
			for _, text := range tc.files {
				rules := parseRules(t, base, text)
				if err := rules.Validate(func(dir string) bool { return filepath.Base(dir) != "gone" }); err != nil {
					t.Fatalf("got error %v, want none", err)
				}
				rights = append(rights, rules)
			}
			if err := rights.Validate(); err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			var got []int
			for _, s := range rights.Mounts() {
				got = append(got, s.Line)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got lines %v, want %v", got, tc.want)
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Fatalf("got lines %v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestRightsOfSeveralFilesMustAgree(t *testing.T) {
	base := t.TempDir()
	for _, tc := range []struct {
		name, first, second, want string
	}{
		{"fine", "[a]\nname=x\n", "[a/b]\nname=y\n", ""},
		{"directory", "[a]\n", "\n[a]\n", ":2: directory"},
		{"name", "[a]\nname=x\n", "[b]\nname=x\n", `:1: name "x" is used at`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Rights{parseRules(t, base, tc.first), parseRules(t, base, tc.second)}.Validate()
			if tc.want == "" && err != nil {
				t.Errorf("got error %v, want none", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, tc := range []struct {
		path, dir string
		want      bool
	}{
		{"/a", "/a", true},
		{"/a/b", "/a", true},
		{"/ab", "/a", false},
		{"/a", "/a/b", false},
		{"/a", "/", true},
		{"/", "/", true},
		{"/b/a", "/a", false},
	} {
		if got := Within(filepath.FromSlash(tc.path), filepath.FromSlash(tc.dir)); got != tc.want {
			t.Errorf("%s within %s: got %v, want %v", tc.path, tc.dir, got, tc.want)
		}
	}
}

func TestRightsWhereCaseMakesNoDifference(t *testing.T) {
	defer func(fold bool) { foldPaths = fold }(foldPaths)
	foldPaths = true

	base := t.TempDir()
	rights := Rights{parseRules(t, base, "[web]\n[web/Privé]\nru=$NONE\n")}
	for _, name := range []string{"web/privé/x", "WEB/PRIVÉ/x", "Web/Privé"} {
		if got := rights.ForPath(filepath.Join(base, name)).CanRead(""); got != Forbidden {
			t.Errorf("%s: got %v, want %v", name, got, Forbidden)
		}
	}
	if !Within(filepath.Join(base, "WEB", "x"), filepath.Join(base, "web")) {
		t.Error("got a path outside its directory, want it within")
	}
	_, err := ParseRules(strings.NewReader("[a]\n[A]\n"), "rules.ini", nil)
	if err == nil || !strings.HasPrefix(err.Error(), "rules.ini:2: ") {
		t.Errorf("got error %v, want one for line 2", err)
	}
}

func BenchmarkForPath(b *testing.B) {
	base := b.TempDir()
	rights := Rights{
		parseRules(b, base, "[web]\n[web/a]\nru=u1,u2,u3,bob\n[web/a/b/c/d/e/f/g]\n"),
		parseRules(b, base, "[other]\n"),
	}
	name := filepath.Join(base, "web", "a", "live", "channel1", "video", "seg-123456.m4s")
	b.ReportAllocs()
	for b.Loop() {
		if rights.ForPath(name).CanRead("bob") != Allowed {
			b.Fatal("got a refusal, want none")
		}
	}
}

func BenchmarkForURL(b *testing.B) {
	rights := Rights{parseRules(b, b.TempDir(), "[a]\nname=svc\nrg=staff\n")}
	groups := parseGroups(b, "staff: bob\n")
	b.ReportAllocs()
	for b.Loop() {
		if rights.ForURL("/svc/v1/channels/1/live.mp4").CanRead("bob", groups, nil) != Allowed {
			b.Fatal("got a refusal, want none")
		}
	}
}
