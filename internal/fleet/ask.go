package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// An ask is the asker's side of an exchange. It belongs to the goroutine of the
// HTTP request.
type ask struct {
	fleet      *Fleet
	id         exchangeID
	connection string
	link       *link         // by which the owner is reached; nil: the Bus
	owner      string        // the channel on which the owner hears
	in         chan *message // from the owner, filled by deliver
	first      *message      // until the owner was heard, over a link
	asked      *message      // until the owner was heard, on a Bus that does not count

	w    http.ResponseWriter
	rc   *http.ResponseController
	r    *http.Request
	body io.Reader

	size    int64  // bytes of the body that were read
	sent    uint64 // pieces of it
	got     uint64 // pieces of the answer
	taken   bool   // by an owner
	silent  int    // probes in a row that were not answered, though they should be
	missed  bool   // nobody has heard the request, when the Bus was asked last
	started bool   // the client has been given something
}

// inbox is how many messages of an owner may be queued for the asker: an answer, a
// want and an end.
const inbox = 8

// Forward implements transport.Cluster.
func (f *Fleet) Forward(w http.ResponseWriter, r *http.Request, id string, user []byte) error {
	a := &ask{fleet: f, id: newExchangeID(), connection: id, owner: f.connectionChannel(id), in: make(chan *message, inbox),
		w: w, rc: http.NewResponseController(w), r: r, body: r.Body}
	f.mu.Lock()
	if f.closed || len(f.asks) >= mostAsks {
		f.mu.Unlock()
		return transport.ErrAway
	}
	f.asks[a.id] = a
	a.link = f.linkToLocked(id)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.asks, a.id)
		a.leaveLinkLocked()
		f.mu.Unlock()
	}()
	piece, last, err := a.read(make([]byte, 0, pieceCapacity(r)))
	if err != nil {
		return errors.Join(transport.ErrBody, err)
	}
	first := &message{kind: kindAsk, id: a.id, head: packRequest(r, user), body: piece}
	if last {
		first.flags |= flagLast
	}
	if !f.bus.Counts() {
		first.flags |= flagNeedAck
	}
	a.sent = 1
	if err := a.begin(first); err != nil {
		return err
	}
	return a.run()
}

// begin sends the request, over the link if there is one.
func (a *ask) begin(first *message) error {
	if a.link != nil {
		if _, err := a.tell(first); err == nil {
			a.taken, a.first = true, first
			a.fleet.counts.forwarded.Add(1)
			a.fleet.counts.directly.Add(1)
			return nil
		}
		a.leaveLink()
	}
	err := a.publishAsk(first)
	if err == nil {
		a.fleet.counts.forwarded.Add(1)
	}
	return err
}

// broken is closed when the link has ended.
func (a *ask) broken() <-chan struct{} {
	if a.link == nil {
		return nil
	}
	return a.link.ctx.Done()
}

func (a *ask) leaveLink() {
	a.fleet.mu.Lock()
	defer a.fleet.mu.Unlock()
	a.leaveLinkLocked()
}

func (a *ask) leaveLinkLocked() {
	if a.link != nil {
		a.fleet.leaveLocked(a.link)
		a.link = nil
	}
}

// fallBack sends the request once more, over the Bus, after its link has broken
// before the owner has answered. An owner that has taken it recognizes its id, and
// answers that it is gone. A frozen one would take it later.
func (a *ask) fallBack() error {
	if a.first == nil || errors.Is(context.Cause(a.link.ctx), errSilent) {
		return transport.ErrAway
	}
	first := a.first
	a.first, a.taken = nil, false
	a.leaveLink()
	err := a.publishAsk(first)
	if errors.Is(err, transport.ErrNobody) { // it has died, perhaps because of this request
		return transport.ErrAway
	}
	return err
}

// pieceCapacity is how much memory the first piece of a body needs.
func pieceCapacity(r *http.Request) int64 {
	switch {
	case r.ContentLength >= 0 && !isUpgrade(r):
		return min(r.ContentLength, pieceSize)
	case isUpgrade(r):
		return 0
	}
	return pieceSize
}

