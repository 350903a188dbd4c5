package caddytest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// passwords makes an htpasswd file. The password of a user is the name, twice.
func passwords(t testing.TB, names ...string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+name), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s:%s\n", name, hash)
	}
	return b.String()
}

// basic is the field that a user with a password sends.
func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestRights checks who may read and write what, by rule files.
func TestRights(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}/../rules.ini
		users {$ROOT}/../users
		groups {$ROOT}/../groups
		dlist
		maxc 0
		maxp 0
		max_client_errors 0
	}
}
`,
		files: map[string]string{
			"../rules.ini": `
# open to all, written by the staff
[root/films]
name = movies
wg   = staff

# bob's drafts, in which the staff may look
[root/films/drafts]
rg = staff
wu = bob

[root/private]
name = private
ru   = alice
wu   = alice

[root/nobody]
name = nobody
ru   = $NONE

[root/box]
name = box
wu   = $ALL
rg   = staff

# no such directory: it protects what others may put there
[root/virtual]
name = virtual
ru   = alice

[root/others]
name    = others
filters = someone_else
`,
			"../users":       passwords(t, "alice", "bob", "carol"),
			"../groups":      "staff: alice bob\n",
			"films/a":        "film",
			"films/drafts/b": "draft",
			"private/p":      "private",
			"nobody/n":       "nobody",
			"box/x":          "in the box",
			"others/o":       "others",
		},
	})
	const none = ""
	for _, tc := range []struct {
		request, user string
		status        int
	}{
		{"GET /movies/a", none, 200},
		{"GET /movies/a", "carol", 200},
		{"HEAD /movies/a", none, 200},
		{"GET /movies/a?x=/private/p", none, 200},
		{"PUT /movies/new", none, 401},
		{"PUT /movies/new", "carol", 403},
		{"PUT /movies/new", "alice", 201},
		{"DELETE /movies/new", none, 401},
		{"DELETE /movies/new", "carol", 403},
		{"PATCH /movies/new", none, 401},
		{"POST /movies/new", "carol", 403},
		{"DELETE /movies/new", "bob", 200},

		{"GET /movies/drafts/b", none, 401},
		{"GET /movies/drafts/b", "carol", 403},
		{"GET /movies/drafts/b", "alice", 200},
		{"GET /movies/drafts/", none, 401},
		{"GET /movies/drafts/", "bob", 200},
		{"GET /movies/drafts", none, 401},
		{"GET /movies/drafts/none", none, 401},
		{"GET /movies//drafts/b", none, 401},
		{"GET /movies/./drafts/b", none, 401},
		{"GET /movies/x/../drafts/b", none, 401},
		{"GET /movies/%64rafts/b", none, 401},
		{"GET /movies/drafts%2fb", none, 401},
		{"PUT /movies/drafts/c", "alice", 403},
		{"PUT /movies/drafts/c", "bob", 201},
		{"DELETE /movies/drafts/c", "bob", 200},

		{"GET /private/p", none, 401},
		{"GET /private/p", "bob", 403},
		{"GET /private/p", "alice", 200},
		{"PUT /private/q", "bob", 403},
		{"PUT /private/q", "alice", 201},
		{"DELETE /private/q", "alice", 200},

		{"GET /nobody/n", none, 403},
		{"GET /nobody/n", "alice", 403},
		{"PUT /nobody/m", "alice", 405},

		{"PUT /box/y", none, 201},
		{"GET /box/y", none, 401},
		{"GET /box/y", "carol", 403},
		{"GET /box/y", "bob", 200},
		{"DELETE /box/y", none, 200},

		{"GET /virtual/v", none, 401},
		{"GET /virtual/v", "bob", 403},
		{"GET /virtual/v", "alice", 404},
		{"GET /others/o", none, 404},
		{"GET /root/films/a", none, 404},
		{"GET /films/a", none, 404},
		{"OPTIONS /movies/a", none, 200},
	} {
		t.Run(tc.request+" by "+tc.user, func(t *testing.T) {
			method, path, _ := strings.Cut(tc.request, " ")
			text := method + " " + path + " HTTP/1.1\n"
			if tc.user != none {
				text += basic(tc.user, tc.user+tc.user) + "\n"
			}
			body := ""
			if method == "PUT" || method == "POST" || method == "PATCH" {
				text += "Content-Length: 1\n"
				if method == "PATCH" {
					text += "Range: bytes=0-0\n"
				}
				body = "x"
			}
			r := raw(t, s.addr("HTTP"), text+"\n"+body)
			equal(t, "status", r.status, tc.status)
			challenge := r.header.Get("WWW-Authenticate")
			if want := tc.status == http.StatusUnauthorized; strings.HasPrefix(challenge, `Basic realm="`) != want {
				t.Errorf("WWW-Authenticate: got %q, want one: %v", challenge, want)
			}
		})
	}

	t.Run("listings", func(t *testing.T) {
		var links []string
		for _, user := range []string{"alice", ""} {
			text := "GET / HTTP/1.1\nAccept: application/json\n"
			if user != "" {
				text += basic(user, user+user) + "\n"
			}
			links = append(links, raw(t, s.addr("HTTP"), text+"\n").body)
		}
		contains(t, "listing for alice", links[0], `"movies"`)
		contains(t, "listing for alice", links[0], `"private"`)
	})

	t.Run("wrong password", func(t *testing.T) {
		for _, header := range []string{
			basic("alice", "wrong"), basic("alice", ""), basic("nobody", "x"), "Authorization: Basic !", "Authorization: Bearer x",
		} {
			r := raw(t, s.addr("HTTP"), "GET /private/p HTTP/1.1\n"+header+"\n\n")
			equal(t, "status with "+header, r.status, http.StatusUnauthorized)
		}
	})

	t.Run("rules are edited", func(t *testing.T) {
		rules := filepath.Join(s.dir, "rules.ini")
		text, err := os.ReadFile(rules)
		if err != nil {
			t.Fatal(err)
		}
		status := func(want int) func() error {
			return func() error {
				r := raw(t, s.addr("HTTP"), "GET /private/p HTTP/1.1\n"+basic("bob", "bobbob")+"\n\n")
				if r.status != want {
					return fmt.Errorf("got status %d, want %d", r.status, want)
				}
				return nil
			}
		}
		writeFile(t, rules, strings.Replace(string(text), "ru   = alice\nwu   = alice", "ru   = alice, bob\nwu   = alice", 1))
		await(t, wait, "the new right", status(http.StatusOK))
		from := s.logs.size()
		writeFile(t, rules, string(text)+"\n[root/private]\nnonsense = yes\n")
		await(t, wait, "a log line about the invalid rule file", func() error {
			if err := status(http.StatusOK)(); err != nil {
				t.Fatalf("with an invalid rule file: %v", err)
			}
			if !strings.Contains(s.logs.since(from), "rules.ini:") {
				return errors.New("there is none")
			}
			return nil
		})
		writeFile(t, rules, string(text))
		await(t, wait, "the old right", status(http.StatusForbidden))
	})

	t.Run("too many failures", func(t *testing.T) {
		await(t, wait, "status 429", func() error {
			r := raw(t, s.addr("HTTP"), "GET /private/p HTTP/1.1\n"+basic("alice", "guess")+"\n\n")
			if r.status != http.StatusTooManyRequests {
				return fmt.Errorf("got status %d", r.status)
			}
			if r.header.Get("Retry-After") == "" {
				t.Error("Retry-After: got none")
			}
			return nil
		})
		// who is refused for guessing may still read what is open to all
		equal(t, "status of an open file", raw(t, s.addr("HTTP"), "GET /movies/a HTTP/1.1\n\n").status, http.StatusOK)
	})
}

