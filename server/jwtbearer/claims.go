package jwtbearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/server"
)

// Claim types of .NET: ClaimTypes.NameIdentifier and ClaimTypes.Name.
const (
	nameIdentifier = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	nameClaim      = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
)

// userIDs are the claims that ASP.NET Core's JwtBearer handler maps to
// ClaimTypes.NameIdentifier (MapInboundClaims, which is on by default). SignalR
// takes the first of them in the order of the token.
var userIDs = []string{"sub", "nameid", nameIdentifier}

func (v *verifier) user(claims jwt.MapClaims, payload []byte) (server.User, error) {
	u := server.User{Claims: claims}
	for _, name := range []string{"name", "unique_name", nameClaim} {
		if u.Name, _ = claims[name].(string); u.Name != "" {
			break
		}
	}
	if v.opts.UserIDClaim != "" {
		u.ID = text(claims[v.opts.UserIDClaim])
	} else {
		u.ID = firstUserID(claims, payload)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return server.User{}, refuse("The token has no expiration", jwt.ErrTokenRequiredClaimMissing)
	}
	u.Expires = expires.Time
	return u, nil
}

// firstUserID returns the user id of the claims. Where more than one of them
// could be it, their order in the token decides.
func firstUserID(claims jwt.MapClaims, payload []byte) string {
	first, n := "", 0
	for _, name := range userIDs {
		if id := text(claims[name]); id != "" {
			if n++; n == 1 {
				first = id
			}
		}
	}
	if n < 2 {
		return first
	}
	for _, name := range memberNames(payload) {
		for _, candidate := range userIDs {
			if id := text(claims[name]); name == candidate && id != "" {
				return id
			}
		}
	}
	return first
}

// memberNames returns the names of the claims in the order of the token.
func memberNames(payload []byte) []string {
	d := json.NewDecoder(bytes.NewReader(payload))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var names []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			break
		}
		s, _ := name.(string)
		names = append(names, s)
	}
	return names
}

// text is a claim as .NET's Claim.Value has it: numbers in their digits, the
// first of a list.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		if len(v) > 0 {
			if _, nested := v[0].([]any); !nested {
				return text(v[0])
			}
		}
	}
	return ""
}

func refuse(description string, cause error) error {
	return server.InvalidToken(description, cause)
}

// describe is what the client sees of why its token is refused.
// Source: JwtBearerHandler.CreateErrorDescription.
func (v *verifier) describe(err error, claims jwt.MapClaims) string {
	missing := errors.Is(err, jwt.ErrTokenRequiredClaimMissing)
	switch {
	case errors.Is(err, errNoKey):
		return "The signature key was not found"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "The signature is invalid"
	case errors.Is(err, jwt.ErrTokenExpired):
		return "The token expired at '" + date(claims.GetExpirationTime()) + "'"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "The token is not valid before '" + date(claims.GetNotBefore()) + "'"
	case missing && claims["exp"] == nil:
		return "The token has no expiration"
	case errors.Is(err, jwt.ErrTokenInvalidAudience), missing && v.opts.Audience != "" && claims["aud"] == nil:
		return "The audience '" + orNull(audience(claims)) + "' is invalid"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), missing && v.opts.Issuer != "":
		return badIssuer(claims)
	}
	return ""
}

func badIssuer(claims jwt.MapClaims) string {
	return "The issuer '" + orNull(text(claims["iss"])) + "' is invalid"
}

func audience(claims jwt.MapClaims) string {
	list, _ := claims.GetAudience()
	return strings.Join(list, ", ")
}

// orNull bounds what is shown of a claim.
func orNull(s string) string {
	if s == "" {
		return "(null)"
	}
	return s[:min(len(s), 200)]
}

// date is DateTime.ToString with the invariant culture.
func date(d *jwt.NumericDate, err error) string {
	if err != nil || d == nil {
		return ""
	}
	return d.UTC().Format("01/02/2006 15:04:05")
}
