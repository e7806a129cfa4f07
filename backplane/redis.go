package backplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/internal/fleet"
	"github.com/hubwire/hubwire/internal/members"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// Redis is the server.LifetimeManager and ResultRouter of one hub on one node. It
// is safe for concurrent use.
//
// Who owns what: one goroutine reads the subscriptions and routes; it never
// waits for a handler, a client or Redis. One writes the subscriptions. One
// publishes, in the order of the calls. One executes the group commands of
// other nodes, which may wait for Redis.
type Redis struct {
	opts     *Options
	channels wire.Channels
	client   redis.UniversalClient
	base     []string      // channels of the node itself
	fleet    *fleet.Fleet  // nil without Options.AnyNode
	keyed    chan struct{} // closed once the fleet has a key, or there is no fleet
	cluster  bool          // PUBLISH does not count the subscribers of other nodes
	log      *slog.Logger
	codecs   map[string]protocol.Codec

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	publishes chan *publish
	commands  chan wire.GroupCommand
	waiting   waitingSends
	state     state
	fence     fence
	stats     counters

	dropLogged atomic.Int64  // when the last dropped message was logged, in Unix nanoseconds
	work       chan struct{} // wakes the writer
	peers      peers
	unanswered bool // the last PUBLISH was; of the publisher

	results members.Results // with mu held where a client must not disconnect meanwhile

	sessions atomic.Pointer[sessions] // nil: the hub has none
	presence *presence                // nil without Options.Presence
	bus      *Bus                     // nil: this is a hub's
	scripts  atomic.Uint64            // numbers those that may make a session

	mu          sync.Mutex // guards what follows; nothing waits while it is held
	link        *link
	subscribed  map[string]*subscription // also those that Redis still has to forget
	marked      map[string]struct{}      // channels that the writer looks at
	connections map[string]*connection
	acks        map[int32]*pendingAcks
	lastAck     int32
}

var (
	_ server.LifetimeManager = (*Redis)(nil)
	_ server.ResultRouter    = (*Redis)(nil)
	_ server.GroupLister     = (*Redis)(nil)
)

// connection is a client of this node.
type connection struct {
	server.Receiver
	kept *kept // nil where the hub has no sessions
	seen *seen // nil without Options.Presence

	// Guarded by Redis.mu:
	groups  map[string]struct{}
	joining []string // the group of each join on its way
}

// Errors of sends and joins.
var (
	// ErrUnavailable says that Redis was away for longer than PublishTimeout;
	// nothing was published.
	ErrUnavailable = errors.New("backplane: Redis is not available")

	// ErrOutcomeUnknown says that the connection broke after a message was
	// written to it: it may have been delivered, or not.
	ErrOutcomeUnknown = errors.New("backplane: connection to Redis broke: the message may have been delivered or not")

	// ErrNoAck says that no node has answered for a connection within
	// AckTimeout: most likely it does not exist.
	ErrNoAck = errors.New("backplane: no node has answered for the connection")

	// ErrClosed says that Close was called.
	ErrClosed = errors.New("backplane: closed")
)

// New returns the backplane of one hub. It does not wait for Redis, which may
// be away: see Health and Ready. client stays the caller's, and is closed by the
// caller after Close.
func New(client redis.UniversalClient, opts *Options) (*Redis, error) {
	return open(client, opts, nil)
}