// TestCaddyAuthentication has Caddy authenticate users whose rights a rule file
// tells.
func TestCaddyAuthentication(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	basic_auth {
		alice ` + string(hash) + `
		bob ` + string(hash) + `
	}
	httpout {
		rdirs {$ROOT}/../rules.ini
	}
}
`,
		files: map[string]string{"../rules.ini": "[root]\nru = alice\nwu = alice\n", "f": "text"},
	})
	for _, tc := range []struct {
		header string
		status int
	}{
		{"X: y", 401},
		{basic("alice", "secret"), 200},
		{basic("alice", "wrong"), 401},
		{basic("bob", "secret"), 403},
	} {
		equal(t, "status with "+tc.header, raw(t, s.addr("HTTP"), "GET /f HTTP/1.1\n"+tc.header+"\n\n").status, tc.status)
	}
}

// TestNothingLeavesItsDirectory tries to read and write what is beside the
// directory, by path and by symbolic link, and what is hidden.
func TestNothingLeavesItsDirectory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("makes symbolic links")
	}
	s := start(t, setup{
		sites: `
http://:{$HTTP} {
	httpout {
		rdirs {$ROOT}
		wdir {$ROOT}
		dlist
		hide *.secret {$ROOT}/hidden
		maxc 0
		maxp 0
	}
}
`,
		files: map[string]string{
			"../secret.txt": "outside", "../outside/f": "outside", "f": "inside", "dir/f": "inside",
			"my.secret": "hidden", "hidden/f": "hidden", ".dot": "dot",
		},
	})
	links := map[string]string{
		"up": "..", "abs": filepath.Join(s.dir, "outside"), "linked": "../secret.txt", "absfile": filepath.Join(s.dir, "secret.txt"),
		"inside": "dir", "dir/updir": "../../outside", "loop": "loop", "absinside": filepath.Join(s.root, "dir"),
	}
	link := func() {
		for name, target := range links {
			os.Remove(s.file(name))
			if err := os.Symlink(target, s.file(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	link()
	before := fmt.Sprintf("%q", s.tree(t))
	temporary := ".httpout-AAAAAAAAAAAAAAAA.tmp"
	writeFile(t, s.file(temporary), "left over")
	outside := func() string {
		names, err := listTree(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, name := range names {
			top, _, _ := strings.Cut(name, "/")
			if top == "root" || top == "data" || top == "config" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(s.dir, name))
			fmt.Fprintf(&all, "%s: %q %v\n", name, text, err)
		}
		return all.String()
	}
	outsideBefore := outside()

	listing := raw(t, s.addr("HTTP"), "GET / HTTP/1.1\nAccept: application/json\n\n")
	equal(t, "status of the listing", listing.status, http.StatusOK)
	for _, name := range []string{`"up"`, `"abs"`, `"linked"`, `"loop"`, "secret", `"hidden"`, ".dot", ".httpout", "absinside"} {
		if strings.Contains(listing.body, name) {
			t.Errorf("the listing has %s: %v", name, shorten(listing.body))
		}
	}
	contains(t, "listing", listing.body, `"inside"`)
	contains(t, "listing", listing.body, `"dir"`)

	for _, path := range []string{
		"/../secret.txt", "/dir/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt",
		"/.%2e/secret.txt", "/%2e./secret.txt", "/dir/%2e%2e/%2e%2e/secret.txt", "/..%5csecret.txt", "/..\\secret.txt",
		"/%252e%252e/secret.txt", "/..%c0%afsecret.txt", "/..;/secret.txt", "//../secret.txt", "/./../secret.txt",
		"/f/../../secret.txt", "/f%00.txt", "/%00", "/" + strings.Repeat("x", 300), "/dir/" + strings.Repeat("y/", 2000),
		"/up/secret.txt", "/abs/f", "/linked", "/absfile", "/dir/updir/f", "/loop", "/loop/f",
		"/my.secret", "/hidden/f", "/hidden/", "/hidden", "/.httpout-AAAAAAAAAAAAAAAA.tmp",
		"/%2e%68ttpout-AAAAAAAAAAAAAAAA.tmp", "/new.secret", "/hidden/new", "/hidden/../hidden/f",
	} {
		short := path[:min(len(path), 40)]
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			t.Run(method+" "+strings.ReplaceAll(short, "/", "|"), func(t *testing.T) {
				request := method + " " + path + " HTTP/1.1\n"
				switch method {
				case "PUT":
					request += "Content-Length: 1\n\nx"
				case "PATCH":
					request += "Content-Range: bytes 0-0/*\nContent-Length: 1\n\nx"
				default:
					request += "\n"
				}
				r := raw(t, s.addr("HTTP"), request)
				if strings.Contains(r.body, "outside") || strings.Contains(r.body, "hidden") && r.status < 400 || strings.Contains(r.body, "left over") {
					t.Errorf("got %v", shorten(r.body))
				}
				_, isLink := links[strings.TrimPrefix(path, "/")]
				switch {
				case r.status == http.StatusCreated:
					// the path names something inside; it is removed again
					c := raw(t, s.addr("HTTP"), "DELETE "+path+" HTTP/1.1\n\n")
					equal(t, "status of removing it", c.status, http.StatusOK)
				case r.status < 300 && isLink && method != "GET" && method != "HEAD":
					link() // it was not followed, but replaced or removed
				case r.status < 400 && r.status != http.StatusNoContent && r.status != http.StatusPermanentRedirect:
					t.Errorf("status: got %d, want an error", r.status)
				}
				if r.status >= 500 {
					t.Errorf("status: got %d, want an error of the client", r.status)
				}
			})
		}
	}
	os.Remove(s.file(temporary))
	equal(t, "files inside", fmt.Sprintf("%q", s.tree(t)), before)
	equal(t, "files outside", outside(), outsideBefore)
	s.wantFile(t, "f", "inside")

	// what stays inside is followed, and dot files are served
	wantReply(t, "link inside", raw(t, s.addr("HTTP"), "GET /inside/f HTTP/1.1\n\n"), http.StatusOK, "inside")
	wantReply(t, "dot file", raw(t, s.addr("HTTP"), "GET /.dot HTTP/1.1\n\n"), http.StatusOK, "dot")
}
