package transport

import "fmt"

// A connection has two sides that begin and end on their own: the link to its
// client, and its App. Each side is in one state. The tables below say which
// states may follow each other and which go together; stepLocked is the only
// place that changes them.
type state struct {
	link linkState
	app  appState
}

// The states of the link to the client.
type linkState uint8

const (
	linkWaiting  linkState = iota // for the request that opens the transport, or for the next poll
	linkServing                   // a request or a socket serves the connection
	linkLost                      // the socket was lost; another one may take its place
	linkResuming                  // another one is taking it: what is sent is dropped until Resume
	linkLeaving                   // DELETE has come; the poll that is pending may still carry the App's last words
	linkClosed                    // the end
	linkCut                       // the end, by Abort: a response is not completed
)

// The states of the App.
type appState uint8

const (
	appNone     appState = iota
	appStarting          // a request has opened the transport; App.Start may be running
	appRunning
	appTooSlow  // its client was found too slow: only SendLast still sends
	appFinished // by Finish
	appFailed   // by FinishError
)

// over reports whether the link has ended for good.
func (s linkState) over() bool { return s >= linkClosed }

// gone reports whether the connection is over for its client.
func (s linkState) gone() bool { return s >= linkLeaving }

// mute reports whether what is sent is dropped: the App keeps it and sends it
// again. See Reconnector.
func (s linkState) mute() bool { return s == linkLost || s == linkResuming }

// over reports whether the App has ended.
func (s appState) over() bool { return s >= appFinished }

// live reports whether the App has been started and has not ended: its methods
// are called.
func (s appState) live() bool { return s == appRunning || s == appTooSlow }

// linkNext and appNext have a bit for each state that may follow.
var (
	linkNext = [...]uint8{
		linkWaiting:  1<<linkServing | 1<<linkClosed | 1<<linkCut,
		linkServing:  1<<linkWaiting | 1<<linkLost | 1<<linkResuming | 1<<linkLeaving | 1<<linkClosed | 1<<linkCut,
		linkLost:     1<<linkResuming | 1<<linkClosed | 1<<linkCut,
		linkResuming: 1<<linkServing | 1<<linkLost | 1<<linkClosed | 1<<linkCut,
		linkLeaving:  1<<linkClosed | 1<<linkCut,
		linkClosed:   0,
		linkCut:      0,
	}
	appNext = [...]uint8{
		appNone:     1 << appStarting,
		appStarting: 1<<appRunning | 1<<appFinished | 1<<appFailed,
		appRunning:  1<<appTooSlow | 1<<appFinished | 1<<appFailed,
		appTooSlow:  1<<appFinished | 1<<appFailed,
		appFinished: 0,
		appFailed:   0,
	}
)

// together has, for each state of the link, a bit for each state of the App
// that goes with it.
var together = [...]uint8{
	linkWaiting:  1<<appNone | 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
	linkServing:  1<<appStarting | 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
	linkLost:     1<<appRunning | 1<<appTooSlow,
	linkResuming: 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
	linkLeaving:  1<<appStarting | 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
	linkClosed:   1<<appNone | 1<<appStarting | 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
	linkCut:      1<<appNone | 1<<appStarting | 1<<appRunning | 1<<appTooSlow | 1<<appFinished | 1<<appFailed,
}

// mayBecome reports whether the tables allow the step from s to next.
func (s state) mayBecome(next state) bool {
	return (next.link == s.link || linkNext[s.link]>>next.link&1 == 1) &&
		(next.app == s.app || appNext[s.app]>>next.app&1 == 1) &&
		together[next.link]>>next.app&1 == 1
}

// onStep, if a test has set it, is called for every step while Conn.mu is held.
var onStep func(from, to state)

// stepLocked changes the state of c. A step that the tables do not have is a
// bug: it is not taken, and the sweeper logs it, since a log must not be
// written under a lock.
func (c *Conn) stepLocked(link linkState, app appState) {
	from, to := c.state, state{link, app}
	if from == to {
		return
	}
	if onStep != nil {
		onStep(from, to)
	}
	if !from.mayBecome(to) {
		c.endpoint.forbidden.Store(&forbiddenStep{c.ID(), from, to})
		return
	}
	c.state = to
	c.wakeLocked()
}

// A forbiddenStep is one that the tables do not have.
type forbiddenStep struct {
	connection string
	from, to   state
}

// logForbidden logs the latest forbidden step, if there was one.
func (e *Endpoint) logForbidden() {
	if s := e.forbidden.Swap(nil); s != nil {
		e.log.Error("forbidden change of state; it was not made", "connection", s.connection, "from", s.from, "to", s.to)
	}
}

func (s state) String() string { return fmt.Sprintf("%v+%v", s.link, s.app) }

func (s linkState) String() string {
	return [...]string{"waiting", "serving", "lost", "resuming", "leaving", "closed", "cut"}[s]
}

func (s appState) String() string {
	return [...]string{"none", "starting", "running", "too slow", "finished", "failed"}[s]
}
