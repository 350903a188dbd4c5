// Package httpout makes a Caddy server a live media origin and a read/write
// file server. It is the glue of the packages below it: the httpout app, which
// owns what must outlive a configuration, and the Caddyfile and command-line
// syntax. Importing it registers every module of the project.
package httpout

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-httpout/httpout/handler"
	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sourcebus"
)

func init() {
	caddy.RegisterModule(App{})
}

// states holds the one handler.State of the process for as long as any
// configuration has the app: it is preserved through reloads, so that uploads,
// their readers and the counts of connections are.
var states = caddy.NewUsagePool()

const stateKey = "httpout"

// App is the httpout app: it owns the servers of all httpout handlers, and holds
// what must survive a reload of the configuration. It needs no configuration
// unless sites share servers.
type App struct {
	// Servers that httpout handlers refer to by name with their `server`
	// option. All handlers that name the same one share its options, its
	// directories and its connection counters.
	Servers map[string]*handler.Options `json:"servers,omitempty"`

	// Live inputs by name. Sites refer to them with their `input` option. One
	// that is named but not declared is an `upload` input.
	Inputs map[string]*sourcebus.Config `json:"inputs,omitempty"`

	// What takes the streams of inputs on this machine.
	Outputs []*sourcebus.OutputConfig `json:"outputs,omitempty"`

	logger *zap.Logger
	state  *handler.State // nil until it is held

	// What handlers asked for while they were provisioned, which Caddy does
	// one after the other.
	shared  map[string]*handler.Server
	servers []*handler.Server
	latest  map[string]*handler.Server // the last one for each key
	keys    map[string]int             // how many servers have asked for each key
	held    map[*sinkbus.Bus]bool      // inputs that wait for the first client
	tracked map[*caddyhttp.Server]bool

	live     inputs
	quitting bool // whether Caddy is to stop when all is over

	// Goroutines of this configuration: cancel ends them, and tasks waits.
	cancel context.CancelFunc
	tasks  *sync.WaitGroup
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "httpout",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision attaches the app to the state of the process.
func (app *App) Provision(ctx caddy.Context) error {
	app.logger = ctx.Logger()
	app.shared = make(map[string]*handler.Server)
	app.latest = make(map[string]*handler.Server)
	app.keys = make(map[string]int)
	app.held = make(map[*sinkbus.Bus]bool)
	app.tracked = make(map[*caddyhttp.Server]bool)
	app.tasks = new(sync.WaitGroup)

	state, _, err := states.LoadOrNew(stateKey, func() (caddy.Destructor, error) {
		return handler.NewState(), nil
	})
	if err != nil {
		return fmt.Errorf("creating state: %v", err)
	}
	app.state = state.(*handler.State)

	for name := range app.Servers {
		if app.Servers[name] == nil {
			return fmt.Errorf("server %q has no options", name)
		}
	}
	if err := app.provisionInputs(ctx); err != nil {
		return err
	}

	// The http app waits for open responses when the process exits, and apps
	// stop in no particular order: Stop would be too late to end streams.
	mod, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting events app: %v", err)
	}
	events, ok := mod.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the events app is a %T", mod)
	}
	return events.On("stopping", drainOnExit{app.state})
}

// drainOnExit ends the streams of the process when it exits: those of earlier
// configurations too, which is why a reload's event leaves them alone.
type drainOnExit struct{ state *handler.State }

// Handle implements caddyevents.Handler.
func (d drainOnExit) Handle(context.Context, caddy.Event) error {
	if caddy.Exiting() {
		endInputs() // first, so that clients of live responses end well
		d.state.Drain()
	}
	return nil
}

// NewServer implements handler.Host.
func (app *App) NewServer(srv *caddyhttp.Server, o handler.Options, share bool) (*handler.Server, error) {
	app.track(srv)
	var name string
	if srv != nil {
		name = srv.Name()
	}
	key, err := handler.Key(name, o)
	if err != nil {
		return nil, err
	}
	if s := app.latest[key]; share && s != nil {
		return s, nil
	}
	// sites with equal options still are servers of their own
	app.keys[key]++
	s, err := app.newServer(o, fmt.Sprintf("%s/%d", key, app.keys[key]))
	if err != nil {
		return nil, err
	}
	app.latest[key] = s
	return s, nil
}

// SharedServer implements handler.Host.
func (app *App) SharedServer(srv *caddyhttp.Server, name string) (*handler.Server, error) {
	app.track(srv)
	if s, ok := app.shared[name]; ok {
		return s, nil
	}
	o, ok := app.Servers[name]
	if !ok {
		return nil, undeclared(name)
	}
	s, err := app.newServer(*o, "server "+name)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", name, err)
	}
	app.shared[name] = s
	return s, nil
}

func undeclared(server string) error {
	return fmt.Errorf("server %q is not declared: write `server %s { … }` in the httpout global option", server, server)
}

func (app *App) newServer(o handler.Options, key string) (*handler.Server, error) {
	s, err := handler.NewServer(o, key, app.state, caddy.Log().Named("http.handlers.httpout"))
	if err != nil {
		return nil, err
	}
	app.servers = append(app.servers, s)
	return s, nil
}

// track makes a Caddy server's connections known, once.
func (app *App) track(srv *caddyhttp.Server) {
	if srv != nil && !app.tracked[srv] {
		app.tracked[srv] = true
		app.state.Track(srv)
	}
}

// Start opens the directories and starts the inputs, and begins to remove what a
// process that died has left in the directories.
func (app *App) Start() error {
	for _, s := range app.servers {
		if err := s.Open(); err != nil {
			return err
		}
		app.quitting = app.quitting || s.Quits()
	}
	for srv := range app.tracked {
		handler.WarnOpenWrites(srv)
		handler.Connect(srv, app.held)
	}
	app.live.start(app.held)

	ctx, cancel := context.WithCancel(context.Background())
	app.cancel = cancel
	app.tasks.Go(func() {
		for _, s := range app.servers {
			s.Sweep(ctx)
		}
	})
	if app.quitting && len(app.live.byName) > 0 {
		app.tasks.Go(func() { app.awaitQuit(ctx) })
	}
	return nil
}

// Stop ends what Start began. Requests go on, and so do inputs that another
// configuration has, too.
func (app *App) Stop() error {
	if app.cancel != nil {
		app.cancel()
	}
	app.tasks.Wait()
	app.live.stop()
	return nil
}

// Cleanup gives up the inputs, the servers and the state: requests in progress
// keep theirs until they end.
func (app *App) Cleanup() error {
	err := app.live.release()
	for _, s := range app.servers {
		s.Close()
	}
	app.servers = nil
	if app.state != nil {
		app.state = nil
		_, derr := states.Delete(stateKey)
		err = errors.Join(err, derr)
	}
	return err
}

// Interface guards
var (
	_ caddy.App           = (*App)(nil)
	_ caddy.Provisioner   = (*App)(nil)
	_ caddy.CleanerUpper  = (*App)(nil)
	_ caddyevents.Handler = drainOnExit{}
	_ handler.Host        = (*App)(nil)
)
