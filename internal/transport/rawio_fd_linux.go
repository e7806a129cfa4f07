//go:build linux && !race && !386

package transport

import (
	"syscall"
	"unsafe"
)

// Reads and writes of sockets that never wait take a few microseconds. Telling
// the scheduler of each costs a quarter more CPU time per echo
// (BenchmarkRawIO), since it may give the processor away meanwhile. It is told
// of long writes. recvfrom(2) and sendto(2) leave out what read(2) and write(2) do for
// files (BenchmarkRawWrite).
const shortWrite = 64 << 10

func readFD(fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func writeFD(fd uintptr, p []byte) (int, error) {
	if len(p) > shortWrite {
		return syscall.Write(int(fd), p)
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