func isUpgrade(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

// read fills buf with the next piece of the body. last reports whether it is the end.
func (a *ask) read(buf []byte) (piece []byte, last bool, err error) {
	if isUpgrade(a.r) {
		return nil, false, nil
	}
	if a.r.ContentLength == 0 || a.body == nil {
		return nil, true, nil
	}
	buf = buf[:cap(buf)]
	if left := a.r.ContentLength - a.size; a.r.ContentLength >= 0 {
		buf = buf[:min(left, int64(len(buf)))]
	}
	n := 0
	for n < len(buf) && err == nil {
		var more int
		more, err = a.body.Read(buf[n:])
		n += more
	}
	a.size += int64(n)
	switch {
	case err == io.EOF, a.size == a.r.ContentLength:
		return buf[:n], true, nil
	case err != nil:
		return nil, false, err
	}
	return buf[:n], false, nil
}

// publishAsk publishes the request. Right after the Bus was unavailable the owner may
// not be subscribed again yet.
func (a *ask) publishAsk(m *message) error {
	ctx := a.r.Context()
	for {
		receivers, err := a.fleet.publish(ctx, nil, a.owner, m)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return errors.Join(transport.ErrAway, err)
		case receivers != 0:
			if a.taken = a.fleet.bus.Counts(); !a.taken {
				a.asked = m
			}
			return nil
		case time.Since(a.fleet.bus.Since()) > settleTime:
			return transport.ErrNobody
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return ctx.Err()
		case <-a.fleet.ctx.Done():
			return transport.ErrAway
		}
	}
}

// run handles the owner's messages until the exchange is over.
func (a *ask) run() (err error) {
	over := false
	defer func() {
		if !over {
			a.tell(&message{kind: kindCancel, id: a.id})
		}
	}()
	wait := probeTime
	if !a.taken {
		wait = uncountedAsk
	}
	probe := time.NewTimer(wait)
	defer probe.Stop()
	for {
		var m *message
		select {
		case m = <-a.in:
		case <-a.broken():
			select {
			case m = <-a.in: // it arrived before
			default:
				if err := a.fallBack(); err != nil {
					return a.lost(err)
				}
			}
		case <-probe.C:
			again, err := probeTime, error(nil)
			if a.taken {
				err = a.probe()
			} else {
				again, err = a.seek()
			}
			if over = errors.Is(err, transport.ErrNobody); err != nil {
				return a.lost(err)
			}
			probe.Reset(again)
		case <-a.r.Context().Done():
			return a.r.Context().Err()
		case <-a.fleet.ctx.Done():
			return a.lost(transport.ErrAway)
		}
		if err := a.r.Context().Err(); err != nil {
			return err // whatever has arrived, nobody is there to read it
		}
		if m == nil {
			continue
		}
		a.owner, a.taken, a.silent, a.first, a.asked = a.fleet.nodeChannel(m.from), true, 0, nil, nil
		if over, err = a.handle(m); over || err != nil {
			return err
		}
	}
}

// seek asks a Bus that does not count whether anybody hears a request that no owner
// has said to have, and returns when to do so again. What an owner has said before it
// went may still be on its way, and one that is missing at first may hear soon.
func (a *ask) seek() (again time.Duration, err error) {
	heard, err := a.fleet.heard(a.r.Context(), a.owner)
	switch {
	case err != nil:
		return 0, errors.Join(transport.ErrAway, err)
	case heard && a.missed: // only now
		a.missed = false
		if _, err := a.tell(a.asked); err != nil {
			return 0, errors.Join(transport.ErrAway, err)
		}
		return uncountedAsk, nil
	case heard: // it is busy, or frozen, or has not got it
		return probeTime, a.probe()
	case time.Since(a.fleet.bus.Since()) <= settleTime:
		a.missed = true
		return settlePause, nil
	case a.missed:
		return 0, transport.ErrNobody
	}
	a.missed = true
	return uncountedAsk, nil
}

// mostSilent is how many probes in a row an owner may leave without an answer.
const mostSilent = 2

// probe asks whether the owner still serves the exchange: it may have died, or
// what it sent may have been lost. Over the Bus it may also be frozen, which is not
// checked while a client waits for a poll: that would cost an answer for each.
func (a *ask) probe() error {
	m := &message{kind: kindProbe, id: a.id}
	if a.link == nil && (!a.fleet.bus.Counts() || a.r.Method != http.MethodGet) {
		m.flags = flagNeedAck
		if a.silent++; a.silent > mostSilent {
			return transport.ErrAway
		}
	}
	if receivers, err := a.fleet.probe(context.WithoutCancel(a.r.Context()), a.link, a.owner, m); err != nil || receivers == 0 {
		return errors.Join(transport.ErrAway, err)
	}
	return nil
}

