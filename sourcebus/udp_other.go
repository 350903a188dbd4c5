//go:build !unix

package sourcebus

import "net"

// datagramConn is a socket from which datagrams are taken.
type datagramConn struct{ net.PacketConn }

func newDatagramConn(conn net.PacketConn) (datagramConn, error) {
	if c, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
		if err := c.SetReadBuffer(udpBuffer); err != nil {
			conn.Close()
			return datagramConn{}, err
		}
	}
	return datagramConn{conn}, nil
}

// read waits for a datagram and puts it into buf. It appends its size to sizes.
func (c datagramConn) read(buf []byte, sizes []int) ([]int, error) {
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		return sizes, err
	}
	return append(sizes, n), nil
}
