//go:build !linux

package sourcebus

import (
	"os"

	"go.uber.org/zap"
)

// newNotifier returns what tells of changes in a folder. These systems do not
// tell when a writer closes a file, and some need a descriptor for each file to
// tell anything, so that looking at the folder loses little.
func newNotifier(dir string, root *os.Root, all bool, _ *zap.Logger) (notifier, error) {
	return newScanner(dir, root, all)
}