// lost is the error of an exchange whose owner is gone. A client that has been given
// part of an answer can only be disconnected.
func (a *ask) lost(err error) error {
	if a.started {
		panic(http.ErrAbortHandler)
	}
	return err
}

// tell publishes m for the owner, even if the client has gone.
func (a *ask) tell(m *message) (receivers int64, err error) {
	return a.fleet.publish(context.WithoutCancel(a.r.Context()), a.link, a.owner, m)
}

// stillThere answers an owner that asks whether the client of exchange id still
// waits. a is nil where there is no such exchange: its cancel was lost, or is on its
// way.
func (a *ask) stillThere(id exchangeID) *message {
	if a == nil || a.r.Context().Err() != nil {
		return &message{kind: kindCancel, id: id}
	}
	return &message{kind: kindAck, id: id, n: stillWaits}
}

// handle processes a message and reports whether the exchange is over.
func (a *ask) handle(m *message) (over bool, err error) {
	switch m.kind {
	case kindWant:
		if m.n != a.sent {
			return false, nil
		}
		return false, a.sendPiece()
	case kindAnswer:
		switch {
		case m.n < a.got:
			return false, nil // a duplicate
		case m.n > a.got:
			return false, a.lost(transport.ErrAway)
		}
		a.got++
		if m.has(flagRaw) {
			u := unpacker{rest: m.head}
			a.learnURL(m.from, &u)
			return true, a.tunnel(m)
		}
		return a.answer(m)
	case kindGone:
		return true, a.lost(transport.ErrAway)
	case kindEnded:
		a.fleet.forget(a.connection)
		return true, transport.ErrNobody
	case kindBusy:
		return true, transport.ErrAway
	}
	return false, nil
}

// sendPiece sends the next piece of the body.
func (a *ask) sendPiece() error {
	m := &message{kind: kindPiece, id: a.id, n: a.sent}
	piece, last, err := a.read(make([]byte, 0, pieceSize))
	m.body = piece
	switch {
	case err != nil:
		m.flags |= flagLast | flagBroken
	case last:
		m.flags |= flagLast
	}
	a.sent++
	if receivers, err := a.tell(m); err != nil || receivers == 0 {
		return a.lost(errors.Join(transport.ErrAway, err))
	}
	return nil
}

// answer gives the client a piece of the answer.
func (a *ask) answer(m *message) (over bool, err error) {
	if m.has(flagBroken) {
		a.started = true
		return true, a.lost(nil)
	}
	if m.n == 0 {
		u := unpacker{rest: m.head}
		status, header := int(u.number()), u.header()
		if u.broken || status < 200 || status > 999 {
			return false, transport.ErrAway
		}
		a.learnURL(m.from, &u)
		for name, values := range header {
			a.w.Header()[name] = values
		}
		a.w.WriteHeader(status)
	}
	a.started = true
	_ = a.rc.SetWriteDeadline(time.Now().Add(clientTime)) // unsupported only in tests
	_, err = a.w.Write(m.body)
	if len(m.body) == 0 {
		err = nil // some statuses have no body
	}
	if err == nil && m.has(flagNeedAck) {
		if err = a.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	if err != nil {
		return false, context.Canceled // the client is gone
	}
	if m.has(flagNeedAck) {
		_, _ = a.tell(&message{kind: kindAck, id: a.id, n: m.n}) // the owner probes
	}
	return m.has(flagLast), nil
}

// learnURL reads the URL of the owner's node from what is left in u, if it has one.
func (a *ask) learnURL(node string, u *unpacker) {
	if url := u.text(); a.link == nil && url != "" {
		a.fleet.Learn(a.connection, node, url)
	}
}

// packRequest writes the head of r for its owner.
func packRequest(r *http.Request, user []byte) []byte {
	b := make([]byte, 0, 512)
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	for _, s := range [...]string{r.Method, r.URL.RequestURI(), uri, r.Proto, r.Host, r.RemoteAddr, r.Pattern, string(user)} {
		b = appendText(b, s)
	}
	b = binary.AppendVarint(b, r.ContentLength)
	return appendHeader(b, r.Header)
}
