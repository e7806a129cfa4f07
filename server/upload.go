package server

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// An upload is a stream that the client sends to a hub method. The leader of the
// connection is the only one that adds items; the method takes them.
type upload struct {
	id    string
	item  reflect.Type
	items reflect.Value // chan item, with space for StreamBufferCapacity
	done  chan struct{} // closed when the method has returned

	mu     sync.Mutex
	err    error
	closed bool // items is closed
}

func newUpload(id string, item reflect.Type, capacity int) *upload {
	return &upload{
		id:    id,
		item:  item,
		items: reflect.MakeChan(reflect.ChanOf(reflect.BothDir, item), capacity),
		done:  make(chan struct{}),
	}
}

// end closes the stream for the method. It must not be called while add runs.
func (u *upload) end(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.closed, u.err = true, err
		u.items.Close()
	}
}

// failure says why the stream ended before its end.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// tryAdd adds an item if there is space.
func (u *upload) tryAdd(v reflect.Value) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed || u.items.TrySend(v)
}

// add waits for space, until the method returns or over is closed.
func (u *upload) add(over <-chan struct{}, v reflect.Value) {
	reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectSend, Chan: u.items, Send: v},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(u.done)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(over)},
	})
}

// argument is what the method is given: a channel, or an iter.Seq2.
func (u *upload) argument(t reflect.Type) reflect.Value {
	if t.Kind() == reflect.Chan {
		return u.items.Convert(t)
	}
	return reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		yield, none := in[0], reflect.Zero(reflect.TypeFor[error]())
		for {
			v, ok := u.items.Recv()
			if ok {
				if !yield.Call([]reflect.Value{v, none})[0].Bool() {
					return nil
				}
				continue
			}
			if err := u.failure(); err != nil {
				yield.Call([]reflect.Value{reflect.Zero(u.item), reflect.ValueOf(&err).Elem()})
			}
			return nil
		}
	})
}

// openUploads registers the streams of a call, so that their items find it.
func (c *connection) openUploads(inv *invocation) error {
	ids := inv.streamIDs
	if len(ids) != inv.method.streams {
		return NewHubError("Client sent %d stream(s), Hub method expects %d.", len(ids), inv.method.streams)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, id := range ids {
		if c.uploadLocked(id) != nil || slices.Contains(ids[:i], id) {
			return NewHubError("Stream ID '%s' is already in use.", id)
		}
	}
	rare := c.rarelyLocked()
	if rare.uploads == nil {
		rare.uploads = map[string]*upload{}
	}
	n := 0
	for i, p := range inv.method.params {
		if p.item == nil {
			continue
		}
		u := newUpload(ids[n], p.item, c.hub.opts.StreamBufferCapacity)
		rare.uploads[u.id] = u
		inv.args[i] = u
		inv.uploads = append(inv.uploads, u)
		n++
	}
	return nil
}

// closeUploads forgets the streams of a call whose method has returned; items
// that still come are ignored.
func (c *connection) closeUploads(inv *invocation) {
	if inv.closed {
		return
	}
	inv.closed = true
	for _, u := range inv.uploads {
		c.removeUpload(u)
		close(u.done)
	}
}

func (c *connection) findUpload(id string) *upload {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uploadLocked(id)
}

// uploadLocked is the open upload with the given stream id; nil: there is none.
func (c *connection) uploadLocked(id string) *upload {
	if c.rare == nil {
		return nil
	}
	return c.rare.uploads[id]
}

func (c *connection) removeUpload(u *upload) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uploadLocked(u.id) == u {
		delete(c.rare.uploads, u.id)
	}
}

// uploadItem hands an item to its stream. While the stream is full the whole
// connection waits.
func (c *connection) uploadItem(l *leader, m *protocol.StreamItem) {
	u := c.findUpload(m.InvocationID)
	if u == nil {
		return
	}
	v := reflect.New(u.item)
	if err := unmarshal(c.codec, m.RawItem, v.Interface()); err != nil {
		c.removeUpload(u)
		if c.hub.log.Enabled(c.Context(), slog.LevelDebug) {
			c.hub.log.Debug("stream item does not fit", "connection", c.ID(), "want", u.item.String(), "got", kindOf(c.codec, m.RawItem))
		}
		u.end(&HubError{Message: c.streamBindText(err)})
		return
	}
	if u.tryAdd(v.Elem()) {
		return
	}
	l.await(nil, func() { u.add(c.in.whenOver(), v.Elem()) }, nil)
}

// streamBindText is the error text that a method gets for an item that does not
// fit.
func (c *connection) streamBindText(err error) string {
	const text = "Failed to bind Stream message."
	if !c.hub.opts.EnableDetailedErrors {
		return text
	}
	exception := "JsonException"
	if c.codec.Binary() {
		exception = "InvalidDataException"
	}
	return fmt.Sprintf("%s %s: %s", text, exception, describe(err).text)
}

// completion ends a stream of the client, or answers a call of the client.
func (c *connection) completion(m *protocol.Completion) {
	if u := c.findUpload(m.InvocationID); u != nil {
		c.removeUpload(u)
		if m.Kind == protocol.ResultError {
			u.end(&HubError{Message: m.Error})
		} else {
			u.end(nil)
		}
		return
	}
	if _, err := c.hub.manager.SetResult(c, m); err != nil {
		c.end(ending{cause: err, allowReconnect: true})
	}
}

var errUploadConnectionEnded = WithErrorType("OperationCanceledException",
	errors.New("The underlying connection was closed."))

// failUploads ends what the client can no longer send. Nobody leads any more.
func (c *connection) failUploads() {
	c.mu.Lock()
	var uploads map[string]*upload
	if c.rare != nil {
		uploads, c.rare.uploads = c.rare.uploads, nil
	}
	c.mu.Unlock()
	for _, u := range uploads {
		u.end(errUploadConnectionEnded)
	}
}
