package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// echoHub answers.
type echoHub struct{}

func (echoHub) Echo(text string) string { return text }

func TestAHubSpeaksTheProtocolsThatItLists(t *testing.T) {
	json, pack := protocol.JSON{}, protocol.MessagePack{}
	for name, test := range map[string]struct {
		listed []protocol.Codec
		speaks string
	}{
		"nothing listed":    {nil, "json messagepack"},
		"JSON alone":        {[]protocol.Codec{json}, "json"},
		"MessagePack alone": {[]protocol.Codec{pack}, "messagepack"},
		"both":              {[]protocol.Codec{pack, json}, "json messagepack"},
	} {
		inBubble(t, name, func(t *testing.T) {
			n := hubtest.New(t, echoHub{}, &server.Options{Protocols: test.listed})
			for _, codec := range []protocol.Codec{json, pack} {
				for _, transport := range []server.Transport{server.WebSockets, server.LongPolling} {
					c, err := n.TryConnect(hubtest.Protocol(codec), hubtest.Over(transport))
					if !strings.Contains(test.speaks, codec.Name()) {
						if want := fmt.Sprintf("The protocol '%s' is not supported.", codec.Name()); err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("%s over %v: %v, want %s", codec.Name(), transport, err, want)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s over %v: %v", codec.Name(), transport, err)
						continue
					}
					if got := hubtest.Result[string](c, "Echo", "hello"); got != "hello" {
						t.Errorf("%s over %v: %q", codec.Name(), transport, got)
					}
				}
			}
		})
	}
}
