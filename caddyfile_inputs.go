package httpout

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-httpout/httpout/sourcebus"
)

// The namespaces of the modules that produce streams and that take them.
const (
	inputKinds  = "httpout.inputs"
	outputKinds = "httpout.outputs"
)

// kindUpload is the kind of an input that sites with hmode source feed.
const kindUpload = "upload"

// restarter is a producer that is started again when it has ended.
type restarter interface {
	SetRestart(policy string, delay time.Duration) error
}

// inputBlock is what an input of the global option becomes, while it is parsed.
type inputBlock struct {
	sourcebus.Config
	kind   string
	module any // the producer, nil without a kind
	given  []string
}

// inputOption describes a line in the block of an input, other than its kind.
type inputOption struct {
	name, args string
	min, max   int
	repeat     bool
	set        func(b *inputBlock, args []string) error // nil if it is not available in this version
}

// inputOptions are the lines of an input's block.
var inputOptions = []inputOption{
	{name: "mime", args: "<type>", min: 1, max: 1, set: func(b *inputBlock, args []string) error {
		b.MediaType = args[0]
		return parseMediaType(args[0])
	}},
	{name: "ext", args: "<ext>", min: 1, max: 1, set: func(b *inputBlock, args []string) (err error) {
		b.Ext, err = parseExt(args[0])
		return err
	}},
	{name: "service_name", args: "<text>", min: 1, max: 1, set: func(b *inputBlock, args []string) error {
		b.ServiceName = args[0]
		return checkProperty(args[0])
	}},
	{name: "meta", args: "<name> <value>", min: 2, max: 2, repeat: true, set: setMeta},
	rateOption("samplerate", func(c *sourcebus.Config) *int { return &c.SampleRate }),
	rateOption("channels", func(c *sourcebus.Config) *int { return &c.Channels }),
	rateOption("bitrate", func(c *sourcebus.Config) *int { return &c.Bitrate }),
	rateOption("width", func(c *sourcebus.Config) *int { return &c.Width }),
	rateOption("height", func(c *sourcebus.Config) *int { return &c.Height }),
	{name: "restart", args: "on-failure|always|never [<delay>]", min: 1, max: 2, set: setRestart},
	{name: "timeshift"},
}

// rateOption returns the option of a number that streams have.
func rateOption(name string, field func(*sourcebus.Config) *int) inputOption {
	return inputOption{name: name, args: "<n>", min: 1, max: 1, set: func(b *inputBlock, args []string) error {
		v, err := parseRate(args[0])
		if err != nil {
			return err
		}
		*field(&b.Config) = v
		return nil
	}}
}

// setMeta adds a property.
func setMeta(b *inputBlock, args []string) error {
	name, value := strings.ToLower(args[0]), args[1]
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q cannot be the name of a property: want one such as ice-genre", args[0])
	}
	if _, ok := b.Meta[name]; ok {
		return fmt.Errorf("'%s' is given twice", args[0])
	}
	if b.Meta == nil {
		b.Meta = make(map[string]string)
	}
	b.Meta[name] = value
	return checkProperty(value)
}

// checkProperty refuses a text that cannot be sent to clients.
func checkProperty(value string) error {
	if value == "" {
		return errEmpty
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("%q cannot be the value of a header field", value)
	}
	return nil
}

// setRestart passes a restart policy to the producer.
func setRestart(b *inputBlock, args []string) error {
	m, ok := b.module.(restarter)
	if !ok {
		return errors.New("only what is run can be restarted: an exec input")
	}
	switch args[0] {
	case "on-failure", "always", "never":
	default:
		return fmt.Errorf("unknown policy '%s': want on-failure, always or never", args[0])
	}
	var delay time.Duration
	if len(args) > 1 {
		var err error
		if delay, err = parseDuration(args[1]); err != nil {
			return err
		}
	}
	return m.SetRestart(args[0], delay)
}

// parseInput parses an input of the global option.
func parseInput(d *caddyfile.Dispenser, app *App) error {
	start := d.Token()
	line := d.RemainingArgsAsTokens()
	if len(line) == 0 {
		return errorAt(start, errors.New("wrong argument count: want 'input <name> [<kind> <args...>]'"))
	}
	name := line[0].Text
	if err := checkInputName(name); err != nil {
		return errorAt(start, err)
	}
	if _, ok := app.Inputs[name]; ok {
		return errorAt(start, fmt.Errorf("input '%s' is declared twice", name))
	}

	b := new(inputBlock)
	if len(line) > 1 {
		if err := b.setKind(line[1:]); err != nil {
			return err
		}
	}
	var later []func() error // what needs the kind, which may come last
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		apply, err := b.parseLine(d)
		if err != nil {
			return err
		}
		later = append(later, apply)
	}
	for _, apply := range later {
		if err := apply(); err != nil {
			return err
		}
	}

	if b.module == nil {
		b.kind, b.module = kindUpload, new(sourcebus.Upload)
	}
	raw, err := moduleJSON(b.module, b.kind)
	if err == nil {
		err = b.Check()
	}
	if err != nil {
		return errorAt(start, err)
	}
	b.ProducerRaw = raw
	if app.Inputs == nil {
		app.Inputs = make(map[string]*sourcebus.Config)
	}
	app.Inputs[name] = &b.Config
	return nil
}

