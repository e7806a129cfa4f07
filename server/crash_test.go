package server_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A crashCodec panics when it decodes a message that says so, or sees the
// beginning of one.
type crashCodec struct{ protocol.JSON }

func (crashCodec) check(buf []byte) {
	if i := bytes.IndexByte(buf, 0x1e); i >= 0 {
		buf = buf[:i]
	}
	if bytes.Contains(buf, []byte("crash")) {
		panic("a mistake of ours")
	}
}

func (c crashCodec) Next(buf []byte) (protocol.Message, []byte, error) {
	c.check(buf)
	return c.JSON.Next(buf)
}

func (c crashCodec) Missing(buf []byte, seen int) int {
	if bytes.Contains(buf, []byte("smash")) {
		panic("a mistake of ours")
	}
	n, _ := protocol.Missing(c.JSON, buf, seen)
	return n
}

// A mistake in what handles the bytes of a client costs that client its
// connection, whichever goroutine makes it: OnDisconnected is called, nothing is
// left over, and other clients see nothing.
func TestAPanicOfOursEndsOneConnection(t *testing.T) {
	const crash = `{"type":6,"x":"crash"}`
	for name, records := range map[string][]string{
		"on the goroutine that reads":                     {crash},
		"with calls in front of it":                       {`{"type":1,"invocationId":"1","target":"Behind","arguments":[]}` + "\x1e" + crash},
		"on one that goes on behind a call that waits":    {callHang + "\x1e" + crash},
		"on one that waited for a permit":                 {callHang, callBehind + "\x1e" + crash},
		"on one that looks ahead while a call waits":      {`{"type":1,"invocationId":"9","target":"Hang","arguments":[]}`, callBehind + "\x1e" + crash},
		"on one that reads while another call waits":      {`{"type":1,"invocationId":"9","target":"Hang","arguments":[]}`, callBehind, crash},
		"on one that waited for space in a stream":        {`{"type":1,"target":"Items","arguments":[],"streamIds":["s"]}`, `{"type":2,"invocationId":"s","item":1}` + "\x1e" + `{"type":2,"invocationId":"s","item":2}` + "\x1e" + crash},
		"while the inbox is locked, at the end of a read": {ping + "\x1e" + ping + "\x1e" + `{"type":6,"x":"smash`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &waitHub{hang: make(chan struct{}), connect: make(chan struct{})}
				close(h.connect)
				hub := newHub(h, &server.Options{StreamBufferCapacity: 1, ClientTimeoutInterval: -1})
				hub.SetCodec(crashCodec{})
				c, other := openFake(t, hub), openFake(t, hub)
				for _, client := range []*fakeClient{c, other} {
					client.say(`{"protocol":"json","version":1}`)
				}
				time.Sleep(time.Second)
				for _, record := range records {
					c.say(record)
					if name == "while the inbox is locked, at the end of a read" {
						c.say(`more"}`)
					}
					time.Sleep(time.Second)
				}
				close(h.hang)
				time.Sleep(time.Second)
				if !h.has("OnDisconnected") {
					t.Error("OnDisconnected was not called")
				}
				other.say(`{"type":1,"invocationId":"1","target":"Behind","arguments":[]}`)
				synctest.Wait()
				if other.count(`{"type":3,"invocationId":"1"`) != 1 {
					t.Error("the other client was not answered")
				}
				close(c.in)
				other.end(t, hub)
			})
		})
	}
}
