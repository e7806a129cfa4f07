package server

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// receiveBuffer is how much a client may send ahead of what is dispatched,
// before it is no longer read. Source: ApplicationMaxBufferSize of ASP.NET Core.
const receiveBuffer = 64 << 10

// The loop of a connection takes messages from what was received and
// dispatches them, strictly in order. At any moment at most one goroutine has
// the loop, in one of two roles:
type role uint8

const (
	reader role = iota // a goroutine lent by the transport, which reads on afterwards
	pump               // a goroutine of our own, which ends when nothing is left to dispatch
)

// What became of the goroutine that dispatched a message.
type outcome uint8

const (
	goOn    outcome = iota // it still has the loop
	handed                 // a pump has the loop; the goroutine may read on
	dropped                // another goroutine has its loop and its reading; it must end
)

// Receive implements transport.App.
func (c *connection) Receive(p []byte, lend bool) (readOn bool) {
	as := pump
	if lend {
		as = reader
	}
	readOn = !lend // also after a panic
	c.onLoop(as, func() {
		switch data, did := c.accept(p, lend); {
		case did == handed: // there is nothing to do now, or somebody else does it
			readOn = true
		case lend:
			readOn = c.loop(data, reader) != dropped
		default:
			c.startPump()
		}
	})
	return readOn
}

// accept takes p into the inbox, once there is room. With goOn the caller has the
// loop, and begins with data.
func (c *connection) accept(p []byte, lend bool) (data []byte, did outcome) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.busy && len(in.buf)+in.held >= receiveBuffer && !in.stopped {
		if in.room == nil {
			in.room = make(chan struct{})
		}
		if !c.awaitSpace(in.room) {
			return nil, handed // the client is gone: what it said last counts no more
		}
	}
	switch {
	case in.stopped:
		return nil, handed
	case in.busy:
		in.buf = append(in.buf, p...)
		in.tell()
		return nil, handed
	case len(in.buf) > 0 || !lend:
		in.buf = append(in.buf, p...)
		if c.incomplete(in.buf) {
			return nil, handed
		}
		if in.busy = true; !lend {
			return nil, goOn // it is in the inbox
		}
		p, in.buf = in.buf, nil
	}
	in.busy = true
	return p, goOn
}

// awaitSpace waits, without the lock of the inbox, until space is closed. It
// reports false if the input ended first.
func (c *connection) awaitSpace(space <-chan struct{}) bool {
	c.in.mu.Unlock()
	defer c.in.mu.Lock()
	c.bytes.Uncork() // what others sent meanwhile must not wait with us
	select {
	case <-space:
		return true
	case <-c.bytes.Done():
		return false
	}
}

// startPump lets a goroutine of its own go on with the inbox, whose loop the
// caller has.
func (c *connection) startPump() {
	c.goOnLoop(func() {
		c.bytes.Cork()
		if c.loop(nil, pump) != dropped {
			c.bytes.Uncork()
		}
	})
}

// goOnLoop runs f on a goroutine of its own, which has the loop.
func (c *connection) goOnLoop(f func()) {
	c.hub.running.Go(func() { c.onLoop(pump, f) })
}

// loop dispatches data and whatever has come since, until there is no whole
// message left or the goroutine loses the loop.
func (c *connection) loop(data []byte, as role) outcome {
	first := true
	for {
		rest, did := c.dispatchAll(data, as)
		if did != goOn {
			return did
		}
		rest = ownMemory(rest, data, first)
		first = false
		var stopped bool
		data, rest, stopped = c.more(rest)
		switch {
		case stopped:
			c.inputDone(len(rest) > 0)
			return goOn
		case len(data) == 0:
			return goOn
		}
	}
}

// more returns what the loop goes on with. With none the loop ends, for good if
// stopped is set; rest is then what is left over.
func (c *connection) more(rest []byte) (data, left []byte, stopped bool) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	data, rest = c.takeWhole(rest)
	in.held = len(data)
	switch {
	case c.over.Load():
		in.stopped = true
		in.buf, in.held = nil, 0
	case len(data) > 0:
	default:
		in.buf = rest
		in.stopped = in.ended
		in.busy = false
	}
	in.wake()
	return data, rest, in.stopped
}

var decoderPool = sync.Pool{New: func() any { return &protocol.Decoder{} }}

