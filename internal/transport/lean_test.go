package transport

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// An askedListener notes the longest read that its connections were asked for.
type askedListener struct {
	net.Listener
	most *atomic.Int64
}

func (l askedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return askedConn{c, l.most}, err
}

type askedConn struct {
	net.Conn
	most *atomic.Int64
}

func (c askedConn) Read(p []byte) (int, error) {
	if n := int64(len(p)); n > c.most.Load() {
		c.most.Store(n) // one goroutine reads
	}
	return c.Conn.Read(p)
}

// A slowConn greets byte by byte.
type slowConn struct {
	net.Conn
	greeted bool
}

func (c *slowConn) Write(p []byte) (int, error) {
	if c.greeted {
		return c.Conn.Write(p)
	}
	c.greeted = true
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func listenTCP(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// What crypto/tls asks for is the room in the buffer that it keeps: of a connection whose
// client greets with a key of post-quantum cryptography 2 KB, and 576 bytes from a leanConn.
func TestTLSKeepsASmallBufferForEachConnection(t *testing.T) {
	const small = 1 << 10
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	for _, test := range []struct {
		name   string
		bare   bool
		slow   bool
		config *tls.Config // of the client
		most   int64       // 0: more than small
	}{
		{name: "from a bare listener", bare: true},
		{name: "as a rule", most: small},
		{name: "byte by byte", slow: true, most: small},
		{name: "TLS 1.2", config: &tls.Config{MaxVersion: tls.VersionTLS12}, most: small},
		{name: "a small greeting", config: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, most: small},
		{name: "a large greeting", config: &tls.Config{NextProtos: strings.Split(strings.Repeat(strings.Repeat("x", 200)+" ", 50)+"http/1.1", " ")}, most: small},
		{name: "greeted twice", config: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP521}}, most: 4 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			var most atomic.Int64
			l := listenTCP(t)
			address := l.Addr().String()
			if !test.bare {
				l = LeanTLS(LeanTLS(l)) // once is enough
			}
			config := certificates.TLS.Clone()
			config.NextProtos = []string{"http/1.1"}
			if test.most > small {
				config.CurvePreferences = []tls.CurveID{tls.CurveP521}
			}
			l = tls.NewListener(askedListener{l, &most}, config)
			served := make(chan error, 1)
			go func() { served <- echoOnce(l) }()
			raw, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if test.slow {
				raw = &slowConn{Conn: raw}
			}
			greeting := &tls.Config{}
			if test.config != nil {
				greeting = test.config
			}
			greeting.InsecureSkipVerify = true
			c := tls.Client(raw, greeting)
			var got [300]byte
			for i := range 3 {
				want := strings.Repeat(fmt.Sprint(i), len(got))
				if _, err := c.Write([]byte(want)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, got[:]); err != nil || string(got[:]) != want {
					t.Fatalf("echo %.20q, %v", got, err)
				}
			}
			_ = c.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
			switch got := most.Load(); {
			case test.most == 0 && got <= small:
				t.Errorf("crypto/tls asks a bare listener for %d bytes at most: LeanTLS is not needed any more", got)
			case test.most != 0 && got > test.most:
				t.Errorf("crypto/tls has asked for %d bytes at once, want %d at most", got, test.most)
			}
		})
	}
}

// echoOnce sends back what comes over the first connection.
func echoOnce(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(c, c)
	return err
}

// readLean returns what is read, with room for the given number of bytes each time, from a
// leanConn whose client sends what and closes.
func readLean(t *testing.T, what []byte, room int) []byte {
	t.Helper()
	l := LeanTLS(listenTCP(t))
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // in two pieces
		_, _ = client.Write(what[:len(what)/3])
		_, _ = client.Write(what[len(what)/3:])
		_ = client.Close()
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []byte
	for p := make([]byte, room); ; {
		n, err := c.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func record(kind byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 1}, uint16(len(payload))), payload...)
}

// The first record becomes several of its kind with the same bytes in the same order;
// what follows it stays as it is.
func TestTheFirstRecordOfTLSIsDividedAndNothingElse(t *testing.T) {
	bytesOf := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(rand.Uint32())
		}
		return p
	}
	for _, size := range []int{0, 1, 570, 571, 572, 1142, 1143, 1500, 2285, mostInRecord} {
		for _, room := range []int{576, 700, 16 << 10, 32 << 10} {
			payload, tail := bytesOf(size), record(recordHandshake, bytesOf(1000))
			got := readLean(t, append(record(recordHandshake, payload), tail...), room)
			var whole []byte
			for first := true; first || len(whole) < size; first = false {
				n := int(binary.BigEndian.Uint16(got[3:]))
				if !bytes.Equal(got[:3], []byte{recordHandshake, 3, 1}) || n > room-recordHead || n == 0 && size > 0 {
					t.Fatalf("%d bytes, read %d at a time: record % x", size, room, got[:recordHead])
				}
				whole, got = append(whole, got[recordHead:recordHead+n]...), got[recordHead+n:]
			}
			if !bytes.Equal(whole, payload) || !bytes.Equal(got, tail) {
				t.Errorf("%d bytes, read %d at a time: not what was sent", size, room)
			}
		}
	}
	hello := record(recordHandshake, bytesOf(1500))
	for name, sent := range map[string][]byte{
		"nothing":          nil,
		"a part of a head": hello[:4],
		"another record":   record(21, bytesOf(900)),
		"one too long":     record(recordHandshake, bytesOf(mostInRecord+1)),
		"no TLS":           []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 1000)),
	} {
		if got := readLean(t, sent, 576); !bytes.Equal(got, sent) {
			t.Errorf("%s: read % .20x, %d bytes, want % .20x, %d bytes", name, got, len(got), sent, len(sent))
		}
	}
	if got := readLean(t, hello, recordHead); !bytes.Equal(got, hello) {
		t.Error("who has no room for a record gets another one than was sent")
	}
	if got := readLean(t, hello[:800], 576); len(got) != 800+2*recordHead || got[4] != 1500/4&0xff {
		t.Errorf("of a record that ends in its middle %d bytes are read", len(got))
	}
}

func TestHTTPAtAPortOfTLSIsToldSo(t *testing.T) {
	n := serveTLS(t, defaults(), LeanTLS)
	secured, err := n.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer secured.Close()
	c, err := net.Dial("tcp", secured.RemoteAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, _ := io.ReadAll(c); !strings.Contains(string(got), "400 Bad Request") {
		t.Errorf("answered %q", got)
	}
}
