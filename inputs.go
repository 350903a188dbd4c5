package httpout

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sourcebus"
)

// inputPool and outputPool hold the inputs and outputs of the process by their
// keys, which are made of their configuration: what a reload leaves unchanged
// goes on as it is.
var (
	inputPool  = caddy.NewUsagePool()
	outputPool = caddy.NewUsagePool()
)

// active are the inputs that run, by name: two that differ must not run at a
// time, as both may want the same device, port or file.
var active struct {
	sync.Mutex
	inputs map[string]*sourcebus.Input
}

// inputs are the inputs and outputs of a configuration.
type inputs struct {
	byName   map[string]*heldInput
	outputs  []*heldOutput
	replaced []*sourcebus.Input // what was suspended for ours
}

// heldInput is an input that a configuration has a share in.
type heldInput struct {
	*sourcebus.Input
	key string
}

type heldOutput struct {
	*sourcebus.Output
	key string
}

// provisionInputs loads the declared inputs and outputs. Nothing begins yet.
func (app *App) provisionInputs(ctx caddy.Context) error {
	app.live.byName = make(map[string]*heldInput)
	for _, name := range slices.Sorted(maps.Keys(app.Inputs)) {
		c := app.Inputs[name]
		if c == nil {
			c = new(sourcebus.Config)
		}
		if err := app.loadInput(ctx, name, c); err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
	}
	for _, c := range app.Outputs {
		if err := app.loadOutput(ctx, c); err != nil {
			return fmt.Errorf("output of input %q: %w", c.Input, err)
		}
	}
	return nil
}

func (app *App) loadInput(ctx caddy.Context, name string, c *sourcebus.Config) error {
	// before the module is loaded, which takes the raw message away
	key, err := sourcebus.Key(name, *c)
	if err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	var producer sourcebus.Producer = new(sourcebus.Upload)
	if c.ProducerRaw != nil {
		mod, err := ctx.LoadModule(c, "ProducerRaw")
		if err != nil {
			return err
		}
		var ok bool
		if producer, ok = mod.(sourcebus.Producer); !ok {
			return fmt.Errorf("a %T produces no streams", mod)
		}
	}
	if checker, ok := producer.(sourcebus.Checker); ok {
		if err := checker.Check(c); err != nil {
			return err
		}
	}
	return app.holdInput(name, key, *c, producer)
}

func (app *App) holdInput(name, key string, c sourcebus.Config, p sourcebus.Producer) error {
	val, _, err := inputPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return sourcebus.New(name, c, p, lastingLogger("httpout")), nil
	})
	if err != nil {
		return err
	}
	app.live.byName[name] = &heldInput{val.(*sourcebus.Input), key}
	return nil
}

func (app *App) loadOutput(ctx caddy.Context, c *sourcebus.OutputConfig) error {
	in, err := app.input(c.Input)
	if err != nil {
		return err
	}
	key, err := sourcebus.OutputKey(in.key, *c)
	if err != nil {
		return err
	}
	if c.ConsumerRaw == nil {
		return fmt.Errorf("it has no consumer")
	}
	mod, err := ctx.LoadModule(c, "ConsumerRaw")
	if err != nil {
		return err
	}
	consumer, ok := mod.(sourcebus.Consumer)
	if !ok {
		return fmt.Errorf("a %T takes no streams", mod)
	}
	val, _, err := outputPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return sourcebus.NewOutput(in.Input, *c, consumer, app.state.Files(), lastingLogger("httpout")), nil
	})
	if err != nil {
		return err
	}
	app.live.outputs = append(app.live.outputs, &heldOutput{val.(*sourcebus.Output), key})
	return nil
}

// input returns the input with that name. One that is not declared is fed by
// uploads.
func (app *App) input(name string) (*heldInput, error) {
	if in, ok := app.live.byName[name]; ok {
		return in, nil
	}
	app.logger.Info("this input is not declared, so it is fed by uploads", zap.String("input", name))
	var c sourcebus.Config
	key, err := sourcebus.Key(name, c)
	if err != nil {
		return nil, err
	}
	if err := app.holdInput(name, key, c, new(sourcebus.Upload)); err != nil {
		return nil, err
	}
	return app.live.byName[name], nil
}

// Input implements handler.Host. Go code opens streams on the bus that it
// returns, with OpenLive, and takes them with Follow or Newest and Join.
func (app *App) Input(name string) (*sinkbus.Bus, error) {
	in, err := app.input(name)
	if err != nil {
		return nil, err
	}
	return in.Bus, nil
}

// start begins to fill the inputs and to take from them. An input that runs
// under the same name, but is another, is suspended for ours.
func (l *inputs) start(held map[*sinkbus.Bus]bool) {
	for _, out := range l.outputs {
		out.Start()
	}
	active.Lock()
	defer active.Unlock()
	if active.inputs == nil {
		active.inputs = make(map[string]*sourcebus.Input)
	}
	for name, in := range l.byName {
		if held[in.Bus] {
			in.Hold()
		} else {
			in.Release()
		}
		if other := active.inputs[name]; other != nil && other != in.Input {
			other.Suspend()
			l.replaced = append(l.replaced, other)
		}
		active.inputs[name] = in.Input
		in.Start()
	}
}

// stop is called when the configuration is over: either another one has
// started, or this one could not. What it had suspended goes on in that case;
// otherwise it is gone for good, and Start does nothing.
func (l *inputs) stop() {
	active.Lock()
	defer active.Unlock()
	for _, other := range l.replaced {
		if other.Stopped() {
			continue
		}
		if ours := active.inputs[other.Name]; ours != nil {
			ours.Suspend()
		}
		active.inputs[other.Name] = other
		other.Start()
	}
	l.replaced = nil
}

// release gives up the configuration's share. What nobody else has ends.
func (l *inputs) release() error {
	var first error
	remember := func(err error) {
		if err != nil && first == nil {
			first = err
		}
	}
	for _, out := range l.outputs {
		_, err := outputPool.Delete(out.key)
		remember(err)
	}
	active.Lock()
	defer active.Unlock()
	for name, in := range l.byName {
		gone, err := inputPool.Delete(in.key)
		remember(err)
		if gone && active.inputs[name] == in.Input {
			delete(active.inputs, name)
		}
	}
	l.outputs, l.byName = nil, nil
	return first
}

// endInputs ends all inputs of the process.
func endInputs() {
	var all []*sourcebus.Input
	inputPool.Range(func(_, value any) bool {
		all = append(all, value.(*sourcebus.Input))
		return true
	})
	var wg sync.WaitGroup
	for _, in := range all {
		wg.Go(func() {
			if err := in.Destruct(); err != nil {
				caddy.Log().Named("httpout").Error("ending an input", zap.String("input", in.Name), zap.Error(err))
			}
		})
	}
	wg.Wait()
}