// dispatchAll dispatches every whole message of data and returns the rest.
func (c *connection) dispatchAll(data []byte, as role) (rest []byte, did outcome) {
	decoder := decoderPool.Get().(*protocol.Decoder)
	rest, did = c.dispatchIn(decoder, data, as)
	if did == goOn { // else a call that waits may still need its message
		decoderPool.Put(decoder)
	}
	return rest, did
}

func (c *connection) dispatchIn(decoder *protocol.Decoder, data []byte, as role) (rest []byte, did outcome) {
	for first := true; len(data) > 0 && !c.over.Load(); {
		if c.codec == nil {
			after, did := c.handshake(data, as)
			if did != goOn || c.codec == nil {
				return after, did
			}
			data = after
			continue
		}
		m, after, err := c.next(decoder, data)
		if errors.Is(err, protocol.ErrIncomplete) {
			return data, goOn
		}
		if err != nil {
			c.end(ending{cause: err, allowReconnect: true})
			return nil, goOn
		}
		if first { // of what came together
			c.heard()
			first = false
		}
		data = after
		if c.reliable != nil {
			fresh, err := c.reliable.receive(m)
			if err != nil {
				c.end(ending{cause: err, allowReconnect: true})
				return nil, goOn
			}
			if !fresh {
				continue
			}
		}
		if did := c.dispatch(m, data, as); did != goOn {
			return nil, did
		}
	}
	return nil, goOn
}

// next decodes one message. The decoder is shown no more bytes than one message
// may have; if there is no whole message among them, the message is too long.
func (c *connection) next(decoder *protocol.Decoder, data []byte) (protocol.Message, []byte, error) {
	limit := c.hub.opts.MaximumReceiveMessageSize
	if limit == math.MaxInt || len(data) <= limit {
		return c.decode(decoder, data)
	}
	m, rest, err := c.decode(decoder, data[:limit:limit])
	if errors.Is(err, protocol.ErrIncomplete) {
		return nil, nil, errMessageSize(limit)
	}
	if err != nil {
		return nil, nil, err
	}
	return m, data[limit-len(rest):], nil
}

func errMessageSize(limit int) error {
	return &protocol.Error{Type: "InvalidDataException",
		Text: fmt.Sprintf("The maximum message size of %dB was exceeded. The message size can be configured in AddHubOptions.", limit)}
}

// handOver gives the loop to a pump, which waits, and then goes on with the
// loop and rest. then, if not nil, comes before rest. It reports what the calling
// goroutine may do. A pump keeps the loop and waits itself. wait should end with
// the connection, see whenOver; nothing begins after it then.
func (c *connection) handOver(call *invocation, rest []byte, as role, wait func(), then func(rest []byte) outcome) outcome {
	if then == nil {
		then = func([]byte) outcome { return goOn }
	}
	c.in.mu.Lock()
	if as == pump {
		c.in.held = len(rest)
		c.in.wake()
		c.in.mu.Unlock()
		c.bytes.Uncork()
		c.waitLooking(rest, call, wait)
		c.bytes.Cork()
		if c.over.Load() {
			return goOn
		}
		return then(rest)
	}
	c.in.putBack(rest)
	c.in.mu.Unlock()
	c.goOnLoop(func() {
		c.waitLooking(nil, call, wait)
		c.bytes.Cork()
		if (c.over.Load() || then(nil) != dropped) && c.loop(nil, pump) != dropped {
			c.bytes.Uncork()
		}
	})
	return handed
}

// takenOver goes on with the loop of a call that has kept its goroutine.
func (call *invocation) takenOver() {
	c, as, readOn := call.conn, call.role, false
	c.onLoop(as, func() {
		rest := call.rest
		call.rest = nil
		c.track(call)    // from now on a CancelInvocation can be read while it runs
		c.bytes.Uncork() // the answers before the slow call
		if as == pump {
			c.bytes.Cork()
		}
		if c.loop(rest, as) == dropped {
			return
		}
		if as == pump {
			c.bytes.Uncork()
			return
		}
		readOn = true
	})
	if readOn {
		c.bytes.ReadOn()
	}
}

func (c *connection) decode(decoder *protocol.Decoder, data []byte) (protocol.Message, []byte, error) {
	decoder.Reset(decoding(c.codec)) // the handshake may have chosen it just now
	return decoder.Next(data)
}
