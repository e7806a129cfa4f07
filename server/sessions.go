package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// SessionOptions let groups survive a lost connection. A client that comes back
// as a new connection with the same session is in the session's groups before
// OnConnected runs; Call.Resumed says so. With a backplane it may come back to any
// node, and its own may be gone.
//
// A session has every group that its connections have been added to and not been
// removed from. To disconnect removes nothing.
//
// A session belongs to its user: the same value in the URL of another user is
// another session. A session without a user belongs to everybody who knows its value,
// which must then be one that cannot be guessed, as crypto.randomUUID() is.
type SessionOptions struct {
	// Source says what names the session of a connection. Zero means
	// SessionQuery.
	Source SessionSource

	// TTL is how long a session lives after its last connection has ended, at
	// least; with a backplane it may be half as long again. Zero means two
	// minutes. Negative is an error of NewHub.
	TTL time.Duration

	// MaximumGroups bounds the groups of one session, and those of one user
	// (Groups.AddUser). Joining another one returns ErrTooManyGroups, and the
	// connection is no member. Zero means 1,000, negative no bound but
	// MaximumGroupsPerClient, which is the most in any case.
	MaximumGroups int

	// MaximumSessions bounds the sessions that the in-process LifetimeManager
	// keeps, and the users that have groups there. A client that comes with a new
	// session while there are so many has none, with a line in the log; no
	// other session is given up. AddUser returns ErrTooManySessions. Zero
	// means 100,000. Negative means no bound. On Redis the TTL bounds them.
	MaximumSessions int

	// MaximumKeyLength bounds the name of a session in a URL, in bytes; a
	// client with a longer one has no session, with a line in the log. Zero
	// means 128. Negative means no bound.
	MaximumKeyLength int
}

// A SessionSource says what names the session of a connection.
type SessionSource uint8

const (
	// SessionQuery is the value "session" of the URL's query, as in
	// "/chat?session=0b5c...": official clients send it again with each
	// reconnect. Without it a connection has no session. A client that is
	// anonymous needs 16 bytes or more.
	SessionQuery SessionSource = iota
	// SessionUser is the user: all connections of a user have one session, and a
	// new one is in the groups that any other has joined. Anonymous clients have
	// none.
	SessionUser
)

// leastAnonymousKey is how long the name of a session is at least, in bytes,
// that no user guards.
const leastAnonymousKey = 16

// Errors of sessions.
var (
	// ErrNoSessions is returned by Groups.AddUser and RemoveUser in a hub without
	// Options.Sessions.
	ErrNoSessions = errors.New("server: the hub has no Options.Sessions")
	// ErrTooManySessions says that SessionOptions.MaximumSessions are kept.
	ErrTooManySessions = errors.New("server: too many sessions are kept")
	// ErrSessionNotKept is wrapped by what SessionKeeper.ConnectedSession returns
	// for a connection that it has let in without its session.
	ErrSessionNotKept = errors.New("server: the session is not kept")
)

// A SessionKeeper is a LifetimeManager that keeps the groups of sessions and of
// users; those of this module do. A hub with Options.Sessions needs one. A manager
// that wraps another one keeps this by embedding the interface, too.
type SessionKeeper interface {
	// KeepSessions is called once, by NewHub, before any other method. The
	// options have their defaults; one without a bound is math.MaxInt.
	KeepSessions(o SessionOptions)

	// ConnectedSession is Connected of a hub with Options.Sessions, and called
	// in its place. When it returns, c is in the groups of its session, if the
	// session is known, and in those of its user; from now on what c joins and
	// leaves belongs to the session. The key names session and user
	// together; where it is empty, c has no session. An error that wraps
	// ErrSessionNotKept lets c in without it.
	ConnectedSession(ctx context.Context, c Receiver, key string) (resumed bool, err error)

	// AddUserToGroup and RemoveUserFromGroup are Groups.AddUser and RemoveUser.
	// They say ErrTooManyGroups for MaximumGroups.
	AddUserToGroup(ctx context.Context, userID, group string, ttl time.Duration) error
	RemoveUserFromGroup(ctx context.Context, userID, group string) error
}

// AddUser makes all connections of a user members of group, those of now and
// those that come later, on any node, for ttl; zero means without end. When it
// returns nil, a message that the caller sends to the group from then on reaches
// the user's connections. Adding again sets another end. What a connection has
// joined by itself stays when the ttl is over.
//
// It needs Options.Sessions. Errors are ErrNoSessions, ErrTooManyGroups for more
// than SessionOptions.MaximumGroups or where a connection is in too many,
// ErrTooManySessions, ErrGroupNameTooLong, and those of the LifetimeManager. An
// empty userID and a negative ttl are errors. Connections to ASP.NET Core nodes
// are not reached.
func (g Groups) AddUser(ctx context.Context, userID, group string, ttl time.Duration) error {
	switch {
	case userID == "":
		return errors.New("server: AddUser needs the id of a user")
	case ttl < 0:
		return fmt.Errorf("server: AddUser for %v", ttl)
	case len(group) > g.longest:
		return ErrGroupNameTooLong
	}
	return g.manager.AddUserToGroup(ctx, userID, group, ttl)
}

