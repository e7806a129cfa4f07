package gateway

import (
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// groupsAtOnce is how many groups of users one letter has.
const groupsAtOnce = 500

// tellNews tells gateways that have begun of the users' groups there are. Those of
// connections nobody needs but the gateway of the connection.
func (f *fleet) tellNews() {
	for {
		select {
		case to := <-f.news:
			for _, h := range f.g.allHubs() {
				f.tellUserGroups(to, h)
			}
		case <-f.ctx.Done():
			return
		}
	}
}

func (f *fleet) tellUserGroups(to string, h *hub) {
	var bodies [][]byte
	n := 0
	h.mu.RLock()
	now := time.Now()
	for userID, u := range h.users {
		for group, g := range u.groups {
			seconds := int((g.ends.Sub(now) + time.Second - 1) / time.Second)
			if seconds <= 0 {
				continue
			}
			if n%groupsAtOnce == 0 {
				bodies = append(bodies, nil)
			}
			n++
			last := &bodies[len(bodies)-1]
			*last = wire.Append(*last, &wire.UserJoinGroup{UserID: userID, GroupName: group, TTL: &seconds})
		}
	}
	h.mu.RUnlock()
	for _, body := range bodies {
		l := letter{kind: letterAct, from: f.g.opts.InstanceID, hub: h.name, body: body}
		err := f.offer(sender{}, envelope{to: to, payload: l.encode(), then: f.outcome(nil)})
		if err != nil {
			f.drop(err)
			return
		}
	}
}
