package azure

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/internal/rescue"
	"github.com/hubwire/hubwire/internal/seam"
	"github.com/hubwire/hubwire/server"
)

// Texts of negotiate. Source: testdata/azure.
const (
	notConnected = "Azure SignalR Service is not connected yet, please try again later."
	tokenTooLong = "AccessToken must not be longer than 4K."
)

// Negotiate implements seam.Remote: the client is sent to the service.
func (s *service) Negotiate(w http.ResponseWriter, r *http.Request, user any, of seam.Endpoint) {
	p := s.chooseEndpoint()
	if p == nil {
		answerText(w, http.StatusInternalServerError, notConnected)
		return
	}
	who, _ := user.(server.User)
	answer := struct {
		Version    int      `json:"negotiateVersion"`
		URL        string   `json:"url"`
		Token      string   `json:"accessToken"`
		Lifetime   *int64   `json:"tokenLifetimeSeconds,omitempty"`
		Transports []string `json:"availableTransports"`
	}{URL: p.clientURL(r), Transports: []string{}}
	err := rescue.Call(s.log, "what makes claims", func() (err error) {
		end, lifetime := time.Time{}, int64(0)
		if of.Refreshes && !who.Anonymous() {
			end, answer.Lifetime = who.Expires, &lifetime
		}
		answer.Token, lifetime, err = p.clientToken(s.clientClaims(r, who, of), end)
		return err
	})
	switch {
	case errors.Is(err, token.ErrTooLong):
		s.log.Error("client negotiate failed", "error", err)
		answerText(w, http.StatusRequestEntityTooLarge, tokenTooLong)
		return
	case err != nil:
		s.log.Error("client negotiate failed", "error", err)
		answerText(w, http.StatusInternalServerError, "")
		return
	}
	answerJSON(w, http.StatusOK, answer)
}

// answerJSON answers with texts and numbers.
func answerJSON(w http.ResponseWriter, status int, value any) {
	var b bytes.Buffer
	encode := json.NewEncoder(&b)
	encode.SetEscapeHTML(false)
	_ = encode.Encode(value) // which can always be encoded
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) // the client is gone; no reply is needed
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client is gone; no reply is needed
}

// clientURL is where the client of r connects. The query of r is copied as it is.
func (p *pool) clientURL(r *http.Request) string {
	u := p.at.clientBase + "client/?hub=" + p.s.name
	if path := originalPath(r.URL.Path); path != "" {
		u += "&asrs.op=" + strings.ReplaceAll(url.QueryEscape(path), "+", "%20")
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		u += "&" + r.URL.RawQuery
	}
	return u + "&asrs_request_id=" + requestID()
}

// originalPath is the hub's path: that of negotiate without the suffix.
func originalPath(path string) string {
	path = strings.TrimSuffix(path, "/")
	const end = "/negotiate"
	if at := len(path) - len(end); at >= 0 && strings.EqualFold(path[at:], end) {
		path = path[:at]
	}
	return path
}

var (
	lastRequest   atomic.Uint32
	requestPrefix = sync.OnceValue(func() string { return strings.ToUpper(newHex()[:13]) })
)

// requestID names a negotiate for the service's logs, in the form of ASP.NET Core's.
func requestID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%s-%08X-%s", requestPrefix(), lastRequest.Add(1), strings.ToUpper(hex.EncodeToString(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])))))
}

// chooseEndpoint returns the endpoint for one more client: one of the primary ones
// that are online, or else of the secondary ones, at random, weighted by free
// capacity; nil if none is online. If no connections are configured, all count.
func (s *service) chooseEndpoint() *pool {
	for _, secondary := range []bool{false, true} {
		var pools []*pool
		for _, p := range s.pools {
			if p.secondary == secondary && (p.online() || s.opts.InitialConnections == 0) {
				pools = append(pools, p)
			}
		}
		if len(pools) > 0 {
			return weighted(pools)
		}
	}
	return nil
}

// weighted chooses by free capacity, if all have reported theirs.
func weighted(pools []*pool) *pool {
	free, sum := make([]int, len(pools)), 0
	for i, p := range pools {
		p.mu.Lock()
		load := p.load
		p.mu.Unlock()
		if load.capacity == 0 {
			return pools[randv2.N(len(pools))]
		}
		free[i] = max(1, load.capacity-load.clients-load.servers)
		sum += free[i]
	}
	at := randv2.N(sum)
	for i, n := range free {
		if at -= n; at < 0 {
			return pools[i]
		}
	}
	return pools[0]
}
