package server

// permitted reports whether a plain call may call its method; if not, it has
// been answered.
func (inv *invocation) permitted() bool {
	c, m := inv.conn, inv.method
	if m.authorize != nil {
		if !inv.authorize() {
			c.refusedCall(m, CallUnauthorized)
			inv.fail(unauthorizedText(m))
			return false
		}
		if c.in.over.Load() {
			return false
		}
	}
	if inv.streaming {
		c.refusedCall(m, CallRefused)
		inv.fail(nonStreamingText(m))
		return false
	}
	return true
}

// authorize asks MethodOptions.Authorize.
func (inv *invocation) authorize() bool {
	c, m := inv.conn, inv.method
	err := guard(func() error { return m.authorize(&inv.call) })
	if err == nil {
		return true
	}
	if _, panicked := asError[*panicError](err); panicked {
		c.logFailure("authorization of "+m.name, err)
	} else {
		c.hub.log.Info("call is not authorized", "method", m.name, "connection", c.ID(), "user", c.userID, "error", describe(err).text)
	}
	return false
}

// authorizeWhileOthersWait asks whether a call that streams may begin. It runs
// user code, which may never return: the leader waits no longer than the
// connection lives.
func (inv *invocation) authorizeWhileOthersWait() {
	c := inv.conn
	answer := make(chan bool, 1)
	inv.authorizing.Store(true)
	c.hub.running.Go(func() {
		defer c.survive()
		ok := false
		defer func() { answer <- ok }()
		ok = inv.authorize()
	})
	select {
	case inv.allowed = <-answer:
	case <-c.in.whenOver():
		inv.endContext()
	}
}

// startIfAllowed follows authorizeWhileOthersWait.
func (inv *invocation) startIfAllowed(l *leader) {
	inv.authorizing.Store(false)
	if inv.allowed {
		l.start(inv)
	} else {
		inv.endContext() // Authorize may have made it
		inv.conn.refusedCall(inv.method, CallUnauthorized)
		inv.conn.fail(inv.id, unauthorizedText(inv.method))
	}
}
