package transport

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"
)

// deleteGrace is how long the poll that is pending when the client deletes its
// connection waits for what the App sends at its end. A busy App sends nothing
// in time.
const deleteGrace = 100 * time.Millisecond

// A poll is one GET of long polling that serves a connection.
type poll struct {
	newer      chan struct{} // closed when another poll wants to take its place
	superseded bool          // newer is closed; guarded by Conn.mu
	answering  bool          // it has something for the client, and only ends; guarded by Conn.mu
	done       chan struct{} // closed when its answer is written and the connection waits for the next
	over       bool          // done is closed; the poll's own
	last       bool          // the connection ended with it; set before done is closed
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
	c.endPoll(p) // before the answer: a client that has read a 204 finds no connection any more
	if status != 0 {
		answer(w, r, status, contentType, "")
	}
}

// beginPoll makes p the poll of c, once the one that runs has ended. status is
// not 0 if that cannot be: of several that wait the last one wins.
func (c *Conn) beginPoll(p *poll, r *http.Request, user any) (first bool, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := forwardWriter(r); w != nil {
		if status = c.awaitedLocked(w); status != 0 {
			return false, status
		}
	}
	if old := c.pollLocked(); old != nil && !c.link.gone() {
		if !old.superseded {
			old.superseded = true
			close(old.newer)
		}
		c.http.lastPoll = p
		c.mu.Unlock()
		<-old.done // soon: it answers at once, or within the send timeout
		c.mu.Lock()
		switch {
		case old.last:
			return false, http.StatusNoContent
		case c.http.lastPoll != p && !c.link.gone():
			return false, http.StatusConflict
		}
	}
	if c.link.gone() {
		return false, http.StatusNotFound
	}
	if first, status = c.activateLocked(r, user); status == 0 {
		c.http.poll, c.http.lastPoll = p, nil
	}
	return first, status
}

// awaitedLocked returns 0 once a poll that another node got may end the one before,
// else the status to answer.
// It may be late: that node may have died, and the client have polled again
// elsewhere, which a poll without a client must not end.
func (c *Conn) awaitedLocked(w ForwardWriter) (status int) {
	for asked := (*poll)(nil); ; {
		latest := c.pollLocked()
		if c.http != nil && c.http.lastPoll != nil { // it waits for its turn
			latest = c.http.lastPoll
		}
		switch {
		case latest == nil, latest == asked, c.link.gone():
			return 0
		case latest.answering: // the usual case: its client has the answer, and polls again before this node knows
			c.mu.Unlock()
			<-latest.done
			c.mu.Lock()
			if latest.last {
				return http.StatusNoContent
			}
			continue
		}
		asked = latest
		c.mu.Unlock()
		err := w.Awaited()
		c.mu.Lock()
		if err != nil {
			return http.StatusOK // nothing is lost: a client that waits all the same polls again
		}
	}
}

// pollLocked returns the poll that runs.
func (c *Conn) pollLocked() *poll {
	if c.http == nil {
		return nil
	}
	return c.http.poll
}

// endPoll leaves the connection to the next poll.
func (c *Conn) endPoll(p *poll) {
	hurry := c.endpoint.hurry.Load()
	c.mu.Lock()
	c.http.poll = nil
	switch {
	case p.last, c.link == linkLeaving, hurry && c.app.over():
		c.closeLocked(linkClosed)
	case c.link == linkServing:
		c.stepLocked(linkWaiting, c.app)
		if c.app != appFailed { // every poll fails then, until the time is over
			c.seenLocked()
		}
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
		failed, deleted := c.app == appFailed, c.link == linkLeaving
		ended := c.app.over() || c.link.over()
		var frames []Frame
		if !failed {
			frames = c.out.takeSome(nil, pollMost)
			p.answering = len(frames) > 0
		}
		c.mu.Unlock()
		switch {
		case failed:
			return http.StatusInternalServerError, textPlain
		case len(frames) > 0:
			p.last = c.answerData(w, rc, frames, isForwarded(r))
			return 0, noType
		case ended:
			p.last = true
			return http.StatusNoContent, textPlain
		case deleted && farewell == nil:
			farewell = time.After(deleteGrace)
		}
		select {
		case <-c.http.wake:
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

// pollMost is how many bytes one poll is answered with; more only if that is one
// message.
const pollMost = 256 << 10

// answerData answers with all of frames. They are gone if the client is: long
// polling sends nothing twice. But where another node has got the poll, they stay
// at the head of the queue until that one has said that it has passed them on.
func (c *Conn) answerData(w http.ResponseWriter, rc *http.ResponseController, frames []Frame, forwarded bool) (last bool) {
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
			if length -= n; length > 0 && !forwarded {
				c.writtenUpTo(length)
			}
		}
	}
	if err == nil {
		err = flush(rc)
	}
	if forwarded && errors.Is(err, ErrUndelivered) {
		c.mu.Lock()
		c.out.take(0, 0)
		c.mu.Unlock()
		return false
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
	c := e.find(w, r, queryValue(r.URL.RawQuery, "id"), textPlain, user)
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
// says at its end; for all other requests the connection is gone.
func (c *Conn) delete() {
	c.mu.Lock()
	switch {
	case c.link.gone():
	case c.pollLocked() == nil:
		c.closeLocked(linkClosed)
	default:
		c.stepLocked(linkLeaving, c.app)
		c.wakeRequestLocked()
	}
	c.mu.Unlock()
	c.endInput(nil)
	c.forgetIfDone()
}
