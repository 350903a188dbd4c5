package sourcebus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
	"github.com/caddy-httpout/httpout/sinkbus/framing"
)

// Config is the configuration of an input.
type Config struct {
	// What produces the input's streams. Without it the input is fed by
	// uploads.
	ProducerRaw json.RawMessage `json:"producer,omitempty" caddy:"namespace=httpout.inputs inline_key=kind"`

	// The media type of the input's streams, whatever their producer declares.
	MediaType string `json:"mime,omitempty"`

	// The file name extension that stands for the media type, such as "mp3".
	// Used where mime is not set.
	Ext string `json:"ext,omitempty"`

	// The name of the service, which players may show.
	ServiceName string `json:"service_name,omitempty"`

	// Further properties by name, such as "ice-genre".
	Meta map[string]string `json:"meta,omitempty"`

	// Samples a second, channels, bits a second, and the size of the picture in
	// pixels: what is not set here is taken from the producer, then from the
	// stream itself.
	SampleRate int `json:"samplerate,omitempty"`
	Channels   int `json:"channels,omitempty"`
	Bitrate    int `json:"bitrate,omitempty"`
	Width      int `json:"width,omitempty"`
	Height     int `json:"height,omitempty"`
}

// Producer fills an input. It is implemented by Caddy modules of the namespace
// httpout.inputs.
//
// A producer outlives the configuration that it came with if the next one has
// its input unchanged. So it must not use the caddy.Context of its Provision
// later on, and gives back what it holds at the end of Produce, not in Cleanup.
type Producer interface {
	// Produce fills the input until there is no more to come, which ends the
	// input, or until ctx is done. It is called once. The error that it returns
	// is logged; the streams that it leaves open are aborted then, and completed
	// otherwise.
	Produce(ctx context.Context, in *Input) error

	// Many tells whether the producer has several streams open at a time, each
	// under a name of its own.
	Many() bool
}

// Checker is a Producer whose configuration can be refused after it was
// provisioned, for what only the whole input tells.
type Checker interface {
	Check(c *Config) error
}

// Input is a named producer of streams, and the bus that it fills.
type Input struct {
	*sinkbus.Bus

	Name   string
	Config Config
	Logger *zap.Logger

	producer Producer

	// mu guards what follows.
	mu      sync.Mutex
	cancel  context.CancelFunc // not nil while it runs
	done    chan struct{}
	stopped bool // for good
}

// Key identifies an input by its name and its configuration.
func Key(name string, c Config) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return name + "/" + hex.EncodeToString(sum[:16]), nil
}

// New returns an input that does not run yet.
func New(name string, c Config, p Producer, logger *zap.Logger) *Input {
	in := &Input{
		Name:     name,
		Config:   c,
		Logger:   logger.Named("input").With(zap.String("input", name)),
		producer: p,
	}
	in.Bus = sinkbus.NewBus(sinkbus.BusOptions{
		Many:      p.Many(),
		MediaType: c.mediaType(),
		Properties: sinkbus.Properties{
			ServiceName: c.ServiceName,
			SampleRate:  c.SampleRate,
			Channels:    c.Channels,
			Bitrate:     c.Bitrate,
			Width:       c.Width,
			Height:      c.Height,
			Meta:        lowerKeys(c.Meta),
		},
		NewFramer: framing.New,
	})
	return in
}

// mediaType is the type of all streams, empty where producers declare theirs.
func (c *Config) mediaType() string {
	if c.MediaType != "" || c.Ext == "" {
		return c.MediaType
	}
	return mediatype.ByName("x." + strings.TrimPrefix(c.Ext, "."))
}

// Check refuses what cannot be.
func (c *Config) Check() error {
	if c.MediaType != "" {
		if _, _, err := mime.ParseMediaType(c.MediaType); err != nil {
			return fmt.Errorf("mime %q is no media type: %v", c.MediaType, err)
		}
	}
	if c.Ext != "" && c.MediaType == "" && c.mediaType() == "" {
		return fmt.Errorf("ext %q stands for no known media type: set mime", c.Ext)
	}
	for name, v := range map[string]int{
		"samplerate": c.SampleRate, "channels": c.Channels, "bitrate": c.Bitrate, "width": c.Width, "height": c.Height,
	} {
		if v < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	return nil
}

func lowerKeys(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	lower := make(map[string]string, len(m))
	for k, v := range m {
		lower[strings.ToLower(k)] = v
	}
	return lower
}

// Producer returns what fills the input.
func (in *Input) Producer() Producer { return in.producer }

// Start begins to fill the input. It does nothing while it is running, and
// after it has ended.
func (in *Input) Start() {
	in.mu.Lock()
	defer in.mu.Unlock()
	select {
	case <-in.Over():
		return
	default:
	}
	if in.cancel != nil || in.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	in.cancel, in.done = cancel, done
	go func() {
		defer close(done)
		in.run(ctx)
	}()
}

// run fills the input until its producer ends or ctx is done.
func (in *Input) run(ctx context.Context) {
	// a producer may wait for clients to take what it writes
	defer context.AfterFunc(ctx, in.CompleteAll)()
	err := in.producer.Produce(ctx, in)
	if ctx.Err() != nil {
		// suspended or stopped: what is open has ended as it is
		in.CompleteAll()
		return
	}
	if err != nil {
		in.Logger.Error("input ended", zap.Error(err))
		in.AbortAll(err)
	} else {
		in.Logger.Info("input is over")
		in.CompleteAll()
	}
	in.Close()
}

// Suspend stops the producer and waits until it has: Start begins anew. Streams
// that are open are completed.
func (in *Input) Suspend() {
	in.mu.Lock()
	cancel, done := in.cancel, in.done
	in.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
	in.mu.Lock()
	if in.done == done {
		in.cancel, in.done = nil, nil
	}
	in.mu.Unlock()
}

// Stopped tells whether the input was ended for good.
func (in *Input) Stopped() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stopped
}

// Destruct ends the input for good: its streams are completed, so that clients
// end well, and there will be no more. It implements caddy.Destructor.
func (in *Input) Destruct() error {
	in.mu.Lock()
	in.stopped = true
	in.mu.Unlock()
	in.Suspend()
	in.CompleteAll()
	in.Close()
	return nil
}

// Feed writes all that r has to a stream of the input, once the input's
// producers may go on. It returns nil at the end of r, r's error, that of the
// stream when it was ended by somebody else, or the context's.
//
// Only the end of r ends a read that waits: the caller closes r when ctx is
// done.
func (in *Input) Feed(ctx context.Context, s *sinkbus.Stream, r io.Reader) error {
	if err := in.Await(ctx); err != nil {
		return err
	}
	_, err := s.ReadFrom(r)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// End completes a stream that was fed without an error, and aborts it
// otherwise. One that ended as its input is being stopped has ended well.
func End(ctx context.Context, s *sinkbus.Stream, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, sinkbus.ErrClosed) {
		s.Complete()
		return
	}
	s.Abort(err)
}

// Interface guards
var _ caddy.Destructor = (*Input)(nil)