// parseLine parses a line in the block of an input: its kind, at once, or an
// option, which the function that it returns sets.
func (b *inputBlock) parseLine(d *caddyfile.Dispenser) (func() error, error) {
	start := d.Token()
	i := slices.IndexFunc(inputOptions, func(opt inputOption) bool { return opt.name == start.Text })
	if i < 0 {
		return func() error { return nil }, b.setKind(d.NextSegment())
	}
	opt := &inputOptions[i]
	args := d.RemainingArgs()
	var err error
	switch {
	case opt.set == nil:
		err = unavailableError(opt.name)
	case len(args) < opt.min || len(args) > opt.max:
		err = fmt.Errorf("wrong argument count: want '%s %s'", opt.name, opt.args)
	case slices.Contains(b.given, opt.name) && !opt.repeat:
		err = fmt.Errorf("%s is given twice", opt.name)
	case d.NextBlock(d.Nesting()):
		err = fmt.Errorf("%s takes no block", opt.name)
	}
	if err != nil {
		return nil, errorAt(start, err)
	}
	b.given = append(b.given, opt.name)
	return func() error {
		if err := opt.set(b, args); err != nil {
			return errorAt(start, &valueError{opt.name, err})
		}
		return nil
	}, nil
}

// setKind sets the producer by the words of its line.
func (b *inputBlock) setKind(line []caddyfile.Token) error {
	kind := line[0].Text
	if kinds := kindsOf(inputKinds); !slices.Contains(kinds, kind) {
		names := kinds
		for i := range inputOptions {
			names = append(names, inputOptions[i].name)
		}
		return errorAt(line[0], fmt.Errorf("unknown kind or option '%s' of an input: the kinds are %s%s",
			kind, strings.Join(kinds, ", "), meant(closest(kind, names))))
	}
	if b.module != nil {
		return errorAt(line[0], fmt.Errorf("the input has two kinds, %s and %s: an input has one", b.kind, kind))
	}
	mod, err := parseKind(inputKinds, line)
	b.kind, b.module = kind, mod
	return err
}

// parseOutput parses an output of the global option.
func parseOutput(d *caddyfile.Dispenser, app *App) error {
	start := d.Token()
	var input string
	if !d.Args(&input) || !d.NextArg() {
		return errorAt(start, errors.New("wrong argument count: want 'output <input> <kind> <args...>'"))
	}
	if err := checkInputName(input); err != nil {
		return errorAt(start, err)
	}
	line := d.NextSegment()
	kind := line[0].Text
	if kinds := kindsOf(outputKinds); !slices.Contains(kinds, kind) {
		return errorAt(start, fmt.Errorf("unknown kind '%s' of an output: the kinds are %s%s",
			kind, strings.Join(kinds, ", "), meant(closest(kind, kinds))))
	}
	mod, err := parseKind(outputKinds, line)
	if err != nil {
		return err
	}
	raw, err := moduleJSON(mod, kind)
	if err != nil {
		return errorAt(start, err)
	}
	app.Outputs = append(app.Outputs, &sourcebus.OutputConfig{Input: input, ConsumerRaw: raw})
	return nil
}

// kindsOf returns the names of the modules in a namespace.
func kindsOf(namespace string) []string {
	var names []string
	for _, info := range caddy.GetModules(namespace) {
		names = append(names, info.ID.Name())
	}
	slices.Sort(names)
	return names
}

// parseKind returns the module that is named by the first word of a line and
// configured by the whole of it.
func parseKind(namespace string, line []caddyfile.Token) (any, error) {
	info, err := caddy.GetModule(namespace + "." + line[0].Text)
	if err != nil {
		return nil, errorAt(line[0], err)
	}
	mod := info.New()
	u, ok := mod.(caddyfile.Unmarshaler)
	if !ok {
		return nil, errorAt(line[0], fmt.Errorf("%s cannot be configured in a Caddyfile", info.ID))
	}
	d := caddyfile.NewDispenser(line)
	if err := u.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	if d.Next() {
		return nil, d.Errf("%s does not take '%s'", line[0].Text, d.Val())
	}
	return mod, nil
}

// moduleJSON returns the configuration of a module, with its kind.
func moduleJSON(mod any, kind string) (json.RawMessage, error) {
	var warnings []caddyconfig.Warning
	raw := caddyconfig.JSONModuleObject(mod, "kind", kind, &warnings)
	if len(warnings) > 0 {
		return nil, errors.New(warnings[0].Message)
	}
	return raw, nil
}

// checkFed refuses an input that sites cannot feed.
func checkFed(app *App, name string) error {
	c, ok := app.Inputs[name]
	if !ok {
		return nil // an upload input
	}
	var p struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(c.ProducerRaw, &p); err != nil {
		return err
	}
	if p.Kind != kindUpload {
		return fmt.Errorf("hmode source feeds an input of the kind upload, and '%s' is declared as %s", name, p.Kind)
	}
	return nil
}
