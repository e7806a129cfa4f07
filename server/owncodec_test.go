package server_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A lineCodec is JSON whose messages from clients end with a line, not with the
// separator of JSON.
type lineCodec struct{ protocol.JSON }

func (c lineCodec) Next(buf []byte) (protocol.Message, []byte, error) {
	line, rest, ok := bytes.Cut(buf, []byte("\n"))
	if !ok {
		return nil, buf, protocol.ErrIncomplete
	}
	m, _, err := c.JSON.Next(append(bytes.Clone(line), 0x1e))
	return m, rest, err
}

// Nothing of JSON's own framing may be used for a codec that embeds it: the
// messages come in pieces, and no separator follows them.
func TestACodecThatEmbedsOursReadsByItsOwnNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(benchHub{}, &server.Options{Protocols: []protocol.Codec{lineCodec{}}})
		c := openFake(t, hub)
		say := func(text string) {
			c.in <- ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
			synctest.Wait()
		}
		say(`{"protocol":"json","version":1}` + "\x1e")
		say(`{"type":1,"invocationId":"1","target":"Echo","argu`)
		say(`ments":["a"]}` + "\n" + `{"type":1,"invocationId":"2",`)
		say(`"target":"Echo","arguments":["b"]}` + "\n")
		for _, want := range []string{`{"type":3,"invocationId":"1","result":"a"}`, `{"type":3,"invocationId":"2","result":"b"}`} {
			if len(c.events(want)) != 1 {
				t.Errorf("no answer %s among %v", want, c.sent)
			}
		}
		c.end(t, hub)
	})
}
