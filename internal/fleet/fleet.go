package fleet

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// A Bus carries messages between the nodes of a fleet. Its methods are safe for
// concurrent use; their errors mean that the Bus is unavailable.
type Bus interface {
	// Publish gives payload to all who have subscribed to channel, and returns how
	// many that are. Where Counts is false it does not know, and returns 1; Heard
	// then says whether there is anybody, which costs more.
	Counts() bool
	Publish(ctx context.Context, channel string, payload []byte) (receivers int64, err error)
	Heard(ctx context.Context, channel string) (bool, error)

	// Subscribe returns once the Bus has confirmed that messages on channel will
	// reach Fleet.Receive. After an error the channel is subscribed to
	// as soon as the Bus is back.
	Subscribe(ctx context.Context, channel string) error
	Unsubscribe(channel string)

	// Claim sets key for d, and reports whether it was unset before.
	Claim(ctx context.Context, key string, d time.Duration) (mine bool, err error)

	// Exists reports whether key is set.
	Exists(ctx context.Context, key string) (bool, error)

	// Since is when the Bus was last restored. Nodes that had lost it may not be
	// subscribed again yet.
	Since() time.Time
}

// Bounds, of one node.
const (
	mostAsks   = 10_000    // requests that other nodes serve for this one; more are answered 503
	mostServed = 10_000    // requests of other nodes; more are answered 503 there
	mostSeen   = 1_000_000 // requests of other nodes in one askTime
	mostSmall  = 1_000     // answers of one message in flight; more are dropped, and asked for again
	pieceSize  = 64 << 10  // bytes of a body in one message
)

// Times.
const (
	askTime      = 30 * time.Second // an older message is refused, and one so far in the future
	busTime      = 2 * time.Second  // for one message to be taken by the Bus
	settleTime   = 2 * time.Second  // after the Bus is restored, nodes may not be subscribed yet
	settlePause  = 50 * time.Millisecond
	probeTime    = 5 * time.Second        // between two probes of an owner
	askerTime    = time.Second            // between two probes of an asker that has not acknowledged
	clientTime   = 10 * time.Second       // for a client to take one piece of an answer
	uncountedAsk = 250 * time.Millisecond // where the Bus does not count: for an owner to say that it has a request, before the Bus is asked for one
)

// Options describe a node in its fleet.
type Options struct {
	Node string // its name
	Base string // prefix of channels and keys; distinguishes this hub and fleet from others
	Keys []Key  // may be empty: see SetKeys
	URL  string // of this node's Handler, as other nodes reach it; empty: over the Bus only

	// Dial connects to another node's URL. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is for https URLs of other nodes. Nil means the system's certificates.
	TLS *tls.Config

	Log *slog.Logger
}

// A Fleet is what one node knows of the fleet for one hub. It implements
// transport.Cluster and is safe for concurrent use.
type Fleet struct {
	bus  Bus
	node string
	base string
	url  string
	log  *slog.Logger
	keys atomic.Pointer[[]Key]
	web  *http.Transport // dials links

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	small   chan struct{} // holds a token for each answer of one message in flight

	refused   atomic.Uint64 // messages
	refusedAt atomic.Int64  // when the last line of the log said so, in Unix nanoseconds
	counts    struct{ forwarded, directly, served atomic.Uint64 }

	mu      sync.Mutex // guards the fields below; nothing blocks while it is held
	closed  bool
	owned   map[string]transport.ForwardHandler // by connection id
	asks    map[exchangeID]*ask
	serving map[exchangeID]*served
	seen    [2]map[exchangeID]struct{} // asks of this askTime and of the one before
	turned  time.Time                  // when seen was rotated
	peers   map[string]*peer           // by their names
	owners  [2]map[string]string       // nodes of connections: recently used, and used before
	given   int                        // links that other nodes have dialed
}

var _ transport.Cluster = (*Fleet)(nil)

