package jwtbearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
)

// A jwk is one entry of a JSON Web Key Set. Source: RFC 7517 and RFC 7518.
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Curve string `json:"crv"`
	N     string `json:"n"`
	E     string `json:"e"`
	X     string `json:"x"`
	Y     string `json:"y"`
	K     string `json:"k"`
}

func (k *keySet) addFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("key set %s: %w", path, err)
	}
	for _, key := range set.Keys {
		if key.Use == "enc" {
			continue
		}
		if err := k.addJWK(key); err != nil {
			return fmt.Errorf("key set %s: key %q: %w", path, key.ID, err)
		}
	}
	return nil
}

func (k *keySet) addJWK(key jwk) error {
	switch key.Type {
	case "RSA":
		n, err := number(key.N)
		if err != nil {
			return err
		}
		e, err := number(key.E)
		if err != nil {
			return err
		}
		if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return errors.New("bad RSA exponent")
		}
		return k.addPublic(key.ID, &rsa.PublicKey{N: n, E: int(e.Int64())})
	case "EC":
		if key.Curve != "P-256" {
			return fmt.Errorf("curve %q is not supported, P-256 is", key.Curve)
		}
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil {
			return err
		}
		y, err := base64.RawURLEncoding.DecodeString(key.Y)
		if err != nil {
			return err
		}
		if len(x) != 32 || len(y) != 32 {
			return errors.New("coordinates of P-256 have 32 bytes")
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return err
		}
		return k.addPublic(key.ID, public)
	case "oct":
		secret, err := base64.RawURLEncoding.DecodeString(key.K)
		if err != nil {
			return err
		}
		return k.addHMAC(key.ID, secret)
	}
	return fmt.Errorf("key type %q is not supported", key.Type)
}

func number(text string) (*big.Int, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errors.New("empty number")
	}
	return new(big.Int).SetBytes(b), nil
}
