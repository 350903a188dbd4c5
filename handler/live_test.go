package handler

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/sinkbus"
)

var errProducer = errors.New("the producer failed")

// has checks what a response in progress has sent so far. Nobody may be
// running but the test.
func (x *exchange) has(t testing.TB, what, body string) {
	t.Helper()
	synctest.Wait()
	equal(t, what+": sent so far", x.rec.Body.String(), body)
	equal(t, what+": ended", x.ended(), false)
	equal(t, what+": header flushed", x.rec.Flushed, true)
	equal(t, what+": bytes flushed", x.rec.flushed, len(body))
}

func TestUploadInProgressIsServedAsItArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, map[string]string{"www/a.mp4": "the version before"})
		u := s.upload("a.mp4", "video/mp4", "")
		x := s.start(newRequest(http.MethodGet, "/a.mp4", ""))
		x.has(t, "before anything came", "")
		equal(t, "status before anything came", x.rec.Code, http.StatusOK)

		feed(t, u, "one ")
		x.has(t, "some", "one ")
		late := s.start(newRequest(http.MethodGet, "/a.mp4", ""))
		late.has(t, "who came later", "one ")
		feed(t, u, "two")
		x.has(t, "more", "one two")
		late.has(t, "more, who came later", "one two")

		commit(t, u)
		for what, r := range map[string]reply{"first": x.wait(), "late": late.wait()} {
			wantReply(t, what, r, http.StatusOK, "one two")
			wantHeader(t, what, r.header, "Content-Type: video/mp4", "Content-Length:", "ETag:", "Last-Modified:",
				"Cache-Control: no-store, no-transform", "Incremental: ?1", "Accept-Ranges: bytes", "X-Content-Type-Options: nosniff")
		}
		r := s.get("/a.mp4")
		wantReply(t, "afterwards", r, http.StatusOK, "one two")
		wantHeader(t, "afterwards", r.header, "Content-Length: 7", "Incremental:", "Cache-Control:")
	})
}

func TestFailedUploadAbortsItsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, map[string]string{"www/a": "the version before"})
		u := s.upload("a", "", "half")
		whole := s.start(newRequest(http.MethodGet, "/a", ""))
		part := s.start(newRequest(http.MethodGet, "/a", "", "Range: bytes=2-9"))
		waiting := s.start(newRequest(http.MethodGet, "/a", "", "Range: bytes=9-"))
		done := s.start(newRequest(http.MethodGet, "/a", "", "Range: bytes=1-2"))
		whole.has(t, "whole", "half")
		part.has(t, "range", "lf")
		equal(t, "range that is complete: ended", done.ended(), true)

		u.Discard(errProducer)
		r := whole.wait()
		equal(t, "whole: aborted", r.aborted, true)
		equal(t, "whole: body", r.body, "half")
		equal(t, "range: aborted", part.wait().aborted, true)
		wantReply(t, "range that is complete", done.wait(), http.StatusPartialContent, "al")

		// nothing was sent yet: the version before is what there is
		wantReply(t, "range that waited", waiting.wait(), http.StatusPartialContent, "on before")
		wantReply(t, "afterwards", s.get("/a"), http.StatusOK, "the version before")
	})
}

