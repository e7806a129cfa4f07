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
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A memoryRedis is the part of Redis that nodes use, in the memory of the test:
// it works under a fake clock, and fails as a test wants
// (memoryfaults_test.go). Its connections are pipes with a buffer without
// bound, as long as nobody asks for more.
type memoryRedis struct {
	mu          sync.Mutex
	away        bool                              // no connection is accepted
	paused      chan struct{}                     // closed when commands are handled again; nil if they are
	waiting     func(args []string) bool          // what waits meanwhile, with all after it on its connection
	refuse      func(args []string) string        // the error that a command is answered with, or ""
	delay       func(args []string) time.Duration // how long the answer to a command takes; nil is no time
	handling    func(args []string, after bool)   // called before and after each command, if not nil; mu is held
	limit       int                               // bytes that may wait for a connection; 0 is no bound
	keys        memoryKeys
	commands    map[string]int                      // that were handled, by name
	conns       map[*memoryConn]struct{}            // all
	subscribers map[string]map[*memoryConn]struct{} // by channel
	data        map[string]*memoryValue             // by key; see memorydata_test.go
	lastTime    int64                               // that TIME has told
	running     sync.WaitGroup
}

// A memoryConn is one connection, as its Redis sees it.
type memoryConn struct {
	net.Conn
	redis    *memoryRedis
	line     *memoryLine // nil is none
	stranded int         // of line, when it was dialed
	gone     chan struct{}
	close    func() error       // once
	in       *backlog[[]string] // commands
	out      *backlog[string]   // replies

	// Guarded by memoryRedis.mu:
	resp3         bool
	dropped       bool
	subscriptions int
	waits         int      // bytes in out
	slow          bool     // what is to go to out is held
	held          []string // what is to go there then
}

func newMemoryRedis(t testing.TB) *memoryRedis {
	m := &memoryRedis{data: map[string]*memoryValue{}, commands: map[string]int{}, conns: map[*memoryConn]struct{}{}, subscribers: map[string]map[*memoryConn]struct{}{}}
	t.Cleanup(func() {
		m.resume()
		m.mu.Lock()
		m.away = true // for a client that is still about to dial
		for c := range m.conns {
			_ = c.close()
		}
		m.mu.Unlock()
		m.running.Wait()
	})
	return m
}

// node returns a backplane on m.
func (m *memoryRedis) node(t *testing.T, opts Options) *Redis {
	t.Helper()
	return nodeOn(t, m.client(), opts)
}

func (m *memoryRedis) client(change ...func(*redis.Options)) *redis.Client {
	return m.clientOn(nil, change)
}

