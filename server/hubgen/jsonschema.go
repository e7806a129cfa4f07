package hubgen

import (
	"maps"
	"math"
	"reflect"
	"strings"

	"github.com/hubwire/hubwire/protocol"
)

// schemas are JSON schemas (draft 7, which AsyncAPI 3 extends) of Go types, as the
// JSON protocol carries them.
type schemas struct{ types *types }

// all are the schemas of the types with names that were met.
func (s *schemas) all(m *model) object {
	all := object{}
	for i := 0; i < len(s.types.order); i++ { // making one may find others
		t := s.types.order[i]
		var o object
		if isEnum(t) {
			o = enumSchema(t)
		} else {
			o = s.structure(t)
		}
		if doc := m.source.typeDoc(t.Name()); doc != "" {
			values, _ := o["description"].(string) // of an enum
			o["description"] = strings.TrimSpace(doc + "\n\n" + values)
		}
		all[s.types.name(t)] = o
	}
	return all
}

// formats are the formats of texts.
var formats = map[reflect.Type]string{
	reflect.TypeFor[protocol.DateTimeOffset](): "date-time",
	reflect.TypeFor[protocol.Guid]():           "uuid",
	reflect.TypeFor[protocol.DateOnly]():       "date",
}

// schema is that of t, or a reference to it.
func (s *schemas) schema(t reflect.Type) object {
	switch specialOf(t) {
	case asTime:
		return object{"type": "string", "format": "date-time"}
	case asText:
		if format := formats[t]; format != "" {
			return object{"type": "string", "format": format}
		}
		return object{"type": "string"}
	case asBytes:
		return object{"type": []string{"string", "null"}, "contentEncoding": "base64"}
	case asNumber:
		return object{"type": "number"}
	case asAny:
		return object{}
	}
	if isEnum(t) || t.Kind() == reflect.Struct {
		return object{"$ref": "#/components/schemas/" + s.types.name(t)}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32:
		return object{"type": "number", "format": "float"}
	case reflect.Float64:
		return object{"type": "number", "format": "double"}
	case reflect.Pointer:
		return orNullSchema(s.schema(t.Elem()))
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": s.schema(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": s.schema(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": s.schema(t.Elem())}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return object{"not": object{}}
	}
	return integer(t.Kind())
}

func integer(kind reflect.Kind) object {
	o := object{"type": "integer"}
	switch kind {
	case reflect.Int8:
		o["minimum"], o["maximum"] = math.MinInt8, math.MaxInt8
	case reflect.Int16:
		o["minimum"], o["maximum"] = math.MinInt16, math.MaxInt16
	case reflect.Int32:
		o["format"] = "int32"
	case reflect.Uint8:
		o["minimum"], o["maximum"] = 0, math.MaxUint8
	case reflect.Uint16:
		o["minimum"], o["maximum"] = 0, math.MaxUint16
	case reflect.Uint32:
		o["minimum"], o["maximum"] = 0, math.MaxUint32
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		o["minimum"] = 0
	default:
		o["format"] = "int64"
	}
	return o
}

// enumSchema has the names of the values, and takes other values too, as the
// protocol does.
func enumSchema(t reflect.Type) object {
	o := integer(t.Kind())
	var names []string
	values := []any{}
	var text []string
	for _, x := range membersOf(t) {
		names = append(names, x.packed)
		values = append(values, x.value)
		text = append(text, x.number(t)+" is "+x.packed)
	}
	o["description"], o["x-enum-varnames"], o["examples"] = strings.Join(text, ", "), names, values
	return o
}

func (s *schemas) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range fieldsOf(t) {
		o := s.schema(f.t)
		if f.quoted {
			o = object{"type": "string"}
			if f.t.Kind() == reflect.Pointer {
				o = orNullSchema(o)
			}
		}
		if properties[f.name] = o; !f.optional {
			required = append(required, f.name)
		}
	}
	return record(properties, required...)
}

func orNullSchema(o object) object {
	switch kind := o["type"].(type) {
	case string:
		o = maps.Clone(o)
		o["type"] = []string{kind, "null"}
		return o
	case []string: // null already
		return o
	}
	if len(o) == 0 { // anything
		return o
	}
	if _, ok := o["anyOf"]; ok { // null already
		return o
	}
	return object{"anyOf": []any{o, object{"type": "null"}}}
}

// titled gives a name to a schema. Beside a reference nothing counts.
func titled(o object, name string) object {
	if _, ok := o["$ref"]; ok {
		return object{"title": name, "allOf": []any{o}}
	}
	o = maps.Clone(o)
	o["title"] = name
	return o
}
