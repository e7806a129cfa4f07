package backplane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Bus passes messages between processes that have an index of their own clients,
// as gateways of azure/gateway do: every one hears every message, or one alone
// does. It is a Redis without connections, over the same link, publisher and
// states. It is safe for concurrent use.
//
// Nothing is kept for a process that is away: a message arrives once, or not at
// all. Messages that one goroutine publishes arrive in their order.
type Bus struct {
	r       *Redis
	receive func(payload []byte)
	most    int64

	mu      sync.Mutex
	waiting int64         // bytes that Redis has not taken
	space   chan struct{} // closed when there are fewer; nil while nobody waits
}

// BusOptions configures a Bus. Zero durations and numbers mean the default.
type BusOptions struct {
	// Name is what the processes have in common. It must not be empty.
	Name string

	// ChannelPrefix is put before the name of every channel; see Options.
	ChannelPrefix string

	// ServerName tells this process from all others; another sends to it by that.
	// It must not be empty.
	ServerName string

	// Receive gets what others publish, and what this process itself publishes for
	// all, one after the other. It must not block; a panic is logged. The bytes are
	// its own.
	Receive func(payload []byte)

	// MaximumWaiting bounds the bytes that wait for Redis. Zero or negative means
	// 64 MiB.
	MaximumWaiting int64

	// PublishTimeout is how long a message waits for a Redis that is away, and a
	// sender for space. Zero means 5 seconds; negative means not at all.
	PublishTimeout time.Duration

	// OnStateChange is called for each change of Health; see Options.
	OnStateChange func(Health)

	// Logger receives the log. Nil means slog.Default().
	Logger *slog.Logger
}

// ErrBusFull says that MaximumWaiting bytes, or 1,024 messages, wait for Redis.
var ErrBusFull = errors.New("backplane: too much waits for Redis")

// busOverhead is what a message counts beside its bytes.
const busOverhead = 256

// NewBus returns the bus of one process. As New it does not wait for Redis, and
// client stays the caller's.
func NewBus(client redis.UniversalClient, opts *BusOptions) (*Bus, error) {
	o := BusOptions{}
	if opts != nil {
		o = *opts
	}
	if o.ServerName == "" || o.Receive == nil {
		return nil, errors.New("backplane: BusOptions needs a ServerName and Receive")
	}
	if o.MaximumWaiting <= 0 {
		o.MaximumWaiting = 64 << 20
	}
	b := &Bus{receive: o.Receive, most: o.MaximumWaiting}
	_, err := open(client, &Options{ // which sets b.r, before anything is received
		HubName: o.Name, ChannelPrefix: o.ChannelPrefix, ServerName: o.ServerName,
		PublishTimeout: o.PublishTimeout, OnStateChange: o.OnStateChange, Logger: o.Logger,
	}, b)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Close ends the bus; see Redis.Close. What waits is dropped.
func (b *Bus) Close() error { return b.r.Close() }

// Health returns the current state.
func (b *Bus) Health() Health { return b.r.Health() }

// Ready waits until this process hears the others; see Redis.Ready.
func (b *Bus) Ready(ctx context.Context) error { return b.r.Ready(ctx) }

// Stats returns the current counts.
func (b *Bus) Stats() Stats { return b.r.Stats() }

// Counts reports whether done of Publish learns how many processes hear a message:
// in a Redis Cluster it does not.
func (b *Bus) Counts() bool { return !b.r.cluster }

// Publish sends payload to every process, this one too, and never waits: ErrBusFull
// says that there is no space, and that Await may give some. done, if it is not nil,
// is called once Redis has answered, or has not in time, with the number of
// processes that hear payload; it must not block, and is not called after an error
// of Publish, nor once Close was called. payload must not be changed later.
func (b *Bus) Publish(payload []byte, done func(hearers int64, err error)) error {
	return b.publish(b.r.channels.All(), payload, done)
}

// Tell is Publish for one process, by its ServerName.
func (b *Bus) Tell(server string, payload []byte, done func(hearers int64, err error)) error {
	return b.publish(b.r.busChannel(server), payload, done)
}

func (r *Redis) busChannel(server string) string { return r.channels.Extra("to:" + server) }

func (b *Bus) publish(channel string, payload []byte, done func(int64, error)) error {
	if b.r.ctx.Err() != nil {
		return ErrClosed
	}
	size := int64(len(payload) + busOverhead)
	if !b.reserve(size) {
		return ErrBusFull
	}
	p := newPublish(channel, payload, time.Now().Add(b.r.patience()))
	p.then = func(hearers int64, err error) {
		b.release(size)
		if done != nil {
			done(hearers, err)
		}
	}
	if !b.r.offer(p) {
		// It wakes nobody: two that wait would wake each other all the time. What fills
		// the queue does so, once Redis has answered.
		b.mu.Lock()
		b.waiting -= size
		b.mu.Unlock()
		return ErrBusFull
	}
	return nil
}

// reserve takes space for a message. One alone has space, however long it is.
func (b *Bus) reserve(size int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 && b.waiting+size > b.most {
		return false
	}
	b.waiting += size
	return true
}

func (b *Bus) release(size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting -= size
	if b.space != nil {
		close(b.space)
		b.space = nil
	}
}

// Await waits for less to wait for Redis than now, for PublishTimeout at most; while
// Redis is away not at all. It returns ErrUnavailable, ErrClosed, or the cause of
// ctx.
func (b *Bus) Await(ctx context.Context) error {
	if !b.r.state.ready() {
		return ErrUnavailable
	}
	ctx, _, cancel := b.r.publishTime(ctx)
	defer cancel()
	b.mu.Lock()
	if b.waiting == 0 {
		b.mu.Unlock()
		return nil
	}
	if b.space == nil {
		b.space = make(chan struct{})
	}
	space := b.space
	b.mu.Unlock()
	select {
	case <-space:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.r.ctx.Done():
		return ErrClosed
	}
}

// heard hands what has come to the owner of the bus.
func (b *Bus) heard(channel string, payload []byte) error {
	switch channel {
	case b.r.channels.All(), b.r.busChannel(b.r.opts.ServerName):
		b.receive(payload)
		return nil
	}
	return errors.New("no message of a bus")
}
