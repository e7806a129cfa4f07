package server

import "time"

// lastCalls is how long calls may still begin after their client has closed the
// connection properly: clients send and stop right afterwards. Where a client
// was lost, or the server ends the connection, what still waits never begins.
const lastCalls = 5 * time.Second

// giveUp ends what the connection's loop waits for: nothing that has not begun
// does so any more.
func (c *HubConnection) giveUp() {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if c.over.Swap(true) {
		return
	}
	if in.gone != nil {
		close(in.gone)
	}
}

// whenOver returns a channel that is closed by giveUp. It is made when somebody
// waits: most connections never do.
func (c *HubConnection) whenOver() <-chan struct{} {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone == nil {
		in.gone = make(chan struct{})
		if c.over.Load() {
			close(in.gone)
		}
	}
	return in.gone
}
