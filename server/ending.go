package server

import (
	"errors"
	"log/slog"
	"time"

	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/transport"
)

// lastCalls is how long calls may still begin after their client has closed the
// connection properly: clients send and stop right afterwards. Where a client
// was lost, or the server ends the connection, what still waits never begins.
const lastCalls = 5 * time.Second

// How a connection ended, for the log, where its cause does not say it.
const (
	endedByClient   = "closed by the client"
	endedByAbort    = "aborted"
	endedByHub      = "closed by the hub"
	endedByExpiry   = "authentication has expired"
	endedByShutdown = "hub is shut down"
	endedUnknown    = "client left before it was known"
)

// howInputEnded says how a connection ended whose transport gave cause.
func howInputEnded(cause error) string {
	switch {
	case cause == nil:
		return endedByClient
	case errors.Is(cause, transport.ErrTimeout):
		return "client did not come back"
	case errors.Is(cause, transport.ErrLost):
		return "client went away"
	}
	return ""
}

// words says how the connection ended.
func (e ending) words() string {
	switch {
	case e.connectFailed:
		return "refused by OnConnected"
	case isError(e.cause, ErrTooSlow):
		return "client is too slow"
	case e.cause == errClientTimeout:
		return "client is silent"
	case e.how != "":
		return e.how
	}
	return "failed"
}

func (c *connection) logOpened() {
	if c.hub.log.Enabled(c.Context(), slog.LevelInfo) {
		c.hub.log.Info(rescue.LineOpened, "connection", c.ID(), "transport", c.Transport().String(), "protocol", c.codec.Name(), "user", c.userID, "remote", c.bytes.RemoteAddr())
	}
}

func (c *connection) logClosed(e ending) {
	if !c.hub.log.Enabled(c.Context(), slog.LevelInfo) {
		return
	}
	args := []any{"connection", c.ID(), "user", c.userID, "how", e.words(), "after", time.Since(time.Unix(0, c.opened)).Round(time.Millisecond)}
	if e.cause != nil {
		args = append(args, "error", describe(e.cause).text)
	}
	c.hub.log.Info(rescue.LineClosed, args...)
}
