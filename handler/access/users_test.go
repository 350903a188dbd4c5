package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Hashes that another implementation (libxcrypt) made: of "secret", and of
// "pässwörd" in UTF-8.
const (
	bcryptSecret  = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
	bcryptUmlauts = "$2b$05$./ABCDEFGHIJKLMNOPQRSOPmu8XbHzqZzBDY5SNdaETmkp3T91Q1q"
)

// The salted hash of "open sesame".
const (
	saltedSesame = "71ec44bb95d8e9cfcfb6418084ca5088beca6331b3ea7f48c82eba4ab5c1b0ba"
	saltSesame   = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

const referenceUsers = `
[bob]
created=1712345678
password=` + saltedSesame + `
salt=` + saltSesame + `
company=Films
  and more

# comment
[groups]
staff=bob, eve,
empty=
`

func parseUsers(t testing.TB, text string) *Users {
	t.Helper()
	u, err := ParseUsers(strings.NewReader(text), "users")
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return u
}

func TestUsersMatch(t *testing.T) {
	htpasswd := "# users\n\nbob:" + bcryptSecret + "\r\nzoë:" + bcryptUmlauts + "\nA B:" + strings.Replace(bcryptSecret, "2y", "2a", 1)
	for _, tc := range []struct {
		name, file, user, password string
		known, want                bool
	}{
		{"right", htpasswd, "bob", "secret", true, true},
		{"wrong", htpasswd, "bob", "Secret", true, false},
		{"empty", htpasswd, "bob", "", true, false},
		{"UTF-8", htpasswd, "zoë", "pässwörd", true, true},
		{"other user's", htpasswd, "zoë", "secret", true, false},
		{"space in the name", htpasswd, "A B", "secret", true, true},
		{"case of the name", htpasswd, "Bob", "secret", false, false},
		{"hash as password", htpasswd, "bob", bcryptSecret, true, false},
		{"longer than bcrypt looks at", htpasswd, "bob", strings.Repeat("x", 1000), true, false},
		{"reference right", referenceUsers, "bob", "open sesame", true, true},
		{"reference wrong", referenceUsers, "bob", "open sesame ", true, false},
		{"reference unknown", referenceUsers, "eve", "open sesame", false, false},
		{"reference groups", referenceUsers, "groups", "open sesame", false, false},
		{"no users", "", "bob", "", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, known := parseUsers(t, tc.file).lookup(tc.user)
			if known != tc.known {
				t.Errorf("got known %v, want %v", known, tc.known)
			}
			if got := known && c.matches(tc.password); got != tc.want {
				t.Errorf("got match %v, want %v", got, tc.want)
			}
		})
	}
}

func TestUnknownUserCostsWhatAKnownOneDoes(t *testing.T) {
	u := parseUsers(t, "a:"+bcryptSecret+"\nb:"+bcryptUmlauts+"\n")
	stored := make(map[string]int)
	for _, name := range strings.Split(strings.Repeat("x", 64), "") {
		first, known := u.lookup(name)
		if again, _ := u.lookup(name); known || again != first {
			t.Errorf("got %v, %v and %v, want the same decoy twice", known, first, again)
		}
		stored[first.stored]++
	}
	for i := range 64 {
		c, _ := u.lookup(strings.Repeat("y", i))
		stored[c.stored]++
	}
	if stored[bcryptSecret] == 0 || stored[bcryptUmlauts] == 0 || len(stored) != 2 {
		t.Errorf("got decoys %v, want each of the users' hashes", stored)
	}
	if c, known := (*Users)(nil).lookup("bob"); known || c.matches("") {
		t.Error("got a match without users, want none")
	}
}

