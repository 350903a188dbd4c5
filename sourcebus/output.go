package sourcebus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// OutputConfig is the configuration of an output.
type OutputConfig struct {
	// The name of the input whose streams are taken.
	Input string `json:"input,omitempty"`

	// What takes them.
	ConsumerRaw json.RawMessage `json:"consumer,omitempty" caddy:"namespace=httpout.outputs inline_key=kind"`
}

// Consumer takes the streams of an input. It is implemented by Caddy modules of
// the namespace httpout.outputs.
//
// As a Producer does, it outlives the configuration that it came with if the
// next one has its output unchanged, and so must not use the caddy.Context of
// its Provision later on, and gives back what it holds at the end of Consume.
type Consumer interface {
	// Consume takes the streams of out.Input until that is over or ctx is done,
	// most likely by out.Each. It is called once; the error that it returns is
	// logged. It must be back within some 2.5 seconds after ctx is done.
	Consume(ctx context.Context, out *Output) error
}

// Output is what takes the streams of an input on this machine.
type Output struct {
	Input  *Input
	Config OutputConfig
	Logger *zap.Logger

	// Files knows the files that the process is writing.
	Files *sinkbus.Files

	consumer Consumer
	follower *sinkbus.Follower

	// mu guards what follows.
	mu      sync.Mutex
	cancel  context.CancelFunc // not nil once it was started
	done    chan struct{}
	stopped bool
}

// OutputKey identifies an output by the key of its input and its configuration:
// when the input is another, so is the output.
func OutputKey(inputKey string, c OutputConfig) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return inputKey + "/" + hex.EncodeToString(sum[:16]), nil
}

// NewOutput returns an output that does not run yet.
func NewOutput(in *Input, c OutputConfig, consumer Consumer, files *sinkbus.Files, logger *zap.Logger) *Output {
	return &Output{
		Input:    in,
		Config:   c,
		Logger:   logger.Named("output").With(zap.String("input", in.Name)),
		Files:    files,
		consumer: consumer,
	}
}

// Start begins to take streams: those that are open, and all that are opened
// from now on. It is called before the input is started, so that none is missed.
// It does nothing when the output was started or stopped before.
func (o *Output) Start() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cancel != nil || o.stopped {
		return
	}
	o.follower = o.Input.Follow(true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	o.cancel, o.done = cancel, done
	go func() {
		defer close(done)
		defer cancel()
		o.run(ctx)
	}()
}

func (o *Output) run(ctx context.Context) {
	// what is not taken is not kept
	defer func() { o.follower.Close() }()
	err := o.consumer.Consume(ctx, o)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		o.Logger.Error("output ended", zap.Error(err))
	default:
		o.Logger.Info("output is over")
	}
}

// Done returns a channel that is closed when a started output has ended.
func (o *Output) Done() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// Destruct stops the output for good and waits until it has ended. It implements
// caddy.Destructor.
func (o *Output) Destruct() error {
	o.mu.Lock()
	o.stopped = true
	cancel, done := o.cancel, o.done
	o.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
	return nil
}

// Interface guards
var _ caddy.Destructor = (*Output)(nil)
