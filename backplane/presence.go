package backplane

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
)

// PresenceOptions let every node know who is connected to any node: see Redis.Fleet.
// Each node of the hub that should be visible needs them; ASP.NET Core nodes are not
// visible, except to Fleet.UserOnline and Fleet.ConnectionExists.
//
// A node's entries are written to Redis in the background: no connect, join or leave
// waits for it. They depend on a lease of the node of 12 seconds, renewed every 4, and
// are removed when it expires.
type PresenceOptions struct {
	// OnEvent is called when a user comes or goes, or joins or leaves a group, on
	// any node; see PresenceEvent. It is called for one event after another, and
	// should not block. A panic is logged. Nil means no events.
	OnEvent func(PresenceEvent)

	// Grace is how long an end is held back: for a user who is back by then there is
	// no event. Zero means 500 milliseconds; negative means none. A client that
	// reconnects automatically tries at once, and then after 2 seconds.
	Grace time.Duration

	// Metadata is what others see of a connection (FleetConnection.Metadata), such as
	// the name of its device. It is called once, when the connection starts, and must
	// not block. A text of more than 1,024 bytes is left out. Nil means none.
	Metadata func(userID, connectionID string) string

	// Version is what Fleet.Nodes says of this node. Empty means the version of
	// the program's main module, where it has one.
	Version string

	// Report is called at each renewal of the lease for the state and the load of the
	// node, both of which only the application interprets. Nil means "ready" and 0.
	Report func() (state string, load float64)
}

// Times and bounds of presence.
const (
	lease           = 12 * time.Second
	renewal         = 4 * time.Second
	presenceGrace   = 500 * time.Millisecond
	presenceBatch   = 128
	longestMetadata = 1024
)

// presence is what a Redis has with PresenceOptions. One goroutine writes entries
// and renews the lease; with OnEvent, another one calls it.
type presence struct {
	opts    PresenceOptions
	base    string // of the keys
	events  string // channel
	control string // channel on which nodes are asked to close connections
	started time.Time
	asked   chan func() // connections to close for other nodes
	news    *news       // nil without OnEvent

	beats, known uint64 // renewals of the lease, and the last one known to be on Redis; owned by the writer

	work chan struct{} // wakes the writer
	mu   sync.Mutex    // guards dirty; comes after Redis.mu
	// Entries that may be outdated on Redis. When there are more than mostDirty
	// they are dropped, and everything is compared with Redis.
	dirty     map[presenceEntry]struct{}
	forgotten bool
}

// mostDirty is how many entries wait to be written at most, while Redis is away.
const mostDirty = 1 << 18

// A presenceEntry is a connection, or its membership in a group.
type presenceEntry struct {
	c       *connection
	group   string
	isGroup bool
}

// seen is what others see of a connection.
type seen struct {
	since    time.Time
	metadata string
}

func (e presenceEntry) field() string {
	if !e.isGroup {
		return "c" + e.c.ID()
	}
	return "g" + strconv.Itoa(len(e.c.ID())) + ":" + e.c.ID() + e.group
}

// startPresence starts what Options.Presence asks for.
func (r *Redis) startPresence() {
	if r.opts.Presence == nil {
		return
	}
	p := &presence{
		opts: *r.opts.Presence, base: "{" + r.channels.Prefix + r.channels.Hub + "}:hubwire:",
		events: r.channels.Extra("presence"), control: r.channels.Extra("control"),
		started: time.Now(), asked: make(chan func(), commandQueue), work: make(chan struct{}, 1),
		dirty: map[presenceEntry]struct{}{},
	}
	if p.opts.Grace == 0 {
		p.opts.Grace = presenceGrace
	}
	if p.opts.Version == "" {
		if info, ok := debug.ReadBuildInfo(); ok {
			p.opts.Version = info.Main.Version
		}
	}
	r.presence = p
	if p.opts.OnEvent != nil {
		p.news = newNews(p.opts)
		r.hear(p.events)
		r.running.Go(func() { r.tellNews(p.news) })
	}
	r.hear(p.control)
	r.running.Go(func() { r.keepPresence(p) })
	r.running.Go(func() { r.closeForOthers(p) })
}

// present records that a connection, or its membership, has begun or ended.
func (r *Redis) present(c *connection, group string, isGroup bool) {
	p := r.presence
	if p == nil {
		return
	}
	p.mu.Lock()
	if len(p.dirty) >= mostDirty && !r.state.ready() {
		clear(p.dirty)
		p.forgotten = true
	}
	p.dirty[presenceEntry{c, group, isGroup}] = struct{}{}
	p.mu.Unlock()
	wake(p.work)
}

// mustCompare reports, once, that entries were dropped.
func (p *presence) mustCompare() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.forgotten
	p.forgotten = false
	return was
}