// New returns a node's part in the fleet of all nodes with the same o.Base.
func New(bus Bus, o Options) *Fleet {
	f := &Fleet{
		bus: bus, node: o.Node, base: o.Base, url: o.URL, log: o.Log, web: newTransport(o.Dial, o.TLS), small: make(chan struct{}, mostSmall),
		owned: map[string]transport.ForwardHandler{}, asks: map[exchangeID]*ask{}, serving: map[exchangeID]*served{},
		seen: [2]map[exchangeID]struct{}{{}, {}}, turned: time.Now(),
		peers: map[string]*peer{}, owners: [2]map[string]string{{}, {}},
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.SetKeys(o.Keys)
	return f
}

// Counts are of requests, since New.
type Counts struct {
	Forwarded, Directly uint64 // passed on to other nodes; those of them over a link
	Served              uint64 // of other nodes
}

// Counts returns the current counts.
func (f *Fleet) Counts() Counts {
	directly := f.counts.directly.Load() // first: it is never more than all
	return Counts{f.counts.forwarded.Load(), directly, f.counts.served.Load()}
}

// SetKeys replaces the keys. The first one signs, all are accepted.
func (f *Fleet) SetKeys(keys []Key) {
	keys = slices.Clone(keys)
	f.keys.Store(&keys)
}

func (f *Fleet) keyList() []Key { return *f.keys.Load() }

// NodeChannel is the channel on which this node must be subscribed.
func (f *Fleet) NodeChannel() string { return f.nodeChannel(f.node) }

func (f *Fleet) nodeChannel(node string) string { return f.base + "node:" + node }

func (f *Fleet) connectionChannel(id string) string { return f.base + "http:" + id }

// Hears reports whether messages on channel are for Receive.
func (f *Fleet) Hears(channel string) bool { return strings.HasPrefix(channel, f.base) }

// Close ends all exchanges and links, and waits for them.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.running.Wait()
	f.web.CloseIdleConnections()
}

// Claim implements transport.Cluster.
func (f *Fleet) Claim(ctx context.Context, id string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	mine, err := f.bus.Claim(ctx, f.base+"claim:"+id, d)
	switch {
	case err != nil:
		return errors.Join(transport.ErrAway, err)
	case !mine:
		return transport.ErrTaken
	}
	return nil
}

// Claimed implements transport.Cluster.
func (f *Fleet) Claimed(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	return f.bus.Exists(ctx, f.base+"claim:"+id)
}

// Own implements transport.Cluster.
func (f *Fleet) Own(ctx context.Context, id string, serve transport.ForwardHandler) (release func()) {
	channel := f.connectionChannel(id)
	f.mu.Lock()
	f.owned[id] = serve
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	if err := f.bus.Subscribe(ctx, channel); err != nil {
		f.log.Debug("other nodes cannot reach a connection yet", "connection", id, "error", err)
	}
	return func() {
		f.mu.Lock()
		delete(f.owned, id)
		f.mu.Unlock()
		f.bus.Unsubscribe(channel)
	}
}

// publish signs m and publishes it, on the Bus or over a link.
func (f *Fleet) publish(ctx context.Context, via *link, channel string, m *message) (receivers int64, err error) {
	payload, err := f.seal(channel, m)
	switch {
	case err != nil:
		return 0, err
	case via != nil:
		return 1, via.write(channel, payload)
	}
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	return f.bus.Publish(ctx, channel, payload)
}

// probe is publish for a message that asks whether somebody is there: nobody is
// counted on every Bus.
func (f *Fleet) probe(ctx context.Context, via *link, channel string, m *message) (receivers int64, err error) {
	receivers, err = f.publish(ctx, via, channel, m)
	if err != nil || via != nil || f.bus.Counts() {
		return receivers, err
	}
	if heard, err := f.heard(ctx, channel); err != nil || !heard {
		return 0, err
	}
	return receivers, nil
}

func (f *Fleet) heard(ctx context.Context, channel string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	return f.bus.Heard(ctx, channel)
}

