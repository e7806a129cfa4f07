package azure

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/server"
)

func TestAPanicOfTheUsersCodeCostsItsRequestOrItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var broken atomic.Bool
		broken.Store(true)
		h := f.hub(Options{
			Claims: func(*http.Request, server.User) []Claim {
				if broken.Load() {
					panic("no claims")
				}
				return nil
			},
		}, server.Options{})
		f.conn(0)
		synctest.Wait()
		negotiate := func() int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://app/hub/negotiate?negotiateVersion=1", bytes.NewReader(nil)))
			return w.Code
		}
		if status := negotiate(); status != http.StatusInternalServerError {
			t.Errorf("negotiate, without claims: %d", status)
		}
		broken.Store(false)
		if status := negotiate(); status != http.StatusOK {
			t.Errorf("negotiate: %d", status)
		}
	})
}

// The guard of what a peer's bytes may reach: one connection ends, and is opened
// again as any other that is lost.
func TestAPanicEndsOneServiceConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s, err := newService(reflect.TypeFor[Chat](), &Options{
			ConnectionString: "Endpoint=http://127.0.0.1;Port=18900;AccessKey=" + testKey + ";Version=1.0;", Transport: f.transport, HubName: "chat",
		}, &server.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.stop()
		err = s.pools[0].run(t.Context(), wire.ConnectionDefault, "", func(*conn) { panic("oh") })
		if err == nil || err.Error() != "panic in a service connection: oh" {
			t.Errorf("the connection ends with %v", err)
		}
		if got := types(f.conn(0).take()); !strings.HasPrefix(got, "HandshakeRequest close") {
			t.Errorf("the service has %s", got)
		}
	})
}
