package azure

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hubwire/hubwire/azure/internal/connstring"
	"github.com/hubwire/hubwire/azure/internal/token"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// An endpoint is one instance of the service, as its connection string says.
type endpoint struct {
	name       string // for logs and errors: its URL
	key        string
	audience   string // prefix of the audience of its tokens
	serverBase string // "server/?hub=" is added to it
	clientBase string // "client/?hub=" is added to it
}

// ErrNoKey is returned by NewHub for a connection string without AccessKey:
// Microsoft Entra is not served.
var ErrNoKey = errors.New("azure: a connection string without AccessKey: Microsoft Entra is not served")

func parseEndpoint(e Endpoint) (endpoint, error) {
	s, err := connstring.Parse(e.ConnectionString)
	if err != nil {
		return endpoint{}, fmt.Errorf("azure: %w", err)
	}
	if s.AccessKey == "" {
		return endpoint{}, ErrNoKey
	}
	return endpoint{
		name:       s.Endpoint + "/",
		key:        s.AccessKey,
		audience:   s.AudienceBase(),
		serverBase: s.ServerBase(),
		clientBase: s.ClientBase(),
	}, nil
}

// setEndpoints sets the endpoints of o, or those of the environment.
func (s *service) setEndpoints(o *Options) error {
	list := o.Endpoints
	switch {
	case o.ConnectionString != "" && len(list) > 0:
		return ErrTwoEndpoints
	case o.ConnectionString != "":
		list = []Endpoint{{ConnectionString: o.ConnectionString}}
	case len(list) == 0:
		for _, e := range connstring.FromEnviron(os.Environ()) {
			list = append(list, Endpoint{ConnectionString: e.Text, Name: e.Name, Secondary: e.Secondary})
		}
	}
	if len(list) == 0 {
		return ErrNoEndpoint
	}
	for _, e := range list {
		at, err := parseEndpoint(e)
		if err != nil {
			return err
		}
		p := &pool{s: s, at: at, secondary: e.Secondary, probe: make(chan struct{}, 1)}
		p.probe <- struct{}{}
		s.pools = append(s.pools, p)
	}
	return nil
}

// keyID is in tokens as with the SDK: it differs in each process, and has no
// meaning.
var keyID = sync.OnceValue(func() string { return strconv.Itoa(int(int32(rand.Uint32()))) })

// sign makes a token for what role does with the hub.
func (p *pool) sign(role string, claims []wire.Claim) (string, error) {
	algorithm := token.HS256
	if p.s.opts.AccessTokenAlgorithm == HS512 {
		algorithm = token.HS512
	}
	now := time.Now()
	return token.Make(p.at.key, token.Spec{
		Algorithm: algorithm,
		KeyID:     keyID(),
		Claims:    claims,
		Audience:  token.Audience(p.at.audience, role, p.s.name),
		IssuedAt:  now,
		Expires:   now.Add(p.s.opts.AccessTokenLifetime),
	})
}

func (p *pool) serverToken() (string, error) {
	return p.sign("server", []wire.Claim{{Type: shortNameID, Value: p.s.serverID}})
}

func (p *pool) clientToken(claims []Claim) (string, error) {
	list := make([]wire.Claim, len(claims))
	for i, c := range claims {
		list[i] = wire.Claim(c)
	}
	return p.sign("client", list)
}
