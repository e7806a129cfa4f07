package anynode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// window is how many calls of a connection may be on their way.
const window = 32

// An answer is what became of one request.
type answer struct {
	by     *process // which got it
	status int      // 0: it broke
	text   string
	err    error
}

// A connection is one of a raw client, each of whose requests goes to a random
// process.
type connection struct {
	*run
	path   string   // with its token
	owner  *process // which got its first request
	ledger *ledger
	cut    chan struct{} // closed when it was lost to what a node has complained of
	once   sync.Once
}

func (r *run) newConnection() *connection {
	return &connection{run: r, path: r.negotiate(), ledger: newLedger(), cut: make(chan struct{})}
}

// isLost reports whether the connection is lost: its owner is killed, or it was cut.
func (c *connection) isLost() bool {
	select {
	case <-c.cut:
		return true
	default:
		return c.owner.doomed.Load()
	}
}

// wrong is told of what must not happen while the owner lives, unless nodes have given
// each other or Redis up: then it costs the connection.
func (c *connection) wrong(format string, args ...any) {
	if !c.fleet.troubled() {
		c.fail(format, args...)
		return
	}
	c.once.Do(func() {
		c.excused.Add(1)
		close(c.cut)
	})
}

// send sends a request to p and reads the answer to its end.
func (r *run) send(p *process, method, path, body string) answer {
	ctx, cancel := context.WithTimeout(r.ctx, hangTime)
	defer cancel()
	a := answer{by: p}
	got, err := r.request(ctx, p, method, path, body, "")
	if err == nil {
		defer got.Body.Close()
		var text []byte
		if text, err = io.ReadAll(got.Body); err == nil {
			a.status, a.text = got.StatusCode, string(text)
		}
	}
	a.err = err
	r.requests.Add(1)
	switch {
	case r.ctx.Err() != nil: // the run has failed
	case errors.Is(err, context.DeadlineExceeded):
		r.fail("a %s hangs for %v", method, hangTime)
	case err != nil && !p.doomed.Load():
		r.fail("a %s breaks at a process that lives: %v", method, err)
	case err != nil:
		r.broken.Add(1)
	}
	return a
}

func (r *run) request(ctx context.Context, p *process, method, path, body, accept string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if accept != "" {
		q.Header.Set("Accept", accept)
	}
	return r.web.Do(q)
}

// negotiate returns the path of a new connection, or "" if that has failed.
func (r *run) negotiate() string {
	a := r.send(r.fleet.random(), "POST", "/hub/negotiate?negotiateVersion=1", "")
	var n struct{ ConnectionToken string }
	if a.status != http.StatusOK {
		if a.err == nil {
			r.fail("negotiate is answered %d %s", a.status, a.text)
		}
		return ""
	}
	if err := json.Unmarshal([]byte(a.text), &n); err != nil {
		r.fail("negotiate is answered %q: %v", a.text, err)
		return ""
	}
	return "/hub?id=" + n.ConnectionToken
}

// ask sends a request to a random process. ok says that it was answered 200. Any other
// answer must have a reason.
func (c *connection) ask(method, body string) (a answer, ok bool) {
	a = c.send(c.fleet.random(), method, c.path, body)
	switch {
	case a.status == http.StatusOK:
		return a, true
	case a.err != nil: // send has judged it
	case c.owner.doomed.Load():
		if a.status != http.StatusNotFound && a.status != http.StatusServiceUnavailable && a.status != http.StatusNoContent {
			c.fail("a %s is answered %d %q when the owner is killed", method, a.status, a.text)
		}
	case a.status == http.StatusServiceUnavailable:
		if !a.by.doomed.Load() {
			c.refused.Add(1)
		}
	default:
		c.wrong("a %s is answered %d %q while the owner lives", method, a.status, a.text)
	}
	return a, false
}

const handshake = "{\"protocol\":\"json\",\"version\":1}\x1e"

// post sends calls until the run is over or the owner is killed.
func (c *connection) post() {
	for !c.over.Load() && !c.isLost() {
		if !c.await(window) {
			return
		}
		n := c.ledger.next()
		status := failed
		if _, ok := c.ask("POST", fmt.Sprintf("{\"type\":1,\"target\":\"Add\",\"arguments\":[%d,0],\"invocationId\":\"%d\"}\x1e", n, n)); ok {
			status = accepted
		}
		c.ledger.posted(n, status)
		c.posts.Add(1)
	}
}

// await waits until fewer than most calls are outstanding. It reports false if the
// owner is killed.
func (c *connection) await(most int) bool {
	late := time.NewTimer(hangTime)
	defer late.Stop()
	for c.ledger.outstanding() >= most {
		select {
		case <-c.ledger.moved:
		case <-c.owner.gone:
			return false
		case <-c.cut:
			return false
		case <-c.ctx.Done():
			return false
		case <-late.C:
			c.wrong("%d calls whose POST was answered 200 have no answer after %v", c.ledger.outstanding(), hangTime)
			return false
		}
	}
	return true
}

