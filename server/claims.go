package server

import (
	"fmt"
	"slices"
)

// Claim types of .NET.
const (
	nameIdentifierClaim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	upnClaim            = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
	roleClaim           = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

// ClaimValues returns the values of the claim of that name, as text: one for a
// string, a number or a bool, each of a list, none if there is no such claim or
// if it is something else. Names are compared byte by byte.
func (u User) ClaimValues(name string) []string {
	return claimTexts(u.Claims[name])
}

// claimTexts are the values of one claim. Numbers keep the digits that they
// have as a json.Number.
func claimTexts(v any) []string {
	switch v := v.(type) {
	case nil, map[string]any:
		return nil
	case []string:
		return v
	case []any:
		var list []string
		for _, item := range v {
			if _, nested := item.([]any); !nested {
				list = append(list, claimTexts(item)...)
			}
		}
		return list
	}
	return []string{fmt.Sprint(v)}
}

// Roles returns the roles of the user: the values of the claims "role" (ASP.NET
// Core), "roles" (Entra), .NET's ClaimTypes.Role, and "roles" inside
// "realm_access" (Keycloak). Issuers that use another name, as Auth0 does, are
// asked with ClaimValues.
func (u User) Roles() []string {
	realm, _ := u.Claims["realm_access"].(map[string]any)
	return slices.Concat(u.ClaimValues("role"), u.ClaimValues("roles"), u.ClaimValues(roleClaim), claimTexts(realm["roles"]))
}

// RequireRole returns a MethodOptions.Authorize that refuses users who have
// none of the roles, letter by letter; see User.Roles. Without roles it refuses
// everybody.
func RequireRole(roles ...string) func(*Call) error {
	roles = slices.Clone(roles)
	return func(call *Call) error {
		return requireAny(call.User().Roles(), roles)
	}
}

// RequireClaim returns a MethodOptions.Authorize that refuses users whose claim
// of that name has none of the values, letter by letter; see User.ClaimValues.
// Without values the claim must only be there.
//
// A claim that lists its values in one text, as "scope" does, is one value here.
func RequireClaim(name string, values ...string) func(*Call) error {
	values = slices.Clone(values)
	return func(call *Call) error {
		if len(values) == 0 {
			if _, ok := call.User().Claims[name]; ok {
				return nil
			}
			return ErrUnauthorized
		}
		return requireAny(call.User().ClaimValues(name), values)
	}
}

func requireAny(have, want []string) error {
	if slices.ContainsFunc(have, func(s string) bool { return slices.Contains(want, s) }) {
		return nil
	}
	return ErrUnauthorized
}
