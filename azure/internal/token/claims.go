package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hubwire/hubwire/azure/internal/wire"
)

// claims are the payload of a token: a map of Go would lose their order.
type claims []wire.Claim

// UnmarshalJSON reads an object.
func (c *claims) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return errors.Join(jwt.ErrTokenMalformed, err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		c.add(name.(string), value) // names of members are strings
	}
	return nil
}

// add adds the values of a claim. Objects stay JSON.
func (c *claims) add(name string, value json.RawMessage) {
	switch value[0] {
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(value, &list) == nil { // it was decoded as JSON
			for _, one := range list {
				c.addOne(name, one)
			}
		}
	default:
		c.addOne(name, value)
	}
}

func (c *claims) addOne(name string, value json.RawMessage) {
	text := string(value)
	if value[0] == '"' && json.Unmarshal(value, &text) != nil || text == "null" {
		text = ""
	}
	*c = append(*c, wire.Claim{Type: name, Value: text})
}

// date returns a moment in seconds, which may have a fraction; nil if there is none.
func (c *claims) date(name string) (*jwt.NumericDate, error) {
	text, ok := First(*c, name)
	if !ok {
		return nil, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > -1e15 && f < 1e15) {
		return nil, jwt.ErrTokenMalformed
	}
	return jwt.NewNumericDate(time.Unix(int64(f), 0)), nil
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.date("exp") }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.date("nbf") }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil } // nobody asks
func (c *claims) GetIssuer() (string, error)                   { return "", nil }
func (c *claims) GetSubject() (string, error)                  { return "", nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// An object is a JSON object whose members are written in order. No character
// is escaped that needs not be.
type object struct{ b bytes.Buffer }

func (o *object) name(name string) {
	if o.b.Len() > 0 {
		o.b.WriteByte(',')
	} else {
		o.b.WriteByte('{')
	}
	o.string(name)
	o.b.WriteByte(':')
}

func (o *object) string(s string) {
	e := json.NewEncoder(&o.b)
	e.SetEscapeHTML(false)
	_ = e.Encode(strings.ToValidUTF8(s, "\uFFFD")) // strings encode, and a Buffer takes all
	o.b.Truncate(o.b.Len() - 1)                    // the line's end
}

func (o *object) text(name, value string) {
	o.name(name)
	o.string(value)
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.b.WriteString(strconv.FormatInt(n, 10))
}

// claims writes each type in the place of its first value.
func (o *object) claims(list []wire.Claim) {
	values := map[string][]string{}
	for _, c := range list {
		values[c.Type] = append(values[c.Type], c.Value)
	}
	for _, c := range list {
		all := values[c.Type]
		if delete(values, c.Type); len(all) == 0 {
			continue
		}
		if o.name(c.Type); len(all) == 1 {
			o.string(all[0])
			continue
		}
		for i, value := range all {
			o.b.WriteByte("[,"[min(i, 1)])
			o.string(value)
		}
		o.b.WriteByte(']')
	}
}

func (o *object) end() []byte {
	o.b.WriteByte('}')
	return o.b.Bytes()
}
