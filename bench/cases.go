//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// loader is a load that can be put on a peer.
type loader interface {
	run(ctx context.Context, b *bench, p *peer) (cell, error)
}

// benchCase is one row of the tables.
type benchCase struct {
	name   string
	unit   string   // what one unit of work is
	peers  []string // who takes part, in the order of peerNames
	versus string   // whom the verdict holds us against; empty: no verdict
	load   func(b *bench, p *peer) (loader, error)

	files  uint64   // that must be open at a time, where they are many
	held   []metric // what the verdict compares; nil: CPU
	bounds []bound  // what we are held to beyond that

	// Each cell has a server of its own, with a mount and nothing else. Such a
	// case takes long: it is run only when it is asked for.
	mount bool
}

// Files that are served to all. ids are arbitrary, but differ.
type servedFile struct {
	name string
	size int64
	id   uint64
}

func servedFiles(big int64) []servedFile {
	return []servedFile{
		{"1k.bin", 1 << 10, 0xf1},
		{"100k.bin", 100 << 10, 0xf2},
		{"10m.bin", 10 << 20, 0xf3},
		{sizeName(big) + ".bin", big, 0xf4},
	}
}

// sizeName writes a size as it stands in the names of cases.
func sizeName(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%dg", n>>30)
	}
	return fmt.Sprintf("%dm", n>>20)
}

const (
	listDir     = "list"
	listEntries = 10000
)

func listName(i int) string { return fmt.Sprintf("segment-%05d.m4s", i) }

var listPattern = regexp.MustCompile(`segment-\d{5}\.m4s`)

