package gateway_test

import (
	"fmt"
	"testing"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// App servers put many clients into groups at once, as all reconnect: however many
// questions that makes, each is answered by what the other gateway knows.
func TestABurstOfQuestionsIsAnsweredByOtherGateways(t *testing.T) {
	gateway.PatientLetters(t)
	f := newFleetOf(t, 3, gateway.Options{})
	c := f.all[2]
	c.server("server-3")
	ann := c.client("ann")
	const each = 2000
	var servers []*fakeServer
	for i, w := range f.all[:2] {
		s := w.server(fmt.Sprint("server-", i+1))
		servers = append(servers, s)
		var burst []wire.Message
		for n := range each {
			burst = append(burst, &wire.JoinGroupWithAck{ConnectionID: ann.ID(), GroupName: fmt.Sprint(s.id, n), AckID: n + 1})
		}
		s.send(burst...)
	}
	for _, s := range servers {
		statuses := map[int]int{}
		for range each {
			statuses[await[*wire.Ack](s).Status]++
		}
		if statuses[wire.AckOK] != each {
			t.Errorf("%s: acks by status %v, want %d of status %d", s.id, statuses, each, wire.AckOK)
		}
	}
}
