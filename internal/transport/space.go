package transport

import "context"

// SendWait is Send that first waits until fewer than TransportMaxBufferSize
// bytes are queued (once it waits, until fewer than half), ctx is done, or the
// connection ends.
func (c *Conn) SendWait(ctx context.Context, f Frame) error {
	limit := c.endpoint.opts.TransportMaxBufferSize
	for {
		c.mu.Lock()
		if err := c.refusalLocked(); err != nil {
			c.mu.Unlock()
			return err
		}
		if limit <= 0 || c.out.queued < limit {
			push := c.putLocked(f)
			c.mu.Unlock()
			if push {
				c.shard.push(c)
			}
			c.Relieve()
			return nil
		}
		limit = c.lowWater()
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// AwaitSpace waits as SendWait does, for an App that sends afterwards: others may
// have sent meanwhile. Its error is ErrClosed, ErrTooSlow or that of ctx.
func (c *Conn) AwaitSpace(ctx context.Context) error {
	limit := c.endpoint.opts.TransportMaxBufferSize
	for {
		c.mu.Lock()
		if err := c.refusalLocked(); err != nil || limit <= 0 || c.out.queued < limit {
			c.mu.Unlock()
			return err
		}
		limit = c.lowWater()
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// WouldWait reports whether SendWait would have to wait now.
func (c *Conn) WouldWait() bool {
	limit := c.endpoint.opts.TransportMaxBufferSize
	c.mu.Lock()
	defer c.mu.Unlock()
	return limit > 0 && c.out.queued >= limit && c.refusalLocked() == nil
}

// WaitForClient waits until fewer than half of TransportMaxBufferSize bytes are
// queued, but only for a client that makes progress: it gives up when nothing
// was written for a whole tick, or when the connection ends or its client is too
// slow. Its error is that of ctx.
func (c *Conn) WaitForClient(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.refusalLocked() != nil || c.out.watch.isStalled() || c.out.queued < c.lowWater() {
			c.mu.Unlock()
			return nil
		}
		if err := c.awaitSpace(ctx); err != nil {
			return err
		}
	}
}

// lowWater is how few bytes a waiting sender waits for.
func (c *Conn) lowWater() int { return max(c.endpoint.opts.TransportMaxBufferSize/2, 1) }

// awaitSpace waits until something has changed for waiting senders. It unlocks
// c.mu.
func (c *Conn) awaitSpace(ctx context.Context) error {
	w := c.rarelyLocked()
	if w.space == nil {
		w.space = make(chan struct{})
	}
	space, corked := w.space, c.out.corked
	c.mu.Unlock()
	if corked { // what is queued can only leave if some goroutine writes it
		c.Uncork()
	}
	select {
	case <-space:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wakeSendersLocked lets the senders look again that wait for space.
func (c *Conn) wakeSendersLocked() {
	if w := c.rare; w != nil && w.space != nil {
		close(w.space)
		w.space = nil
	}
}

// spaceLocked is called when bytes have left the outbox.
func (c *Conn) spaceLocked() {
	if c.rare != nil && c.out.queued < c.lowWater() {
		c.wakeSendersLocked()
	}
}

// writtenLocked accounts for n bytes of what was taken.
func (c *Conn) writtenLocked(n int) {
	c.out.written(n)
	c.spaceLocked()
}

// writtenUpTo accounts for all that was taken but about left bytes.
func (c *Conn) writtenUpTo(left int) {
	c.mu.Lock()
	c.writtenLocked(max(0, c.out.inFlight-left))
	c.mu.Unlock()
}
