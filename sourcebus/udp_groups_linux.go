package sourcebus

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// onlyOwnGroups has a socket receive the datagrams of the groups that it has
// joined itself. Otherwise it would get those of all groups on its port that
// anybody on this machine has joined.
func onlyOwnGroups(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		switch {
		case err != nil:
			failed = err
		case domain == unix.AF_INET6:
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		default:
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		}
	}); err != nil {
		return err
	}
	if errors.Is(failed, unix.ENOPROTOOPT) {
		return nil // kernels before 4.20 have it for IPv4 only
	}
	return failed
}
