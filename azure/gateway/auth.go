package gateway

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/transport"
)

// A clientToken is what the token of a client says. A connection keeps it.
type clientToken struct {
	hub     *hub
	userID  string
	hasUser bool // an empty id counts, too
	server  string
	sticky  stickiness
	shake   uint8     // handshake timeout in seconds; 0: the usual one
	closeAt time.Time // when its authentication ends, or far

	mu     sync.Mutex
	claims []wire.Claim // nil once an app server has them
}

func (t *clientToken) handshakeTimeout() time.Duration {
	if t.shake == 0 {
		return handshakeTimeout
	}
	return time.Duration(t.shake) * time.Second
}

// A serverToken is what the token of an app server says.
type serverToken struct {
	hub      *hub
	server   string
	endpoint string // by which the app server knows this gateway
	target   string // instance id of the gateway that the connection is for; empty: any
}

var refused = transport.Refusal{Status: http.StatusUnauthorized}

// bearer is the token of a request. Polls and POSTs may carry it in the query as
// well, as at Azure.
func bearer(r *http.Request) string {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("access_token")
}

// tokenOf returns the token of a request, if it is good for a role, and the hub
// that the request asks for.
func (g *Gateway) tokenOf(r *http.Request, role string) (hub string, t *token.Token, err error) {
	hub = firstValue(r.URL.RawQuery, "hub")
	if t, err = token.Verify(bearer(r), *g.keys.Load(), time.Now()); err == nil {
		err = t.For(role, hub)
	}
	if err != nil {
		g.often.Info("token refused", "reason", err, "of", role, "hub", hub, "remote", r.RemoteAddr)
	}
	return hub, t, err
}

// firstValue is the first of the values of a name in a query: what follows the app
// server's own may be the client's.
func firstValue(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			return plain
		}
		return value
	}
	return ""
}

// authenticateServer is Options.Authenticate of /server.
func (g *Gateway) authenticateServer(r *http.Request) (any, transport.Refusal) {
	hub, t, err := g.tokenOf(r, "server")
	if err != nil {
		return nil, refused
	}
	id := r.Header.Get("X-Asrs-Server-Id")
	if first, ok := t.First("nameid"); ok {
		id = first
	}
	return &serverToken{hub: g.hub(hub), server: id, endpoint: endpointOf(t, r), target: firstValue(r.URL.RawQuery, "target")}, transport.Refusal{}
}

// endpointOf tells the endpoints of one app server from each other: by the host in
// its connection string, which the token names without a port, and by the port
// that it has asked for. A proxy may have changed that, together with the host.
func endpointOf(t *token.Token, r *http.Request) string {
	host := ""
	if text, ok := t.First("aud"); ok {
		if u, err := url.Parse(text); err == nil {
			host = strings.ToLower(u.Hostname())
		}
	}
	if asked, port, err := net.SplitHostPort(r.Host); err == nil && strings.EqualFold(asked, host) {
		return host + ":" + port
	}
	return host
}

// authenticateClient is Options.Authenticate of /client.
func (g *Gateway) authenticateClient(r *http.Request) (any, transport.Refusal) {
	hub, says, err := g.tokenOf(r, "client")
	if err != nil {
		return nil, refused
	}
	t := &clientToken{hub: g.hub(hub), claims: says.Claims}
	t.userID, t.hasUser = says.First("asrs.s.uid")
	if g.hooks != nil {
		if name, ok := says.First("nameid"); !t.hasUser && ok && name != "" { // of a token that no SDK has made
			t.userID, t.hasUser = name, true
		}
		if !isPlain(t.userID) { // no upstream could be told of this user
			g.often.Info("token refused", "reason", "the user's id has control characters", "hub", hub, "remote", r.RemoteAddr)
			return nil, refused
		}
	}
	t.server, _ = says.First("asrs.s.sn")
	switch how, _ := says.First("asrs.s.ssticky"); how {
	case "Preferred":
		t.sticky = stickyPreferred
	case "Required":
		t.sticky = stickyRequired
	}
	if text, ok := says.First("asrs.s.cht"); ok {
		if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= 30 {
			t.shake = uint8(n)
		}
	}
	t.closeAt = closeAtOf(says.Claims)
	return t, transport.Refusal{}
}

// clientEndpoint is where a client's request is served: its token may allow only
// some of the transports. A token that is not good is refused there.
func (g *Gateway) clientEndpoint(r *http.Request) *transport.Endpoint {
	if r.Method == http.MethodOptions {
		return g.byMask[0]
	}
	t, err := token.Unverified(bearer(r))
	if err != nil {
		return g.byMask[0]
	}
	text, _ := t.First("asrs.s.htt")
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < int(transport.All) {
		return g.byMask[n]
	}
	return g.byMask[0]
}

// sameClient is Options.SameUser: all requests of a connection must be for one hub,
// and from one user.
func sameClient(old, fresh any) bool {
	a, b := old.(*clientToken), fresh.(*clientToken)
	return a.hub == b.hub && a.userID == b.userID && a.hasUser == b.hasUser
}

// widened are the claims of the token as app servers expect them, by their long
// names. A client needs them again only when it is moved: they are not kept, but
// read again from the request that opened its connection.
func (t *clientToken) widened(r *http.Request) []wire.Claim {
	t.mu.Lock()
	claims := t.claims
	t.claims = nil
	t.mu.Unlock()
	if claims == nil { // it was verified when the client connected
		if again, err := token.Unverified(bearer(r)); err == nil {
			claims = again.Claims
		}
	}
	return widen(claims)
}

const (
	identity  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	microsoft = "http://schemas.microsoft.com/"
)

// longNames are the names that .NET gives to claims of a JWT.
// Source: DefaultInboundClaimTypeMap of System.IdentityModel.Tokens.Jwt.
var longNames = map[string]string{
	"actort":         identity + "actor",
	"birthdate":      identity + "dateofbirth",
	"email":          identity + "emailaddress",
	"family_name":    identity + "surname",
	"gender":         identity + "gender",
	"given_name":     identity + "givenname",
	"nameid":         identity + "nameidentifier",
	"sub":            identity + "nameidentifier",
	"website":        identity + "webpage",
	"unique_name":    identity + "name",
	"upn":            identity + "upn",
	"oid":            microsoft + "identity/claims/objectidentifier",
	"scp":            microsoft + "identity/claims/scope",
	"tid":            microsoft + "identity/claims/tenantid",
	"acr":            microsoft + "claims/authnclassreference",
	"amr":            microsoft + "claims/authnmethodsreferences",
	"adfs1email":     "http://schemas.xmlsoap.org/claims/EmailAddress",
	"adfs1upn":       "http://schemas.xmlsoap.org/claims/UPN",
	"auth_time":      microsoft + "ws/2008/06/identity/claims/authenticationinstant",
	"authmethod":     microsoft + "ws/2008/06/identity/claims/authenticationmethod",
	"certthumbprint": microsoft + "ws/2008/06/identity/claims/thumbprint",
	"commonname":     "http://schemas.xmlsoap.org/claims/CommonName",
	"group":          "http://schemas.xmlsoap.org/claims/Group",
	"role":           microsoft + "ws/2008/06/identity/claims/role",
	"roles":          microsoft + "ws/2008/06/identity/claims/role",
	"winaccountname": microsoft + "ws/2008/06/identity/claims/windowsaccountname",
	"ppid":           identity + "privatepersonalidentifier",
}
