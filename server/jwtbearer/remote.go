package jwtbearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxKeyAge       = 12 * time.Hour // as .NET's ConfigurationManager
	readTimeout     = 10 * time.Second
	retryInterval   = 10 * time.Second
	maxDocumentSize = 1 << 20
)

// An unreachableError says that no key of a source was ever read.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return "the keys are not there: " + e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

// remoteKeys are keys that are read from a URL, by the requests that need them:
// nothing runs while there are none.
type remoteKeys struct {
	url      string
	discover bool // url is an issuer, whose configuration says where the keys are
	client   *http.Client
	interval time.Duration

	mu      sync.Mutex // guards what follows
	keys    keySet
	issuer  string
	err     error     // of the last reading
	read    time.Time // when keys were read
	tried   time.Time // when the last reading began
	reading chan struct{}
}

func newRemoteKeys(address string, discover bool, opts Options) (*remoteKeys, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not a URL of keys", address)
	case u.Scheme == "http" && !opts.InsecureHTTP:
		return nil, fmt.Errorf("%q is not https: anybody on the way could give other keys; see Options.InsecureHTTP", address)
	}
	client := http.Client{}
	if opts.HTTPClient != nil {
		client = *opts.HTTPClient
	}
	if client.CheckRedirect == nil {
		client.CheckRedirect = followSecure
	}
	r := &remoteKeys{url: address, discover: discover, client: &client, interval: opts.KeyRefreshInterval}
	if r.interval == 0 {
		r.interval = 5 * time.Minute
	}
	return r, nil
}

// followSecure follows redirects as net/http does, but none from https to http.
func followSecure(next *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("redirected from https to " + next.URL.Scheme)
	}
	return nil
}

// find returns the keys of the id. It reads the source first if that was never
// read, or too long ago, or does not know the id.
func (r *remoteKeys) find(ctx context.Context, id, alg string) ([]any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for asked := false; ; asked = true {
		found := r.keys.find(id, alg)
		fresh := len(r.keys) > 0 && time.Since(r.read) < maxKeyAge
		switch {
		case fresh && len(found) > 0:
			return found, nil
		case r.reading != nil && len(found) > 0: // old keys are good until there are new ones
			return found, nil
		case asked || r.reading == nil && !r.mayRead():
			if len(r.keys) == 0 {
				return nil, &unreachableError{r.err}
			}
			return found, nil
		case r.reading == nil:
			r.refresh(ctx)
		default:
			if err := r.wait(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// wait waits for the reading of another request, with mu released.
func (r *remoteKeys) wait(ctx context.Context) error {
	done := r.reading
	r.mu.Unlock()
	defer r.mu.Lock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *remoteKeys) mayRead() bool {
	interval := r.interval
	if r.err != nil {
		interval = min(interval, retryInterval)
	}
	return r.tried.IsZero() || time.Since(r.tried) >= interval
}

// refresh reads the source, with mu released. It goes on when its own request
// ends: the others wait for it.
func (r *remoteKeys) refresh(ctx context.Context) {
	done := make(chan struct{})
	r.reading, r.tried = done, time.Now()
	r.mu.Unlock()
	keys, issuer, err := keySet(nil), "", errors.New("reading the keys did not end")
	defer func() { // also when the HTTP client panics
		r.mu.Lock()
		r.reading, r.err = nil, err
		if err == nil {
			r.keys, r.issuer, r.read = keys, issuer, time.Now()
		}
		close(done)
	}()
	keys, issuer, err = r.fetch(context.WithoutCancel(ctx))
}

func (r *remoteKeys) issuerName() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issuer
}

// fetch reads the keys and, if they are discovered, the name of their issuer.
func (r *remoteKeys) fetch(ctx context.Context) (keys keySet, issuer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	address := r.url
	if r.discover {
		var config struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		text, err := r.get(ctx, strings.TrimSuffix(r.url, "/")+"/.well-known/openid-configuration")
		if err != nil {
			return nil, "", err
		}
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, "", fmt.Errorf("OpenID configuration of %s: %w", r.url, err)
		}
		if config.Issuer == "" || config.Keys == "" {
			return nil, "", fmt.Errorf("OpenID configuration of %s: no issuer or jwks_uri", r.url)
		}
		if strings.HasPrefix(r.url, "https:") && !strings.HasPrefix(config.Keys, "https:") {
			return nil, "", fmt.Errorf("OpenID configuration of %s: jwks_uri is not https", r.url)
		}
		address, issuer = config.Keys, config.Issuer
	}
	text, err := r.get(ctx, address)
	if err != nil {
		return nil, "", err
	}
	keys, err = parseSet(text, false)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", address, err)
	}
	return keys, issuer, nil
}

func (r *remoteKeys) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() // only read: no error to lose
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", address, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if len(text) > maxDocumentSize {
		return nil, errors.New(address + ": the document is longer than 1 MiB")
	}
	return text, nil
}
