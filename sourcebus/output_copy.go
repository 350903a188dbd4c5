package sourcebus

import (
	"context"
	"errors"
	"io"

	"github.com/caddy-httpout/httpout/sinkbus"
)

// copyGrace is how long an output that is stopped may take for the rest of a
// stream that is complete: less than stopGrace.
const copyGrace = stopGrace * 3 / 4

// copyStream writes p to w, and then all that next returns of the stream, to its
// end. It stops when ctx is done, unless the stream is complete by then and the
// rest of it can be written within copyGrace.
func copyStream(ctx context.Context, s *sinkbus.Stream, w io.Writer, p []byte, next func() ([]byte, error)) (stopped bool, err error) {
	later, cancel := lingering(ctx, copyGrace)
	defer cancel()
	for {
		if len(p) > 0 {
			if _, err := w.Write(p); err != nil {
				return false, err
			}
		}
		if ctx.Err() != nil && (s.State() == sinkbus.Open || later.Err() != nil) {
			return true, nil
		}
		p, err = next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return false, nil
		case ctx.Err() != nil && s.State() == sinkbus.Open:
			return true, nil
		default:
			return false, err
		}
	}
}
