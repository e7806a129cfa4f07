package testport

import (
	"fmt"
	"syscall"
)

// hold binds a socket that does not listen. Linux lets another one bind to the same
// port, and listen, if both have SO_REUSEADDR; it gives the port to nobody who asks
// for any.
func hold() (port int, release func(), _ error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("hold a port: %w", err)
	}
	release = func() { _ = syscall.Close(fd) }
	port, err = bind(fd)
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("hold a port: %w", err)
	}
	return port, release, nil
}

func bind(fd int) (port int, _ error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	ipv4, ok := at.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("bound to %T", at)
	}
	return ipv4.Port, nil
}