func (m *memoryRedis) clientOn(line *memoryLine, change []func(*redis.Options)) *redis.Client {
	opts := &redis.Options{
		Addr: "memory:6379", DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	opts.Dialer = func(context.Context, string, string) (net.Conn, error) { return m.dial(line) }
	for _, f := range change {
		f(opts)
	}
	return redis.NewClient(opts)
}

func (m *memoryRedis) dial(line *memoryLine) (net.Conn, error) {
	near, far := net.Pipe()
	c := &memoryConn{Conn: far, redis: m, line: line, gone: make(chan struct{}), in: newBacklog[[]string](), out: newBacklog[string]()}
	c.close = sync.OnceValue(func() error { close(c.gone); return far.Close() })
	if line != nil {
		c.stranded = line.strands()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away || line.isShut() {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errors.New("connection refused")}
	}
	m.conns[c] = struct{}{}
	m.running.Go(c.read)
	m.running.Go(c.handle)
	m.running.Go(c.write)
	return near, nil
}

// handled returns how many commands of a name were handled.
func (m *memoryRedis) handled(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commands[name]
}

// channels returns what is subscribed to.
func (m *memoryRedis) channels() (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for channel := range m.subscribers {
		list = append(list, channel)
	}
	return list
}

// publish delivers what a node has sent that is none of the test's.
func (m *memoryRedis) publish(channel string, payload []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deliver(channel, string(payload))
}

func (m *memoryRedis) deliver(channel, payload string) int {
	for c := range m.subscribers[channel] {
		c.push("message", bulk(channel), bulk(payload))
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
	m := c.redis
	defer func() {
		_ = c.close()
		m.mu.Lock()
		delete(m.conns, c)
		m.mu.Unlock()
	}()
	for {
		reply, ok := c.out.next()
		c.line.carry(c) // also the end of the connection
		if !ok {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
		m.mu.Lock()
		c.waits -= len(reply)
		m.mu.Unlock()
	}
}

func (c *memoryConn) handle() {
	m := c.redis
	for {
		args, ok := c.in.next()
		if !ok {
			break
		}
		c.line.carry(c)
		m.mu.Lock()
		paused, wait, delay := m.paused, m.waiting, m.delay
		m.mu.Unlock()
		if paused != nil && wait(args) {
			<-paused
		}
		m.mu.Lock()
		if !c.dropped {
			m.commands[args[0]]++
			c.slow = delay != nil
			c.execute(args)
		}
		m.mu.Unlock()
		if delay != nil {
			time.Sleep(delay(args))
			m.mu.Lock()
			c.slow = false
			for _, text := range c.held {
				c.reply(text)
			}
			c.held = nil
			m.mu.Unlock()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.drop()
}

// drop ends a connection: what has not left yet is lost. Its client notices
// when the network carries. memoryRedis.mu is held.
func (c *memoryConn) drop() {
	m := c.redis
	c.dropped = true
	for channel := range m.subscribers {
		c.subscribe(channel, false)
	}
	c.in.end()
	c.out.cut()
	if c.line == nil {
		_ = c.close()
	}
}

func (c *memoryConn) reply(text string) {
	if c.dropped {
		return
	}
	if c.slow {
		c.held = append(c.held, text)
		return
	}
	c.waits += len(text)
	if limit := c.redis.limit; limit > 0 && c.waits > limit {
		c.drop()
		return
	}
	c.out.add(text)
}

// push sends what is an array in RESP2.
func (c *memoryConn) push(kind string, items ...string) {
	mark := "*"
	if c.resp3 {
		mark = ">"
	}
	c.reply(mark + strconv.Itoa(1+len(items)) + "\r\n" + bulk(kind) + strings.Join(items, ""))
}

// execute answers one command. memoryRedis.mu is held.
func (c *memoryConn) execute(args []string) {
	m := c.redis
	if m.handling != nil {
		m.handling(args, false)
		defer m.handling(args, true)
	}
	if m.refuse != nil {
		if text := m.refuse(args); text != "" {
			c.reply("-" + text + "\r\n")
			return
		}
	}
	switch args[0] {
	case "hello":
		c.resp3 = true
		c.reply("%1\r\n" + bulk("proto") + ":3\r\n")
	case "ping":
		switch {
		case !c.resp3 && c.subscriptions > 0:
			c.push("pong", bulk(strings.Join(args[1:], "")))
		case len(args) > 1:
			c.reply(bulk(args[1]))
		default:
			c.reply("+PONG\r\n")
		}
	case "subscribe":
		for _, channel := range args[1:] {
			c.subscribe(channel, true)
			c.push("subscribe", bulk(channel), fmt.Sprintf(":%d\r\n", c.subscriptions))
		}
	case "unsubscribe":
		for _, channel := range args[1:] {
			c.subscribe(channel, false)
			c.push("unsubscribe", bulk(channel), fmt.Sprintf(":%d\r\n", c.subscriptions))
		}
	case "publish":
		c.reply(fmt.Sprintf(":%d\r\n", m.deliver(args[1], args[2])))
	case "pubsub": // numsub channel
		c.reply(fmt.Sprintf("*2\r\n%s:%d\r\n", bulk(args[2]), len(m.subscribers[args[2]])))
	case "set", "setnx", "get", "exists":
		c.reply(m.keys.execute(args))
	default:
		c.reply(encodeReply(m.command(args)))
	}
}

// subscribe changes whether c is subscribed to channel. memoryRedis.mu is held.
func (c *memoryConn) subscribe(channel string, on bool) {
	set := c.redis.subscribers[channel]
	_, was := set[c]
	switch {
	case on && !was:
		if set == nil {
			set = map[*memoryConn]struct{}{}
			c.redis.subscribers[channel] = set
		}
		set[c] = struct{}{}
		c.subscriptions++
	case !on && was:
		if delete(set, c); len(set) == 0 {
			delete(c.redis.subscribers, channel)
		}
		c.subscriptions--
	}
}

func bulk(s string) string { return "$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }

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

// cut ends the queue, and forgets what is in it.
func (b *backlog[T]) cut() {
	b.mu.Lock()
	b.list = nil
	b.mu.Unlock()
	b.end()
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
