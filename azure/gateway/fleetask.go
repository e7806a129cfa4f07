package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/backplane"
)

// askTimeout is how long the other gateways may take to answer. App servers wait
// for ten seconds. It is changed by tests alone.
var askTimeout = 3 * time.Second

// An ask is something that the other gateways are asked for. It is guarded by
// fleet.mu, and done once it is in fleet.asks no more.
type ask struct {
	m     wire.Message
	o     outcome // of this gateway, and of those that have answered
	want  int     // that answer; negative while it is not known
	got   int
	by    string // the gateway that said yes, if one did
	then  func(outcome, string)
	timer *time.Timer // nil until the bus has taken it
}

// ask publishes a message, and gives the outcome of all gateways to then. o is that
// of this one.
func (f *fleet) ask(h *hub, by sender, m wire.Message, o outcome, then func(outcome)) {
	f.askFor(h, by, m, o, func(o outcome, _ string) { then(o) })
}

func (f *fleet) askFor(h *hub, by sender, m wire.Message, o outcome, then func(o outcome, owner string)) {
	a := &ask{m: m, o: o, want: -1, then: then}
	f.mu.Lock()
	if len(f.asks) >= mostAsks || f.ctx.Err() != nil || f.bus.Health().State != backplane.Ready {
		f.mu.Unlock()
		if reachOf(m) == reachAll {
			f.tellAll(h, by, m) // Redis may be back in time
		}
		then(outcome{status: wire.AckTimeout, payload: o.payload}, "")
		return
	}
	f.lastID++
	id := f.lastID
	f.asks[id] = a
	f.mu.Unlock()
	l := letter{
		kind: letterAct, from: f.g.opts.InstanceID, hub: h.name, server: by.id(), endpoint: by.endpoint(),
		id: id, body: wire.Append(nil, m),
	}
	err := f.offer(by, envelope{payload: l.encode(), then: f.outcome(func(hearers int64, err error) { f.asked(id, hearers, err) })})
	if err != nil {
		f.drop(err)
		f.endAsk(id, true)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asks[id] == a { // else it is answered
		a.timer = time.AfterFunc(askTimeout, func() { f.endAsk(id, true) })
	}
}

// asked is called once Redis has what was asked.
func (f *fleet) asked(id uint64, hearers int64, err error) {
	if err != nil {
		f.endAsk(id, true)
		return
	}
	want := int(hearers) - 1 // without this one
	if !f.bus.Counts() {
		want = len(f.names())
	}
	f.mu.Lock()
	a := f.asks[id]
	if a != nil {
		a.want = want
	}
	over := a != nil && a.got >= a.want
	f.mu.Unlock()
	if over {
		f.endAsk(id, false)
	}
}

// answered is called for the answer of a gateway.
func (f *fleet) answered(l letter) {
	f.mu.Lock()
	a := f.asks[l.id]
	over := false
	if a != nil {
		a.got++
		if l.status == wire.AckOK {
			a.by = l.from
		}
		a.o = joined(a.o, outcome{status: l.status, payload: l.body}, a.m)
		over = a.want >= 0 && a.got >= a.want || reachOf(a.m) == reachElsewhere && (l.status == wire.AckOK || l.status == wire.AckForbidden)
	}
	f.mu.Unlock()
	if over {
		f.endAsk(l.id, false)
	}
}

// endAsk gives the outcome of what was asked to who asks, once.
func (f *fleet) endAsk(id uint64, late bool) {
	f.mu.Lock()
	a := f.asks[id]
	if a != nil {
		delete(f.asks, id)
		if a.timer != nil {
			a.timer.Stop()
		}
	}
	f.mu.Unlock()
	if a == nil {
		return
	}
	if late {
		a.o.status = wire.AckTimeout
	}
	a.then(a.o, a.by)
}

// endAsks ends all that is asked.
func (f *fleet) endAsks() {
	f.mu.Lock()
	ids := make([]uint64, 0, len(f.asks))
	for id := range f.asks {
		ids = append(ids, id)
	}
	f.mu.Unlock()
	for _, id := range ids {
		f.endAsk(id, true)
	}
}

// joined is the outcome of two gateways: what one of them refuses is refused, what
// one of them has is there.
func joined(a, b outcome, m wire.Message) outcome {
	if query, ok := m.(*wire.GroupMemberQuery); ok {
		return outcome{status: wire.AckOK, payload: joinedPages(a.payload, b.payload, query)}
	}
	for _, status := range []int{wire.AckForbidden, wire.AckOK} {
		switch status {
		case a.status:
			return a
		case b.status:
			return b
		}
	}
	return outcome{status: wire.AckNotFound}
}

// joinedPages is a page of the members of a group at two gateways, in the order of
// their ids, as each page is.
func joinedPages(a, b []byte, m *wire.GroupMemberQuery) []byte {
	first, err := wire.ParseGroupMembers(a)
	second, err2 := wire.ParseGroupMembers(b)
	if err != nil || err2 != nil {
		return a
	}
	page := wire.GroupMembers{Members: append(first.Members, second.Members...)}
	slices.SortFunc(page.Members, func(a, b wire.GroupMember) int { return cmp.Compare(a.ConnectionID, b.ConnectionID) })
	size, more := pageOf(m)
	rest := len(page.Members) > size || first.ContinuationToken != nil || second.ContinuationToken != nil
	page.Members = page.Members[:min(size, len(page.Members))]
	if more && rest && len(page.Members) > 0 {
		page.ContinuationToken = &page.Members[len(page.Members)-1].ConnectionID
	}
	return wire.AppendGroupMembers(nil, page)
}
