package transport

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	ossignal "os/signal"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

type rawNode struct {
	mu  sync.Mutex
	all []*Conn
	set map[*Conn]int
}
type rawNodeApp struct {
	n   *rawNode
	c   *Conn
	buf []byte
}

func (a *rawNodeApp) Start() {
	a.n.mu.Lock()
	all := make([]*Conn, len(a.n.all), len(a.n.all)+1)
	copy(all, a.n.all)
	a.n.all = append(all, a.c)
	a.n.mu.Unlock()
}
func (a *rawNodeApp) Receive(p []byte, _ bool) bool {
	data := p
	if len(a.buf) > 0 {
		data = append(a.buf, p...)
		a.buf = nil
	}
	for {
		i := bytes.IndexByte(data, 0x1e)
		if i < 0 {
			break
		}
		rec := data[:i+1]
		data = data[i+1:]
		f := BuildFrame(append(NewFrameBuffer(len(rec)), rec...), false)
		if rec[0] == 'B' {
			a.n.mu.Lock()
			all := a.n.all
			a.n.mu.Unlock()
			for _, c := range all {
				c.Send(f)
			}
		} else {
			a.c.Send(f)
		}
	}
	if len(data) > 0 {
		a.buf = append([]byte(nil), data...)
	}
	return true
}
func (a *rawNodeApp) Ended(error) {
	a.n.mu.Lock()
	all := make([]*Conn, 0, len(a.n.all))
	for _, c := range a.n.all {
		if c != a.c {
			all = append(all, c)
		}
	}
	a.n.all = all
	a.n.mu.Unlock()
	a.c.Finish()
}
func (a *rawNodeApp) Shutdown()      {}
func (a *rawNodeApp) Tick(time.Time) {}

func TestRawNode(t *testing.T) {
	if os.Getenv("RAWNODE") == "" {
		t.Skip()
	}
	n := &rawNode{set: map[*Conn]int{}}
	o := defaults()
	e := NewEndpoint(o, func(c *Conn) App { return &rawNodeApp{n: n, c: c} })
	mux := http.NewServeMux()
	mux.Handle("/hub", e)
	mux.Handle("/hub/", e)
	mux.Handle("/debug/", http.DefaultServeMux)
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("RAWNODE"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("READY", l.Addr())
	go http.Serve(l, mux)
	go func() {
		for {
			time.Sleep(2 * time.Second)
			debug.FreeOSMemory()
		}
	}()
	ch := make(chan os.Signal, 1)
	ossignal.Notify(ch, os.Interrupt)
	<-ch
}
