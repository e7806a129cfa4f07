package server

import (
	"math"
	"reflect"
	"sync"

	"github.com/hubwire/hubwire/protocol"
)

// What a send returns must not depend on who is connected: a value that one
// protocol of the hub cannot encode is an error though all clients that listen
// speak the other, or nobody listens. So a message is encoded in every protocol
// of the hub before anybody gets it, unless each of its values is sure to be
// encoded by all of them, as most are: then only receivers' protocols cost.

// encodable returns the error of the first of the hub's protocols, in the order
// of Options.Protocols, that cannot encode msg.
func (m *hubManager) encodable(msg *Message) error {
	inv, ok := msg.source.(*protocol.Invocation)
	if !ok || m.standard && allSure(inv.Arguments) {
		return nil
	}
	for _, codec := range m.codecs {
		if _, err := msg.frame(codec); err != nil {
			return err
		}
	}
	return nil
}

// standardCodecs reports whether codecs are JSON and MessagePack as this module
// has them, about which sure knows.
func standardCodecs(codecs []protocol.Codec) bool {
	for _, codec := range codecs {
		switch codec {
		case protocol.JSON{}, protocol.MessagePack{}:
		default:
			return false
		}
	}
	return true
}

func allSure(values []any) bool {
	for _, v := range values {
		if !sure(v) {
			return false
		}
	}
	return true
}

// sure reports whether v is certain to be encoded by JSON and MessagePack,
// judged by its type alone; false means that it is not certain.
func sure(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int, int64, int32, uint64, uint32, []byte, []string, []int:
		return true
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	t := reflect.TypeOf(v)
	if known, ok := sureTypes.Load(t); ok {
		return known.(bool)
	}
	yes := sureType(t, 0)
	sureTypes.Store(t, yes)
	return yes
}

var sureTypes sync.Map // reflect.Type -> bool

// sureDepth bounds how deep types are looked into; those that contain
// themselves are deeper.
const sureDepth = 16

// sureType reports whether every value of t can be encoded. Methods may encode
// the value themselves; NaN has no form in JSON; an interface holds anything.
func sureType(t reflect.Type, depth int) bool {
	if depth > sureDepth || t.NumMethod() > 0 || reflect.PointerTo(t).NumMethod() > 0 {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return sureType(t.Elem(), depth+1)
	case reflect.Map:
		return t.Key().Kind() == reflect.String && sureType(t.Key(), depth+1) && sureType(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Anonymous || !sureType(f.Type, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}
