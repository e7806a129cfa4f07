package backplane

import "github.com/hubwire/hubwire/internal/rescue"

// guard runs f, which a peer's bytes or the user's code may make panic.
func (r *Redis) guard(what string, f func() error) error { return rescue.Call(r.log, what, f) }
