package backplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// Redis is the server.LifetimeManager of one hub on one node. It is safe for
// concurrent use.
//
// Who owns what: one goroutine reads the subscriptions and routes; it never
// waits for a handler, a client or Redis. One goroutine publishes, in the order
// of the calls. One executes the group commands of other nodes, which may wait
// for Redis. Each channel has a lock of its own.
type Redis struct {
	opts     *Options
	channels wire.Channels
	client   redis.UniversalClient
	cluster  bool // PUBLISH does not count the subscribers of other nodes
	log      *slog.Logger
	codecs   map[string]protocol.Codec

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	pubsub    *redis.PubSub
	publishes chan *publish
	commands  chan wire.GroupCommand
	state     state
	confirms  confirmations

	mu          sync.Mutex // guards what follows
	subscribed  map[string]*subscription
	connections map[string]*connection
	acks        map[int32]chan struct{}
	lastAck     int32
	asked       map[string]*question
}

var _ server.LifetimeManager = (*Redis)(nil)

// connection is a client of this node.
type connection struct {
	server.Receiver
	groups map[string]struct{} // guarded by Redis.mu
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
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Redis{
		opts:        o,
		channels:    wire.Channels{Prefix: o.ChannelPrefix, Hub: o.HubName},
		client:      client,
		log:         o.Logger.With("hub", o.HubName, "server", o.ServerName),
		codecs:      map[string]protocol.Codec{},
		publishes:   make(chan *publish, publishQueue),
		commands:    make(chan wire.GroupCommand, commandQueue),
		subscribed:  map[string]*subscription{},
		connections: map[string]*connection{},
		acks:        map[int32]chan struct{}{},
		asked:       map[string]*question{},
	}
	_, r.cluster = client.(*redis.ClusterClient)
	for _, codec := range o.Protocols {
		r.codecs[codec.Name()] = codec
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.state.init(o.OnStateChange, r.log)
	r.pubsub = client.Subscribe(r.ctx)
	for _, channel := range r.baseChannels() {
		r.subscribed[channel] = newSubscription(channel)
	}
	r.running.Go(r.read)
	r.running.Go(r.publishAll)
	r.running.Go(r.obey)
	return r, nil
}

func (r *Redis) baseChannels() []string {
	name := r.opts.ServerName
	return []string{r.channels.All(), r.channels.Groups(), r.channels.Ack(name), r.channels.Physical(r.channels.Return(name))}
}

// Close ends the subscriptions and everything that waits. It does not close the
// client that New was given.
func (r *Redis) Close() error {
	r.stop()
	err := r.pubsub.Close()
	r.running.Wait()
	r.state.set(Health{State: Closed})
	return err
}

// Connected implements server.LifetimeManager: the connection is known once
// Redis has confirmed its channel and its user's.
func (r *Redis) Connected(ctx context.Context, c server.Receiver) error {
	own := &connection{Receiver: c, groups: map[string]struct{}{}}
	r.mu.Lock()
	r.connections[c.ID()] = own
	all := r.subscribed[r.channels.All()]
	r.mu.Unlock()
	all.add(c)
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	if err := r.state.wait(ctx); err != nil {
		return err
	}
	joins := []string{r.channels.Connection(c.ID())}
	if id := c.UserID(); id != "" {
		joins = append(joins, r.channels.User(id))
	}
	errs := make([]error, len(joins))
	var wg sync.WaitGroup
	for i, channel := range joins {
		wg.Go(func() { errs[i] = r.join(ctx, channel, c) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Disconnected implements server.LifetimeManager.
func (r *Redis) Disconnected(c server.Receiver) {
	r.mu.Lock()
	own := r.connections[c.ID()]
	delete(r.connections, c.ID())
	all := r.subscribed[r.channels.All()]
	r.mu.Unlock()
	if own == nil {
		return
	}
	all.remove(c.ID())
	r.abandon(c.ID())
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	leaves := []string{r.channels.Connection(c.ID())}
	r.mu.Lock()
	for group := range own.groups {
		leaves = append(leaves, r.channels.Group(group))
	}
	r.mu.Unlock()
	if id := c.UserID(); id != "" {
		leaves = append(leaves, r.channels.User(id))
	}
	for _, channel := range leaves {
		if err := r.leave(ctx, channel, c.ID()); err != nil {
			r.log.Debug("channel is left without a word to Redis", "channel", channel, "error", err)
		}
	}
}

// bounded is a context for work that waits for Redis.
func (r *Redis) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, max(r.opts.PublishTimeout, 0), ErrUnavailable)
}

// SendAll implements server.LifetimeManager.
func (r *Redis) SendAll(ctx context.Context, m *server.Message, except []string) error {
	return r.send(ctx, m, except, r.channels.All())
}

// SendConnection implements server.LifetimeManager. A connection of this node
// gets the message directly.
func (r *Redis) SendConnection(ctx context.Context, id string, m *server.Message) error {
	if c := r.local(id); c != nil {
		if _, err := m.Bytes(c.Codec()); err != nil {
			return err
		}
		_ = c.Send(m) // who is gone, or too slow, is no error of the send
		return nil
	}
	return r.send(ctx, m, nil, r.channels.Connection(id))
}

// SendConnections implements server.LifetimeManager.
func (r *Redis) SendConnections(ctx context.Context, ids []string, m *server.Message) error {
	channels := make([]string, len(ids))
	for i, id := range ids {
		channels[i] = r.channels.Connection(id)
	}
	return r.send(ctx, m, nil, channels...)
}

// SendGroup implements server.LifetimeManager.
func (r *Redis) SendGroup(ctx context.Context, group string, m *server.Message, except []string) error {
	return r.send(ctx, m, except, r.channels.Group(group))
}

// SendGroups implements server.LifetimeManager.
func (r *Redis) SendGroups(ctx context.Context, groups []string, m *server.Message) error {
	var channels []string
	for _, group := range groups {
		if group != "" {
			channels = append(channels, r.channels.Group(group))
		}
	}
	return r.send(ctx, m, nil, channels...)
}

// SendUsers implements server.LifetimeManager.
func (r *Redis) SendUsers(ctx context.Context, ids []string, m *server.Message) error {
	var channels []string
	for _, id := range ids {
		if id != "" || len(ids) == 1 {
			channels = append(channels, r.channels.User(id))
		}
	}
	return r.send(ctx, m, nil, channels...)
}

func (r *Redis) local(id string) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connections[id]
}

// send publishes m on each channel.
func (r *Redis) send(ctx context.Context, m *server.Message, except []string, channels ...string) error {
	if len(channels) == 0 {
		return nil
	}
	blobs, err := r.blobs(m)
	if err != nil {
		return err
	}
	payload := wire.AppendInvocation(nil, wire.Invocation{Excluded: except, Blobs: blobs})
	waiting := make([]*publish, len(channels))
	for i, channel := range channels {
		waiting[i] = r.enqueue(channel, payload)
	}
	var errs []error
	for _, p := range waiting {
		if _, err := r.published(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// blobs encodes m in every protocol, used here or not: clients of other nodes
// may speak it.
func (r *Redis) blobs(m *server.Message) ([]wire.Blob, error) {
	blobs := make([]wire.Blob, 0, len(r.opts.Protocols))
	for _, codec := range r.opts.Protocols {
		b, err := m.Bytes(codec)
		if err != nil {
			return nil, fmt.Errorf("encode for %s: %w", codec.Name(), err)
		}
		blobs = append(blobs, wire.Blob{Protocol: codec.Name(), Bytes: b})
	}
	return blobs, nil
}

// retryPause is how long a broken connection is left alone before the next try.
const retryPause = 100 * time.Millisecond
