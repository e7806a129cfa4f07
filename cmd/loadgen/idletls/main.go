//go:build linux

// Command idletls says what an idle WebSocket over TLS costs a hub in memory. It
// starts itself as the hub, connects clients of crypto/tls that ping each 15 s, and
// prints the hub's memory for each.
//
//	go run ./cmd/loadgen/idletls [-c 16000] [-bare] [-classic] [-plain] [-request 700] [-profile heap.pprof]
//
// GOGC and its like, and HUBWIRE_READERS, apply to the hub. Each client takes a
// descriptor of both processes: ulimit -n.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

var (
	clients = flag.Int("c", 16000, "`number` of clients")
	plain   = flag.Bool("plain", false, "no TLS")
	bare    = flag.Bool("bare", false, "a hub without server.TLSListener")
	classic = flag.Bool("classic", false, "clients that know no post-quantum cryptography")
	request = flag.Int("request", 0, "least `bytes` of a client's request")
	settle  = flag.Duration("settle", 20*time.Second, "how long all are there before memory is read")
	profile = flag.String("profile", "", "`file` for a profile of the hub's heap in which every byte counts")
	serve   = flag.Bool("serve", false, "be the hub: the command starts itself so")
)

func main() {
	flag.Parse()
	err := error(nil)
	if *serve {
		err = beHub(os.Stdin, os.Stdout)
	} else {
		err = measure()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "idletls:", err)
		os.Exit(1)
	}
}

// warm are the clients before those that are counted: what a hub has once is there then.
const warm = 200

func measure() error {
	h, err := startHub()
	if err != nil {
		return err
	}
	defer h.stop()
	ended := make(chan error)
	if err := connect(h.address, warm, ended); err != nil {
		return err
	}
	before, err := h.ask("collect")
	if err != nil {
		return err
	}
	if err := connect(h.address, *clients, ended); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("a client has ended: %w", err)
	case <-time.After(*settle):
	}
	idle, err := h.ask("")
	if err != nil {
		return err
	}
	after, err := h.ask("collect")
	if err != nil {
		return err
	}
	each := func(now, before int) int { return (now - before) / *clients }
	fmt.Printf("%d clients: RSS %d B each; of that the heap after a collection %d B in %.1f objects, and stacks %d B\n",
		*clients, each(idle.RSS, before.RSS), each(after.Heap, before.Heap), float64(after.Objects-before.Objects)/float64(*clients), each(idle.Stacks, before.Stacks))
	return nil
}

// A hub is the other process.
type hub struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	address string
}

func startHub() (*hub, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &hub{cmd: exec.Command(self, append([]string{"-serve"}, os.Args[1:]...)...)}
	h.cmd.Stderr = os.Stderr
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	h.out = bufio.NewScanner(out)
	h.out.Scan()
	h.address = h.out.Text()
	return h, nil
}

// stop lets the hub end: it has nobody to listen to.
func (h *hub) stop() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}

// ask lets the hub do what, and returns how it is then.
func (h *hub) ask(what string) (memory, error) {
	var m memory
	if _, err := fmt.Fprintln(h.in, what); err != nil {
		return m, err
	}
	h.out.Scan()
	return m, json.Unmarshal(h.out.Bytes(), &m)
}

// dialers is how many clients connect at a time.
const dialers = 8

// connect connects n clients, which stay until they send why they have ended to ended.
func connect(address string, n int, ended chan<- error) error {
	work, done := make(chan struct{}), make(chan error)
	for range dialers {
		go func() {
			for range work {
				done <- open(address, ended)
			}
		}()
	}
	go func() {
		for range n {
			work <- struct{}{}
		}
		close(work)
	}()
	for range n {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// open connects a client, which pings from then on.
func open(address string, ended chan<- error) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	if !*plain {
		config := &tls.Config{InsecureSkipVerify: true} // the hub has made its certificate for this run
		if *classic {
			config.CurvePreferences = []tls.CurveID{tls.X25519}
		}
		c = tls.Client(c, config)
	}
	upgrade := "GET /hub HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n"
	if rest := *request - len(upgrade) - len("X: \r\n\r\n"); rest > 0 {
		upgrade += "X: " + strings.Repeat("x", rest) + "\r\n"
	}
	if err := say(c, []byte(upgrade+"\r\n"), "\r\n\r\n"); err != nil {
		return err
	}
	if err := say(c, frame(`{"protocol":"json","version":1}`+"\x1e"), "{}\x1e"); err != nil {
		return err
	}
	go ping(c)
	go func() {
		_, err := io.Copy(io.Discard, c)
		ended <- err
	}()
	return nil
}

// ping goes on until c is closed, which its reader finds out.
func ping(c net.Conn) {
	for {
		time.Sleep(15 * time.Second)
		if _, err := c.Write(frame(`{"type":6}` + "\x1e")); err != nil {
			return
		}
	}
}

// say sends what, and reads until the hub has answered with something that ends in end.
func say(c net.Conn, what []byte, end string) error {
	if _, err := c.Write(what); err != nil {
		return err
	}
	var got [1024]byte
	for n := 0; !bytes.HasSuffix(got[:n], []byte(end)); {
		more, err := c.Read(got[n:])
		if n += more; err != nil {
			return fmt.Errorf("after %q: %w", got[:n], err)
		}
	}
	return nil
}

// frame is a masked WebSocket frame with a short text.
func frame(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}
