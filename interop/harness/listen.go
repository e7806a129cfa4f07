package harness

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// listenTime is how long a program may take to listen.
	listenTime = 2 * time.Minute
	// starts is how often a program is started that cannot have its port, and
	// startPause lies between two of them.
	starts     = 10
	startPause = 200 * time.Millisecond
)

// FreeAddress returns an address of this machine, "127.0.0.1:port", on which
// nothing listens now. Another program may have got it a moment later: who starts one
// there starts it again, as StartListening does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// StartListening starts what command returns for an address, as Start does, and
// returns when it listens there: when ready returns nil. An empty address stands for
// any free one. A program that ends before is started again, a few times, because
// another one may have got its port; then command gets another address, unless it was
// given.
func StartListening(t testing.TB, address string, command func(address string) *exec.Cmd, ready func(address string) error) (p *Process, at string) {
	t.Helper()
	for n := range starts {
		if n > 0 {
			time.Sleep(startPause)
		}
		if at = address; at == "" {
			at = FreeAddress(t)
		}
		cmd := command(at)
		p = Start(t, cmd)
		go p.Wait() // so that its end is noticed; the process ends with the test
		err := poll(listenTime, func() error {
			if p.hasEnded() {
				return nil
			}
			return ready(at)
		})
		switch {
		case err != nil:
			t.Fatalf("waited for %s to listen on %s: %v", cmd.Path, at, err)
		case !p.hasEnded():
			return p, at
		}
		t.Logf("%s, which was to listen on %s, ended with %v", strings.Join(cmd.Args, " "), at, p.Wait())
	}
	t.Fatalf("%s cannot listen", strings.Join(p.cmd.Args, " "))
	return nil, ""
}

// Listens returns an error unless something accepts connections at the address.
func Listens(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

// hasEnded reports whether the process has ended, if somebody waits for it.
func (p *Process) hasEnded() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}
