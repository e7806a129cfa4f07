package anynode

import (
	"fmt"
	"strings"
	"testing"
)

func back(n int) string {
	return fmt.Sprintf("{\"type\":3,\"invocationId\":\"%d\",\"result\":%d}\x1e", n, n)
}

// The test of the fleet is worth what its ledger notices.
func TestTheLedgerNoticesWhatIsWrong(t *testing.T) {
	living, killed := &process{}, &process{}
	killed.doomed.Store(true)
	unconfirmed := func(p *process) bool { return p == killed }
	for _, tt := range []struct {
		name  string
		posts string   // what became of the POSTs of calls 1, 2 and so on: ok, failed, or - while it is under way
		polls []string // with the node that passed it on in front: + lives, x was killed
		want  string   // of the error, or of what is outstanding, late and repeated
	}{
		{"all is well", "ok ok -", []string{"+{}\x1e", "+" + ping, "+" + ping + back(1), "+" + back(2) + back(3)}, "0 0 0"},
		{"an answer that has not come", "ok ok", []string{"+" + back(1)}, "1 0 0"},
		{"an answer that is passed over", "ok ok", []string{"+" + back(2)}, "not that of 1"},
		{"a failed call that was not executed", "ok failed ok", []string{"+" + back(1) + back(3)}, "0 0 0"},
		{"a failed call that was", "ok failed ok", []string{"+" + back(1) + back(2) + back(3)}, "0 0 0"},
		{"a failed call that was late", "ok failed ok", []string{"+" + back(1) + back(3) + back(2)}, "0 1 0"},
		{"a failed call that was executed twice", "ok failed ok", []string{"+" + back(1) + back(2) + back(3) + back(2)}, "call 2 has come twice"},
		{"an answer twice", "ok", []string{"+" + back(1) + back(1)}, "call 1 has come twice"},
		{"answers in another order", "ok -", []string{"+" + back(2)}, "not that of 1"},
		{"an order that shows later", "- -", []string{"+" + back(2), "+" + back(1)}, "after that of 2"},
		{"a poll twice, of a node that lives", "ok", []string{"+" + back(1), "+" + back(1)}, "lives"},
		{"a poll twice, of a killed node", "ok ok", []string{"x" + back(1), "+" + back(1) + back(2)}, "0 0 1"},
		{"a poll twice, and once more", "ok ok", []string{"x" + back(1), "x" + back(1) + back(2), "+" + back(1) + back(2)}, "0 0 2"},
		{"a part of a poll twice, of a killed node", "ok ok", []string{"x" + back(1) + back(2), "+" + back(1)}, "call 1 has come twice"},
		{"the poll before the last one again", "ok ok", []string{"x" + back(1), "x" + back(2), "+" + back(1)}, "call 1 has come twice"},
		{"the handshake twice", "", []string{"+{}\x1e" + "{}\x1e"}, "unexpected"},
		{"the end of the connection", "ok", []string{"+{\"type\":7}\x1e"}, "unexpected"},
		{"a call that was not sent", "ok", []string{"+" + back(2)}, "not sent"},
		{"half of a message", "ok", []string{"+{\"type\""}, "without its end"},
		{"an answer of another call", "ok", []string{"+{\"type\":3,\"invocationId\":\"1\",\"result\":2}\x1e"}, "unexpected"},
		{"an error", "ok", []string{"+{\"type\":3,\"invocationId\":\"1\",\"error\":\"no\"}\x1e"}, "unexpected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger()
			for _, status := range strings.Fields(tt.posts) {
				n := l.next()
				switch status {
				case "ok":
					l.posted(n, accepted)
				case "failed":
					l.posted(n, failed)
				}
			}
			var err error
			for _, p := range tt.polls {
				by := living
				if p[0] == 'x' {
					by = killed
				}
				if err = l.polled(p[1:], by, unconfirmed); err != nil {
					break
				}
			}
			got := fmt.Sprint(err)
			if err == nil {
				got = fmt.Sprint(l.outstanding(), l.late, l.repeated)
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("the ledger says %q, want %q", got, tt.want)
			}
		})
	}
}
