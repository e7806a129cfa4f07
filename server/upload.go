package server

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// An upload is a stream that the client sends to a hub method. The leader of the
// connection is the only one that adds items; the method takes them.
type upload struct {
	id    string
	item  reflect.Type
	items itemQueue     // with space for StreamBufferCapacity
	done  chan struct{} // closed when the method has returned

	mu     sync.Mutex
	err    error
	closed bool // items is closed; only the leader changes it, or who ends the connection
}

func newUpload(id string, p parameter, capacity int) *upload {
	return &upload{id: id, item: p.item, items: p.items.queue(capacity), done: make(chan struct{})}
}

// end closes the stream for the method. It must not be called while an item waits
// for space.
func (u *upload) end(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.closed, u.err = true, err
		u.items.close()
	}
}

// failure says why the stream ended before its end.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// letsOthers is how often a leader lets other goroutines go first before it waits
// for space. A method that takes items as they come has made space then: to wait
// for it would cost a write of what it has answered meanwhile, a look at what comes
// after the item, and mostly a goroutine, for every few items.
const letsOthers = 4

// tryAdd adds the item that was decoded if there is space, or will be in a moment.
func (u *upload) tryAdd() bool {
	for range letsOthers {
		if u.closed || u.items.tryAdd() {
			return true
		}
		runtime.Gosched()
	}
	return u.items.tryAdd()
}

// openUploads registers the streams of a call, so that their items find it.
func (c *connection) openUploads(inv *invocation) error {
	ids := inv.streamIDs()
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
		u := newUpload(ids[n], p, c.hub.opts.StreamBufferCapacity)
		rare.uploads[u.id] = u
		inv.args[i] = u
		inv.rare.uploads = append(inv.rare.uploads, u)
		n++
	}
	return nil
}

// closeUploads forgets the streams of a call whose method has returned; items
// that still come are ignored.
func (c *connection) closeUploads(inv *invocation) {
	if inv.rare == nil || inv.rare.closed {
		return
	}
	inv.rare.closed = true
	for _, u := range inv.rare.uploads {
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
	if err := l.unmarshal(m.RawItem, u.items.variable()); err != nil {
		c.removeUpload(u)
		if c.hub.log.Enabled(c.Context(), slog.LevelDebug) {
			c.hub.log.Debug("stream item does not fit", "connection", c.ID(), "want", u.item.String(), "got", kindOf(c.codec, m.RawItem))
		}
		u.end(&HubError{Message: c.streamBindText(err)})
		return
	}
	if u.tryAdd() {
		return
	}
	l.await(nil, func() { u.items.add(u.done, c.in.whenOver()) }, nil)
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
