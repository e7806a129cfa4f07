package harness

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/internal/testport"
)

// Redis starts a redis-server of the test's own on a free port, that keeps
// nothing on disk, and returns its address. It is ended with the test. It
// needs redis-server, and skips as Need does.
func Redis(t testing.TB) string {
	t.Helper()
	return StartRedis(t).Addr
}

// A RedisServer is a redis-server of the test's own that can be killed and
// restarted. Its methods are for one goroutine.
type RedisServer struct {
	// Addr is host:port, the same for its whole life.
	Addr string

	t       testing.TB
	program string
	process *Process
}

// StartRedis is Redis, for tests in which Redis is lost.
func StartRedis(t testing.TB) *RedisServer {
	t.Helper()
	r := &RedisServer{t: t, program: Tool(t, "redis-server")}
	r.Addr = "127.0.0.1:" + testport.Hold(t)
	r.Restart()
	return r
}

// Kill ends the server with SIGKILL and waits for its end.
func (r *RedisServer) Kill() { r.process.Kill() }

// Restart starts the server again, after Kill, on the same port, and waits
// until it answers.
func (r *RedisServer) Restart() {
	r.t.Helper()
	_, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.process = Start(r.t, exec.Command(r.program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", r.t.TempDir()))
	if err := waitForRedis(r.Addr, time.Minute); err != nil {
		r.t.Fatalf("redis-server on %s: %v", r.Addr, err)
	}
}

// waitForRedis sends PING until it is answered or limit is over.
func waitForRedis(addr string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	return poll(limit, func() error { return ping(addr, deadline) })
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
