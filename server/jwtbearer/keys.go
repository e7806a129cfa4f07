package jwtbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A key is a secret ([]byte) or a public key, with what its set says of it.
type key struct {
	id  string
	alg string // the only algorithm that it is for, if the set says so
	key any
}

// A keySet is keys in the order of their set. Ids need not be unique: an issuer
// may have one key id for keys of two algorithms.
type keySet []key

// maxKeys bounds how many keys of one set are used, and so how many signatures
// one token can cost.
const maxKeys = 64

func (s *keySet) addOptions(opts Options) error {
	if opts.HMACKey != nil {
		if err := s.add(key{key: opts.HMACKey}); err != nil {
			return err
		}
	}
	for id, public := range opts.PublicKeys {
		if err := s.add(key{id: id, key: public}); err != nil {
			return err
		}
	}
	if opts.JWKSFile == "" {
		return nil
	}
	text, err := os.ReadFile(opts.JWKSFile)
	if err != nil {
		return err
	}
	set, err := parseSet(text, true)
	if err != nil {
		return fmt.Errorf("key set %s: %w", opts.JWKSFile, err)
	}
	*s = append(*s, set...)
	return nil
}

func (s *keySet) add(k key) error {
	if err := usable(k.key); err != nil {
		return fmt.Errorf("key %q: %w", k.id, err)
	}
	*s = append(*s, k)
	return nil
}

// usable says why a key is not one to verify tokens with.
func usable(k crypto.PublicKey) error {
	switch k := k.(type) {
	case []byte:
		if len(k) < 32 {
			return fmt.Errorf("a secret of %d bytes, needs at least 32", len(k))
		}
	case *rsa.PublicKey:
		if k == nil || k.N == nil || k.N.BitLen() < 2048 || k.N.BitLen() > 8192 || k.N.Bit(0) == 0 {
			return errors.New("an RSA key needs an odd modulus of 2048 to 8192 bits")
		}
		if k.E < 3 || k.E > 1<<31-1 || k.E%2 == 0 {
			return errors.New("bad RSA exponent")
		}
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil || curves[k.Curve.Params().Name] == "" {
			return errors.New("an EC key needs curve P-256, P-384 or P-521")
		}
		if _, err := k.ECDH(); err != nil { // not a point of its curve
			return err
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return errors.New("bad length of an Ed25519 key")
		}
	default:
		return fmt.Errorf("a %T; RSA, EC and Ed25519 public keys are supported", k)
	}
	return nil
}

// curves is the algorithm of each curve. Source: RFC 7518, section 3.4.
var curves = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

// secretSizes is the least length of a secret. Source: RFC 7518, section 3.2.
var secretSizes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// fits reports whether a key is one for alg: a public key is never taken for a
// secret, nor a key of one curve for another.
func fits(alg string, k any) bool {
	if usable(k) != nil {
		return false
	}
	switch k := k.(type) {
	case []byte:
		size, ok := secretSizes[alg]
		return ok && len(k) >= size
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == curves[k.Curve.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// find returns the keys for alg that have the id or, if no key has it, those
// without one. A token without key id may be of any key.
func (s keySet) find(id, alg string) []any {
	var named, nameless []any
	known := false
	for _, k := range s {
		fitting := fits(alg, k.key) && (k.alg == "" || k.alg == alg)
		switch {
		case id == "" || k.id == id:
			known = true
			if fitting {
				named = append(named, k.key)
			}
		case k.id == "" && fitting:
			nameless = append(nameless, k.key)
		}
	}
	if known {
		return named
	}
	return nameless
}

// parseSet reads a JSON Web Key Set. A key that is not known, not usable or not
// for signatures is passed over: issuers add such keys for others to use.
// Secrets count only in a set that is not public.
func parseSet(text []byte, secrets bool) (keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	var set keySet
	for _, entry := range raw.Keys {
		k, err := parseKey(entry)
		_, secret := k.key.([]byte)
		if err != nil || secret && !secrets {
			continue
		}
		if err := set.add(k); err == nil && len(set) == maxKeys {
			break
		}
	}
	if len(set) == 0 {
		return nil, errors.New("the key set has no key that verifies tokens")
	}
	return set, nil
}
