package jwtbearer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// A jwk is what is read of one entry of a key set. Certificates are not: they
// prove nothing that the location of the set does not prove. Nor are the
// private parts of a key. Source: RFC 7517, section 4; RFC 7518, section 6; RFC
// 8037.
type jwk struct {
	Type      string      `json:"kty"`
	Use       string      `json:"use"`
	ID        string      `json:"kid"`
	Algorithm string      `json:"alg"`
	Curve     string      `json:"crv"`
	Modulus   base64Field `json:"n"`
	Exponent  base64Field `json:"e"`
	X         base64Field `json:"x"`
	Y         base64Field `json:"y"`
	Secret    base64Field `json:"k"`
}

// A base64Field is bytes in the URL's alphabet, with or without padding.
type base64Field []byte

func (f *base64Field) UnmarshalText(text []byte) (err error) {
	*f, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(string(text), "="))
	return err
}

// parseKey reads one entry. Whether the key can be used, usable says.
func parseKey(text []byte) (key, error) {
	var j jwk
	if err := json.Unmarshal(text, &j); err != nil {
		return key{}, err
	}
	if j.Use != "" && j.Use != "sig" {
		return key{}, errors.New("not a key for signatures")
	}
	k := key{id: j.ID, alg: j.Algorithm}
	var err error
	switch j.Type {
	case "RSA":
		k.key, err = j.rsa()
	case "EC":
		k.key, err = j.ec()
	case "OKP":
		if k.key = ed25519.PublicKey(j.X); j.Curve != "Ed25519" {
			err = fmt.Errorf("no signatures with curve %q", j.Curve)
		}
	case "oct":
		k.key = []byte(j.Secret)
	default:
		err = fmt.Errorf("key type %q", j.Type)
	}
	return k, err
}

func (j *jwk) rsa() (*rsa.PublicKey, error) {
	e := new(big.Int).SetBytes(j.Exponent)
	if e.BitLen() > 31 {
		return nil, errors.New("bad RSA exponent")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(j.Modulus), E: int(e.Int64())}, nil
}

func (j *jwk) ec() (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch j.Curve {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("curve %q", j.Curve)
	}
	size := (curve.Params().BitSize + 7) / 8
	x, y := new(big.Int).SetBytes(j.X), new(big.Int).SetBytes(j.Y)
	if x.BitLen() > 8*size || y.BitLen() > 8*size {
		return nil, errors.New("coordinates too long for the curve")
	}
	point := make([]byte, 1+2*size)
	point[0] = 4                   // uncompressed
	x.FillBytes(point[1 : 1+size]) // some issuers leave zeros away in front
	y.FillBytes(point[1+size:])
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}
