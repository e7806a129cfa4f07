package backplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A memoryRedis is the part of Redis that nodes use, in the memory of the test:
// it works under a fake clock, and fails as it is told. Its connections are
// pipes with a buffer without bound, as long as nobody asks for more.
type memoryRedis struct {
	mu          sync.Mutex
	away        bool                                // no connection is accepted
	paused      chan struct{}                       // closed when commands are handled again; nil if they are
	waiting     func(args []string) bool            // what waits meanwhile, with all behind it on its connection
	refuse      func(args []string) string          // the error that a command is answered with, or ""
	commands    map[string]int                      // that were handled, by name
	conns       map[*memoryConn]struct{}            // all
	subscribers map[string]map[*memoryConn]struct{} // by channel
	running     sync.WaitGroup
}

type memoryConn struct {
	net.Conn
	redis *memoryRedis
	in    *backlog[[]string] // commands
	out   *backlog[string]   // replies
}

func newMemoryRedis(t testing.TB) *memoryRedis {
	m := &memoryRedis{commands: map[string]int{}, conns: map[*memoryConn]struct{}{}, subscribers: map[string]map[*memoryConn]struct{}{}}
	t.Cleanup(func() {
		m.resume()
		m.cut()
		m.running.Wait()
	})
	return m
}

// node returns a backplane on m.
func (m *memoryRedis) node(t *testing.T, opts Options) *Redis {
	t.Helper()
	return nodeOn(t, m.client(), opts)
}

func (m *memoryRedis) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "memory:6379", Dialer: m.dial, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (m *memoryRedis) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	c := &memoryConn{Conn: far, redis: m, in: newBacklog[[]string](), out: newBacklog[string]()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errors.New("connection refused")}
	}
	m.conns[c] = struct{}{}
	m.running.Go(c.read)
	m.running.Go(c.handle)
	m.running.Go(c.write)
	return near, nil
}

// pause lets all commands wait, as CLIENT PAUSE does, until resume.
func (m *memoryRedis) pause() { m.pauseAt(func([]string) bool { return true }) }

// pauseAt lets some commands wait, and what comes behind them.
func (m *memoryRedis) pauseAt(which func(args []string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused, m.waiting = make(chan struct{}), which
}

func (m *memoryRedis) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused != nil {
		close(m.paused)
		m.paused = nil
	}
}

// cut ends every connection.
func (m *memoryRedis) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		_ = c.Close()
	}
}

// stop ends every connection and refuses new ones.
func (m *memoryRedis) stop() {
	m.mu.Lock()
	m.away = true
	m.mu.Unlock()
	m.cut()
}

// refusing has commands that start with prefix answered with an error.
func (m *memoryRedis) refusing(text string, which func(args []string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = func(args []string) string {
		if which(args) {
			return text
		}
		return ""
	}
}

// handled returns how many commands of a name were handled.
func (m *memoryRedis) handled(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commands[name]
}

// publish delivers what a node beside those of the test has sent.
func (m *memoryRedis) publish(channel string, payload []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.subscribers[channel] {
		c.out.add(push("message", bulk(channel), bulk(string(payload))))
	}
	return len(m.subscribers[channel])
}

func (c *memoryConn) read() {
	defer c.in.end()
	r := bufio.NewReader(c)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		c.in.add(args)
	}
}

func (c *memoryConn) write() {
	defer c.Close()
	for {
		reply, ok := c.out.next()
		if !ok {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}

func (c *memoryConn) handle() {
	defer c.out.end()
	m := c.redis
	for {
		args, ok := c.in.next()
		if !ok {
			break
		}
		m.mu.Lock()
		paused, wait := m.paused, m.waiting
		m.mu.Unlock()
		if paused != nil && wait(args) {
			<-paused
		}
		m.mu.Lock()
		m.commands[args[0]]++
		c.execute(args)
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
	for _, set := range m.subscribers {
		delete(set, c)
	}
}

// execute answers one command. memoryRedis.mu is held.
func (c *memoryConn) execute(args []string) {
	m := c.redis
	if m.refuse != nil {
		if text := m.refuse(args); text != "" {
			c.out.add("-" + text + "\r\n")
			return
		}
	}
	switch args[0] {
	case "hello":
		c.out.add("%1\r\n" + bulk("proto") + ":3\r\n")
	case "ping":
		if len(args) > 1 {
			c.out.add(bulk(args[1]))
		} else {
			c.out.add("+PONG\r\n")
		}
	case "subscribe":
		for _, channel := range args[1:] {
			if m.subscribers[channel] == nil {
				m.subscribers[channel] = map[*memoryConn]struct{}{}
			}
			m.subscribers[channel][c] = struct{}{}
			c.out.add(push("subscribe", bulk(channel), ":1\r\n"))
		}
	case "unsubscribe":
		for _, channel := range args[1:] {
			delete(m.subscribers[channel], c)
			if len(m.subscribers[channel]) == 0 {
				delete(m.subscribers, channel)
			}
			c.out.add(push("unsubscribe", bulk(channel), ":1\r\n"))
		}
	case "publish":
		for s := range m.subscribers[args[1]] {
			s.out.add(push("message", bulk(args[1]), bulk(args[2])))
		}
		c.out.add(fmt.Sprintf(":%d\r\n", len(m.subscribers[args[1]])))
	case "pubsub": // numsub channel
		c.out.add(fmt.Sprintf("*2\r\n%s:%d\r\n", bulk(args[2]), len(m.subscribers[args[2]])))
	default:
		c.out.add("-ERR unknown command '" + args[0] + "'\r\n")
	}
}

func bulk(s string) string { return "$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }

func push(kind string, items ...string) string {
	return ">" + strconv.Itoa(1+len(items)) + "\r\n" + bulk(kind) + strings.Join(items, "")
}

func readCommand(r *bufio.Reader) ([]string, error) {
	number := func(kind byte) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != kind {
			return 0, fmt.Errorf("%q is no command", line)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		length, err := number('$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, length+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:length])
	}
	args[0] = strings.ToLower(args[0])
	return args, nil
}

// A backlog is a queue without bound.
type backlog[T any] struct {
	mu    sync.Mutex
	list  []T
	ended bool
	some  chan struct{} // has a token if there is something to look at
}

func newBacklog[T any]() *backlog[T] { return &backlog[T]{some: make(chan struct{}, 1)} }

func (b *backlog[T]) add(v T) {
	b.mu.Lock()
	b.list = append(b.list, v)
	b.mu.Unlock()
	wake(b.some)
}

func (b *backlog[T]) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	wake(b.some)
}

func (b *backlog[T]) next() (v T, ok bool) {
	for {
		b.mu.Lock()
		if len(b.list) > 0 {
			v, b.list = b.list[0], b.list[1:]
			b.mu.Unlock()
			return v, true
		}
		ended := b.ended
		b.mu.Unlock()
		if ended {
			return v, false
		}
		<-b.some
	}
}
