package protocol

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A jsonShape is what has to be known about a Go type to make up for what
// encoding/json reads otherwise than ASP.NET Core: it takes null for anything
// and numbers for bytes, and other forms of times.
type jsonShape struct {
	kind     shapeKind
	nullable bool
	elem     *jsonShape            // of a pointer, list or dict
	members  map[string]*jsonShape // of a struct, by exact name
	folded   map[string]*jsonShape // the same without regard to case

	// Set for the type that was asked for: something in it always needs a look.
	look bool
}

type shapeKind uint8

const (
	shapeOpaque shapeKind = iota // nothing inside is known, or of interest
	shapePointer
	shapeList
	shapeDict
	shapeStruct
	shapeBytes
	shapeTime
)

var jsonShapes sync.Map // reflect.Type -> *jsonShape

func jsonShapeOf(t reflect.Type) *jsonShape {
	if known, ok := jsonShapes.Load(t); ok {
		return known.(*jsonShape)
	}
	built := make(map[reflect.Type]*jsonShape)
	shape := *buildShape(t, built) // a copy: only the root has the summary
	for _, inner := range built {
		shape.look = shape.look || inner.kind >= shapeBytes
	}
	known, _ := jsonShapes.LoadOrStore(t, &shape)
	return known.(*jsonShape)
}

// buildShape returns the shape of t. Types that refer to themselves find what
// has been built.
func buildShape(t reflect.Type, built map[reflect.Type]*jsonShape) *jsonShape {
	if s, ok := built[t]; ok {
		return s
	}
	s := &jsonShape{}
	built[t] = s
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.String:
		s.nullable = true
	}
	if t == reflect.TypeFor[time.Time]() {
		s.kind = shapeTime
		return s
	}
	if t.Kind() != reflect.Pointer {
		p := reflect.PointerTo(t)
		if p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[json.Unmarshaler]()) {
			s.nullable = true // its own decision
			return s
		}
		if p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return s
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s.kind, s.elem = shapePointer, buildShape(t.Elem(), built)
	case reflect.Map:
		s.kind, s.elem = shapeDict, buildShape(t.Elem(), built)
	case reflect.Slice, reflect.Array:
		s.kind, s.elem = shapeList, buildShape(t.Elem(), built)
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && s.elem.kind == shapeOpaque && !s.elem.nullable {
			s.kind = shapeBytes
		}
	case reflect.Struct:
		s.kind = shapeStruct
		s.buildMembers(t, built)
	}
	return s
}

// buildMembers finds the members of the struct t.
func (s *jsonShape) buildMembers(t reflect.Type, built map[reflect.Type]*jsonShape) {
	s.members, s.folded = make(map[string]*jsonShape), make(map[string]*jsonShape)
	for _, f := range findJSONFields(t) {
		if f.asString {
			s.members[f.name] = &jsonShape{nullable: true}
		} else {
			s.members[f.name] = buildShape(f.typ, built)
		}
	}
	for name, member := range s.members {
		s.folded[foldName(name)] = member
	}
}

// foldName maps names that differ only in case to one.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		for { // the letters of one orbit go up, and from the largest to the smallest
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}

// member finds the shape of a member by its name as it stands in JSON.
func (s *jsonShape) member(inner []byte, plain bool) *jsonShape {
	if member, ok := s.members[string(inner)]; ok && plain {
		return member
	}
	name, err := text(inner, plain)
	if err != nil {
		return nil
	}
	if member, ok := s.members[name]; ok {
		return member
	}
	return s.folded[foldName(name)]
}
