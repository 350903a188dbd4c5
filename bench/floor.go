//go:build linux

package main

import (
	"flag"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"time"
)

// The floor is the least that a server in Go can do: net/http with nothing
// around it. Uploads stay in memory, and a GET of one follows it while it grows;
// everything else is a file.
//
// runFloor is the child process that serves it.
func runFloor(args []string) error {
	fs := flag.NewFlagSet("floor", flag.ExitOnError)
	addr := fs.String("listen", "127.0.0.1:0", "`address`")
	root := fs.String("root", ".", "`directory` of files")
	live := fs.Bool("live", false, "take and serve an endless stream instead")
	secure := fs.String("tls", "", "`address` for TLS; empty: none")
	cert := fs.String("cert", "", "certificate `file`")
	key := fs.String("key", "", "key `file`")
	if err := fs.Parse(args); err != nil {
		return err
	}
	srv := &http.Server{Handler: newFloor(*root), ReadHeaderTimeout: time.Minute}
	if *live {
		srv.Handler = newLiveFloor()
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	if *secure == "" {
		return srv.Serve(l)
	}
	tl, err := net.Listen("tcp", *secure)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(l) }()
	go func() { ended <- srv.ServeTLS(tl, *cert, *key) }()
	return <-ended
}

type floor struct {
	root  string
	mu    sync.Mutex // guards grown
	grown map[string]*growing
}

func newFloor(root string) *floor { return &floor{root: root, grown: map[string]*growing{}} }

// growing is a body that is being uploaded.
type growing struct {
	mu   sync.Mutex // guards what follows
	more sync.Cond
	data []byte
	done bool
}

// ServeHTTP implements http.Handler.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		f.put(w, r)
		return
	}
	f.mu.Lock()
	g := f.grown[r.URL.Path]
	f.mu.Unlock()
	if g != nil {
		g.serve(w)
		return
	}
	file, err := os.Open(f.root + path.Clean("/"+r.URL.Path))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil || !st.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Etag", `"`+st.ModTime().UTC().Format("150405.000000000")+`"`)
	http.ServeContent(w, r, r.URL.Path, st.ModTime(), file)
}

func (f *floor) put(w http.ResponseWriter, r *http.Request) {
	g := &growing{}
	g.more.L = &g.mu
	f.mu.Lock()
	f.grown = map[string]*growing{r.URL.Path: g} // forget the one before
	f.mu.Unlock()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(buf)
		g.mu.Lock()
		g.data = append(g.data, buf[:n]...)
		g.done = err != nil
		g.mu.Unlock()
		g.more.Broadcast()
		if err != nil {
			break
		}
	}
	w.WriteHeader(http.StatusCreated)
}

func (g *growing) serve(w http.ResponseWriter) {
	rc := http.NewResponseController(w)
	for sent := 0; ; {
		g.mu.Lock()
		for sent == len(g.data) && !g.done {
			g.more.Wait()
		}
		part := g.data[sent:]
		g.mu.Unlock()
		if len(part) == 0 {
			return
		}
		if _, err := w.Write(part); err != nil {
			return
		}
		if err := rc.Flush(); err != nil {
			return
		}
		sent += len(part)
	}
}
