//go:build linux && !race

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
	"time"
)

// BenchmarkRawIO echoes 64 bytes with the calls of rawio_fd_linux.go and with
// those of package syscall, which tell the scheduler. The clients are another
// process; cpu-ns/op is the CPU time of this one.
func BenchmarkRawIO(b *testing.B) {
	plain := func(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }
	plainWrite := func(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
	for _, conns := range []int{1, 16} {
		b.Run(fmt.Sprintf("raw/%d", conns), func(b *testing.B) { echoRaw(b, conns, readFD, writeFD) })
		b.Run(fmt.Sprintf("plain/%d", conns), func(b *testing.B) { echoRaw(b, conns, plain, plainWrite) })
	}
}

func echoRaw(b *testing.B, conns int, read, write func(uintptr, []byte) (int, error)) {
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
			tryR := func(fd uintptr) bool {
				var err error
				n, err = read(fd, buf)
				return err != syscall.EAGAIN
			}
			tryW := func(fd uintptr) bool { _, _ = write(fd, buf[:n]); return true }
			for raw.Read(tryR) == nil && n > 0 {
				_ = raw.Write(tryW)
			}
		})
	}
	served.Wait()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
	_ = clients.Wait() // it reports to its own output
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
