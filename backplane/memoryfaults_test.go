package backplane

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// pause lets all commands wait for d, as CLIENT PAUSE does.
func (m *memoryRedis) pause(d time.Duration) {
	m.pauseAt(func([]string) bool { return true })
	time.AfterFunc(d, m.resume)
}

// pauseAt lets some commands wait until resume, and what comes after them.
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
		c.drop()
	}
}

// killSubscribers does what CLIENT KILL TYPE pubsub does.
func (m *memoryRedis) killSubscribers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killLocked()
}

func (m *memoryRedis) killLocked() {
	for c := range m.conns {
		if c.subscriptions > 0 {
			c.drop()
		}
	}
}

// kill ends every connection and refuses new ones, until start.
func (m *memoryRedis) kill() {
	m.mu.Lock()
	m.away = true
	m.mu.Unlock()
	m.cut()
}

func (m *memoryRedis) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = false
}

// limitBacklog drops connections for which more than n bytes wait.
func (m *memoryRedis) limitBacklog(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = n
}

// refusing has the commands that which names answered with an error.
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

// slow has answers take their time, and what comes after them on their
// connection.
func (m *memoryRedis) slow(delay func(args []string) time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = delay
}

// during calls f for each command, before and after it is handled.
func (m *memoryRedis) during(f func(args []string, after bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handling = f
}

// A memoryLine is a network between nodes and a memoryRedis, which may stop
// carrying anything without a word to either.
type memoryLine struct {
	redis *memoryRedis

	mu       sync.Mutex
	closed   bool          // nobody can dial
	held     chan struct{} // closed when it carries again; nil while it carries
	stranded int
}

func (m *memoryRedis) line() line { return &memoryLine{redis: m} }

func (l *memoryLine) client(change ...func(*redis.Options)) *redis.Client {
	return l.redis.clientOn(l, change)
}

func (l *memoryLine) partition() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = make(chan struct{})
}

func (l *memoryLine) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		close(l.held)
		l.held = nil
	}
}

func (l *memoryLine) strand() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stranded++
}

// shut strands what there is and lets nobody dial, or lets them dial again. Unlike with
// partition nobody waits for an answer to a first command then: go-redis does so
// with a lock of its PubSub, for which others wait, and that stops a fake clock.
func (l *memoryLine) shut(closed bool) {
	l.mu.Lock()
	l.closed = closed
	l.mu.Unlock()
	if closed {
		l.strand()
	}
}

func (l *memoryLine) isShut() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *memoryLine) strands() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stranded
}

// carry waits until l carries what c has.
func (l *memoryLine) carry(c *memoryConn) {
	for l != nil {
		l.mu.Lock()
		held := l.held
		if c.stranded != l.stranded {
			held = make(chan struct{}) // for good
		}
		l.mu.Unlock()
		if held == nil {
			return
		}
		select {
		case <-held:
		case <-c.gone:
			return
		}
	}
}