func TestUsersGroups(t *testing.T) {
	g := parseUsers(t, referenceUsers).Groups()
	if !g.Has("staff", "bob") || !g.Has("staff", "eve") || g.Has("staff", "") || g.Has("empty", "bob") {
		t.Errorf("got groups %v, want bob and eve in staff", g)
	}
	if g := parseUsers(t, "bob:"+bcryptSecret).Groups(); g != nil {
		t.Errorf("got groups %v of an htpasswd file, want none", g)
	}
	if got := (*Users)(nil).Groups(); got != nil {
		t.Errorf("got groups %v without users, want none", got)
	}
}

func TestUsersLen(t *testing.T) {
	for _, tc := range []struct {
		input string
		want  int
	}{
		{"", 0},
		{"# nobody left\n", 0},
		{"a:" + bcryptSecret + "\nb:" + bcryptSecret, 2},
		{referenceUsers, 1},
		{"[groups]\n", 0},
	} {
		if got := parseUsers(t, tc.input).Len(); got != tc.want {
			t.Errorf("%q: got %d users, want %d", tc.input, got, tc.want)
		}
	}
}

func TestParseUsersErrors(t *testing.T) {
	salted := "[bob]\npassword=" + saltedSesame + "\nsalt=" + saltSesame + "\n"
	for _, tc := range []struct{ name, input, want string }{
		{"no colon", "\nbob\n", `users:2: got a line without ":", want "name:hash"`},
		{"no name", ":" + bcryptSecret, `users:1: user name "" is empty`},
		{"space behind name", "bob :" + bcryptSecret, `users:1: user name "bob " is empty or ends in a space`},
		{"twice", "a:" + bcryptSecret + "\nb:" + bcryptSecret + "\na:" + bcryptSecret, `users:3: user "a" is listed twice`},
		{"no hash", "bob:", `users:1: password of user "bob" is empty (set it again with "htpasswd -B")`},
		{"MD5", "bob:$apr1$abcdefgh$0123456789012345678901", `users:1: password of user "bob" is an MD5 hash, only bcrypt is accepted (set it again with "htpasswd -B")`},
		{"SHA-1", "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "is a SHA-1 hash"},
		{"SHA-2", "bob:$6$abc$def", "is a SHA-2 crypt hash"},
		{"crypt", "bob:rqXexS6ZhobKA", "is not a bcrypt hash"},
		{"plain", "bob:secret", "is not a bcrypt hash"},
		{"first bcrypt", "bob:$2$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "is not a bcrypt hash"},
		{"faulty bcrypt", "bob:" + strings.Replace(bcryptSecret, "2y", "2x", 1), "is not a bcrypt hash"},
		{"short", "bob:" + bcryptSecret[:59], "is a damaged bcrypt hash"},
		{"long", "bob:" + bcryptSecret + "x", "is a damaged bcrypt hash"},
		{"more fields", "bob:" + bcryptSecret + ":bob@example.com", "is a damaged bcrypt hash"},
		{"foreign letter", "bob:" + bcryptSecret[:59] + "+", "is a damaged bcrypt hash"},
		{"low cost", "bob:" + strings.Replace(bcryptSecret, "$04$", "$03$", 1), `has bcrypt cost "03", want 04 to 17`},
		{"high cost", "bob:" + strings.Replace(bcryptSecret, "$04$", "$18$", 1), `has bcrypt cost "18", want 04 to 17`},
		{"no cost", "bob:" + strings.Replace(bcryptSecret, "$04$", "$+4$", 1), `has bcrypt cost "+4", want 04 to 17`},
		{"htpasswd turns into sections", "a:" + bcryptSecret + "\n[bob]\n", "users:2: got a line without"},
		{"not UTF-8", "b\xf6b:" + bcryptSecret, "users:1: not UTF-8 text"},

		{"unclosed section", "[bob\n", `users:1: section without a closing "]"`},
		{"section twice", salted + salted, `users:4: section "bob" is in line 1 already`},
		{"groups twice", "[groups]\n[groups]\n", `users:2: section "groups" is in line 1 already`},
		{"no password", salted + "[eve]\nsalt=" + saltSesame, `users:4: user "eve" has no password of 64 hexadecimal digits`},
		{"no salt", "[eve]\npassword=" + saltedSesame + "\n[groups]\n", `users:1: user "eve" has no salt of 64 hexadecimal digits`},
		{"short salt", "[eve]\npassword=" + saltedSesame + "\nsalt=00\n", `users:1: user "eve" has no salt`},
		{"no hexadecimal digits", "[eve]\nsalt=" + saltSesame + "\npassword=" + strings.Repeat("x", 64), `users:1: user "eve" has no password`},
		{"key twice", "[eve]\nsalt=" + saltSesame + "\nsalt=" + saltSesame, `users:3: key "salt" is set twice`},
		{"group twice", "[groups]\na=b\na=c\n", `users:3: key "a" is set twice`},
		{"group without a name", "[groups]\n=b\n", "users:2: group without a name"},
		{"continued group", "[groups]\na=b,\nc\n", "users:3: got a line without"},
		{"no key", "[bob]\nx\n", "users:2: got a line without"},
		{"many lines", "[bob]\nnote=@first\n[eve]\nlast@\n", `users:2: key "note": values of several lines`},
		{"error in the last section", salted + "\n\x00", "users:5: control character"},
		{"error in an unfinished section", "[bob]\n\x00", "users:2: control character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseUsers(strings.NewReader(tc.input), "users")
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "users:") {
				t.Fatalf("got error %v, want %q", err, tc.want)
			}
			if _, hash, ok := strings.Cut(tc.input, "$"); ok && len(hash) > 20 && strings.Contains(err.Error(), hash[:20]) {
				t.Errorf("got error %v, want no hash in it", err)
			}
		})
	}
}

