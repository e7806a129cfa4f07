package backplane

import (
	"slices"
	"time"
)

// changesAtOnce is how many channels are looked at while Redis.mu is held: a
// client may leave a hundred thousand groups while others join.
const changesAtOnce = 1024

// write owns the writing side of the links: subscriptions, fences, heartbeat.
func (r *Redis) write() {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-r.work:
		case <-ticker.C:
			r.heartbeat()
		case <-r.ctx.Done():
			return
		}
		r.writeChanges()
	}
}

// writeChanges writes what has changed, and the fence after it. An error of
// writing, or a panic on the way, ends the link.
func (r *Redis) writeChanges() {
	l, commands := r.changes()
	err := r.guard("write to Redis", func() error { return r.apply(l, commands) })
	select {
	case <-l.started:
		if err != nil {
			r.end(l, err)
		}
	default:
		l.err = err
		close(l.started)
	}
	if err != nil {
		return
	}
	ask, number := r.mustAsk(l), r.fence.raise()
	if ask || number != "" {
		if err := r.ping(l, number); err != nil {
			r.end(l, err)
		}
	}
}

// changes takes marked channels, as the commands that are to be written. Those
// of the node itself come first, alone: without them it cannot work. What
// exceeds changesAtOnce is left for the next time.
func (r *Redis) changes() (*link, []command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.link
	var base, subscribe, unsubscribe []string
	var commands []command
	looked := 0
	look := func(channel string) {
		looked++
		delete(r.marked, channel)
		s := r.subscribed[channel]
		if s == nil {
			return
		}
		switch wanted := s.wanted(); {
		case wanted && !s.requested && s.refused == nil:
			s.requested = true
			s.pending++
			switch {
			case s.base:
				base = append(base, channel)
			case s.alone:
				commands = append(commands, command{kind: subscribing, channels: []string{channel}})
			default:
				subscribe = append(subscribe, channel)
			}
		case !wanted && s.requested:
			s.requested = false
			s.leaving++
			unsubscribe = append(unsubscribe, channel)
		}
	}
	for _, channel := range r.base {
		if _, marked := r.marked[channel]; marked {
			look(channel)
		}
	}
	for channel := range r.marked {
		if looked >= changesAtOnce {
			wake(r.work)
			break
		}
		look(channel)
	}
	commands = append([]command{{subscribing, base, true}, {subscribing, subscribe, false}, {unsubscribing, unsubscribe, false}}, commands...)
	commands = slices.DeleteFunc(commands, func(c command) bool { return len(c.channels) == 0 })
	for _, c := range commands {
		l.written = append(l.written, writtenCommand{command: c, left: len(c.channels)})
	}
	return l, commands
}

func (r *Redis) apply(l *link, commands []command) error {
	for _, c := range commands {
		write := l.pubsub.Subscribe
		if c.kind == unsubscribing {
			write = l.pubsub.Unsubscribe
		}
		if err := write(r.ctx, c.channels...); err != nil {
			return err
		}
	}
	return nil
}

// ping writes a PING; its answer brings payload back, where there is one.
func (r *Redis) ping(l *link, payload ...string) error {
	r.mu.Lock()
	l.written = append(l.written, writtenCommand{command: command{kind: pinging}, left: 1})
	r.mu.Unlock()
	return l.pubsub.Ping(r.ctx, payload...)
}
