package sourcebus

import (
	"context"
	"errors"
)

const hasFIFOs = false

// produceFIFO is not called: a path is refused.
func produceFIFO(context.Context, *Input, string) error { return errors.ErrUnsupported }