func TestLiveRanges(t *testing.T) {
	const (
		gpac = "User-Agent: GPAC/2.4-rev0"
		open = "X-Allow-Open-Partial-Range: "
	)
	for _, tc := range []struct {
		name         string
		header       []string
		status       int
		contentRange string
		body         string // while "01234" is what there is
		after        string // when "56789" has come as well
		ends         bool   // whether it ends without more
		final        string // when the stream is complete, "" if as after
	}{
		{"none", nil, 200, "", "01234", "0123456789", false, ""},
		{"whole range", []string{"Range: bytes=1-3"}, 206, "bytes 1-3/*", "123", "123", true, ""},
		{"up to what there is", []string{"Range: bytes=0-4"}, 206, "bytes 0-4/*", "01234", "01234", true, ""},
		{"half of it is to come", []string{"Range: bytes=3-7"}, 206, "bytes 3-7/*", "34", "34567", false, ""},
		{"all of it is to come", []string{"Range: bytes=6-7"}, 206, "bytes 6-7/*", "", "67", false, ""},
		{"more than will come", []string{"Range: bytes=8-999"}, 206, "bytes 8-999/*", "", "89", false, "89"},
		{"nothing of it will come", []string{"Range: bytes=100-200"}, 206, "bytes 100-200/*", "", "", false, ""},
		{"end is no number", []string{"Range: bytes=3-99999999999999999999"}, 206, "bytes 3-9223372036854775807/*", "34", "3456789", false, ""},
		{"open", []string{"Range: bytes=2-"}, 206, "bytes 2-4/*", "234", "234", true, ""},
		{"open from the start", []string{"Range: bytes=0-"}, 206, "bytes 0-4/*", "01234", "01234", true, ""},
		{"open, GPAC", []string{"Range: bytes=2-", gpac}, 206, "bytes 2-/*", "234", "23456789", false, ""},
		{"open, GPAC, all is to come", []string{"Range: bytes=7-", gpac}, 206, "bytes 7-/*", "", "789", false, ""},
		{"open, a field says 1", []string{"Range: bytes=2-", open + "1"}, 206, "bytes 2-/*", "234", "23456789", false, ""},
		{"open, a field says true", []string{"Range: bytes=2-", open + "True"}, 206, "bytes 2-/*", "234", "23456789", false, ""},
		{"open, a field says yes", []string{"Range: bytes=2-", open + "yes"}, 206, "bytes 2-/*", "234", "23456789", false, ""},
		{"open, a field says no", []string{"Range: bytes=2-", open + "no"}, 206, "bytes 2-4/*", "234", "234", true, ""},
		{"open, like GPAC", []string{"Range: bytes=2-", "User-Agent: NotGPAC/1"}, 206, "bytes 2-4/*", "234", "234", true, ""},
		{"closed, GPAC", []string{"Range: bytes=2-3", gpac}, 206, "bytes 2-3/*", "23", "23", true, ""},
		{"If-Range", []string{"Range: bytes=2-3", `If-Range: "x"`}, 200, "", "01234", "0123456789", false, ""},
		{"unknown unit", []string{"Range: items=2-3"}, 200, "", "01234", "0123456789", false, ""},
		{"suffix", []string{"Range: bytes=-2"}, 416, "", "", "", true, ""},
		{"suffix, GPAC", []string{"Range: bytes=-2", gpac}, 416, "", "", "", true, ""},
		{"several", []string{"Range: bytes=0-0,2-2"}, 416, "", "", "", true, ""},
		{"malformed", []string{"Range: bytes=x"}, 416, "", "", "", true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, readWrite, nil)
				u := s.upload("a.mp4", "", "01234")
				x := s.start(newRequest(http.MethodGet, "/a.mp4", "", tc.header...))
				synctest.Wait()
				equal(t, "status", x.rec.Code, tc.status)
				equal(t, "Content-Range", x.rec.Header().Get("Content-Range"), tc.contentRange)
				equal(t, "ended", x.ended(), tc.ends)
				if tc.status < 400 {
					equal(t, "body", x.rec.Body.String(), tc.body)
				}
				feed(t, u, "56789")
				synctest.Wait()
				if tc.status < 400 {
					equal(t, "body with more", x.rec.Body.String(), tc.after)
				}
				commit(t, u)
				r := x.wait()
				equal(t, "aborted", r.aborted, false)
				if tc.status >= 400 {
					wantHeader(t, "error", r.header, "Incremental:", "Accept-Ranges:")
					return
				}
				equal(t, "whole body", r.body, tc.after)
				wantHeader(t, "live", r.header, "Incremental: ?1", "Content-Type: video/mp4", "Content-Length:", "Accept-Ranges: bytes")
			})
		})
	}
}

func TestLiveOpenRangeWaitsForItsFirstBytes(t *testing.T) {
	for _, tc := range []struct {
		name         string
		more         string
		status       int
		contentRange string
		body         string
	}{
		{"they come", "5678", 206, "bytes 7-8/*", "78"},
		{"the stream ends before them", "5", 416, "bytes */6", ""},
		{"the stream ends right before them", "56", 416, "bytes */7", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, readWrite, nil)
				u := s.upload("a.mp4", "", "01234")
				x := s.start(newRequest(http.MethodGet, "/a.mp4", "", "Range: bytes=7-"))
				synctest.Wait()
				equal(t, "ended at once", x.ended(), false)
				feed(t, u, tc.more)
				synctest.Wait()
				commit(t, u)
				r := x.wait()
				wantStatus(t, "GET", r, tc.status)
				wantHeader(t, "GET", r.header, "Content-Range: "+tc.contentRange)
				if tc.body != "" {
					equal(t, "body", r.body, tc.body)
				}
			})
		})
	}
}

func TestLiveWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := readWrite
		o.NoRange = true
		s := newSite(t, o, nil)
		u := s.upload("a.mp4", "", "01234")
		x := s.start(newRequest(http.MethodGet, "/a.mp4", "", "Range: bytes=1-2"))
		x.has(t, "GET", "01234")
		commit(t, u)
		r := x.wait()
		wantReply(t, "GET", r, http.StatusOK, "01234")
		wantHeader(t, "GET", r.header, "Accept-Ranges: none", "Content-Range:")
	})
}

// TestStreamThatEndsMeanwhileLeavesNoRange is about a stream that ends after it
// was found: what is answered then is not about a range of it.
func TestStreamThatEndsMeanwhileLeavesNoRange(t *testing.T) {
	for _, header := range []string{"bytes=1-2", "bytes=9-"} {
		s := newSite(t, readWrite, nil)
		u := s.upload("a.mp4", "", "01234")
		stream := u.Stream
		u.Discard(errProducer)

		rec := httptest.NewRecorder()
		table, err := s.folders.table(s.Server)
		if err != nil {
			t.Fatal(err)
		}
		q := &request{Server: s.Server, w: rec, r: s.prepare(rec, newRequest(http.MethodGet, "/a.mp4", "", "Range: "+header)), table: table, conn: new(conn)}
		q.path.name = "a.mp4"
		p, _ := q.path.in(&table.mounts[0])
		if err := q.live(p, stream); err == nil || q.status != 0 {
			t.Fatalf("got %v and status %d, want nothing answered", err, q.status)
		}
		wantHeader(t, header, rec.Header(), "Content-Range:")
	}
}

func TestManifestIsServedWhole(t *testing.T) {
	for _, tc := range []struct {
		name, file, mediaType string
		manifest              bool
	}{
		{"MPD", "live.mpd", "", true},
		{"playlist", "live.m3u8", "video/mp4", true},
		{"by its type", "live", "application/dash+xml; charset=utf-8", true},
		{"segment", "live.m4s", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, readWrite, nil)
				path := "/" + tc.file
				u := s.upload(tc.file, tc.mediaType, "first version")
				if tc.manifest {
					wantStatus(t, "before the first is complete", s.get(path), http.StatusNotFound)
				}
				commit(t, u)

				u = s.upload(tc.file, tc.mediaType, "second")
				x := s.start(newRequest(http.MethodGet, path, ""))
				synctest.Wait()
				if tc.manifest {
					r := x.wait()
					wantReply(t, "while the second arrives", r, http.StatusOK, "first version")
					wantHeader(t, "while the second arrives", r.header, "Content-Length: 13", "Incremental:")
				} else {
					x.has(t, "while the second arrives", "second")
				}
				feed(t, u, " version")
				commit(t, u)
				x.wait()
				wantReply(t, "when it is complete", s.get(path), http.StatusOK, "second version")
			})
		})
	}
}

func TestHeadOfUploadInProgress(t *testing.T) {
	s := newSite(t, readWrite, nil)
	s.upload("a.mp4", "", "01234")
	for _, tc := range []struct {
		name   string
		header []string
		status int
		want   []string
	}{
		{"whole", nil, 200, []string{"Content-Range:", "Incremental: ?1", "Content-Length:"}},
		{"closed", []string{"Range: bytes=9-10"}, 206, []string{"Content-Range: bytes 9-10/*"}},
		{"open", []string{"Range: bytes=2-"}, 206, []string{"Content-Range: bytes 2-4/*"}},
		{"open, followed", []string{"Range: bytes=9-", "User-Agent: GPAC/1"}, 206, []string{"Content-Range: bytes 9-/*"}},
	} {
		r := s.do(http.MethodHead, "/a.mp4", "", tc.header...)
		wantReply(t, tc.name, r, tc.status, "")
		wantHeader(t, tc.name, r.header, tc.want...)
	}
	table, _ := s.folders.table(s.Server)
	equal(t, "readers left", table.write.dir.Uploading("a.mp4").Readers(), 0)
}

