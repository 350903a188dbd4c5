package handler

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/handler/access"
)

// Server is the options and counters shared by all httpout destinations of one
// site, or by the sites that name the same server. It does not change after it
// was set up, but for the rule files, which it follows.
type Server struct {
	opts    Options
	state   *State
	counter *counter
	logger  *zap.Logger

	maxConns, maxPeerConns, maxClientErrors int
	zmax, maxUpload, maxAsync, blockSize    int64
	timeout                                 time.Duration
	log                                     requestLog
	hidden                                  hiding

	// writeDir is the absolute path of wdir, empty without one.
	writeDir string

	users  *access.Watched[*access.Users]
	groups *access.Watched[*access.Groups]
	rules  []*access.Watched[*access.Rules]

	folders folders
	holders atomic.Int32 // configurations and requests that use the server
}

// NewServer sets up a server. The key tells it from others of the configuration
// and is the same after a reload, for what outlives that. Nothing on disk is
// changed before Open.
func NewServer(o Options, key string, state *State, logger *zap.Logger) (*Server, error) {
	s := &Server{
		opts:            o,
		state:           state,
		logger:          logger,
		maxConns:        valueOr(o.MaxConns, DefaultMaxConns),
		maxPeerConns:    valueOr(o.MaxPeerConns, DefaultMaxPeerConns),
		maxClientErrors: valueOr(o.MaxClientErrors, DefaultMaxClientErrors),
		zmax:            valueOr(o.ZMax, DefaultZMax),
		maxUpload:       valueOr(o.MaxUpload, DefaultMaxUpload),
		maxAsync:        valueOr(o.MaxAsyncBuf, DefaultMaxAsyncBuf),
		blockSize:       valueOr(o.BlockSize, 0),
		timeout:         time.Duration(valueOr(o.Timeout, caddy.Duration(DefaultTimeout*time.Second))),
	}
	var err error
	if s.log, err = parseRequestLog(o.ReqLog); err != nil {
		return nil, err
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	expand := func(v string) (string, error) { return caddy.NewReplacer().ReplaceOrErr(v, true, true) }
	if err := s.provisionUsers(expand); err != nil {
		return nil, err
	}
	if err := s.provisionFolders(expand); err != nil {
		return nil, err
	}
	if err := s.provisionHide(expand); err != nil {
		return nil, err
	}
	s.counter = state.conns.counter(key)
	s.holders.Store(1)
	return s, nil
}

// valueOr returns what p points to, or the default.
func valueOr[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// Key identifies a server's options within a Caddy server.
func Key(caddyServer string, o Options) (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return caddyServer + "/" + hex.EncodeToString(sum[:16]), nil
}

// isSource tells whether uploads become the streams of an input.
func (s *Server) isSource() bool { return s.opts.Mode == "source" && s.opts.WriteDir == "" }

// Quits tells whether Caddy is to stop when all is over.
func (s *Server) Quits() bool { return s.opts.Quit }

// validate checks what needs no look at the disk.
func (s *Server) validate() error {
	o := &s.opts
	switch {
	case o.Mode != "" && o.Mode != "default" && o.Mode != "source":
		return fmt.Errorf("hmode %q is not available in this version", o.Mode)
	case s.zmax < 0 || s.maxUpload < 0 || s.timeout < 0:
		return errors.New("zmax, maxs and timeout may not be negative")
	case s.maxAsync <= 0 || s.blockSize < 0:
		return errors.New("max_async_buf and block_size must be positive")
	case s.maxConns < 0 || s.maxPeerConns < 0 || s.maxClientErrors < 0:
		return errors.New("maxc, maxp and max_client_errors may not be negative")
	}
	switch o.CORS {
	case "", "auto", "on", "off":
	default:
		return fmt.Errorf("cors is %q, want off, on or auto", o.CORS)
	}
	switch o.Ranges {
	case "", "concat", "multipart":
	default:
		return fmt.Errorf("ranges is %q, want concat or multipart", o.Ranges)
	}
	for _, pattern := range o.Hide {
		if _, err := filepath.Match(pattern, "x"); err != nil {
			return fmt.Errorf("hide %q: %v", pattern, err)
		}
	}
	return nil
}

// provisionUsers reads the files of users and groups.
func (s *Server) provisionUsers(expand func(string) (string, error)) error {
	if s.opts.Users != "" {
		name, err := expand(s.opts.Users)
		if err != nil {
			return fmt.Errorf("users: %v", err)
		}
		s.users, err = access.NewWatched(name, access.ParseUsers, s.keptOld("users"))
		if err != nil {
			return fmt.Errorf("reading users: %v", err)
		}
	}
	if s.opts.Groups != "" {
		name, err := expand(s.opts.Groups)
		if err != nil {
			return fmt.Errorf("groups: %v", err)
		}
		s.groups, err = access.NewWatched(name, access.ParseGroups, s.keptOld("groups"))
		if err != nil {
			return fmt.Errorf("reading groups: %v", err)
		}
	}
	return nil
}

// keptOld returns what to do with an edit that cannot be used.
func (s *Server) keptOld(what string) func(error) {
	return func(err error) {
		s.logger.Error("keeping what was read before: the edited file cannot be used",
			zap.String("file", what), zap.Error(err))
	}
}

// provisionHide sorts out what is never served: the patterns of hide, and the
// files that the configuration names.
func (s *Server) provisionHide(expand func(string) (string, error)) error {
	patterns := make([]string, len(s.opts.Hide))
	for i, p := range s.opts.Hide {
		var err error
		if patterns[i], err = expand(p); err != nil {
			return fmt.Errorf("hide: %v", err)
		}
	}
	var files []string
	if s.users != nil {
		files = append(files, s.users.Filename())
	}
	if s.groups != nil {
		files = append(files, s.groups.Filename())
	}
	for _, w := range s.rules {
		files = append(files, w.Filename())
	}
	s.hidden = newHiding(patterns, files)
	return nil
}

// Open creates and opens the directories. Requests that come earlier do so
// themselves.
func (s *Server) Open() error {
	_, err := s.folders.table(s)
	return err
}

// use keeps the server's directories open until release. HTTP/2 may bring a
// request when the configuration is gone and they are closed: they are opened
// again for it. While they are being closed it waits.
func (s *Server) use() {
	s.folders.mu.RLock()
	s.holders.Add(1)
	s.folders.mu.RUnlock()
}

func (s *Server) release() {
	if s.holders.Add(-1) == 0 {
		s.folders.close(func() bool { return s.holders.Load() == 0 })
	}
}

// Close is called when the configuration that the server belongs to is gone.
// Requests in progress keep it until they end.
func (s *Server) Close() { s.release() }
