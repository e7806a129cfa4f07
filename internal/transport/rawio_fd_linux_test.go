//go:build linux && !race && !386

package transport

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// BenchmarkRawIO echoes 64 bytes with the calls of rawio_fd_linux.go and RawConn.Control,
// with read(2), write(2) and RawConn.Write, and with those of package syscall, which tell
// the scheduler. The clients are another process; cpu-ns/op is the CPU time of this one.
func BenchmarkRawIO(b *testing.B) {
	const conns = 16
	b.Run("sockets", func(b *testing.B) {
		echoRaw(b, conns, readFD, func(raw syscall.RawConn) func([]byte) {
			var w rawWrite
			return func(p []byte) { _, _ = w.some(raw, p) }
		})
	})
	readFile := func(fd uintptr, p []byte) (int, error) { return asFile(syscall.SYS_READ, fd, p) }
	b.Run("files", func(b *testing.B) { echoRaw(b, conns, readFile, writeByWrite(writeFile)) })
	plain := func(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }
	b.Run("plain", func(b *testing.B) {
		echoRaw(b, conns, plain, writeByWrite(func(fd uintptr, p []byte) { _, _ = syscall.Write(int(fd), p) }))
	})
}

// BenchmarkRawWrite writes to a thousand sockets in turn as a broadcast does, and with
// write(2) and RawConn.Write. Between two rounds the caches are filled with something else.
func BenchmarkRawWrite(b *testing.B) {
	const conns = 1000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var clients [conns]net.Conn
	var raws [conns]syscall.RawConn
	for i := range clients {
		if clients[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			b.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		raws[i] = rawConn(conn)
		defer func() { _, _ = conn.Close(), clients[i].Close() }()
	}
	p, buf, other := make([]byte, 64), make([]byte, 64), make([]byte, 16<<20)
	run := func(b *testing.B, write func(syscall.RawConn)) {
		for n := 0; n < b.N; {
			round := min(conns, b.N-n)
			for _, raw := range raws[:round] {
				write(raw)
			}
			n += round
			b.StopTimer()
			for _, client := range clients[:round] {
				if _, err := io.ReadFull(client, buf); err != nil {
					b.Fatal(err)
				}
			}
			for i := 0; i < len(other); i += 64 {
				other[i]++
			}
			b.StartTimer()
		}
	}
	b.Run("sockets", func(b *testing.B) {
		var w rawWrite
		run(b, func(raw syscall.RawConn) { _, _ = w.some(raw, p) })
	})
	b.Run("files", func(b *testing.B) {
		try := func(fd uintptr) bool { writeFile(fd, p); return true }
		run(b, func(raw syscall.RawConn) { _ = raw.Write(try) })
	})
}

func asFile(nr, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(nr, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func writeFile(fd uintptr, p []byte) { _, _ = asFile(syscall.SYS_WRITE, fd, p) }

// writeByWrite makes functions that write by RawConn.Write.
func writeByWrite(write func(uintptr, []byte)) func(syscall.RawConn) func([]byte) {
	return func(raw syscall.RawConn) func([]byte) {
		var p []byte
		try := func(fd uintptr) bool { write(fd, p); return true }
		return func(bytes []byte) { p = bytes; _ = raw.Write(try) }
	}
}

func echoRaw(b *testing.B, conns int, read func(uintptr, []byte) (int, error), writer func(syscall.RawConn) func([]byte)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	clients := exec.Command(os.Args[0], "-test.run", "^TestClientsOfBenchmarkRawIO$")
	clients.Env = append(os.Environ(), rawAddress+"="+l.Addr().String(), fmt.Sprintf("%s=%d", rawConns, conns), fmt.Sprintf("%s=%d", rawEchoes, b.N/conns+1))
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	before := cpuTime()
	var served sync.WaitGroup
	for range conns {
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		served.Go(func() {
			defer func() { _ = conn.Close() }()
			raw, n, buf := rawConn(conn), 0, make([]byte, 4096)
			write := writer(raw)
			try := func(fd uintptr) bool {
				var err error
				n, err = read(fd, buf)
				return err != syscall.EAGAIN
			}
			for raw.Read(try) == nil && n > 0 {
				write(buf[:n])
			}
		})
	}
	served.Wait()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
	_ = clients.Wait() // it reports to its own output
}

// Variables of the environment for TestClientsOfBenchmarkRawIO.
const (
	rawAddress = "HUBWIRE_RAWIO_ADDRESS"
	rawConns   = "HUBWIRE_RAWIO_CONNS"
	rawEchoes  = "HUBWIRE_RAWIO_ECHOES"
)

func TestClientsOfBenchmarkRawIO(t *testing.T) {
	address := os.Getenv(rawAddress)
	if address == "" {
		return // only BenchmarkRawIO needs it, in a process of its own
	}
	conns, _ := strconv.Atoi(os.Getenv(rawConns))
	echoes, _ := strconv.Atoi(os.Getenv(rawEchoes))
	var done sync.WaitGroup
	for range conns {
		done.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			buf := make([]byte, 64)
			for range echoes {
				_, _ = conn.Write(buf)
				if _, err := io.ReadFull(conn, buf); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
}
