package backplane

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/backplane/internal/wire"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/redis/go-redis/v9"
)

// ErrNoPresence is returned by the methods of a Fleet without Options.Presence.
var ErrNoPresence = errors.New("backplane: Options.Presence is not set")

var errEvent = errors.New("no event of presence")

// A Fleet is the view of all nodes of the hub that have Options.Presence. Every call
// reads it from Redis; it lags behind by the time a message takes. A node that is
// killed or disconnected is visible until its lease expires, at most 12 seconds. While
// Redis is unavailable every method returns ErrUnavailable, after PublishTimeout;
// Hub.Connections still has this node's connections then.
type Fleet struct{ r *Redis }

// Fleet returns the view of all nodes.
func (r *Redis) Fleet() Fleet { return Fleet{r} }

// A FleetNode is a node with a valid lease.
type FleetNode struct {
	ID          string    // its Options.ServerName
	Version     string    // PresenceOptions.Version; empty: unknown
	Started     time.Time // by the clock of that node
	State       string    // of PresenceOptions.Report, or "ready"
	Load        float64   // of PresenceOptions.Report
	Connections int       // number of its connections
}

// A FleetConnection is a connection of any node.
type FleetConnection struct {
	ID       string    // its connection id
	UserID   string    // empty for anonymous users
	Node     string    // the FleetNode.ID of its node
	Since    time.Time // by the clock of its node
	Metadata string    // of PresenceOptions.Metadata
}

// A FleetCount is the name of a user or group, and how many connections it has.
type FleetCount struct {
	Name        string // the id of the user, or the name of the group
	Connections int    // on all nodes
}

// FleetCounts are how many there are of each. A killed node's connections count until
// its entries are removed.
type FleetCounts struct {
	Nodes, Connections int
	Users              int // that have a connection
	Groups             int // that have a member
}

func (f Fleet) presence() (*presence, error) {
	if f.r.presence == nil {
		return nil, ErrNoPresence
	}
	return f.r.presence, nil
}

