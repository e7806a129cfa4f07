package backplane

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/internal/testport"
)

// A redisServer is a real redis-server of the test.
type redisServer struct {
	t    testing.TB
	addr string
	end  func()
}

// needRedis skips, or fails where no test may skip, if there is no redis-server.
func needRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("HUBWIRE_REQUIRE_TOOLS") == "1" {
			t.Fatal("redis-server is not on PATH")
		}
		t.Skip("redis-server is not on PATH")
	}
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	needRedis(t)
	s := &redisServer{t: t, addr: "127.0.0.1:" + testport.Hold(t)}
	s.start()
	return s
}

// launch starts redis-server with args, and waits until it says that it is ready.
// end kills it, as does the end of the test.
func launch(t testing.TB, args ...string) (end func()) {
	t.Helper()
	cmd := exec.Command("redis-server", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	var said strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text := lines.Text()
			if said.Len() < 10_000 {
				said.WriteString(text + "\n")
			}
			if strings.Contains(text, "Ready to accept connections") || strings.Contains(text, "+monitor master") {
				select {
				case ready <- true:
				default:
				}
			}
		}
	})
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait()
	})
	t.Cleanup(end)
	if !<-ready {
		end()
		t.Fatalf("redis-server %q has ended: %s", args, said.String())
	}
	return end
}

func (s *redisServer) start() {
	s.t.Helper()
	s.end = launch(s.t, s.args()...)
}

func (s *redisServer) args() []string {
	_, port, _ := net.SplitHostPort(s.addr)
	return []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.t.TempDir()}
}

func (s *redisServer) kill() { s.end() }

func (s *redisServer) client(change ...func(*redis.Options)) *redis.Client {
	return clientAt(s.addr, change)
}

func clientAt(addr string, change []func(*redis.Options)) *redis.Client {
	opts := &redis.Options{Addr: addr}
	for _, f := range change {
		f(opts)
	}
	return redis.NewClient(opts)
}

// do runs a command of the test's own, and returns its answer.
func (s *redisServer) do(args ...any) string {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer c.Close()
	answer, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Errorf("%v: %v", args, err)
	}
	return fmt.Sprint(answer)
}

func (s *redisServer) killSubscribers()      { s.do("client", "kill", "type", "pubsub") }
func (s *redisServer) pause(d time.Duration) { s.do("client", "pause", d.Milliseconds()) }
func (s *redisServer) limitBacklog(n int) {
	s.do("config", "set", "client-output-buffer-limit", fmt.Sprintf("pubsub %d 0 0", n))
}

func (s *redisServer) channels() []string {
	return strings.Fields(strings.Trim(s.do("pubsub", "channels", "*"), "[]"))
}

func (s *redisServer) line() line { return newNetwork(s.t, s.addr) }

// A network lies between a node and a real Redis.
type network struct {
	addr string
	mu   sync.Mutex
	open chan struct{} // closed while it carries; new connections take what is there then
	all  []net.Conn

	stranded chan struct{} // another one with each strand
	over     chan struct{} // closed at the end
}

func newNetwork(t testing.TB, to string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{addr: l.Addr().String(), open: make(chan struct{}), over: make(chan struct{})}
	close(n.open)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			n.mu.Lock()
			n.all = append(n.all, near, far)
			stranded := n.stranded
			n.mu.Unlock()
			wg.Go(func() { n.carry(near, far, stranded) })
			wg.Go(func() { n.carry(far, near, stranded) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.heal()
		n.cut()
		wg.Wait()
	})
	return n
}

func (n *network) client(change ...func(*redis.Options)) *redis.Client {
	return clientAt(n.addr, change)
}

func (n *network) carry(to, from net.Conn, stranded chan struct{}) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		count, err := from.Read(buf)
		n.mu.Lock()
		open := n.open
		if stranded != n.stranded { // of before: nothing is carried any more
			open = n.over
		}
		n.mu.Unlock()
		<-open
		if count > 0 {
			if _, err := to.Write(buf[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (n *network) partition() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = make(chan struct{})
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.open:
	default:
		close(n.open)
	}
}

func (n *network) strand() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stranded = make(chan struct{})
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.over)
	for _, c := range n.all {
		_ = c.Close()
	}
}
