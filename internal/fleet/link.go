package fleet

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
)

// A link is a direct connection between two nodes. It carries the messages of the
// exchanges that the dialing node began, each signed as on the Bus, and both sides
// send a heartbeat every beatTime.
type link struct {
	fleet *Fleet
	id    exchangeID // of its handshake
	node  string     // the other side
	conn  io.ReadWriteCloser
	ctx   context.Context // ends with the link; its cause is why
	end   context.CancelCauseFunc

	patience time.Duration // how long the other side may be silent

	writing chan struct{} // holds a token while one frame is written

	// Guarded by Fleet.mu, on the side that has dialed:
	uses int       // exchanges
	idle time.Time // since when there are none
}

// Bounds and times of a link.
const (
	mostFrame   = 4 << 20 // bytes; a request whose head is larger goes over the Bus
	mostChannel = 16 << 10
	beatTime    = time.Second
	silentTime  = 5 * time.Second         // of silence: the other side is frozen, or the network is broken
	givenTime   = silentTime + 2*beatTime // for the dialed side: the other one notices first, and knows why
	frozenTime  = silentTime - 2*beatTime
	idleTime    = time.Minute // without an exchange; then the dialing side closes it
)

// Why links end.
var (
	errSilent   = errors.New("the other node is silent")
	errFrozen   = errors.New("this node was frozen, or the network was, and goes on")
	errIdle     = errors.New("it was not used any more")
	errReplaced = errors.New("the other node has another URL")
	errFrame    = errors.New("frame that no node of this fleet has sent")
	errTooLarge = errors.New("message too large for a link")
)

// newLink makes a link of conn. The caller must call run.
func (f *Fleet) newLink(id exchangeID, node string, conn io.ReadWriteCloser, patience time.Duration) *link {
	l := &link{fleet: f, id: id, node: node, conn: conn, patience: patience, writing: make(chan struct{}, 1), idle: time.Now()}
	l.ctx, l.end = context.WithCancelCause(f.ctx)
	return l
}

// run carries messages until the link ends. ended is called then.
func (l *link) run(in *bufio.Reader, ended func()) {
	closed := make(chan struct{})
	context.AfterFunc(l.ctx, func() { // ends read, and any write
		defer close(closed)
		_ = l.conn.Close()
	})
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		l.beat()
	}()
	l.end(rescue.Call(l.fleet.log, "a link to another node", func() error { return l.read(in) }))
	if cause := context.Cause(l.ctx); errors.Is(cause, errSilent) || errors.Is(cause, errFrozen) {
		l.fleet.log.Warn("link to a node given up", "node", l.node, "cause", cause)
	}
	ended()
	<-beating
	<-closed
}

// beat sends heartbeats, which a frozen node does not.
func (l *link) beat() {
	tick := time.NewTicker(beatTime)
	defer tick.Stop()
	for n := uint64(1); ; n++ {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		l.fleet.endIfIdle(l)
		if _, err := l.fleet.publish(l.ctx, l, l.fleet.nodeChannel(l.node), &message{kind: kindBeat, id: l.id, n: n}); err != nil {
			return // it has ended
		}
	}
}

// read handles the other side's messages until the link ends, and returns why.
func (l *link) read(in *bufio.Reader) error {
	silent := time.AfterFunc(l.patience, func() { l.end(errSilent) })
	defer silent.Stop()
	for beats := uint64(0); ; {
		heard := time.Now()
		channel, payload, err := readFrame(in)
		if err != nil {
			return err
		}
		if time.Since(heard) > frozenTime { // what arrives now may have been given up already
			return errFrozen
		}
		m, err := l.fleet.open(channel, payload)
		switch {
		case err != nil:
			return err
		case m.from != l.node: // replayed from another link
			return errFrame
		}
		if m.kind == kindBeat {
			if m.id != l.id || m.n <= beats {
				return errFrame
			}
			beats = m.n
		} else {
			l.fleet.deliver(channel, m, l)
		}
		silent.Reset(l.patience)
	}
}

// write sends a message to the other side. It blocks while the other side does not
// read, until the link ends.
func (l *link) write(channel string, payload []byte) error {
	size := binary.MaxVarintLen64 + len(channel) + len(payload)
	if size > mostFrame {
		return errTooLarge
	}
	b := appendText(make([]byte, 4, 4+size), channel)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-l.ctx.Done():
	}
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	if _, err := l.conn.Write(b); err != nil {
		l.end(err)
		return err
	}
	return nil
}

// readFrame reads a frame written by write.
func readFrame(in *bufio.Reader) (channel string, payload []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return "", nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > mostFrame {
		return "", nil, fmt.Errorf("%w: %d bytes", errFrame, size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(in, b); err != nil {
		return "", nil, err
	}
	u := unpacker{rest: b}
	channel = u.text()
	if u.broken || len(channel) > mostChannel {
		return "", nil, errFrame
	}
	return channel, u.rest, nil
}
