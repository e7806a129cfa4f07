package backplane

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// An owner at an https URL is reached by who trusts its certificate, and by all others
// over Redis.
func TestANodeIsReachedDirectlyByWhoTrustsItsCertificate(t *testing.T) {
	s := newMemoryRedis(t)
	var owner atomic.Pointer[Redis]
	door := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { owner.Load().NodeHandler().ServeHTTP(w, r) }))
	door.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // of the handshake that is refused
	door.StartTLS()
	t.Cleanup(door.Close)
	start := func(name string, options AnyNode) (*Redis, string) {
		r := node(t, s, Options{ServerName: name, AnyNode: &options})
		hub := server.MustHub(&fleetHub{}, &server.Options{LifetimeManager: r, Logger: slog.New(slog.DiscardHandler)})
		web := httptest.NewServer(hub)
		t.Cleanup(func() {
			_ = hub.Shutdown(t.Context()) // canceled: at once
			web.Close()
		})
		knowsKey(t, r)
		return r, web.URL
	}
	first, ownerURL := start("owner", AnyNode{NodeURL: door.URL})
	owner.Store(first)
	trusts, trustsURL := start("trusts", AnyNode{NodeTLS: door.Client().Transport.(*http.Transport).TLSClientConfig})
	trustsNot, trustsNotURL := start("trusts not", AnyNode{NodeTLS: &tls.Config{}})

	send := func(method, url, body string) string {
		return request(t, door.Client(), method, url, body) // closed with door
	}
	_, token, _ := strings.Cut(send("POST", ownerURL+"/negotiate?negotiateVersion=1", ""), `"connectionToken":"`)
	token, _, _ = strings.Cut(token, `"`)
	send("GET", ownerURL+"?id="+token, "")
	send("POST", ownerURL+"?id="+token, "{\"protocol\":\"json\",\"version\":1}\x1e")
	for end := time.Now().Add(time.Minute); trusts.Stats().ForwardedDirectly == 0; {
		for _, url := range []string{trustsURL, trustsNotURL} {
			send("POST", url+"?id="+token, "{\"type\":6}\x1e")
		}
		if time.Now().After(end) {
			t.Fatalf("the node that trusts counts %+v", trusts.Stats())
		}
	}
	if got := trustsNot.Stats(); got.Forwarded == 0 || got.ForwardedDirectly != 0 {
		t.Errorf("the node that does not trust counts %+v", got)
	}
	send("DELETE", ownerURL+"?id="+token, "")
}
