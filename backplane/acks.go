package backplane

import "context"

// pendingAcks are the acks that a command of this node waits for. Guarded by
// Redis.mu, but for id and done.
type pendingAcks struct {
	id   int32
	want int           // negative while it is not known
	got  int           // so far
	done chan struct{} // closed when all have come
}

// expectAcks returns the id of a new command; forgetAcks ends it.
func (r *Redis) expectAcks() *pendingAcks {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastAck++
	p := &pendingAcks{id: r.lastAck, want: -1, done: make(chan struct{})}
	r.acks[p.id] = p
	return p
}

func (r *Redis) forgetAcks(p *pendingAcks) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acks[p.id] == p {
		delete(r.acks, p.id)
	}
}

// wantAcks says how many nodes answer; some may have.
func (r *Redis) wantAcks(p *pendingAcks, want int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.want = want
	r.ackedLocked(p)
}

func (r *Redis) ackedLocked(p *pendingAcks) {
	if p.want >= 0 && p.got >= p.want && r.acks[p.id] == p {
		close(p.done)
		delete(r.acks, p.id)
	}
}

// acknowledged counts an ack for a command of this node. An unknown id is of a
// command that has timed out, or of none of this node.
func (r *Redis) acknowledged(id int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.acks[id]; p != nil {
		p.got++
		r.ackedLocked(p)
	}
}

// awaitAcks waits for AckTimeout at most.
func (r *Redis) awaitAcks(ctx context.Context, p *pendingAcks) error {
	if r.opts.AckTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.opts.AckTimeout, ErrNoAck)
		defer cancel()
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.ctx.Done():
		return ErrClosed
	}
}
