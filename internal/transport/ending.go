package transport

// endInput tells the App that no more bytes will come. Only the first call
// counts, and none after Finish.
func (c *Conn) endInput(cause error) {
	c.mu.Lock()
	tell := c.endForLocked(cause)
	c.mu.Unlock()
	c.tellEnded(tell, cause)
}

// endForLocked is endInput for callers that end the link with the same lock, so
// that nobody who notices that says another cause first. They call tellEnded.
func (c *Conn) endForLocked(cause error) (tell bool) {
	if c.end.Load() != nil {
		return false
	}
	c.endInputLocked(cause)
	return c.app.live() // else start tells
}

func (c *Conn) tellEnded(tell bool, cause error) {
	if tell {
		c.tell(func() { c.handler.Ended(cause) })
	}
}

func (c *Conn) endInputLocked(cause error) {
	c.end.Store(&end{cause})
	if w := c.rare; w != nil && w.done != nil {
		close(w.done)
	}
	if c.app == appNone {
		c.startedLocked() // the App will never be started
	}
}

// closeLocked ends the link for good, as linkClosed or linkCut, if it has not
// ended: nothing queued is sent any more, and no sender waits.
func (c *Conn) closeLocked(as linkState) {
	if c.link.over() {
		return
	}
	c.stepLocked(as, c.app)
	c.dropOutboxLocked()
}

func (c *Conn) dropOutboxLocked() {
	c.out.corked = false
	c.out.drop()
	c.wakeSendersLocked()
	c.wakeRequestLocked()
}

// A Goner is an App that is told when both sides of its connection have ended.
type Goner interface {
	App

	// Gone is called after Start, and after Finish, if not only once. It must not
	// block.
	Gone()
}

// forgetIfDone takes c out of the table if both sides have ended.
func (c *Conn) forgetIfDone() {
	c.mu.Lock()
	done := c.link.over() && c.socket == nil && (c.app == appNone || c.app.over())
	handler := c.handler
	if c.app == appStarting {
		handler = nil // it is just being set
	}
	c.mu.Unlock()
	if !done {
		return
	}
	c.endpoint.remove(c)
	if app, ok := handler.(Goner); ok {
		c.tell(app.Gone)
	}
}

// Finish is the App's end: what is queued is still written, then the transport
// ends in its normal way, and the connection is forgotten. Sends after it return
// ErrClosed. Only the first call of Finish and FinishError counts; App.Ended is
// not called after it.
func (c *Conn) Finish() { c.finish(appFinished) }

// FinishError is Finish for an App that failed: close frame 1011, 500.
func (c *Conn) FinishError() { c.finish(appFailed) }

func (c *Conn) finish(as appState) {
	hurry := c.endpoint.hurry.Load()
	c.mu.Lock()
	if c.app == appNone || c.app.over() {
		c.mu.Unlock()
		return
	}
	// Without a socket nothing fetches what is queued. One that is just being
	// opened finds the connection closed.
	nobody := c.link.mute() && c.socket == nil || c.link == linkWaiting && hurry
	if nobody {
		c.stepLocked(linkClosed, as)
		c.dropOutboxLocked()
	} else {
		c.stepLocked(c.link, as)
	}
	c.out.corked = false
	if c.end.Load() == nil {
		c.endInputLocked(nil)
	}
	c.wakeSendersLocked()
	s := c.socket
	if c.virtual() != nil {
		c.mu.Unlock()
		c.endVirtual()
		return
	}
	if c.link.over() || s == nil {
		c.wakeRequestLocked()
		c.mu.Unlock()
		c.forgetIfDone()
		return
	}
	s.closeCode = closeNormal
	if as == appFailed {
		s.closeCode = closeInternal
	}
	s.writeNow()
}

// Abort ends the transport at once, without a farewell. App.Ended follows,
// unless it has been called.
func (c *Conn) Abort(cause error) { c.abort(cause, true) }

// abort is Abort; without reset the client of a WebSocket may still get what was
// written before.
func (c *Conn) abort(cause error, reset bool) {
	c.mu.Lock()
	s, virtual := c.socket, c.virtual()
	c.closeLocked(linkCut)
	c.socket = nil
	tell := c.endForLocked(cause)
	c.mu.Unlock()
	if s != nil {
		s.cut(reset && !s.events)
	}
	c.tellEnded(tell, cause)
	if virtual != nil {
		c.endVirtual()
		return
	}
	c.forgetIfDone()
}

// giveUp aborts c because of what happened to the request that serves it. An App
// that has not been started never will be.
func (c *Conn) giveUp(err error) {
	c.mu.Lock()
	if c.app == appStarting {
		c.stepLocked(c.link, appFinished)
		c.startedLocked()
	}
	c.mu.Unlock()
	c.abort(err, false)
}

// shutdown asks the App to end, once it has been started. Where there is none, nothing is
// left to wait for.
func (c *Conn) shutdown() {
	c.mu.Lock()
	app := c.app
	if app == appStarting {
		c.rarelyLocked().shutdown = true
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	switch {
	case app.live():
		c.tell(c.handler.Shutdown)
	case app.over(): // it is on its way
	default:
		c.Abort(ErrShutdown)
	}
}

// stopWaiting ends a connection that is only kept for a client that may fetch
// the rest.
func (c *Conn) stopWaiting() {
	c.mu.Lock()
	if c.app.over() && c.link == linkWaiting {
		c.closeLocked(linkClosed)
	}
	c.mu.Unlock()
	c.forgetIfDone()
}