// createFiles creates what is served.
func createFiles(www string, files []servedFile, list bool) error {
	if err := os.MkdirAll(filepath.Join(www, listDir), 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(www, f.name), f.id, f.size); err != nil {
			return err
		}
	}
	for i := 0; list && i < listEntries; i++ {
		if err := os.WriteFile(filepath.Join(www, listDir, listName(i)), []byte("segment\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// allCases returns the cases in the order of the tables. big is the size of the
// largest file.
func allCases(big int64) (cases []benchCase) {
	static := []string{fileServer, nginx, floorHTTP, us}
	get := func(name, unit string, load func(b *bench, p *peer) (loader, error)) {
		cases = append(cases, benchCase{name: name, unit: unit, peers: static, versus: fileServer, load: load})
	}
	files := servedFiles(big)
	largest, small := files[3], files[1]
	for _, f := range files {
		conns, warmWith := 16, (*servedFile)(nil)
		if f == largest {
			conns, warmWith = 2, &files[2]
		}
		get("get-"+f.name[:len(f.name)-len(".bin")], "request", func(*bench, *peer) (loader, error) {
			return getLoad{
				method: "GET", path: "/" + f.name, conns: conns, status: 200, warmWith: warmWith,
				check:   func(r *http.Response) error { return checkFile(r, f) },
				sampled: f.size <= 1<<20, bodyID: f.id,
			}, nil
		})
	}
	get("range-50k", "request", func(*bench, *peer) (loader, error) {
		off, n := big/2-1234, int64(50_000)
		return getLoad{
			method: "GET", path: "/" + largest.name, conns: 16, status: 206,
			header:  fmt.Sprintf("Range: bytes=%d-%d\r\n", off, off+n-1),
			check:   func(r *http.Response) error { return verifyReader(r.Body, largest.id, off, n) },
			sampled: true, bodyID: largest.id, bodyOff: off,
		}, nil
	})
	get("ranges-3", "request", func(*bench, *peer) (loader, error) {
		parts := [][2]int64{{0, 1000}, {big / 3, 1000}, {big - 5000, 1000}}
		var spec []string
		for _, p := range parts {
			spec = append(spec, fmt.Sprintf("%d-%d", p[0], p[0]+p[1]-1))
		}
		return getLoad{
			method: "GET", path: "/" + largest.name, conns: 16, status: 206,
			header: "Range: bytes=" + strings.Join(spec, ",") + "\r\n",
			check:  func(r *http.Response) error { return checkRanges(r, largest.id, parts) },
		}, nil
	})
	get("304", "request", func(b *bench, p *peer) (loader, error) {
		tag, err := b.etag(p, small)
		return getLoad{
			method: "GET", path: "/" + small.name, conns: 16, status: 304,
			header: "If-None-Match: " + tag + "\r\n",
		}, err
	})
	get("head", "request", func(*bench, *peer) (loader, error) {
		return getLoad{
			method: "HEAD", path: "/" + small.name, conns: 16, status: 200,
			check: func(r *http.Response) error {
				if r.ContentLength != small.size {
					return fmt.Errorf("content length %d, want %d", r.ContentLength, small.size)
				}
				return nil
			},
		}, nil
	})
	cases = append(cases, benchCase{
		name: "list-10k", unit: "listing", peers: []string{fileServer, nginx, us}, versus: fileServer,
		load: func(*bench, *peer) (loader, error) {
			return getLoad{method: "GET", path: "/" + listDir + "/", conns: 2, status: 200, check: checkListing, warmWith: &small}, nil
		},
	})
	for _, l := range []struct {
		name string
		load putLoad
	}{
		{"put-1m-1", putLoad{1, 1 << 20, false}},
		{"put-1m-1-chunked", putLoad{1, 1 << 20, true}},
		{"put-1m-8", putLoad{8, 1 << 20, false}},
		{"put-1m-8-chunked", putLoad{8, 1 << 20, true}},
		{"put-" + sizeName(big), putLoad{1, big, false}},
	} {
		cases = append(cases, benchCase{
			name: l.name, unit: "upload", peers: []string{nginx, us}, versus: nginx,
			load: func(*bench, *peer) (loader, error) { return l.load, nil },
		})
	}
	for _, n := range []int{1, 100, 1000} {
		cases = append(cases, benchCase{
			name: fmt.Sprintf("live-%d", n), unit: "chunk and reader", peers: []string{floorHTTP, us}, files: uint64(n + 500),
			load: func(*bench, *peer) (loader, error) {
				// 2 Mb/s
				return liveLoad{readers: n, chunk: 25_000, interval: 100 * time.Millisecond}, nil
			},
		})
	}
	return append(cases, fanoutCases()...)
}

func checkFile(r *http.Response, f servedFile) error {
	if r.ContentLength != f.size {
		return fmt.Errorf("content length %d, want %d", r.ContentLength, f.size)
	}
	return verifyReader(r.Body, f.id, 0, f.size)
}

// checkRanges accepts the two forms of an answer with several ranges: parts of
// a multipart body, or their plain concatenation, which is our default.
func checkRanges(r *http.Response, id uint64, parts [][2]int64) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		for _, p := range parts {
			if err := verifyReader(io.LimitReader(r.Body, p[1]), id, p[0], p[1]); err != nil {
				return err
			}
		}
		return verifyReader(r.Body, id, 0, 0) // nothing is left
	}
	mr := multipart.NewReader(r.Body, params["boundary"])
	for i := 0; ; i++ {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) && i == len(parts) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		if i == len(parts) {
			return fmt.Errorf("got more than %d parts", len(parts))
		}
		if err := verifyReader(part, id, parts[i][0], parts[i][1]); err != nil {
			return err
		}
	}
}

// checkListing wants every name of the directory in an HTML page.
func checkListing(r *http.Response) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "text/html" {
		return fmt.Errorf("content type %q, want text/html", r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range listPattern.FindAll(body, -1) {
		seen[string(name)] = true
	}
	if len(seen) != listEntries {
		return fmt.Errorf("got %d of %d entries", len(seen), listEntries)
	}
	if !bytes.Contains(body, []byte("</html>")) {
		return errors.New("the page has no end")
	}
	return nil
}