// describe asks the application what others see of c, once.
func (r *Redis) describe(c *connection) {
	p := r.presence
	if p == nil {
		return
	}
	c.seen = &seen{since: time.Now()}
	if p.opts.Metadata == nil {
		return
	}
	_ = r.guard("PresenceOptions.Metadata", func() error {
		c.seen.metadata = p.opts.Metadata(c.UserID(), c.ID())
		return nil
	})
	if len(c.seen.metadata) > longestMetadata {
		r.log.Error("metadata of a connection left out: too long", "connection", c.ID(), "bytes", len(c.seen.metadata), "limit", longestMetadata)
		c.seen.metadata = ""
	}
}

// keepPresence writes changes, and renews the lease.
func (r *Redis) keepPresence(p *presence) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer r.endPresence(p)
	losses := r.stats.losses.Load()
	var renewed time.Time // when the lease was last renewed
	for {
		select {
		case <-p.work:
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
		next := time.Now().Add(keeperRetry)
		_ = r.guard("presence", func() error {
			if !r.state.ready() {
				return nil
			}
			if now := r.stats.losses.Load(); now != losses || p.mustCompare() {
				losses, renewed = now, time.Time{}
				if !r.reconcile(p) {
					losses = now - 1 // again
					return nil
				}
				ctx, cancel := r.bounded(r.ctx)
				defer cancel()
				if !r.mayHaveMissed(ctx, p) {
					losses = now - 1 // again
					return nil
				}
			}
			first := renewal
			if time.Since(renewed) >= renewal {
				var ok bool
				if first, ok = r.renewLease(p); !ok {
					return nil
				}
				renewed = time.Now()
			}
			if !r.writePresence(p) {
				renewed = time.Time{} // the lease may have expired
				return nil
			}
			next = renewed.Add(min(renewal, first))
			if first < renewal { // then another node's lease expires, unless it is renewed
				renewed = next.Add(-renewal)
			}
			return nil
		})
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// mayHaveMissed reports that events may be missing: they were published while this
// node was not subscribed, or Redis lost the data they depend on. It sends the report
// through Redis, so that earlier events arrive before it: whoever reads Redis at a
// PresenceReset already sees their effect.
func (r *Redis) mayHaveMissed(ctx context.Context, p *presence) bool {
	if p.news == nil {
		return true
	}
	name := r.opts.ServerName
	err := r.client.Process(ctx, newPublishCmd(ctx, p.events, appendNetstrings(nil, string(PresenceReset), "", "", "", name, name)))
	if err != nil {
		r.drop(slog.LevelWarn, "presence cannot be written", "error", err)
	}
	return err == nil
}

// renewLease renews the lease of this node, and removes the entries of nodes whose
// lease has expired. first is how long it is until the next lease expires.
func (r *Redis) renewLease(p *presence) (first time.Duration, ok bool) {
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	p.beats++
	answer, err := r.client.Eval(ctx, beatScript, []string{p.base}, r.opts.ServerName, lease.Microseconds(), r.selfInfo(p), p.known, p.beats).StringSlice()
	if err != nil || len(answer) < 2 {
		r.drop(slog.LevelWarn, "presence cannot be written", "error", err)
		return 0, false
	}
	if answer[0] != "1" { // it is new, or others have removed its entries, or Redis has lost it
		if !r.reconcile(p) {
			return 0, false
		}
		if !r.mayHaveMissed(ctx, p) {
			return 0, false
		}
	}
	p.known = p.beats // only now is everything marked that may be missing on Redis
	for _, node := range answer[2:] {
		if !r.sweep(ctx, p, node, false) {
			return 0, false
		}
	}
	until, _ := strconv.ParseInt(answer[1], 10, 64)
	return time.Duration(until+1) * time.Microsecond, true
}

// sweep removes the entries of a node.
func (r *Redis) sweep(ctx context.Context, p *presence, node string, itself bool) bool {
	force := 0
	if itself {
		force = 1
	}
	for {
		left, err := r.client.Eval(ctx, sweepScript, []string{p.base}, node, p.events, r.opts.ServerName, presenceBatch, force).Int()
		if err != nil {
			r.drop(slog.LevelWarn, "entries of a node that has gone cannot be removed", "node", node, "error", err)
			return false
		}
		if left == 0 {
			return true
		}
	}
}

// endPresence removes the entries of a node that is closed at once.
func (r *Redis) endPresence(p *presence) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.sweep(ctx, p, r.opts.ServerName, true) // if it fails, the lease expires
}

// reconcile marks everything that this node has, and everything that it has
// according to Redis.
func (r *Redis) reconcile(p *presence) bool {
	r.mu.Lock()
	all := make([]*connection, 0, len(r.connections))
	for _, c := range r.connections {
		all = append(all, c)
	}
	r.mu.Unlock()
	for _, c := range all {
		r.present(c, "", false)
		for _, group := range r.GroupsOf(c.ID()) {
			r.present(c, group, true)
		}
	}
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	key := p.base + "of:" + r.opts.ServerName
	for cursor := uint64(0); ; {
		page, next, err := r.client.HScan(ctx, key, cursor, "", presenceBatch).Result()
		if err != nil {
			r.drop(slog.LevelWarn, "presence cannot be read", "error", err)
			return false
		}
		for i := 0; i < len(page); i += 2 {
			r.presentAgain(page[i])
		}
		if cursor = next; cursor == 0 {
			return true
		}
	}
}

// presentAgain marks an entry that Redis has.
func (r *Redis) presentAgain(field string) {
	id, group, isGroup := parseEntry(field)
	c := r.local(id)
	if c == nil {
		c = &connection{Receiver: goneReceiver(id)}
	}
	r.present(c, group, isGroup)
}

// parseEntry reads what presenceEntry.field wrote.
func parseEntry(field string) (id, group string, isGroup bool) {
	if len(field) > 0 && field[0] == 'g' {
		digits := 0
		for digits+1 < len(field) && field[digits+1] != ':' {
			digits++
		}
		n, err := strconv.Atoi(field[1 : digits+1])
		if rest := field[min(digits+2, len(field)):]; err == nil && n >= 0 && n <= len(rest) {
			return rest[:n], rest[n:], true
		}
	}
	return field[min(1, len(field)):], "", false
}

// writePresence writes dirty entries. It reports false if some are left.
func (r *Redis) writePresence(p *presence) bool {
	for {
		p.mu.Lock()
		some := make([]presenceEntry, 0, presenceBatch)
		for e := range p.dirty {
			if some = append(some, e); len(some) == presenceBatch {
				break
			}
		}
		for _, e := range some {
			delete(p.dirty, e)
		}
		p.mu.Unlock()
		if len(some) == 0 {
			return true
		}
		if !r.writeEntries(p, some) {
			p.mu.Lock()
			for _, e := range some {
				p.dirty[e] = struct{}{}
			}
			p.mu.Unlock()
			return false
		}
	}
}

func (r *Redis) writeEntries(p *presence, some []presenceEntry) bool {
	args := make([]any, 0, 3+4*len(some))
	args = append(args, r.opts.ServerName, p.events, r.opts.ServerName)
	r.mu.Lock()
	for _, e := range some {
		is := r.connections[e.c.ID()]
		there := is == e.c
		if is != nil && is != e.c { // a new connection has the id: its state counts
			e.c, there = is, true
		}
		if e.isGroup && there {
			_, there = e.c.groups[e.group]
		}
		if !there {
			args = append(args, 0, e.field(), "", "")
			continue
		}
		args = append(args, 1, e.field(), e.c.UserID(), r.entryValue(e.c))
	}
	r.mu.Unlock()
	ctx, cancel := r.bounded(r.ctx)
	defer cancel()
	done, err := r.client.Eval(ctx, changeScript, []string{p.base}, args...).Int()
	if err != nil {
		r.drop(slog.LevelWarn, "presence cannot be written", "error", err)
	}
	return err == nil && done == 1
}

func (r *Redis) entryValue(c *connection) string {
	return string(appendNetstrings(nil, r.opts.ServerName, c.UserID(), strconv.FormatInt(c.seen.since.UnixMilli(), 10), c.seen.metadata))
}

func appendNetstrings(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...)
	}
	return b
}

