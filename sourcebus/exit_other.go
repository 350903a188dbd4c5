//go:build !linux

package sourcebus

// awaitExit returns false: a child can only be waited for by reaping it. Its
// number may be given to another process from then on, though hardly as long as
// systems take to use a number again.
func awaitExit(int) bool { return false }