// seal signs m.
func (f *Fleet) seal(channel string, m *message) (payload []byte, err error) {
	keys := f.keyList()
	if len(keys) == 0 {
		return nil, transport.ErrAway
	}
	m.from, m.time = f.node, time.Now()
	return m.seal(keys[0], f.base, channel), nil
}

// say publishes a message of an exchange on a goroutine of its own, without waiting
// for the result.
func (f *Fleet) say(via *link, channel string, m *message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	select {
	case f.small <- struct{}{}:
	default:
		return // the other side probes
	}
	f.running.Go(func() {
		defer func() { <-f.small }()
		_, _ = f.publish(f.ctx, via, channel, m) // the other side probes
	})
}

// Receive handles a message of the Bus. It keeps payload and never blocks.
func (f *Fleet) Receive(channel string, payload []byte) {
	if m, err := f.open(channel, payload); err == nil {
		f.deliver(channel, m, nil)
	}
}

// open reads a message for a channel of this node. Invalid messages are counted.
func (f *Fleet) open(channel string, payload []byte) (*message, error) {
	m, err := openMessage(payload, f.keyList(), f.base, channel)
	if err == nil {
		age, toConnection := time.Since(m.time), strings.HasPrefix(channel, f.connectionChannel(""))
		switch {
		case age > askTime, age < -askTime:
			err = errors.New("message is too old, or the clocks of two nodes differ")
		case !toConnection && (m.kind == kindAsk || channel != f.NodeChannel()):
			err = errors.New("message for another node")
		}
	}
	if err != nil {
		f.refuse(channel, err)
		return nil, err
	}
	return m, nil
}

// deliver passes m, which came over the Bus or a link, to its exchange. It never
// blocks.
func (f *Fleet) deliver(channel string, m *message, via *link) {
	switch m.kind {
	case kindAsk:
		f.take(strings.TrimPrefix(channel, f.connectionChannel("")), m, via)
	case kindPiece, kindAck, kindCancel, kindProbe:
		f.mu.Lock()
		s := f.serving[m.id]
		f.mu.Unlock()
		switch {
		case s == nil && m.kind == kindProbe:
			f.say(via, f.nodeChannel(m.from), &message{kind: kindGone, id: m.id})
		case s != nil && m.has(flagNeedAck) && m.kind == kindProbe:
			f.say(via, f.nodeChannel(m.from), &message{kind: kindTaken, id: m.id})
		case s != nil:
			s.told(m)
		}
	default:
		f.mu.Lock()
		a := f.asks[m.id]
		f.mu.Unlock()
		switch {
		case m.kind == kindTaken && m.has(flagNeedAck): // not a matter of the exchange, which may wait for a body
			f.say(via, f.nodeChannel(m.from), a.stillThere(m.id))
		case a != nil:
			select {
			case a.in <- m:
			default: // more than an owner sends
			}
		}
	}
}

// refuse counts an invalid message, and logs at most once a second: an attacker who
// forges one forges many.
func (f *Fleet) refuse(channel string, err error) {
	n := f.refused.Add(1)
	if before, now := f.refusedAt.Load(), time.Now().UnixNano(); now-before >= int64(time.Second) && f.refusedAt.CompareAndSwap(before, now) {
		f.log.Warn("message of another node refused", "channel", channel, "error", err, "refused", n)
	}
}

// isNewLocked reports whether an ask has not been seen before: anyone who can read
// the Bus may replay it.
func (f *Fleet) isNewLocked(id exchangeID) bool {
	if time.Since(f.turned) > 2*askTime { // as long as a message is valid, from the future to the past
		f.seen[1], f.seen[0], f.turned = f.seen[0], map[exchangeID]struct{}{}, time.Now()
	}
	_, now := f.seen[0][id]
	_, before := f.seen[1][id]
	return !now && !before
}

func newExchangeID() (id exchangeID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}
