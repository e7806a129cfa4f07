package backplane

import (
	"sync"
	"time"
)

// A PresenceKind is the kind of an event.
type PresenceKind string

const (
	// PresenceOnline is the first connection of a user on any node.
	PresenceOnline PresenceKind = "online"
	// PresenceOffline is the end of the last one, after PresenceOptions.Grace.
	PresenceOffline PresenceKind = "offline"
	// PresenceJoined is the first connection of a user in a group.
	PresenceJoined PresenceKind = "joined"
	// PresenceLeft is the end of the last one, after PresenceOptions.Grace.
	PresenceLeft PresenceKind = "left"
	// PresenceReset means that events may have been missed, because Redis was
	// unavailable: to keep a list, read Redis.Fleet again.
	PresenceReset PresenceKind = "reset"
)

// A PresenceEvent says that a user has come or gone, or has joined or left a group.
// In a group an anonymous connection counts as a user of its own. Every node with
// OnEvent receives the events of all nodes; Here tells one of them to act for all,
// for instance to send a message to the group.
//
// To keep a list of who is online, read Redis.Fleet in OnEvent at each PresenceReset,
// of which there is one at the start, and apply the events that follow. If Fleet was
// read in the five seconds before, a user who is back within Grace is reported as
// online or joined once more: the answer may date from the time between.
type PresenceEvent struct {
	Kind         PresenceKind // only that and Here are set in a PresenceReset
	UserID       string       // empty for anonymous connections
	ConnectionID string       // the first one, or the last
	Group        string       // of PresenceJoined and PresenceLeft
	Node         string       // that the connection is, or was, connected to

	// Here is true on one node only: the one that reported the event. If that node
	// dies within Grace it is true on none.
	Here bool
}

// news are events on their way to OnEvent. An end waits here for Grace.
type news struct {
	tell  func(PresenceEvent)
	grace time.Duration
	work  chan struct{}

	mu      sync.Mutex
	asking  int       // pending queries of Fleet
	asked   time.Time // when the last query was answered
	ready   []PresenceEvent
	waiting map[newsKey]*waitingEnd
	order   []*waitingEnd // the next one to report in front
}

// mostNews is how many events wait at most; when there are more, all are dropped,
// and a PresenceReset follows.
const mostNews = 100_000

// latestNews is how much later than an answer of Redis an event may arrive. A
// subscribing connection that is silent for longer is doubted.
const latestNews = silentAfter * heartbeat

type newsKey struct{ who, group string }

type waitingEnd struct {
	event  PresenceEvent
	key    newsKey
	at     time.Time
	undone bool
}

func newNews(o PresenceOptions) *news {
	return &news{tell: o.OnEvent, grace: max(o.Grace, 0), work: make(chan struct{}, 1), waiting: map[newsKey]*waitingEnd{}}
}

// add queues an event that the reader has received. It does not block.
func (n *news) add(e PresenceEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer wake(n.work)
	if e.Kind == PresenceReset || len(n.ready)+len(n.order) >= mostNews {
		n.ready, n.order = []PresenceEvent{{Kind: PresenceReset, Here: true}}, nil
		clear(n.waiting)
		return
	}
	key := newsKey{"u" + e.UserID, e.Group}
	if e.UserID == "" {
		key.who = "c" + e.ConnectionID
	}
	if e.Kind == PresenceOnline || e.Kind == PresenceOffline {
		key.who = "o" + e.UserID
	}
	if e.Kind == PresenceOffline || e.Kind == PresenceLeft {
		end := &waitingEnd{event: e, key: key, at: time.Now().Add(n.grace)}
		n.waiting[key] = end
		n.order = append(n.order, end)
		return
	}
	if end := n.waiting[key]; end != nil { // it did not go away after all
		end.undone = true
		delete(n.waiting, key)
		if !n.mayHaveSeen(end) {
			return
		}
	}
	n.ready = append(n.ready, e)
}

// mayHaveSeen reports whether an answer of Redis may date from between an end and the
// beginning that undid it: a caller that saw nobody there must be told of the
// beginning. n.mu is held.
func (n *news) mayHaveSeen(end *waitingEnd) bool {
	return n.asking > 0 || n.asked.After(end.at.Add(-n.grace-latestNews))
}

// ask records that Redis is being queried, until the returned function is called.
func (n *news) ask() (answered func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asking++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.asking--
		n.asked = time.Now()
	}
}

// next returns the events to report now, and when there will be more; zero is never.
func (n *news) next(now time.Time) (list []PresenceEvent, more time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list, n.ready = n.ready, nil
	for len(n.order) > 0 {
		end := n.order[0]
		if !end.undone && end.at.After(now) {
			return list, end.at
		}
		n.order = n.order[1:]
		if !end.undone {
			delete(n.waiting, end.key)
			list = append(list, end.event)
		}
	}
	return list, time.Time{}
}

// tellNews calls OnEvent.
func (r *Redis) tellNews(n *news) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.work:
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
		list, more := n.next(time.Now())
		for _, e := range list {
			_ = r.guard("PresenceOptions.OnEvent", func() error { n.tell(e); return nil })
		}
		if !more.IsZero() {
			timer.Reset(max(time.Until(more), 0))
		}
	}
}

// heardOfPresence handles an event of any node.
func (r *Redis) heardOfPresence(payload []byte) error {
	f := readNetstrings(string(payload), 6)
	if f == nil || r.presence.news == nil {
		return errEvent
	}
	if PresenceKind(f[0]) == PresenceReset {
		if f[4] == r.opts.ServerName {
			r.presence.news.add(PresenceEvent{Kind: PresenceReset, Here: true})
		}
		return nil
	}
	r.presence.news.add(PresenceEvent{
		Kind: PresenceKind(f[0]), UserID: f[1], ConnectionID: f[2], Group: f[3], Node: f[4], Here: f[5] == r.opts.ServerName,
	})
	return nil
}