// poll polls until the connection ends.
func (c *connection) poll(deleted <-chan struct{}) {
	for !c.isLost() && c.ctx.Err() == nil {
		a := c.send(c.fleet.random(), "GET", c.path, "")
		lives := !c.owner.doomed.Load()
		switch {
		case a.status == http.StatusOK:
			c.polls.Add(1)
			if err := c.ledger.polled(a.text, a.by, c.mayNotHaveConfirmed); err != nil {
				c.fail("a poll of %s, owned by %s: %v", a.by.url, c.owner.url, err)
				return
			}
		case a.err != nil: // send has judged it
		case a.status == http.StatusServiceUnavailable:
			if lives && !a.by.doomed.Load() {
				c.refused.Add(1)
			}
		case a.status == http.StatusNoContent, a.status == http.StatusNotFound:
			select {
			case <-deleted:
				return
			default:
			}
			if lives {
				c.wrong("a poll is answered %d %q while the owner lives", a.status, a.text)
			}
		default:
			c.wrong("a poll is answered %d %q", a.status, a.text)
		}
	}
}

// mayNotHaveConfirmed reports whether the owner may not know that p has passed an
// answer on: p was killed, or a node has given another one up, and says so soon.
func (r *run) mayNotHaveConfirmed(p *process) bool {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); !p.doomed.Load() && !r.fleet.troubled(); <-look.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// longPolling is the life of a connection.
func (r *run) longPolling() {
	c := r.newConnection()
	if c.path == "" {
		return
	}
	c.owner = r.fleet.random()
	if a := r.send(c.owner, "GET", c.path, ""); a.status != http.StatusOK {
		if a.err == nil {
			r.fail("the first poll is answered %d %q", a.status, a.text)
		}
		return
	}
	if _, ok := c.ask("POST", handshake); !ok {
		return // it may or may not have come
	}
	r.connections.Add(1)
	deleted, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.poll(deleted)
	}()
	c.post()
	if c.await(1) && !c.isLost() {
		close(deleted)
		c.ledger.leave()
		if a := r.send(r.fleet.random(), "DELETE", c.path, ""); a.status != http.StatusAccepted && a.err == nil {
			c.wrong("DELETE is answered %d %q", a.status, a.text)
		}
	}
	<-ended
	c.end()
}

// serverSentEvents is the life of a connection.
func (r *run) serverSentEvents() {
	c := r.newConnection()
	if c.path == "" {
		return
	}
	c.owner = r.fleet.random()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	stream, err := r.request(ctx, c.owner, "GET", c.path, "", "text/event-stream")
	r.requests.Add(1)
	if err != nil {
		if !c.owner.doomed.Load() && ctx.Err() == nil {
			r.fail("an event stream breaks at a process that lives: %v", err)
		}
		return
	}
	defer stream.Body.Close()
	if stream.StatusCode != http.StatusOK {
		r.fail("an event stream is answered %d", stream.StatusCode)
		return
	}
	if _, ok := c.ask("POST", handshake); !ok {
		return
	}
	r.connections.Add(1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stream.Body)
		for lines.Scan() {
			if text, is := strings.CutPrefix(strings.TrimSuffix(lines.Text(), "\r"), "data: "); is {
				if err := c.ledger.streamed(text); err != nil {
					c.fail("an event stream of %s: %v", c.owner.url, err)
					return
				}
			}
		}
		if ctx.Err() == nil && !c.owner.doomed.Load() {
			c.wrong("an event stream ends while its node lives: %v", lines.Err())
		}
	}()
	c.post()
	c.await(1)
	if !c.owner.doomed.Load() { // else the stream ends by itself
		cancel()
	}
	<-ended
	if c.owner.doomed.Load() {
		c.end()
		return
	}
	c.account()
}

// end looks whether every process says that the connection has ended, in time.
func (c *connection) end() {
	c.account()
	switch {
	case c.ctx.Err() != nil:
		return
	case c.owner.doomed.Load():
		<-c.owner.gone
		c.lost.Add(1)
	case c.isLost(): // cut: it may still be there
		return
	}
	for _, p := range c.fleet.living() {
		for _, method := range []string{"POST", "GET"} {
			began := time.Now()
			a := c.send(p, method, c.path, ping)
			c.slowest(time.Since(began))
			if a.err == nil && a.status != http.StatusNotFound && a.status != http.StatusServiceUnavailable {
				c.fail("a %s of a connection that has ended is answered %d %q", method, a.status, a.text)
			}
		}
	}
}

// account adds the figures of the connection to those of the run.
func (c *connection) account() {
	back, all := c.ledger.executed()
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	c.unanswered.Add(int64(all))
	c.executed.Add(int64(back))
	c.late.Add(int64(c.ledger.late))
	c.repeated.Add(int64(c.ledger.repeated))
}
