package handler

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPreconditionsOfWrites(t *testing.T) {
	const long, ago = "Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"
	for _, tc := range []struct {
		name, header string
		exists       bool
		holds        bool
	}{
		{"If-None-Match: * and nothing there", "If-None-Match: *", false, true},
		{"If-None-Match: * and something there", "If-None-Match: *", true, false},
		{"If-None-Match of its tag", "If-None-Match: $ETAG", true, false},
		{"If-None-Match of another tag", `If-None-Match: "x"`, true, true},
		{"If-Match: * and nothing there", "If-Match: *", false, false},
		{"If-Match: * and something there", "If-Match: *", true, true},
		{"If-Match of its tag", "If-Match: $ETAG", true, true},
		{"If-Match of its compressed tag", "If-Match: $GZIP", true, true},
		{"If-Match of another tag", `If-Match: "x"`, true, false},
		{"If-Match and nothing there", `If-Match: "x"`, false, false},
		{"If-Unmodified-Since later", "If-Unmodified-Since: " + long, true, true},
		{"If-Unmodified-Since before", "If-Unmodified-Since: " + ago, true, false},
		{"If-Unmodified-Since and nothing there", "If-Unmodified-Since: " + ago, false, true},
		{"If-Modified-Since means nothing", "If-Modified-Since: " + long, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
				old := strings.Repeat("old ", 100)
				s := newSite(t, readWrite, map[string]string{"www/": ""})
				if tc.exists {
					writeFiles(t, s.root, map[string]string{"www/a.txt": old})
				}
				tags := strings.NewReplacer(
					"$ETAG", s.get("/a.txt").header.Get("ETag"),
					"$GZIP", s.get("/a.txt", "Accept-Encoding: gzip").header.Get("ETag"))
				header := []string{tags.Replace(tc.header)}
				body := "new"
				status, want := http.StatusOK, "new"
				switch method {
				case http.MethodPatch:
					header = append(header, "Content-Range: bytes 0-2/*")
					if tc.exists {
						want = "new" + old[3:]
					}
				case http.MethodDelete:
					body, want = "", ""
					if !tc.exists {
						status = http.StatusNoContent
					}
				}
				if !tc.exists && method != http.MethodDelete {
					status = http.StatusCreated
				}
				if !tc.holds {
					status, want = http.StatusPreconditionFailed, ""
					if tc.exists {
						want = old
					}
				}
				wantStatus(t, method, s.do(method, "/a.txt", body, header...), status)
				equal(t, method+": content", s.content("www/a.txt"), want)
				wantNoTemps(t, s)
			}
		})
	}
}

func TestPreconditionsAreCheckedBeforeTheBodyIsRead(t *testing.T) {
	s := newSite(t, readWrite, map[string]string{"www/a": "old"})
	wantStatus(t, "PUT", s.serve(chunked(http.MethodPut, "/a", unread{t}, "If-None-Match: *")), http.StatusPreconditionFailed)
	wantStatus(t, "PATCH", s.serve(chunked(http.MethodPatch, "/a", unread{t}, "If-Match: \"x\"", "Content-Range: bytes 0-0/*")), http.StatusPreconditionFailed)
}

// TestPreconditionsAreCheckedAgainAtTheEnd has the file change while the body
// arrives.
func TestPreconditionsAreCheckedAgainAtTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name, method, header string
		before, meanwhile    string // "" for no file
	}{
		{"it appears", http.MethodPut, "If-None-Match: *", "", "other"},
		{"it changes", http.MethodPut, "If-Match: $ETAG", "old", "other"},
		{"it goes", http.MethodPut, "If-Match: $ETAG", "old", ""},
		{"it changes under a patch", http.MethodPatch, "If-Match: $ETAG", "old", "other"},
		{"it appears under a patch", http.MethodPatch, "If-None-Match: *", "", "other"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, nil)
			if tc.before != "" {
				s.do(http.MethodPut, "/a", tc.before)
			}
			header := []string{strings.ReplaceAll(tc.header, "$ETAG", s.get("/a").header.Get("ETag"))}
			if tc.method == http.MethodPatch {
				header = append(header, "Content-Range: bytes 0-2/*")
			}
			body := io.MultiReader(strings.NewReader("new"), meanwhile(func() {
				if tc.meanwhile == "" {
					s.do(http.MethodDelete, "/a", "")
				} else {
					s.do(http.MethodPut, "/a", tc.meanwhile)
				}
			}))
			wantStatus(t, tc.method, s.serve(chunked(tc.method, "/a", body, header...)), http.StatusPreconditionFailed)
			equal(t, "content", s.content("www/a"), tc.meanwhile)
			wantNoTemps(t, s)
		})
	}
}

// meanwhile is a reader that does something before its end.
type meanwhile func()

func (f meanwhile) Read([]byte) (int, error) { f(); return 0, io.EOF }

// TestPreconditionsOfLinkAreThoseOfGet is about a file that is reached by a
// link: its validator is what GET says, not that of the link itself.
func TestPreconditionsOfLinkAreThoseOfGet(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		s := newSite(t, readWrite, map[string]string{"www/target": "0123456789"})
		s.link("target", "www/link")
		tag := s.get("/link").header.Get("ETag")
		header := []string{"If-Match: " + tag}
		if method == http.MethodPatch {
			header = append(header, "Content-Range: bytes 0-0/10")
		}
		wantStatus(t, method, s.do(method, "/link", "x", header...), http.StatusOK)
	}
}
