package azure

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/server"
)

// Claims of a client's token that the service reads. Source: testdata/azure.
const (
	system          = "asrs.s."
	renamed         = "asrs.u."
	claimUserID     = system + "uid"
	claimServer     = system + "sn"
	claimSticky     = system + "ssticky"
	claimDiagnostic = system + "dc"
	claimHandshake  = system + "cht"
	claimAuthType   = system + "aut"
	claimEndpoints  = system + "secn"
	claimDetailed   = system + "derror"
	claimPoll       = system + "ttl"
	claimTransports = system + "htt"
	claimClose      = system + "coae"
	claimExpires    = system + "aeo"
)

const (
	dotnetClaims     = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	dotnetNameID     = dotnetClaims + "nameidentifier"
	dotnetName       = dotnetClaims + "name"
	dotnetRole       = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
	microsoftClaims  = "http://schemas.microsoft.com/identity/claims/"
	shortNameID      = "nameid"
	shortName        = "unique_name"
	subject          = "sub"
	defaultHandshake = 15 * time.Second
)

// shortNames are .NET's claim types and what a token has in their place.
var shortNames = map[string]string{
	dotnetNameID:                         shortNameID,
	dotnetName:                           shortName,
	dotnetRole:                           "role",
	dotnetClaims + "emailaddress":        "email",
	dotnetClaims + "givenname":           "given_name",
	dotnetClaims + "surname":             "family_name",
	dotnetClaims + "upn":                 "upn",
	microsoftClaims + "objectidentifier": "oid",
	microsoftClaims + "tenantid":         "tid",
}

// longNames are the reverse of shortNames.
var longNames = func() map[string]string {
	names := make(map[string]string, len(shortNames))
	for long, short := range shortNames {
		names[short] = long
	}
	return names
}()

// reserved are claims that a token has of its own.
var reserved = map[string]bool{
	"aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "actort": true,
	"acr": true, "azp": true, "c_hash": true, "jti": true, "nonce": true,
}

// clientClaims are what the service is told of a client of an endpoint, in the SDK's
// order. Names are those of .NET where it has some.
func (s *service) clientClaims(r *http.Request, user server.User, of seam.Endpoint) []Claim {
	var claims []Claim
	add := func(name, value string) { claims = append(claims, Claim{name, value}) }
	if id := s.hub.userID(r, user); id != "" || !user.Anonymous() {
		add(claimUserID, id)
	}
	if s.opts.Sticky != StickyOff {
		add(claimServer, s.serverID)
		add(claimSticky, map[StickyMode]string{StickyPreferred: "Preferred", StickyRequired: "Required"}[s.opts.Sticky])
	}
	if s.opts.DiagnosticClient != nil && s.opts.DiagnosticClient(r) {
		add(claimDiagnostic, "true")
	}
	if h := s.hub.handshake; h != 0 && h != defaultHandshake {
		add(claimHandshake, strconv.Itoa(int(min(max(h, time.Second), 30*time.Second)/time.Second)))
	}
	if n := len(s.pools); n > 1 {
		add(claimEndpoints, strconv.Itoa(n))
	}
	if s.hub.detailed {
		add(claimDetailed, "True")
	}
	if s.opts.MaximumPollInterval > 0 {
		add(claimPoll, strconv.Itoa(int(s.opts.MaximumPollInterval/time.Second)))
	}
	if of.Transports != 0 {
		add(claimTransports, strconv.Itoa(int(of.Transports)))
	}
	if of.CloseOnExpiry && !user.Expires.IsZero() {
		add(claimClose, "true")
		add(claimExpires, strconv.FormatInt(user.Expires.Unix(), 10))
	}
	own := userClaims(user)
	if s.opts.Claims != nil {
		own = s.opts.Claims(r, user)
	}
	return append(claims, ownNames(own)...)
}

// userClaims are the claims of a user by their names. If none identifies the user,
// User.ID and User.Name do.
func userClaims(user server.User) (claims []Claim) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := user.Claims[name]; return ok })
	}
	if user.ID != "" && !has(shortNameID, subject, dotnetNameID) {
		claims = append(claims, Claim{shortNameID, user.ID})
	}
	if user.Name != "" && !has(shortName, "name", dotnetName) {
		claims = append(claims, Claim{shortName, user.Name})
	}
	for _, name := range slices.Sorted(maps.Keys(user.Claims)) {
		if nested, ok := user.Claims[name].(map[string]any); ok {
			text, err := json.Marshal(nested)
			if err == nil { // otherwise it cannot be in a token
				claims = append(claims, Claim{name, string(text)})
			}
			continue
		}
		for _, value := range user.ClaimValues(name) {
			claims = append(claims, Claim{name, value})
		}
	}
	return claims
}

// ownNames renames claims of a user that a token has for its own ends, and gives
// others .NET's name.
func ownNames(claims []Claim) []Claim {
	named := make([]Claim, 0, len(claims))
	hasSubject := false
	for _, c := range claims {
		switch {
		case reserved[c.Type], c.Type == subject && hasSubject:
			c.Type = renamed + c.Type
		case c.Type == subject:
			hasSubject = true
		}
		if long, ok := longNames[c.Type]; ok {
			c.Type = long
		}
		named = append(named, c)
	}
	return named
}

// tokenNames are claims by the names that they have in tokens.
func tokenNames(claims []Claim) []wire.Claim {
	named := make([]wire.Claim, len(claims))
	for i, c := range claims {
		if short, ok := shortNames[c.Type]; ok {
			c.Type = short
		}
		named[i] = wire.Claim(c)
	}
	return named
}

// userOf is the user of a client as the service describes it. Each claim appears
// under the name that the service gives it, which is .NET's long one for some, and
// under the names that tokens use for it.
func userOf(claims []wire.Claim) server.User {
	var user server.User
	values := map[string][]string{}
	known := false
	for _, c := range claims {
		switch c.Type {
		case claimUserID:
			if !known { // a user may have a claim of that name, after the token's
				user.ID, known = c.Value, true
			}
		case claimExpires:
			if seconds, err := strconv.ParseInt(c.Value, 10, 64); err == nil {
				user.Expires = time.Unix(seconds, 0)
			}
		}
		name := c.Type
		if own, ok := strings.CutPrefix(name, renamed); ok {
			name = own
		} else if strings.HasPrefix(name, system) || reserved[name] {
			continue
		}
		values[name] = append(values[name], c.Value)
	}
	for long, short := range shortNames {
		for _, alias := range append([]string{short}, aliases[long]...) {
			if v := values[long]; v != nil && values[alias] == nil {
				values[alias] = v
			}
		}
	}
	if len(values) == 0 {
		return user
	}
	for _, name := range []string{dotnetName, shortName, "name"} {
		if v := values[name]; v != nil {
			user.Name = v[0]
			break
		}
	}
	user.Claims = make(map[string]any, len(values))
	for name, v := range values {
		if len(v) == 1 {
			user.Claims[name] = v[0]
		} else {
			user.Claims[name] = toAny(v)
		}
	}
	return user
}

// aliases are other names in tokens for a claim type.
var aliases = map[string][]string{dotnetNameID: {subject}, dotnetRole: {"roles"}}

func toAny(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}
