package recorded

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
)

// JSON returns members as text, in which the same members are the same text.
func JSON(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Members returns a message's members as the files have them, without those
// that they leave out.
func Members(m wire.Message) map[string]any {
	members := map[string]any{}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "NilAt" {
			members[memberName(name)] = memberValue(v.Field(i).Interface())
		}
	}
	if ping, ok := m.(*wire.Ping); ok {
		for _, i := range ping.NilAt {
			members["messages"].([]any)[i] = nil
		}
	}
	return members
}

func memberName(field string) string {
	switch field {
	case "DataType", "ObjectType":
		return "type"
	case "TTL", "ID":
		return strings.ToLower(field)
	}
	return strings.ToLower(field[:1]) + strings.Replace(field[1:], "ID", "Id", 1)
}

func memberValue(v any) any {
	list := []any{}
	switch v := v.(type) {
	case string, bool, int:
		return v
	case *string:
		if v != nil {
			return *v
		}
	case *int:
		if v != nil {
			return *v
		}
	case *uint64:
		if v != nil {
			return *v
		}
	case []byte:
		if v != nil {
			return hex.EncodeToString(v)
		}
	case time.Time:
		return v.Format("2006-01-02T15:04:05.9999999Z07:00")
	case []string:
		for _, text := range v {
			list = append(list, text)
		}
		return list
	case []wire.Claim:
		for _, c := range v {
			list = append(list, []any{c.Type, c.Value})
		}
		return list
	case []wire.Header:
		for _, h := range v {
			list = append(list, []any{h.Name, memberValue(h.Values)})
		}
		return list
	case []wire.Payload:
		for _, p := range v {
			list = append(list, []any{p.Protocol, hex.EncodeToString(p.Bytes)})
		}
		return list
	default:
		panic(fmt.Sprintf("recorded: a member of type %T", v))
	}
	return nil
}

// messages has an empty message of every name.
var messages = func() map[string]wire.Message {
	byName := map[string]wire.Message{}
	for n := 1; n <= wire.TypeUpdateConnectionClaims; n++ {
		m := wire.New(n)
		byName[reflect.TypeOf(m).Elem().Name()] = m
	}
	return byName
}()

// Message returns the message that has these members. It panics if it cannot
// have them.
func Message(name string, members map[string]any) wire.Message {
	v := reflect.New(reflect.TypeOf(messages[name]).Elem())
	for i := range v.Elem().NumField() {
		field := v.Elem().Type().Field(i).Name
		value, ok := members[memberName(field)]
		if !ok || value == nil {
			continue
		}
		if ping, ok := v.Interface().(*wire.Ping); ok {
			setMessages(ping, value.([]any))
			break
		}
		set(v.Elem().Field(i).Addr().Interface(), value)
	}
	return v.Interface().(wire.Message)
}

func setMessages(ping *wire.Ping, texts []any) {
	for i, text := range texts {
		s, ok := text.(string)
		if !ok {
			ping.NilAt = append(ping.NilAt, i)
		}
		ping.Messages = append(ping.Messages, s)
	}
}

func set(p, value any) {
	switch p := p.(type) {
	case *string:
		*p = value.(string)
	case **string:
		*p = new(value.(string))
	case *bool:
		*p = value.(bool)
	case *int:
		*p = number(value)
	case **int:
		*p = new(number(value))
	case **uint64:
		u, err := strconv.ParseUint(value.(json.Number).String(), 10, 64)
		must(err)
		*p = &u
	case *[]byte:
		*p = unhex(value)
	case *time.Time:
		t, err := time.Parse(time.RFC3339, value.(string))
		must(err)
		*p = t.UTC()
	case *[]string:
		for _, text := range value.([]any) {
			s, _ := text.(string) // nil reads as ""
			*p = append(*p, s)
		}
	case *[]wire.Claim:
		for _, pair := range value.([]any) {
			*p = append(*p, wire.Claim{Type: pair.([]any)[0].(string), Value: pair.([]any)[1].(string)})
		}
	case *[]wire.Header:
		for _, pair := range value.([]any) {
			h := wire.Header{Name: pair.([]any)[0].(string)}
			set(&h.Values, pair.([]any)[1])
			*p = append(*p, h)
		}
	case *[]wire.Payload:
		for _, pair := range value.([]any) {
			*p = append(*p, wire.Payload{Protocol: pair.([]any)[0].(string), Bytes: unhex(pair.([]any)[1])})
		}
	default:
		panic(fmt.Sprintf("recorded: a member of type %T", p))
	}
}

func number(value any) int {
	n, err := value.(json.Number).Int64()
	must(err)
	return int(n)
}

func unhex(value any) []byte {
	b, err := hex.DecodeString(value.(string))
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic("recorded: " + err.Error())
	}
}
