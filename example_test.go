package httpout_test

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout"
	"github.com/caddy-httpout/httpout/sinkbus"
)

func init() { caddy.RegisterModule(Greeter{}) }

// Greeter is an app of another plugin. It says something on an input, and
// listens to it.
type Greeter struct{ bus *sinkbus.Bus }

func (Greeter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "greeter", New: func() caddy.Module { return new(Greeter) }}
}

// Provision finds the input. It need not be declared.
func (g *Greeter) Provision(ctx caddy.Context) error {
	app, err := ctx.App("httpout")
	if err != nil {
		return err
	}
	g.bus, err = app.(*httpout.App).Input("greetings")
	return err
}

// Start opens a stream on the input. Sites serve it while it goes on, as they
// serve those of encoders.
func (g *Greeter) Start() error {
	// who follows the input is told of every stream, and may have it whole
	follower := g.bus.Follow(true)
	defer follower.Close()

	s, err := g.bus.OpenLive("/hello.txt", sinkbus.Declared{MediaType: "text/plain", Length: -1})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(s, "hello, world"); err != nil {
		return err
	}
	s.Complete()

	for range 2 {
		event, err := follower.Next(caddy.ActiveContext())
		if err != nil {
			return err
		}
		fmt.Println(event.Kind, event.Name)
		if event.Reader == nil {
			continue
		}
		text, err := event.Reader.Next(0)
		event.Reader.Close()
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", text)
	}
	return nil
}

func (*Greeter) Stop() error { return nil }

// Another Caddy module opens a stream on an input, and takes the streams of one.
func ExampleApp_Input() {
	off := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}},
		AppsRaw: caddy.ModuleMap{"greeter": json.RawMessage("{}")},
	}
	if err := caddy.Run(off); err != nil {
		fmt.Println(err)
		return
	}
	if err := caddy.Stop(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// opened /hello.txt
	// hello, world
	// completed /hello.txt
}
