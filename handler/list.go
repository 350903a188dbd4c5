package handler

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddy-httpout/httpout/handler/listing"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// list answers with the listing of a directory: what all directories that are
// laid over each other there have, and the mount points.
func (q *request) list() error {
	if !q.opts.DirList {
		if err := q.mayUse(); err != nil {
			return err
		}
		return fail(http.StatusForbidden, "Directory browsing is not allowed")
	}
	if q.lacksSlash() {
		return q.redirectToSlash()
	}
	entries, err := q.entries()
	if err != nil {
		return err
	}
	order := listing.ParseOrder(q.r.URL.Query())
	listing.Sort(entries, order)

	h := q.w.Header()
	h.Add("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if listing.WantsJSON(q.r.Header.Values("Accept")) {
		h.Set("Content-Type", "application/json")
		return q.sendBytes(listing.AppendJSON(nil, entries))
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	return q.sendBytes(listing.AppendHTML(nil, listing.Page{
		Path:    q.originalPath(),
		Top:     q.path.name == ".",
		Order:   order,
		Entries: entries,
		Footer:  q.opts.UserAgent,
	}))
}

// entries returns what is to be listed at the target. Where nothing is a
// directory it returns errNotFound, or why it may not be read.
func (q *request) entries() ([]listing.Entry, error) {
	var all []listing.Entry
	var denied error
	found := false
	have := make(map[string]bool)
	for _, name := range q.mountsBelow() {
		all = append(all, listing.Entry{Name: name, Dir: true})
		have[name] = true
		found = true
	}
	first := len(all) == 0
	q.places(func(p place) bool {
		if q.hidden.hides(p) {
			return true
		}
		skip := q.hidden.below(p.abs())
		if err := q.mayRead(p); err != nil {
			denied = err
			return true
		}
		entries, err := listing.Read(p.dir.Root(), p.name, skip)
		if err != nil {
			return true
		}
		found = true
		entries = addUploads(entries, p.dir.UploadingIn(p.name), skip)
		if first {
			all, first = entries, false
			if len(q.table.mounts) > 1 {
				for _, e := range entries {
					have[e.Name] = true
				}
			}
			return true
		}
		for _, e := range entries {
			if !have[e.Name] {
				have[e.Name] = true
				all = append(all, e)
			}
		}
		return true
	})
	switch {
	case found:
		return all, nil
	case denied != nil:
		return nil, denied
	default:
		return nil, errNotFound
	}
}

// addUploads adds the uploads in progress, by name, and marks the files that they
// are about to replace.
func addUploads(entries []listing.Entry, uploads map[string]*sinkbus.Stream, skip func(name string) bool) []listing.Entry {
	if len(uploads) == 0 {
		return entries
	}
	for i := range entries {
		e := &entries[i]
		if s := uploads[e.Name]; s != nil && !e.Dir {
			e.Live, e.Size, e.ModTime = true, s.Size(), time.Now()
			delete(uploads, e.Name)
		}
	}
	for name, s := range uploads {
		if !strings.HasPrefix(name, ".") && !skip(name) && s.State() == sinkbus.Open {
			entries = append(entries, listing.Entry{Name: name, Size: s.Size(), ModTime: time.Now(), Live: true})
		}
	}
	return entries
}

// mountsBelow returns the names of the mount points, or of the folders on the
// way to them, directly in the target.
func (q *request) mountsBelow() []string {
	var names []string
	for _, m := range q.table.mounts {
		rest := m.name
		if q.path.name != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(m.name, q.path.name+"/"); !ok {
				continue
			}
		}
		if rest == "" {
			continue
		}
		if name, _, _ := strings.Cut(rest, "/"); !slices.Contains(names, name) {
			names = append(names, path.Base(name))
		}
	}
	return names
}

// hasMountBelow tells whether the target is on the way to a mount point.
func (q *request) hasMountBelow() bool { return len(q.mountsBelow()) > 0 }
