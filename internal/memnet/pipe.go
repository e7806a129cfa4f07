package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how many bytes one direction holds before a write waits, as the
// buffers of a kernel do.
const bufferSize = 64 << 10

// A pipe is one direction of a connection.
type pipe struct {
	mu           sync.Mutex
	changed      sync.Cond // for the goroutines that wait in read or write
	packets      []packet
	size         int   // bytes in packets
	ended        bool  // the writer has closed: EOF after packets
	readerClosed bool  // the reader has closed: nobody reads what is written
	err          error // the network has broken

	stopped bool          // the reader takes nothing
	delay   time.Duration // for what is written from now on

	readBy, writeBy deadline
}

// A packet is what one write has put in, or what is left of it.
type packet struct {
	bytes []byte
	due   time.Time // the reader sees it from then on; zero means at once
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed.L = &p.mu
	return p
}

// set changes the pipe and wakes the goroutines that wait for a change.
func (p *pipe) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.readerClosed:
			return 0, net.ErrClosed
		case p.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case p.err != nil:
			return 0, p.err
		case p.stopped:
		case len(p.packets) > 0:
			wait := time.Until(p.packets[0].due)
			if wait <= 0 || p.packets[0].due.IsZero() {
				return p.take(b), nil
			}
			time.AfterFunc(wait, p.wake)
		case p.ended:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *pipe) wake() { p.set(func() {}) }

// take moves bytes of the first packet to b.
func (p *pipe) take(b []byte) int {
	first := &p.packets[0]
	n := copy(b, first.bytes)
	if first.bytes = first.bytes[n:]; len(first.bytes) == 0 {
		p.packets = p.packets[1:]
	}
	p.size -= n
	p.changed.Broadcast()
	return n
}

func (p *pipe) write(b []byte) (written int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.ended:
			return written, net.ErrClosed
		case p.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		case p.err != nil:
			return written, p.err
		case p.readerClosed:
			return written, syscall.EPIPE
		case len(b) == 0:
			return written, nil
		case p.size < bufferSize:
			n := min(len(b), bufferSize-p.size)
			one := packet{bytes: append([]byte(nil), b[:n]...)}
			if p.delay > 0 {
				one.due = time.Now().Add(p.delay)
			}
			p.packets = append(p.packets, one)
			p.size += n
			written, b = written+n, b[n:]
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

// A deadline is that of reading or of writing.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set makes at the deadline, at which wake is called.
func (d *deadline) set(at time.Time, wake func()) {
	d.stop()
	d.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, wake)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
