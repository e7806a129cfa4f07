package transport

import (
	"testing"
)

func TestWebSocketEchoes(t *testing.T) {
	n := serve(t, defaults(), nil)
	p := n.upgrade(n.negotiate())
	p.send(opText, "hello")
	p.expect(opText, "hello")
	p.send(opBinary, "binary")
	p.expect(opText, "binary")
	p.send(opPing, "payload")
	p.expect(opPong, "payload")
	p.send(opClose, "\x03\xe8bye")
	p.expect(opClose, `1000 ""`)
	p.expectEnd()
	if err := n.app().end(t); err != nil {
		t.Errorf("cause = %v, want nil", err)
	}
	eventually(t, "the connection is forgotten", func() bool { return n.connections() == 0 })
}

func BenchmarkEcho(b *testing.B) {
	n := serve(b, defaults(), nil)
	p := n.upgrade("/hub")
	frame := []byte(clientFrame(opText, "0123456789012345678901234567890123456789"))
	buf := make([]byte, 42)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.conn.Write(frame); err != nil {
			b.Fatal(err)
		}
		if _, err := p.r.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSubProtocolSelectorUsed(t *testing.T) {
	opts := defaults()
	opts.SubProtocol = func(offered []string) string {
		if len(offered) == 3 && offered[2] == "c" {
			return offered[1]
		}
		return ""
	}
	n := serve(t, opts, nil)
	p := n.dial()
	p.request("GET", "/hub", "", append(handshakeHeaders, "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c", "Sec-WebSocket-Extensions: permessage-deflate")...)
	r := p.response("GET")
	if got := r.header.Get("Sec-WebSocket-Protocol"); r.status != 101 || got != "b" {
		t.Errorf("upgrade = %v, want subprotocol b", r)
	}
	if r.header.Get("Sec-WebSocket-Extensions") != "" {
		t.Error("an extension was accepted")
	}
	p = n.dial()
	p.request("GET", "/hub", "", append(handshakeHeaders, "Sec-WebSocket-Protocol: x")...)
	if r := p.response("GET"); r.header["Sec-Websocket-Protocol"] != nil {
		t.Errorf("upgrade = %v, want no subprotocol", r)
	}
}
