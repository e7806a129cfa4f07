package transport

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"
)

// farewellWait is how long the poll that is pending when the client deletes
// its connection waits for what the App has to say at its end. A busy App says
// nothing in time.
const farewellWait = 100 * time.Millisecond

// A poll is one GET of long polling that serves a connection.
type poll struct {
	newer chan struct{} // closed when another poll wants to take its place
	told  bool          // newer is closed; guarded by Conn.mu
	done  chan struct{} // closed when its answer is written and the connection inactive
	over  bool          // done is closed; the poll's own
	last  bool          // the connection ended with it; set before done is closed
}

// servePoll answers one poll. Source: docs/reference/transports.md, section 6.2.
func (e *Endpoint) servePoll(w http.ResponseWriter, r *http.Request, c *Conn, user any) {
	rc := http.NewResponseController(w)
	e.clearDeadlines(w, r, rc)
	if !e.mayServe(w, r, c, LongPolling, user) {
		return
	}
	p := &poll{newer: make(chan struct{}), done: make(chan struct{})}
	first, status := c.beginPoll(p, r, user)
	if status != 0 {
		answer(w, r, status, textPlain, "")
		return
	}
	defer func() {
		if v := recover(); v != nil { // a middleware's ResponseWriter
			c.giveUp(ErrLost)
			if !p.over {
				c.endPoll(p)
			}
			panic(v)
		}
	}()
	if first {
		c.start()
		// Not flushed: it carries nothing that the next poll could overtake, and
		// middleware that compresses would begin a body.
		answer(w, r, http.StatusOK, octetStream, "")
		c.endPoll(p)
		return
	}
	status, contentType := c.awaitPoll(p, w, r, rc)
	c.endPoll(p) // who has read a 204 finds no connection any more
	if status != 0 {
		answer(w, r, status, contentType, "")
	}
}

// beginPoll makes p the poll of c, once the one that runs has ended. status is
// not 0 if that cannot be: of several that wait the newest wins.
func (c *Conn) beginPoll(p *poll, r *http.Request, user any) (first bool, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.poll; old != nil && !c.goneLocked() {
		if !old.told {
			old.told = true
			close(old.newer)
		}
		c.newest = p
		c.mu.Unlock()
		<-old.done // soon: it answers at once, or within the send timeout
		c.mu.Lock()
		switch {
		case old.last:
			return false, http.StatusNoContent
		case c.newest != p && !c.goneLocked():
			return false, http.StatusConflict
		}
	}
	if c.goneLocked() {
		return false, http.StatusNotFound
	}
	if first, status = c.activateLocked(r, user); status == 0 {
		c.poll, c.newest = p, nil
	}
	return first, status
}

// goneLocked reports whether the connection is over for its client.
func (c *Conn) goneLocked() bool { return c.phase == disposed || c.deleted }

// endPoll leaves the connection to the next poll.
func (c *Conn) endPoll(p *poll) {
	hurry := c.endpoint.hurry.Load()
	c.mu.Lock()
	c.poll = nil
	if c.phase == active {
		c.phase = inactive
		if !c.failed { // every poll fails then, until the time is over
			c.lastSeen = time.Now()
		}
	}
	if p.last || c.deleted || (hurry && c.app == appFinished) {
		c.disposeLocked()
	}
	c.mu.Unlock()
	p.over = true
	close(p.done)
	c.forgetIfDone()
}

// awaitPoll waits until there is something to answer. Data it writes itself and
// returns 0, as when the client has gone; else it returns what is to be answered.
func (c *Conn) awaitPoll(p *poll, w http.ResponseWriter, r *http.Request, rc *http.ResponseController) (status int, contentType string) {
	var timeout <-chan time.Time
	if d := c.endpoint.opts.PollTimeout; d != forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	var farewell <-chan time.Time // not nil: the client has deleted the connection
	for {
		c.mu.Lock()
		failed, deleted := c.failed, c.deleted
		ended := c.app == appFinished || c.phase == disposed
		var frames []Frame
		if !failed {
			frames = c.takeSomeLocked(nil, pollRoom)
		}
		c.mu.Unlock()
		switch {
		case failed:
			return http.StatusInternalServerError, textPlain
		case len(frames) > 0:
			p.last = c.answerData(w, rc, frames)
			return 0, noType
		case ended:
			p.last = true
			return http.StatusNoContent, textPlain
		case deleted && farewell == nil:
			farewell = time.After(farewellWait)
		}
		select {
		case <-c.wake:
		case <-farewell:
			p.last = true
			return http.StatusNoContent, textPlain
		case <-p.newer:
			return http.StatusNoContent, textPlain
		case <-timeout:
			return http.StatusOK, textPlain
		case <-r.Context().Done():
			if isOverdue(r) {
				return http.StatusOK, textPlain
			}
			return 0, noType
		}
	}
}

// pollRoom is how many bytes one poll is answered with; more only if that is one
// message.
const pollRoom = 256 << 10

// answerData answers with all of frames. They are gone if the client is: long
// polling sends nothing twice.
func (c *Conn) answerData(w http.ResponseWriter, rc *http.ResponseController, frames []Frame) (last bool) {
	length := 0
	for _, f := range frames {
		length += f.Len()
	}
	h := w.Header()
	h["Content-Type"] = []string{octetStream}
	h["Content-Length"] = []string{strconv.Itoa(length)}
	var err error
	for _, f := range frames {
		for p := f.Payload(); err == nil && len(p) > 0; { // each piece has the send timeout for itself
			n := min(piece, len(p))
			_ = rc.SetWriteDeadline(c.writeDeadline()) // unsupported only in tests
			_, err = w.Write(p[:n])
			p = p[n:]
			if length -= n; length > 0 {
				c.writtenUpTo(length)
			}
		}
	}
	if err == nil {
		err = flush(rc)
	}
	c.writtenUpTo(0)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.logSendTimeout()
		c.abort(ErrSendTimeout, false)
		return true
	}
	_ = rc.SetWriteDeadline(time.Time{}) // unsupported only in tests
	return false
}

// serveDelete ends a long-polling connection.
func (e *Endpoint) serveDelete(w http.ResponseWriter, r *http.Request, user any) {
	c := e.find(w, r, queryValue(r.URL.RawQuery, "id"), textPlain)
	switch {
	case c == nil:
	case c.Transport() != LongPolling:
		answer(w, r, http.StatusBadRequest, textPlain, "Cannot terminate this connection using the DELETE endpoint.")
	case !e.sameUser(c, user):
		answer(w, r, http.StatusForbidden, textPlain, anotherUser)
	default:
		c.delete()
		answer(w, r, http.StatusAccepted, textPlain, "")
	}
}

// delete ends the input. A poll that is pending may still carry what the App
// says at its end; for everybody else the connection is gone.
func (c *Conn) delete() {
	c.mu.Lock()
	if !c.goneLocked() {
		c.deleted = true
		if c.poll == nil {
			c.disposeLocked()
		} else {
			signal(c.wake)
		}
	}
	c.mu.Unlock()
	c.endInput(nil)
	c.forgetIfDone()
}
