//go:build linux && !race

package transport

import (
	"syscall"
	"unsafe"
)

// Reads and writes of sockets that never wait take a few microseconds. Telling
// the scheduler of each costs a quarter more CPU time per echo
// (BenchmarkRawIO), since it may give the processor away meanwhile. It is told
// of long writes.
const shortWrite = 64 << 10

func readFD(fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func writeFD(fd uintptr, p []byte) (int, error) {
	if len(p) > shortWrite {
		return syscall.Write(int(fd), p)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
