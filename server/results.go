package server

import (
	"errors"

	"github.com/hubwire/hubwire/internal/members"
)

// clientResult returns what Invoke returns for a pending invocation of the
// client id, which has ended. Source: docs/reference/hub-protocol.md, section
// 4.7.
func clientResult(id string, result members.Result, end members.End) (ClientResult, error) {
	switch {
	case end == members.Gone:
		return ClientResult{}, &ConnectionError{ID: id, Gone: true}
	case end != members.Answered:
		return ClientResult{}, NewHubError(members.TextCanceled)
	case result.Failed:
		return ClientResult{}, &HubError{Message: result.Error}
	}
	return ClientResult{Codec: result.Codec, Value: result.Value}, nil
}

func errWrongConnection(connectionID, invocationID string) error {
	return WithErrorType("InvalidOperationException", errors.New(members.WrongConnection(connectionID, invocationID)))
}
