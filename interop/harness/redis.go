package harness

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Redis starts a redis-server of the test's own on a free port, that keeps
// nothing on disk, and returns its address. It is ended with the test. It
// needs redis-server, and skips as Need does.
func Redis(t testing.TB) string {
	t.Helper()
	program := Tool(t, "redis-server")
	for range 5 { // the free port may be taken before Redis has it
		addr := freeAddress(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
		Start(t, cmd)
		if err := waitForRedis(addr, 10*time.Second); err != nil {
			t.Logf("redis-server on %s: %v", addr, err)
			continue
		}
		return addr
	}
	t.Fatal("redis-server did not start")
	return ""
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// waitForRedis asks for a PONG until there is one or limit is over.
func waitForRedis(addr string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := ping(addr, deadline)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-retry.C
	}
}

func ping(addr string, deadline time.Time) error {
	conn, err := net.DialTimeout("tcp", addr, time.Until(deadline))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "+PONG" {
		return fmt.Errorf("answered %q to PING", answer)
	}
	return nil
}
