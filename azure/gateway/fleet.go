package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/internal/msgp"
)

// Times of a fleet.
const (
	helloInterval = 5 * time.Second
	peerTimeout   = 3 * helloInterval
	wantPause     = 2 * time.Second // between two wishes for an app server of one hub
)

// letterTimeout is how long a letter waits for Redis, and its sender for space. It is
// changed by tests alone.
var letterTimeout = 5 * time.Second

// Bounds of a fleet. Whoever can write to Redis is trusted, but a mistake should
// end no gateway.
const (
	mostPeers = 1000
	mostAsks  = 10_000
	mostMail  = 64 << 20 // bytes
)

// A fleet is what a gateway has to do with the others that share its Redis. Each
// has an index of its own clients; what is for those of others is published, as
// the message of the service protocol that it came as.
type fleet struct {
	g       *Gateway
	bus     *backplane.Bus
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	greet   chan letterKind // wakes the goroutine that greets
	posting chan struct{}   // wakes the one that brings mail to the bus
	news    chan string     // gateways that know no users' groups yet
	started chan struct{}   // closed once the gateway can take letters
	closing sync.Once
	nonce   string // of this process, in greetings

	sent, received, dropped, twice atomic.Uint64

	// mu guards what follows. Nothing waits while it is held, and no other lock is
	// taken.
	mu     sync.Mutex
	peers  map[string]*peer
	asks   map[uint64]*ask
	lastID uint64
	wanted map[string]time.Time // hubs, and when an app server was asked for
	logged time.Time            // when a drop was logged
	mail   []envelope           // that the bus has not taken yet
	size   int                  // bytes of mail
}

// A peer is another gateway.
type peer struct {
	heard time.Time
	hubs  []string // that have app servers there
}