// Nodes returns the nodes, by their ids.
func (f Fleet) Nodes(ctx context.Context) ([]FleetNode, error) {
	p, err := f.presence()
	if err != nil {
		return nil, err
	}
	var answer []string
	err = f.ask(ctx, func(ctx context.Context) (err error) {
		answer, err = f.r.client.Eval(ctx, nodesScript, []string{p.base}).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	nodes := make([]FleetNode, 0, len(answer)/2)
	for i := 0; i+1 < len(answer); i += 2 {
		var info nodeInfo
		_ = json.Unmarshal([]byte(answer[i+1]), &info) // a newer node may send something else
		nodes = append(nodes, FleetNode{answer[i], info.Version, info.Started, info.State, info.Load, info.Connections})
	}
	slices.SortFunc(nodes, func(a, b FleetNode) int { return cmpText(a.ID, b.ID) })
	return nodes, nil
}

// ask runs f, which reads, until Redis has answered, for PublishTimeout at most.
func (f Fleet) ask(ctx context.Context, read func(ctx context.Context) error) error {
	ctx, cancel := f.r.bounded(ctx)
	defer cancel()
	if p := f.r.presence; p != nil && p.news != nil {
		defer p.news.ask()()
	}
	return f.r.attempt(ctx, func() error { return read(ctx) })
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Connections iterates over all connections, in no particular order. It reads a
// hundred at a time, and ends with the first error. One that begins or ends meanwhile
// may be included or not; one that stays is included, possibly twice.
func (f Fleet) Connections(ctx context.Context) iter.Seq2[FleetConnection, error] {
	return f.connections(ctx, "conns")
}

// Members iterates over the connections in a group; see Connections.
func (f Fleet) Members(ctx context.Context, group string) iter.Seq2[FleetConnection, error] {
	return f.connections(ctx, "members:"+group)
}

func (f Fleet) connections(ctx context.Context, key string) iter.Seq2[FleetConnection, error] {
	return func(yield func(FleetConnection, error) bool) {
		nodes, err := f.Nodes(ctx)
		if err != nil {
			yield(FleetConnection{}, err)
			return
		}
		alive := map[string]bool{}
		for _, n := range nodes {
			alive[n.ID] = true
		}
		for field, err := range f.scan(ctx, key) {
			if err != nil {
				yield(FleetConnection{}, err)
				return
			}
			v := readNetstrings(field.value, 4)
			if v == nil || !alive[v[0]] {
				continue
			}
			since, _ := strconv.ParseInt(v[2], 10, 64)
			if !yield(FleetConnection{ID: field.name, UserID: v[1], Node: v[0], Since: time.UnixMilli(since), Metadata: v[3]}, nil) {
				return
			}
		}
	}
}

// Users iterates over the users that have connections; see Connections.
func (f Fleet) Users(ctx context.Context) iter.Seq2[FleetCount, error] { return f.counts(ctx, "users") }

// Groups iterates over the groups that have members; see Connections.
func (f Fleet) Groups(ctx context.Context) iter.Seq2[FleetCount, error] {
	return f.counts(ctx, "groups")
}

func (f Fleet) counts(ctx context.Context, key string) iter.Seq2[FleetCount, error] {
	return func(yield func(FleetCount, error) bool) {
		for field, err := range f.scan(ctx, key) {
			n, _ := strconv.Atoi(field.value)
			if !yield(FleetCount{field.name, n}, err) || err != nil {
				return
			}
		}
	}
}

type scanned struct{ name, value string }

// scan iterates over a hash of presence.
func (f Fleet) scan(ctx context.Context, key string) iter.Seq2[scanned, error] {
	return func(yield func(scanned, error) bool) {
		p, err := f.presence()
		if err != nil {
			yield(scanned{}, err)
			return
		}
		for cursor := uint64(0); ; {
			var page []string
			var next uint64
			err := f.ask(ctx, func(ctx context.Context) (err error) {
				page, next, err = f.r.client.HScan(ctx, p.base+key, cursor, "", 100).Result()
				return err
			})
			if err != nil {
				yield(scanned{}, err)
				return
			}
			for i := 0; i+1 < len(page); i += 2 {
				if !yield(scanned{page[i], page[i+1]}, nil) {
					return
				}
			}
			if cursor = next; cursor == 0 {
				return
			}
		}
	}
}

// Counts returns how many there are, at a constant cost.
func (f Fleet) Counts(ctx context.Context) (c FleetCounts, err error) {
	p, err := f.presence()
	if err != nil {
		return c, err
	}
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return c, err
	}
	err = f.ask(ctx, func(ctx context.Context) error {
		pipe := f.r.client.Pipeline()
		conns, users, groups := pipe.HLen(ctx, p.base+"conns"), pipe.HLen(ctx, p.base+"users"), pipe.HLen(ctx, p.base+"groups")
		_, err := pipe.Exec(ctx)
		c = FleetCounts{len(nodes), int(conns.Val()), int(users.Val()), int(groups.Val())}
		return err
	})
	return c, err
}

// MemberCount returns how many connections are in a group.
func (f Fleet) MemberCount(ctx context.Context, group string) (int, error) {
	p, err := f.presence()
	if err != nil {
		return 0, err
	}
	n := 0
	err = f.ask(ctx, func(ctx context.Context) (err error) {
		n, err = f.r.client.HGet(ctx, p.base+"groups", group).Int()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, err
}

// UserOnline reports whether a user has a connection to any node, including ASP.NET
// Core nodes. It does not need Options.Presence: it asks Redis whether a node is
// subscribed for the user. A disconnected node counts until Redis closes its
// connection.
func (f Fleet) UserOnline(ctx context.Context, userID string) (bool, error) {
	return f.subscribed(ctx, f.r.channels.User(userID))
}

// ConnectionExists reports whether any node has the connection; see UserOnline.
func (f Fleet) ConnectionExists(ctx context.Context, connectionID string) (bool, error) {
	return f.subscribed(ctx, f.r.channels.Connection(connectionID))
}

func (f Fleet) subscribed(ctx context.Context, channel string) (bool, error) {
	cluster, ok := f.r.client.(*redis.ClusterClient)
	if !ok {
		var n map[string]int64
		err := f.ask(ctx, func(ctx context.Context) (err error) {
			n, err = f.r.client.PubSubNumSub(ctx, channel).Result()
			return err
		})
		return n[channel] > 0, err
	}
	found := make(chan struct{}, 1)
	err := cluster.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error { // each knows its own subscribers
		n, err := node.PubSubNumSub(ctx, channel).Result()
		if n[channel] > 0 {
			wake(found)
		}
		return err
	})
	return len(found) > 0, err
}

// Actions of a command on the control channel; the numbers follow those of wire.
const (
	closeConnection = 3
	closeUser       = 4
)

// CloseConnection closes a connection on any node, as Call.Close does: the client
// gets reason, if it is not empty, and reconnects by itself if allowReconnect is
// true. It returns once all nodes with Options.Presence have acknowledged it;
// ErrNoAck means that one did not within AckTimeout. It is not an error if there is
// no such connection.
func (f Fleet) CloseConnection(ctx context.Context, connectionID, reason string, allowReconnect bool) error {
	return f.close(ctx, closeConnection, connectionID, reason, allowReconnect)
}

// CloseUser closes all connections of a user, on every node; see CloseConnection.
// It does not prevent the user from connecting again.
func (f Fleet) CloseUser(ctx context.Context, userID, reason string, allowReconnect bool) error {
	if userID == "" {
		return errors.New("backplane: CloseUser needs the id of a user")
	}
	return f.close(ctx, closeUser, userID, reason, allowReconnect)
}

func (f Fleet) close(ctx context.Context, action uint8, target, reason string, allowReconnect bool) error {
	p, err := f.presence()
	if err != nil {
		return err
	}
	flag := "0"
	if allowReconnect {
		flag = "1"
	}
	return f.r.tellAll(ctx, p.control, wire.GroupCommand{Action: action, ConnectionID: target, Group: flag + reason})
}

// heardToClose queues a request to close connections, from another node or this one.
func (r *Redis) heardToClose(p *presence, payload []byte) error {
	c, err := wire.ReadGroupCommand(payload)
	if err != nil || len(c.Group) == 0 {
		return errors.Join(err, errEvent)
	}
	select {
	case p.asked <- func() { r.closeFor(c) }:
	default:
		r.drop(slog.LevelError, "closing dropped: too many wait", "from", c.Server, "limit", commandQueue)
	}
	return nil
}

// closeForOthers closes connections that other nodes want closed.
func (r *Redis) closeForOthers(p *presence) {
	for {
		select {
		case f := <-p.asked:
			_ = r.guard("a closing", func() error { f(); return nil })
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Redis) closeFor(command wire.GroupCommand) {
	var list []server.Receiver
	switch command.Action {
	case closeConnection:
		if c := r.local(command.ConnectionID); c != nil {
			list = append(list, c.Receiver)
		}
	case closeUser:
		r.mu.Lock()
		if s := r.subscribed[r.channels.User(command.ConnectionID)]; s != nil && command.ConnectionID != "" {
			list, _ = s.members.All()
		}
		r.mu.Unlock()
	}
	for _, c := range list {
		server.CloseReceiver(c, command.Group[1:], command.Group[0] == '1')
	}
	r.post(r.channels.Ack(command.Server), wire.AppendAck(nil, command.ID))
}

// goneReceiver is a connection of which only the id is known.
type goneReceiver string

func (g goneReceiver) ID() string               { return string(g) }
func (goneReceiver) UserID() string             { return "" }
func (goneReceiver) Codec() protocol.Codec      { return protocol.JSON{} }
func (goneReceiver) Send(*server.Message) error { return server.ErrConnectionClosed }
func (goneReceiver) Context() context.Context   { return context.Background() }