// readNetstrings returns nil unless text has n of them.
func readNetstrings(text string, n int) []string {
	list := make([]string, 0, n)
	for len(text) > 0 && len(list) < n {
		digits := slices.Index([]byte(text[:min(len(text), 12)]), ':')
		if digits < 0 {
			return nil
		}
		length, err := strconv.Atoi(text[:digits])
		if text = text[digits+1:]; err != nil || length < 0 || length > len(text) {
			return nil
		}
		list, text = append(list, text[:length]), text[length:]
	}
	if len(list) != n {
		return nil
	}
	return list
}

// A nodeInfo is what a node says of itself on Redis.
type nodeInfo struct {
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	State       string    `json:"state"`
	Load        float64   `json:"load"`
	Connections int       `json:"connections"`
}

func (r *Redis) selfInfo(p *presence) string {
	info := nodeInfo{Version: p.opts.Version, Started: p.started, State: "ready", Connections: r.Stats().Connections}
	if p.opts.Report != nil {
		_ = r.guard("PresenceOptions.Report", func() error {
			info.State, info.Load = p.opts.Report()
			return nil
		})
	}
	text, err := json.Marshal(info)
	if err != nil { // the load is not a number
		info.Load = 0
		text, _ = json.Marshal(info)
	}
	return string(text)
}