// open is New, for a bus if that is not nil.
func open(client redis.UniversalClient, opts *Options, bus *Bus) (*Redis, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("backplane: the client of Redis is nil (%T)", client)
	}
	r := &Redis{
		opts:        o,
		channels:    wire.Channels{Prefix: o.ChannelPrefix, Hub: o.HubName},
		client:      client,
		log:         rescue.Logger(o.Logger).With("hub", o.HubName, "server", o.ServerName),
		codecs:      map[string]protocol.Codec{},
		publishes:   make(chan *publish, publishQueue),
		commands:    make(chan wire.GroupCommand, commandQueue),
		work:        make(chan struct{}, 1),
		subscribed:  map[string]*subscription{},
		marked:      map[string]struct{}{},
		keyed:       make(chan struct{}),
		connections: map[string]*connection{},
		acks:        map[int32]*pendingAcks{},
	}
	_, r.cluster = client.(*redis.ClusterClient)
	for _, codec := range o.Protocols {
		r.codecs[codec.Name()] = codec
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.state.init(o.OnStateChange, r.log)
	r.fence.work = r.work
	r.base = r.baseChannels()
	if bus != nil {
		bus.r, r.bus = r, bus
		r.base = append(r.base, r.busChannel(o.ServerName))
	}
	r.openFleet()
	for _, channel := range r.base {
		r.subscribed[channel] = &subscription{channel: channel, base: true}
	}
	first := r.renew() // the writer needs one from the beginning
	r.startPresence()
	r.running.Go(func() { r.read(first) })
	r.running.Go(r.write)
	r.running.Go(r.runPublisher)
	r.running.Go(r.runGroupCommands)
	if r.fleet != nil && len(o.AnyNode.Keys) == 0 {
		r.running.Go(r.agree)
	} else {
		close(r.keyed)
	}
	r.observe("Backplane", func(o *Observer) {
		if o.Backplane != nil {
			o.Backplane(r)
		}
	})
	return r, nil
}

func (r *Redis) baseChannels() []string {
	name := r.opts.ServerName
	return []string{r.channels.All(), r.channels.Groups(), r.channels.Ack(name), r.channels.Physical(r.channels.Return(name))}
}

// Close ends the subscriptions. Everything that waits returns ErrClosed at
// once. Close itself waits for what Redis is doing, and does not close the
// client that New was given.
func (r *Redis) Close() error {
	r.stop()
	r.state.set(Health{State: Closed})
	r.mu.Lock()
	l := r.link
	r.mu.Unlock()
	if l != nil {
		_ = l.pubsub.Close() // ends Receive
	}
	if r.fleet != nil {
		r.fleet.Close()
	}
	r.running.Wait()
	r.fence.fail(ErrClosed)
	return nil
}

// Connected implements server.LifetimeManager: it returns once Redis has
// confirmed the connection's channel and its user's. While Redis is away it
// does not wait, except in the first second after the loss, or after New: the
// client is served by this node alone until Redis is back.
func (r *Redis) Connected(ctx context.Context, c server.Receiver) error {
	_, entered := r.admit(c, nil)
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	r.expectReady(ctx)
	return r.awaitOwn(ctx, entered)
}

// admit makes c a connection of this node, and returns its own channels, which are
// to be awaited.
func (r *Redis) admit(c server.Receiver, k *kept) (own *connection, entered []*subscription) {
	own = &connection{Receiver: c, kept: k, groups: map[string]struct{}{}}
	r.describe(own)
	r.mu.Lock()
	r.connections[c.ID()] = own
	r.mu.Unlock()
	r.present(own, "", false)
	r.enter(r.channels.All(), c)
	entered = make([]*subscription, 0, 2)
	for _, channel := range r.ownChannels(c) {
		s, _ := r.enter(channel, c)
		entered = append(entered, s)
	}
	return own, entered
}

// awaitOwn waits for the channels of a connection, while this node is ready.
func (r *Redis) awaitOwn(ctx context.Context, entered []*subscription) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrUnavailable) {
		return context.Cause(ctx)
	}
	for _, s := range entered {
		if err := r.await(ctx, s, true); err != nil {
			return err
		}
	}
	return nil
}

// connectGrace is how long a client that connects waits for a Redis that is being
// connected to, counted from the loss, or the start.
const connectGrace = time.Second

func (r *Redis) expectReady(ctx context.Context) {
	h := r.Health()
	if h.State == Ready {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, h.Since.Add(connectGrace))
	defer cancel()
	_ = r.state.wait(ctx) // if Redis is away for longer, the client is let in
}