func TestUploadInProgressIsNotCompressed(t *testing.T) {
	s := newSite(t, readWrite, nil)
	s.upload("a.txt", "", strings.Repeat("text ", 100))
	r := s.get("/a.txt", "Accept-Encoding: gzip", "Range: bytes=0-499")
	wantReply(t, "GET", r, http.StatusPartialContent, strings.Repeat("text ", 100))
	wantHeader(t, "GET", r.header, "Content-Encoding:", "Vary: Origin")
}

func TestTypeOfUploadInProgress(t *testing.T) {
	for _, tc := range []struct {
		name, file, mediaType, content string
		want                           string
	}{
		{"declared", "a.mp4", "audio/mpeg", "", "audio/mpeg"},
		{"declared with parameters", "a", "text/plain; charset=latin1", "", "text/plain; charset=latin1"},
		{"by its name", "a.mp4", "", "", "video/mp4"},
		{"any is declared", "a.mp4", "*", "", "video/mp4"},
		{"any of a kind is declared", "a.mp4", "video/*", "", "video/mp4"},
		{"nothing specific is declared", "a.mp4", "application/octet-stream", "", "video/mp4"},
		{"by its content", "a", "", "\x00\x00\x00\x18ftypmp42", "video/mp4"},
		{"by its content, nothing specific declared", "a", "application/octet-stream", "\x89PNG\r\n\x1a\n", "image/png"},
		{"unknown", "a", "", "\x00\x01\x02\x03", "application/octet-stream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, readWrite, nil)
			s.upload(tc.file, tc.mediaType, tc.content)
			wantHeader(t, "HEAD", s.do(http.MethodHead, "/"+tc.file, "").header, "Content-Type: "+tc.want, "X-Content-Type-Options: nosniff")
		})
	}
}

func TestNewestUploadIsServedAndTheLastToCompleteStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, nil)
		first := s.upload("a", "", "first")
		of := s.start(newRequest(http.MethodGet, "/a", ""))
		of.has(t, "the only one", "first")
		second := s.upload("a", "", "second")
		newest := s.start(newRequest(http.MethodGet, "/a", ""))
		newest.has(t, "the newest", "second")
		of.has(t, "who began before", "first")

		commit(t, second)
		wantReply(t, "the newest", newest.wait(), http.StatusOK, "second")
		of.has(t, "who began before, still", "first")
		again := s.start(newRequest(http.MethodGet, "/a", ""))
		again.has(t, "while the first goes on", "first")
		commit(t, first)
		wantReply(t, "who began before", of.wait(), http.StatusOK, "first")
		again.wait()
		wantReply(t, "the file", s.get("/a"), http.StatusOK, "first")
	})
}

func TestUploadInProgressNeedsItsOwnRights(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"rules.ini"}, Users: "users"}, map[string]string{
		"rules.ini": "[www]\nru=bob\nwu=$ALL\n", "users": htpasswd(t, "bob"), "www/": "",
	})
	s.upload("live", "text/plain", "x")
	wantStatus(t, "anybody", s.do(http.MethodHead, "/live", ""), http.StatusUnauthorized)
	wantStatus(t, "bob", s.do(http.MethodHead, "/live", "", basic("bob", "bobpw")), http.StatusOK)
}

// TestUploadIsFoundWhateverItIsReachedBy has the write directory below one that
// is read, and a link to it.
func TestUploadIsFoundWhateverItIsReachedBy(t *testing.T) {
	s := newSite(t, Options{ReadDirs: []string{"www", "other"}, WriteDir: "www/in"}, map[string]string{"www/in/d/": "", "other/": ""})
	s.link("in", "www/link")
	s.upload("d/live", "text/x-live", "x")
	for _, path := range []string{"/www/in/d/live", "/www/link/d/live", "/www/in/../in/d/live"} {
		wantHeader(t, path, s.do(http.MethodHead, path, "").header, "Content-Type: text/x-live", "Incremental: ?1")
	}
	for _, path := range []string{"/d/live", "/other/d/live", "/www/d/live", "/www/in/d/live/"} {
		wantStatus(t, path, s.do(http.MethodHead, path, ""), http.StatusNotFound)
	}
}

func TestReaderThatLeavesEndsItsResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, nil)
		u := s.upload("a.mp4", "", "01234")
		ctx, leave := context.WithCancel(t.Context())
		x := s.start(newRequest(http.MethodGet, "/a.mp4", "").WithContext(ctx))
		waiting := s.start(newRequest(http.MethodGet, "/a.mp4", "", "Range: bytes=9-").WithContext(ctx))
		x.has(t, "GET", "01234")
		equal(t, "readers", u.Readers(), 2)
		leave()
		for what, r := range map[string]reply{"following": x.wait(), "waiting": waiting.wait()} {
			if r.err != nil || r.aborted {
				t.Errorf("%s: got error %v, aborted %v, want neither", what, r.err, r.aborted)
			}
		}
		equal(t, "readers left", u.Readers(), 0)
		equal(t, "state of the upload", u.State(), sinkbus.Open)
		equal(t, "errors in the log", s.logs.FilterLevelExact(zap.ErrorLevel).Len(), 0)
	})
}

func TestLargeUploadIsServedFromItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, nil)
		content := string(noise(3 << 20)) // more than is kept in memory
		u := s.upload("a.mp4", "", content)
		x := s.start(newRequest(http.MethodGet, "/a.mp4", ""))
		part := s.start(newRequest(http.MethodGet, "/a.mp4", "", "Range: bytes=1000000-1999999"))
		synctest.Wait()
		equal(t, "all so far", x.rec.Body.String() == content, true)
		r := part.wait()
		equal(t, "range", r.body == content[1000000:2000000], true)
		commit(t, u)
		equal(t, "all", x.wait().body == content, true)
	})
}

// TestReaderOfAStreamHasOurTimeout checks what Caddy's own idle timeout becomes
// while a stream is followed.
func TestReaderOfAStreamHasOurTimeout(t *testing.T) {
	seconds := func(n int) *caddy.Duration { d := caddy.Duration(time.Duration(n) * time.Second); return &d }
	for _, tc := range []struct {
		name    string
		timeout *caddy.Duration
		want    time.Duration
	}{
		{"default", nil, DefaultTimeout * time.Second},
		{"configured", seconds(7), 7 * time.Second},
		{"for ever", seconds(0), forEver},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := readWrite
				o.Timeout = tc.timeout
				s := newSite(t, o, nil)
				u := s.upload("a.mp4", "", "01234")
				iw := &caddyhttp.IdleTimeoutWriter{Deadline: caddyhttp.IdleDeadline{Timeout: time.Minute}}
				r := newRequest(http.MethodGet, "/a.mp4", "")
				x := s.start(r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), nil, iw)))
				x.has(t, "GET", "01234")
				equal(t, "timeout", iw.Deadline.Timeout, tc.want)
				commit(t, u)
				x.wait()
				equal(t, "timeout afterwards", iw.Deadline.Timeout, time.Minute)
			})
		})
	}
}

func TestUploadByPutIsSeenByReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, nil)
		body, client := newPipe()
		put := s.start(chunked(http.MethodPut, "/d/a.mp4", body, "Content-Type: *"))
		synctest.Wait()
		x := s.start(newRequest(http.MethodGet, "/d/a.mp4", ""))
		x.has(t, "nothing", "")
		client.send(t, "one ")
		x.has(t, "some", "one ")
		client.send(t, "two")
		client.Close()
		wantStatus(t, "PUT", put.wait(), http.StatusCreated)
		r := x.wait()
		wantReply(t, "GET", r, http.StatusOK, "one two")
		wantHeader(t, "GET", r.header, "Content-Type: video/mp4")
	})
}

func TestAbortedPutAbortsItsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, readWrite, nil)
		body, client := newPipe()
		put := s.start(chunked(http.MethodPut, "/d/a.mp4", body))
		client.send(t, "one")
		x := s.start(newRequest(http.MethodGet, "/d/a.mp4", ""))
		x.has(t, "GET", "one")
		client.CloseWithError(errProducer)
		wantStatus(t, "PUT", put.wait(), http.StatusBadRequest)
		equal(t, "GET: aborted", x.wait().aborted, true)
		equal(t, "what is left", strings.Join(s.names("www"), " "), "")
	})
}
