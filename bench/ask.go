//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true, ResponseHeaderTimeout: ioTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask makes one request outside of any load. The caller closes the body.
func (b *bench) ask(ctx context.Context, method, url, header string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(header, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	return b.client.Do(req)
}

// etag returns the tag that a peer gives a file.
func (b *bench) etag(p *peer, f servedFile) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	resp, err := b.ask(ctx, "HEAD", "http://"+p.addr.String()+"/"+f.name, "")
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	if tag := resp.Header.Get("Etag"); tag != "" {
		return tag, nil
	}
	return "", errors.New("the server sends no ETag")
}

// takeProfile profiles a peer while a cell is measured. The returned function
// waits for the profile.
func (b *bench) takeProfile(ctx context.Context, bc benchCase, p *peer, round int) (wait func()) {
	d := b.warm + b.dur
	if strings.HasPrefix(bc.name, "live") {
		d = b.warm + b.live
	}
	if bc.mount {
		d = b.live
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", p.profile, max(1, int(d/time.Second)))
			req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			f, err := os.Create(filepath.Join(b.profiles, fmt.Sprintf("%s-%s-%d.pprof", bc.name, p.name, round)))
			if err != nil {
				return err
			}
			_, err = io.Copy(f, resp.Body)
			return errors.Join(err, f.Close())
		}()
	}()
	return func() {
		if err := <-done; err != nil {
			progress("profiling %s: %v", p.name, err)
		}
	}
}