// RemoveUser ends all memberships of a user in group, of every connection and
// session of the user, however they began. See AddUser for errors.
func (g Groups) RemoveUser(ctx context.Context, userID, group string) error {
	if userID == "" {
		return errors.New("server: RemoveUser needs the id of a user")
	}
	return g.manager.RemoveUserFromGroup(ctx, userID, group)
}

// Resumed reports whether the connection has come with a session that was known:
// it was in the session's groups before OnConnected. It is false in a hub without
// Options.Sessions, and where Redis was away: once it is back, the connection
// joins the session's groups, without a call of the hub.
func (c *Call) Resumed() bool { return c.inv.conn.resumed }

func (o *SessionOptions) withDefaults(groupsPerClient int) *SessionOptions {
	if o == nil {
		return nil
	}
	c := *o
	c.TTL = duration(c.TTL, 2*time.Minute)
	c.MaximumGroups = min(size(c.MaximumGroups, 1000), groupsPerClient)
	c.MaximumSessions = size(c.MaximumSessions, 100_000)
	c.MaximumKeyLength = size(c.MaximumKeyLength, 128)
	return &c
}

func (o *Options) checkSessions() (errs []error) {
	s := o.Sessions
	if s == nil {
		return nil
	}
	errs = checkDurations("Sessions.", *s)
	if s.TTL < 0 {
		errs = append(errs, fmt.Errorf("Sessions.TTL is %v: sessions must end", s.TTL))
	}
	if s.Source > SessionUser {
		errs = append(errs, fmt.Errorf("Sessions.Source is %d, must be SessionQuery or SessionUser", s.Source))
	}
	if _, ok := o.LifetimeManager.(SessionKeeper); !ok && o.LifetimeManager != nil {
		errs = append(errs, fmt.Errorf("Sessions needs a LifetimeManager that is a SessionKeeper, which %T is not", o.LifetimeManager))
	}
	return errs
}

// connectManager makes the connection known to the manager, in its session
// where the hub has sessions.
func (c *connection) connectManager() error {
	m := c.hub.manager
	if m.keeper == nil {
		return m.Connected(c.Context(), c)
	}
	key, why := c.sessionKey()
	if why != "" {
		c.hub.log.Info("connection has no session", "connection", c.ID(), "user", c.userID, "why", why)
	}
	resumed, err := m.ConnectedSession(c.Context(), c, key)
	c.resumed = resumed
	if errors.Is(err, ErrSessionNotKept) {
		c.hub.log.Warn("session is not kept", "connection", c.ID(), "user", c.userID, "error", describe(err).text)
		return nil
	}
	return err
}

// sessionKey names the session and its user; empty is none. It is a hash, so
// that stores have no part of it that a client could use, or make long.
func (c *connection) sessionKey() (key, why string) {
	o, name := c.hub.opts.Sessions, ""
	kind, id := c.User().identity()
	nobody := kind == "" && c.userID == ""
	if o.Source == SessionQuery {
		r := c.Request()
		if r == nil || r.URL == nil {
			return "", ""
		}
		name = r.URL.Query().Get("session")
		switch {
		case name == "":
			return "", ""
		case len(name) > o.MaximumKeyLength:
			return "", "its name is too long"
		case nobody && !c.User().Anonymous():
			return "", "its user has no id"
		case nobody && len(name) < leastAnonymousKey:
			return "", "its name is too short for an anonymous client"
		}
	} else if nobody {
		return "", ""
	}
	h := sha256.New()
	for _, part := range []string{kind, id, c.userID, name} {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(part)))) // it never fails
		_, _ = h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]), ""
}

// keepSessions has the manager keep sessions from now on.
func (m *hubManager) keepSessions(o *SessionOptions) {
	if o != nil {
		m.keeper, _ = m.own.(SessionKeeper) // opts.check has seen it
		m.keeper.KeepSessions(*o)
	}
}

func (m *hubManager) ConnectedSession(ctx context.Context, c Receiver, key string) (resumed bool, err error) {
	defer catch(&err)
	return m.keeper.ConnectedSession(ctx, c, key)
}

func (m *hubManager) AddUserToGroup(ctx context.Context, userID, group string, ttl time.Duration) (err error) {
	if err := m.changesUsers(); err != nil {
		return err
	}
	defer catch(&err)
	return m.keeper.AddUserToGroup(ctx, userID, group, ttl)
}

func (m *hubManager) RemoveUserFromGroup(ctx context.Context, userID, group string) (err error) {
	if err := m.changesUsers(); err != nil {
		return err
	}
	defer catch(&err)
	return m.keeper.RemoveUserFromGroup(ctx, userID, group)
}

// changesUsers says why the groups of users cannot be changed.
func (m *hubManager) changesUsers() error {
	switch {
	case m.down.Load():
		return ErrShutdown
	case m.keeper == nil:
		return ErrNoSessions
	}
	return nil
}