func newFleet(g *Gateway) (*fleet, error) {
	f := &fleet{
		g: g, greet: make(chan letterKind, 1), posting: make(chan struct{}, 1), news: make(chan string, 16), started: make(chan struct{}), nonce: randomID(),
		peers: map[string]*peer{}, asks: map[uint64]*ask{}, wanted: map[string]time.Time{},
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	var err error
	f.bus, err = backplane.NewBus(g.opts.Redis, &backplane.BusOptions{
		Name: "hubwire.gateway", ChannelPrefix: g.opts.RedisPrefix, ServerName: g.opts.InstanceID,
		PublishTimeout: letterTimeout, Receive: f.receive, OnStateChange: f.changed, Logger: g.log,
	})
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// start begins, once Gateway.fleet is set.
func (f *fleet) start() {
	close(f.started)
	f.running.Go(f.sayHello)
	f.running.Go(f.tellNews)
	f.running.Go(f.bringMail)
}

// changed is called when Redis is there, or away.
func (f *fleet) changed(h backplane.Health) {
	if h.State == backplane.Ready {
		f.greetSoon(letterNews)
	}
}

// greetSoon has the others greeted now. News are not forgotten for a mere hello.
func (f *fleet) greetSoon(kind letterKind) {
	select {
	case f.greet <- kind:
		return
	default:
	}
	if kind == letterNews {
		select {
		case <-f.greet:
		default:
		}
		f.greetSoon(kind)
	}
}

// sayHello greets the other gateways, again and again.
func (f *fleet) sayHello() {
	ticker := time.NewTicker(helloInterval)
	defer ticker.Stop()
	for {
		kind := letterHello
		select {
		case kind = <-f.greet:
		case <-ticker.C:
			f.expirePeers(time.Now())
		case <-f.ctx.Done():
			return
		}
		f.publish(sender{}, letter{kind: kind, endpoint: f.nonce, body: f.hubsWithServers()})
	}
}

func (f *fleet) hubsWithServers() []byte {
	var names []string
	for _, h := range f.g.allHubs() {
		h.mu.RLock()
		if h.fewestLocked(func(*serverConn) bool { return true }) != nil {
			names = append(names, h.name)
		}
		h.mu.RUnlock()
	}
	b := msgp.AppendArray(nil, len(names))
	for _, name := range names {
		b = msgp.AppendString(b, name)
	}
	return b
}

// close says farewell, behind all that was told before, and ends the bus.
func (f *fleet) close() { f.closing.Do(f.end) }

func (f *fleet) end() {
	said := make(chan struct{})
	f.post("", letter{kind: letterBye}, func(int64, error) { close(said) })
	if f.bus.Health().State == backplane.Ready {
		select {
		case <-said:
		case <-time.After(time.Second): // they will notice
		}
	}
	f.stop()
	_ = f.bus.Close() // never fails
	f.running.Wait()
	f.endAsks()
}

// receive takes a letter. It is the goroutine of the bus, and waits for nobody.
func (f *fleet) receive(payload []byte) {
	<-f.started
	l, err := readLetter(payload)
	if err != nil {
		f.g.often.Warn("message of another gateway dropped", "error", err)
		return
	}
	if l.from == f.g.opts.InstanceID {
		if greets := l.kind == letterHello || l.kind == letterNews; greets && l.endpoint != f.nonce {
			f.g.often.Error("another gateway of this Redis has the same InstanceID: they do not hear each other", "instance", l.from)
		}
		return
	}
	switch l.kind {
	case letterAct:
		f.received.Add(1)
		f.perform(l)
	case letterAnswer:
		f.answered(l)
	case letterComplete:
		if h := f.g.knownHub(l.hub); h != nil {
			_ = l.messages(func(m wire.Message) { h.completedAway(l, m) })
		}
	case letterHello, letterNews:
		f.heard(l)
	case letterBye:
		f.lose(l.from, "it shuts down")
	case letterWant:
		if h := f.g.knownHub(l.hub); h != nil {
			h.sendAppServersTo(l.from)
		}
	}
}

// perform does what an app server of another gateway asks, or REST there, for the
// clients of this one. An app server that has a connection to this gateway by
// another endpoint has sent its message here as well.
func (f *fleet) perform(l letter) {
	h := f.g.knownHub(l.hub)
	o := outcome{status: wire.AckNotFound}
	err := l.messages(func(m wire.Message) {
		switch kind := m.(type) {
		case *wire.UserJoinGroup, *wire.UserJoinGroupWithAck:
			h = f.g.hub(l.hub) // its users may come later
		case *wire.ClientInvocation:
			if h != nil && !h.tells(l.server, l.endpoint) {
				o.status = h.invokeFor(l.from, kind)
			}
			return
		}
		switch {
		case h == nil:
			o = absent(m)
		case h.tells(l.server, l.endpoint):
			f.twice.Add(1)
			o = absent(m)
		default:
			o = h.do(m, nil)
		}
	})
	if err != nil {
		f.g.often.Warn("message of another gateway dropped", "from", l.from, "hub", l.hub, "error", err)
	}
	if l.id != 0 {
		f.tell(l.from, letter{kind: letterAnswer, id: l.id, status: o.status, body: o.payload})
	}
}

// absent is the outcome of a gateway without anybody whom a message is for.
func absent(m wire.Message) outcome {
	switch m.(type) {
	case *wire.UserLeaveGroupWithAck, *wire.UserJoinGroupWithAck:
		return outcome{status: wire.AckOK}
	case *wire.GroupMemberQuery:
		return outcome{status: wire.AckOK, payload: wire.AppendGroupMembers(nil, wire.GroupMembers{})}
	}
	return outcome{status: wire.AckNotFound}
}

// heard is called for the greeting of a gateway.
func (f *fleet) heard(l letter) {
	var hubs []string
	in := msgp.NewReader(l.body)
	for n, ok := in.Array(); ok && n > 0; n-- {
		var name []byte
		if name, ok = in.Str(); ok {
			hubs = append(hubs, strings.ToLower(string(name)))
		}
	}
	f.mu.Lock()
	p := f.peers[l.from]
	fresh := p == nil
	if fresh {
		if len(f.peers) >= mostPeers {
			f.mu.Unlock()
			f.g.often.Error("another gateway ignored", "instance", l.from, "error", "there are too many")
			return
		}
		p = &peer{}
		f.peers[l.from] = p
	}
	p.heard, p.hubs = time.Now(), hubs
	f.mu.Unlock()
	if fresh {
		f.g.log.Info("another gateway is there", "instance", l.from)
		f.greetSoon(letterHello)
	}
	if l.kind == letterNews {
		select {
		case f.news <- l.from:
		default:
			f.g.log.Warn("another gateway was not told of users' groups", "instance", l.from, "error", "too many ask")
		}
	}
	f.wantAppServers(l.from, hubs)
}

// wantAppServers asks a gateway for app servers of the hubs that have some there
// and none here.
func (f *fleet) wantAppServers(from string, hubs []string) {
	if f.g.draining.Load() || f.g.hooks != nil {
		return
	}
	for _, name := range hubs {
		h := f.g.hub(name)
		h.mu.RLock()
		served := h.fewestLocked(func(*serverConn) bool { return true }) != nil
		h.mu.RUnlock()
		f.mu.Lock()
		now := time.Now()
		again := now.Sub(f.wanted[name]) >= wantPause
		if !served && again {
			f.wanted[name] = now
		}
		f.mu.Unlock()
		if !served && again {
			f.tell(from, letter{kind: letterWant, hub: name})
		}
	}
}

// sendAppServersTo asks the app servers of a hub to open a connection more, which
// is to reach another gateway.
func (h *hub) sendAppServersTo(instance string) {
	h.mu.RLock()
	var some []*serverConn
	for _, server := range h.servers {
		if s := server.fewest(); s != nil {
			some = append(some, s)
		}
	}
	h.mu.RUnlock()
	for _, s := range some {
		s.send(&wire.Ping{Messages: []string{"target", instance}})
	}
}

func (f *fleet) expirePeers(now time.Time) {
	f.mu.Lock()
	var gone []string
	for id, p := range f.peers {
		if now.Sub(p.heard) > peerTimeout {
			gone = append(gone, id)
		}
	}
	f.mu.Unlock()
	for _, id := range gone {
		f.lose(id, "it says nothing")
	}
}

// lose forgets a gateway, and fails the client results that it was asked for.
func (f *fleet) lose(id, why string) {
	f.mu.Lock()
	known := f.peers[id] != nil
	delete(f.peers, id)
	f.mu.Unlock()
	if !known {
		return
	}
	f.g.log.Info("another gateway is gone", "instance", id, "reason", why)
	for _, h := range f.g.allHubs() {
		h.failResultsAt(id)
	}
}

// names are the gateways that are known.
func (f *fleet) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.peers))
}
