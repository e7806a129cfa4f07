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
