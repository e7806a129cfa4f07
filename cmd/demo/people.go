package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/cmd/demo/blog"
)

// A node writes its people again every refreshTime. Those that were not written
// for staleTime were on a node that has died without a word.
const (
	refreshTime = 20 * time.Second
	staleTime   = 60 * time.Second
)

// A sharedPeople is a register in a hash of Redis: the nodes of an app have one
// each, with the same key.
type sharedPeople struct {
	client *redis.Client
	key    string
	stop   func() // ends the refreshing, and waits for its end

	mu  sync.Mutex
	own map[string]blog.Person // on this node
}

// An entry is a person as Redis has it.
type entry struct {
	blog.Person
	Seen time.Time `json:"seen"`
}

func newSharedPeople(client *redis.Client, key string) *sharedPeople {
	r := &sharedPeople{client: client, key: key, own: map[string]blog.Person{}}
	ctx, cancel := context.WithCancel(context.Background())
	var refresher sync.WaitGroup
	refresher.Go(func() { r.refresh(ctx) }) // until Close
	r.stop = func() { cancel(); refresher.Wait() }
	return r
}

// Close ends the refreshing.
func (r *sharedPeople) Close() error {
	r.stop()
	return nil
}

func (r *sharedPeople) refresh(ctx context.Context) {
	ticker := time.NewTicker(refreshTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := r.writeOwn(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("who is here is not refreshed", "error", err)
		}
	}
}

// writeOwn writes the people of this node again.
func (r *sharedPeople) writeOwn(ctx context.Context) error {
	r.mu.Lock()
	own := slices.Collect(maps.Values(r.own))
	r.mu.Unlock()
	return r.write(ctx, own...)
}

func (r *sharedPeople) write(ctx context.Context, people ...blog.Person) error {
	if len(people) == 0 {
		return nil
	}
	fields := make([]any, 0, 2*len(people))
	for _, p := range people {
		value, err := json.Marshal(entry{p, time.Now().UTC()})
		if err != nil {
			return err
		}
		fields = append(fields, p.ID, value)
	}
	return r.client.HSet(ctx, r.key, fields...).Err()
}

// Put adds a person of this node.
func (r *sharedPeople) Put(ctx context.Context, p blog.Person) error {
	r.mu.Lock()
	r.own[p.ID] = p
	r.mu.Unlock()
	return r.write(ctx, p)
}

// Remove removes a person of this node.
func (r *sharedPeople) Remove(ctx context.Context, id string) error {
	r.mu.Lock()
	delete(r.own, id)
	r.mu.Unlock()
	return r.client.HDel(ctx, r.key, id).Err()
}

// All returns those of all nodes, and removes from Redis who is stale.
func (r *sharedPeople) All(ctx context.Context) ([]blog.Person, error) {
	values, err := r.client.HGetAll(ctx, r.key).Result()
	if err != nil {
		return nil, err
	}
	people := make([]blog.Person, 0, len(values))
	var stale []string
	for id, value := range values {
		var e entry
		if err := json.Unmarshal([]byte(value), &e); err != nil || time.Since(e.Seen) > staleTime {
			stale = append(stale, id)
			continue
		}
		people = append(people, e.Person)
	}
	if len(stale) > 0 {
		err = errors.Join(err, r.client.HDel(ctx, r.key, stale...).Err())
	}
	return people, err
}
