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

// sign makes a token for what role does with the hub, which ends with the usual
// lifetime or, if that is not zero, before end.
func (p *pool) sign(role string, claims []wire.Claim, end time.Time) (text string, expires time.Time, err error) {
	algorithm := token.HS256
	if p.s.opts.AccessTokenAlgorithm == HS512 {
		algorithm = token.HS512
	}
	now := time.Now()
	expires = now.Add(p.s.opts.AccessTokenLifetime)
	if !end.IsZero() && end.Before(expires) {
		expires = end
	}
	text, err = token.Make(p.at.key, token.Spec{
		Algorithm: algorithm,
		KeyID:     keyID(),
		Claims:    claims,
		Audience:  token.Audience(p.at.audience, role, p.s.name),
		IssuedAt:  now,
		Expires:   expires,
	})
	return text, expires, err
}

func (p *pool) serverToken() (string, error) {
	text, _, err := p.sign("server", []wire.Claim{{Type: shortNameID, Value: p.s.serverID}}, time.Time{})
	return text, err
}

// clientToken makes the token of a client. lifetime is how long it is good for, in
// whole seconds.
func (p *pool) clientToken(claims []Claim, end time.Time) (text string, lifetime int64, err error) {
	text, expires, err := p.sign("client", tokenNames(claims), end)
	return text, max(0, int64(time.Until(expires)/time.Second)), err
}