func TestLoadUsers(t *testing.T) {
	dir := t.TempDir()
	filename := filepath.Join(dir, "users")
	if _, err := LoadUsers(filename); !os.IsNotExist(err) {
		t.Errorf("got error %v, want one for a missing file", err)
	}
	if _, err := LoadUsers(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got error %v, want one for a directory", err)
	}
	if err := os.WriteFile(filename, []byte("bob:"+bcryptSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := LoadUsers(filename); err != nil || u.Len() != 1 {
		t.Errorf("got %v and error %v, want one user", u, err)
	}
	if err := os.Truncate(filename, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadUsers(filename); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got error %v, want one for the size", err)
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add("bob:" + bcryptSecret + "\n# x\neve:" + bcryptUmlauts)
	f.Add("bob:$apr1$x$y\n")
	f.Add(referenceUsers)
	f.Add("[bob]\nnote=@x@\nmore\n[groups]\na=b,c\n")
	f.Add("\ufeff\r\n[a]\n")
	f.Add("\x03")
	f.Fuzz(func(t *testing.T, input string) {
		u, err := ParseUsers(strings.NewReader(input), "users")
		if err != nil {
			if u != nil || !strings.HasPrefix(err.Error(), "users:") {
				t.Errorf("got error %v, want it to start with the file", err)
			}
			return
		}
		if len(u.index) != len(u.credentials) {
			t.Errorf("got %d names of %d users, want as many", len(u.index), len(u.credentials))
		}
		for name := range u.index {
			c, known := u.lookup(name)
			if !known || c.stored == "" {
				t.Errorf("got no password for %q, want one", name)
			}
			if c.salted == nil && checkBcrypt(c.stored) != "" {
				t.Errorf("got hash %q, want a bcrypt hash", c.stored)
			}
		}
	})
}

func FuzzParseGroups(f *testing.F) {
	f.Add("staff: bob eve\n# x\nstaff:ann\n")
	f.Add(":\n")
	f.Fuzz(func(t *testing.T, input string) {
		g, err := ParseGroups(strings.NewReader(input), "groups")
		if err != nil && !strings.HasPrefix(err.Error(), "groups:") {
			t.Errorf("got error %v, want it to start with the file", err)
		}
		if err == nil && g.Has("", "") {
			t.Error("got a member without a name, want none")
		}
	})
}
