package azure

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/server"
)

// A refusal is what a refresh is answered that is refused. Source: testdata/azure.
type refusal struct {
	status int
	code   string
}

var (
	refusedAnonymous = &refusal{http.StatusUnauthorized, "invalid_token"}
	refusedByPolicy  = &refusal{http.StatusForbidden, "permission_change_rejected"}
	refusedUnknown   = &refusal{http.StatusNotFound, "connection_not_found"}
	refusedBroken    = &refusal{http.StatusInternalServerError, "internal_server_error"}
)

// Refresh implements seam.Remote: the service gets the claims of user for its client
// with that token, and the client a new token for the service.
func (s *service) Refresh(w http.ResponseWriter, r *http.Request, user any, connectionToken string, of seam.Endpoint) {
	who, _ := user.(server.User)
	text, lifetime, no := s.refresh(r, who, connectionToken, of)
	if no != nil {
		s.log.Info("authentication refresh refused", "reason", no.code)
		answerJSON(w, no.status, map[string]string{"error": no.code})
		return
	}
	answerJSON(w, http.StatusOK, struct {
		Token    string `json:"accessToken"`
		Lifetime int64  `json:"tokenLifetimeSeconds"`
	}{text, lifetime})
}

func (s *service) refresh(r *http.Request, user server.User, connectionToken string, of seam.Endpoint) (text string, lifetime int64, no *refusal) {
	if user.Anonymous() {
		return "", 0, refusedAnonymous
	}
	pools := s.online()
	if of.OnRefresh != nil {
		owner, no := s.mayRefresh(r, user, pools, connectionToken, of)
		if no != nil {
			return "", 0, no
		}
		pools = []*pool{owner}
	}
	var claims []Claim
	err := rescue.Call(s.log, "what makes claims", func() error {
		claims = s.clientClaims(r, user, of)
		return nil
	})
	if err != nil {
		return "", 0, refusedBroken
	}
	message := wire.RefreshAuth{ConnectionToken: connectionToken, Claims: make([]wire.Claim, len(claims)), ExpireTime: wire.NoExpiry}
	for i, c := range claims {
		message.Claims[i] = wire.Claim(c)
	}
	if !user.Expires.IsZero() {
		message.ExpireTime = user.Expires
	}
	owner, a := askOwner(r.Context(), pools, connectionToken, func(ack int) wire.Message {
		m := message
		m.AckID = ack
		return &m
	})
	switch a.status {
	case wire.AckOK:
	case wire.AckNotFound:
		return "", 0, refusedUnknown
	case wire.AckForbidden:
		return "", 0, refusedByPolicy
	default:
		return "", 0, refusedBroken
	}
	given, err := wire.ParseClaims(a.payload)
	if err != nil || len(given) == 0 {
		s.log.Error("the service has confirmed a refresh without claims", "error", err)
		return "", 0, refusedBroken
	}
	text, lifetime, err = owner.clientToken(asClaims(given), endOf(given, user))
	if err != nil {
		s.log.Error("no token for a client", "error", err)
		return "", 0, refusedBroken
	}
	return text, lifetime, nil
}

// mayRefresh asks the endpoint's policy, which gets the claims that the service has
// of the client. It returns who has it.
func (s *service) mayRefresh(r *http.Request, user server.User, pools []*pool, connectionToken string, of seam.Endpoint) (owner *pool, no *refusal) {
	owner, a := askOwner(r.Context(), pools, connectionToken, func(ack int) wire.Message {
		return &wire.GetConnectionClaims{ConnectionToken: connectionToken, AckID: ack}
	})
	switch {
	case a.status == wire.AckNotFound:
		return nil, refusedUnknown
	case a.status != wire.AckOK || len(a.payload) == 0:
		return nil, refusedBroken
	}
	given, err := wire.ParseClaims(a.payload)
	if err != nil {
		s.log.Error("the service has told bad claims", "error", err)
		return nil, refusedBroken
	}
	accepted := false
	err = rescue.Call(s.log, "OnAuthenticationRefresh", func() (err error) {
		accepted, err = of.OnRefresh(r, userOf(given), user)
		return err
	})
	switch {
	case err != nil:
		s.log.Error("user code failed", "in", "OnAuthenticationRefresh", "error", err)
		return nil, refusedBroken
	case !accepted:
		return nil, refusedByPolicy
	}
	return owner, nil
}

// askOwner asks all endpoints about a client, which one of them has: that one's ack
// counts. Where none has it the status is AckNotFound, unless one has not answered.
func askOwner(ctx context.Context, pools []*pool, connectionToken string, message func(ackID int) wire.Message) (owner *pool, a acked) {
	type answer struct {
		from *pool
		acked
	}
	answers := make(chan answer, len(pools))
	for _, p := range pools {
		go func() { // it ends with ctx, or soon
			_, a, err := p.question(ctx, sendKey{name: connectionToken}, message)
			if err != nil {
				a = acked{status: wire.AckTimeout}
			}
			answers <- answer{p, a}
		}()
	}
	owners, missing := 0, acked{status: wire.AckNotFound}
	if len(pools) == 0 {
		missing.status = wire.AckTimeout
	}
	for range pools {
		switch got := <-answers; got.status {
		case wire.AckNotFound:
		case wire.AckTimeout:
			missing.status = wire.AckTimeout
		default:
			owner, a = got.from, got.acked
			owners++
		}
	}
	switch owners {
	case 0:
		return nil, missing
	case 1:
		return owner, a
	}
	return nil, acked{status: wire.AckInternalError}
}

// endOf is when the authentication ends that given is about, as the service has it,
// or else as user does.
func endOf(given []wire.Claim, user server.User) time.Time {
	if text, ok := token.First(given, claimExpires); ok {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			return time.Unix(seconds, 0)
		}
	}
	return user.Expires
}

func asClaims(given []wire.Claim) []Claim {
	claims := make([]Claim, len(given))
	for i, c := range given {
		claims[i] = Claim(c)
	}
	return claims
}

// refreshed takes new claims of a client over. Whom sends reach by its user stays.
func (s *service) refreshed(m *wire.UpdateConnectionClaims) {
	cl := s.client(m.ConnectionID)
	if cl == nil || cl.conn.Load() == nil {
		s.log.Warn("claims for a client that is not known", "connection", m.ConnectionID)
		return
	}
	conn, user := cl.conn.Load(), userOf(m.Claims)
	before, _ := conn.User().(server.User)
	own := before.ID
	if r := s.receiverOf(m.ConnectionID); r != nil {
		own = r.UserID()
	}
	if user.ID != own {
		s.log.Warn("new claims of another user: the connection keeps its own", "connection", m.ConnectionID)
		if len(user.Claims) > 0 { // else nobody is known any more
			user.ID = own
		}
	}
	conn.ReplaceUser(user)
}