// ownChannels are those of a connection itself and of its user.
func (r *Redis) ownChannels(c server.Receiver) []string {
	channels := []string{r.channels.Connection(c.ID())}
	if id := c.UserID(); id != "" {
		channels = append(channels, r.channels.User(id))
	}
	return channels
}

// Disconnected implements server.LifetimeManager. It does not wait for Redis.
func (r *Redis) Disconnected(c server.Receiver) {
	r.mu.Lock()
	own := r.connections[c.ID()]
	if own == nil {
		r.mu.Unlock()
		return
	}
	delete(r.connections, c.ID())
	groups := own.groups // joins and leaves check that the connection is there, and change them no more
	r.mu.Unlock()
	for _, channel := range append(r.ownChannels(c), r.channels.All()) {
		r.leave(channel, c.ID())
	}
	for group := range groups { // one lock each, so that others get Redis.mu in between
		r.leave(r.channels.Group(group), c.ID())
		r.present(own, group, true)
	}
	r.present(own, "", false)
	r.endSession(own)
	r.failResults(own)
}

// bounded is a context for work that waits for Redis.
func (r *Redis) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, r.patience(), ErrUnavailable)
}

// Send implements server.LifetimeManager. A single connection of this node gets
// the message directly, without Redis.
func (r *Redis) Send(ctx context.Context, to server.Audience, m *server.Message) error {
	if to.Kind == server.ToConnections && len(to.Names) == 1 {
		if c := r.local(to.Names[0]); c != nil {
			if _, err := m.Bytes(c.Codec()); err != nil {
				return err
			}
			_ = c.Send(m) // a client that is gone, or too slow, is no error of the send
			return nil
		}
	}
	channels, err := r.audience(to)
	if err != nil || len(channels) == 0 {
		return err
	}
	var except []string
	if to.Kind == server.ToAll || to.Kind == server.ToGroups {
		except = to.Except
	}
	return r.send(ctx, m, except, channels)
}

// audience returns the channels on which a send to to is published.
func (r *Redis) audience(to server.Audience) ([]string, error) {
	switch {
	case to.Kind == server.ToAll:
		return []string{r.channels.All()}, nil
	case to.Kind > server.ToUsers:
		return nil, fmt.Errorf("backplane: send to an unknown audience: %v", to.Kind)
	}
	channels := make([]string, 0, len(to.Names))
	for _, name := range to.Names {
		switch {
		case to.Kind == server.ToConnections:
			channels = append(channels, r.channels.Connection(name))
		case name == "" && len(to.Names) > 1: // as ASP.NET Core does
		case to.Kind == server.ToGroups:
			channels = append(channels, r.channels.Group(name))
		default:
			channels = append(channels, r.channels.User(name))
		}
	}
	return channels, nil
}

func (r *Redis) local(id string) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connections[id]
}

// send publishes m on each channel.
func (r *Redis) send(ctx context.Context, m *server.Message, except, channels []string) error {
	encodings, err := r.encodings(m)
	if err != nil {
		return err
	}
	payload := wire.AppendInvocation(nil, wire.Invocation{Excluded: except, Encodings: encodings, Extension: r.extension()})
	defer r.waiting.begin(m, channels, payload)()
	return r.publishOn(ctx, payload, channels)
}

// hears reports whether what is sent to channel may come to this node. A send
// then waits for it, even if nobody here is a member any more: a client that
// joins afterwards must not get what was sent before.
func (r *Redis) hears(channel string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.subscribed[channel] != nil
}

// encodings returns m in every protocol, used here or not: clients of other
// nodes may speak it.
func (r *Redis) encodings(m *server.Message) ([]wire.Encoding, error) {
	list := make([]wire.Encoding, 0, len(r.opts.Protocols))
	for _, codec := range r.opts.Protocols {
		b, err := m.Bytes(codec)
		if err != nil {
			return nil, fmt.Errorf("encode for %s: %w", codec.Name(), err)
		}
		list = append(list, wire.Encoding{Protocol: codec.Name(), Bytes: b})
	}
	return list, nil
}
