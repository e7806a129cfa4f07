package harness

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hubwire/hubwire/interop/internal/refusals"
)

func TestWhatFailsIsPlayedAgainIfNodesHaveRefusedMeanwhile(t *testing.T) {
	args, refused := Refusals(t)
	status := http.StatusOK
	node := refusals.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), func() {
		if err := refusals.Note(args[1]); err != nil {
			t.Error(err)
		}
	})
	const refuses, fails = http.StatusServiceUnavailable, http.StatusInternalServerError
	for _, test := range []struct {
		statuses []int // of the plays: one that is not 200 fails
		plays    int
	}{
		{[]int{200}, 1},
		{[]int{fails, 200}, 1},
		{[]int{refuses, 200}, 2},
		{[]int{refuses, fails, 200}, 2},
		{[]int{refuses, refuses, refuses, refuses, 200}, 1 + mostAgain},
	} {
		plays := 0
		Again(t, refused, func() (failed string) {
			status = test.statuses[plays]
			plays++
			node.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			if status != http.StatusOK {
				failed = fmt.Sprint(status)
			}
			return failed
		})
		if plays != test.plays {
			t.Errorf("%v: %d plays, want %d", test.statuses, plays, test.plays)
		}
	}
}
