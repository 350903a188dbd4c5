//go:build !linux

package sourcebus

import "net"

// onlyOwnGroups has a socket receive the datagrams of the groups that it has
// joined itself, which these systems do anyway.
func onlyOwnGroups(*net.UDPConn) error { return nil }
