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
// encoding/json does otherwise than ASP.NET Core: it takes null for anything
// and numbers for bytes, and has its own forms of times and numbers.
type jsonShape struct {
	kind     shapeKind
	nullable bool
	elem     *jsonShape            // of a pointer, list or dict
	members  map[string]*jsonShape // of a struct, by exact name
	folded   map[string]*jsonShape // the same without regard to case

	// Set for the type that was asked for: something in it always needs a look
	// when it is read, or when it is written.
	reads, writes bool
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
	shapeFloat32
	shapeFloat64
)

var jsonShapes sync.Map // reflect.Type -> *jsonShape

func jsonShapeOf(t reflect.Type) *jsonShape {
	if known, ok := jsonShapes.Load(t); ok {
		return known.(*jsonShape)
	}
	built := make(map[reflect.Type]*jsonShape)
	shape := *buildShape(t, built) // a copy: only the root has the summary
	for _, inner := range built {
		shape.reads = shape.reads || inner.kind == shapeTime || inner.kind == shapeBytes
		shape.writes = shape.writes || inner.kind >= shapeTime
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
	case reflect.Float32:
		s.kind = shapeFloat32
	case reflect.Float64:
		s.kind = shapeFloat64
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

// buildMembers finds the members of the struct t by the rules of
// encoding/json: of several with one name the least embedded wins, then the
// one whose tag says the name, else none.
func (s *jsonShape) buildMembers(t reflect.Type, built map[reflect.Type]*jsonShape) {
	s.members, s.folded = make(map[string]*jsonShape), make(map[string]*jsonShape)
	ranks := make(map[string]int)
	for _, f := range reflect.VisibleFields(t) {
		name, options, tagged, ok := jsonName(f)
		if !ok || !reachable(t, f.Index) {
			continue
		}
		rank := 2 * len(f.Index)
		if !tagged {
			rank++
		}
		switch best, taken := ranks[name]; {
		case taken && best < rank:
			continue
		case taken && best == rank:
			s.members[name] = &jsonShape{nullable: true} // not a member: skipped by encoding/json
			continue
		}
		ranks[name] = rank
		if strings.Contains(options, "string") {
			s.members[name] = &jsonShape{nullable: true}
		} else {
			s.members[name] = buildShape(f.Type, built)
		}
	}
	for name, member := range s.members {
		s.folded[foldName(name)] = member
	}
}

// jsonName is the name of a field in JSON; ok says that it is a member of its
// own there.
func jsonName(f reflect.StructField) (name, options string, tagged, ok bool) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return "", "", false, false
	}
	name, options, _ = strings.Cut(tag, ",")
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	embedded := f.Anonymous && t.Kind() == reflect.Struct
	ok = embedded || f.IsExported()
	switch {
	case name != "" && !strings.ContainsAny(name, "\"'\\`"): // encoding/json takes no such names
		return name, options, true, ok
	case embedded:
		return "", "", false, false // its members are members of the outer one
	}
	return f.Name, options, false, ok
}

// reachable reports whether all structs on the way to a field are embedded
// without a name of their own.
func reachable(t reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		if name, _, _ := strings.Cut(t.FieldByIndex(index[:i]).Tag.Get("json"), ","); name != "" {
			return false
		}
	}
	return true
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
