package wire

import (
	"errors"

	"github.com/hubwire/hubwire/internal/msgp"
)

// A GroupMember is a client in a group.
type GroupMember struct {
	ConnectionID string
	UserID       *string
}

// GroupMembers is the payload of the Ack of a GroupMemberQuery.
type GroupMembers struct {
	Members           []GroupMember
	ContinuationToken *string // nil: this was the last page
}

// ErrAckPayload is that the payload of an Ack is not what it should be.
var ErrAckPayload = errors.New("wire: bad payload of an ack")

// AppendGroupMembers appends g as the payload of an Ack.
func AppendGroupMembers(dst []byte, g GroupMembers) []byte {
	c := coder{out: msgp.AppendArray(msgp.AppendArray(dst, 2), len(g.Members))}
	for i := range g.Members {
		c.out = msgp.AppendArray(c.out, 2)
		c.text("", &g.Members[i].ConnectionID)
		c.optional("", &g.Members[i].UserID)
	}
	c.optional("", &g.ContinuationToken)
	return c.out
}

// ParseGroupMembers parses what AppendGroupMembers appended. The error is
// ErrAckPayload.
func ParseGroupMembers(payload []byte) (g GroupMembers, err error) {
	c := coder{reading: true, in: msgp.NewReader(payload)}
	length, ok := c.in.Array()
	c.check(ok && length >= 2, "payload")
	n, ok := c.in.Array()
	c.check(ok, "members")
	for range n {
		var member GroupMember
		length, ok = c.in.Array()
		c.check(ok && length >= 2, "member")
		c.text("connectionId", &member.ConnectionID)
		c.optional("userId", &member.UserID)
		c.check(c.in.Skip(length-2), "member")
		if c.bad != "" {
			break
		}
		g.Members = append(g.Members, member)
	}
	c.optional("continuationToken", &g.ContinuationToken)
	if c.bad != "" {
		return GroupMembers{}, ErrAckPayload
	}
	return g, nil
}

// AppendClaims appends claims as the payload of an Ack; no claims are nil, as
// the SDK has it.
func AppendClaims(dst []byte, claims []Claim) []byte {
	if len(claims) == 0 {
		return append(dst, msgp.Nil)
	}
	c := coder{out: dst}
	c.claims("", &claims)
	return c.out
}

// ParseClaims parses what AppendClaims appended. The error is ErrAckPayload.
func ParseClaims(payload []byte) (claims []Claim, err error) {
	c := coder{reading: true, in: msgp.NewReader(payload)}
	if c.in.Nil() {
		return nil, nil
	}
	if c.claims("claims", &claims); c.bad != "" {
		return nil, ErrAckPayload
	}
	return claims, nil
}
