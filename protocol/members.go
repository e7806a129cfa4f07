package protocol

import (
	"cmp"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A member is one member of a struct in one codec.
type member struct {
	name       string
	label      string    // the name in its encoding; JSON's with a comma before and its colon
	labelWords [2]uint64 // the label's first bytes
	field      int       // its index in the struct, or -1 for a member of an embedded one
	index      []int
	plan       *plan
	byKind     bool                     // it is encoded by its kind, whether it has an address or not
	omit       func(reflect.Value) bool // says what is left out; nil: nothing is
	asString   bool                     // in JSON: a number, bool or string as text inside a string
	hidden     bool                     // in MessagePack: its name is read into another member
}

// members are the members of a struct in one codec.
type members struct {
	list    []member
	byName  map[string]int
	folded  map[string]int // in JSON: without regard to case
	asArray bool           // in MessagePack: an array of the values
	mayOmit bool
}

// of returns the member of v; ok is false inside an embedded pointer that is
// nil.
func (m *member) of(v reflect.Value) (_ reflect.Value, ok bool) {
	if m.field >= 0 {
		return v.Field(m.field), true
	}
	return m.embedded(v)
}

// embedded is of for a member of an embedded struct. The encoders take others by themselves,
// since of is too long for the compiler to put it there: the call costs 1.05 times the time of
// BenchmarkPayloads/page_of_100_orders.
func (m *member) embedded(v reflect.Value) (_ reflect.Value, ok bool) {
	f, err := v.FieldByIndexErr(m.index)
	return f, err == nil
}

// reach is of for a v that is decoded: embedded pointers that are nil are
// allocated.
func (m *member) reach(v reflect.Value) (reflect.Value, error) {
	if m.field >= 0 { // nearly always
		return v.Field(m.field), nil
	}
	return m.reachEmbedded(v)
}

func (m *member) reachEmbedded(v reflect.Value) (reflect.Value, error) {
	for i, x := range m.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, m.failed(errors.New("embedded pointer is not exported"))
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, nil
}

// setLabel sets the label.
func (m *member) setLabel(label string) {
	var b [len(m.labelWords) * 8]byte
	copy(b[:], label)
	m.label, m.labelWords = label, [...]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// appendLabel appends the label. Most have at most 16 bytes, and to copy so few takes longer
// by a call than by two words: BenchmarkPayloads/page_of_100_orders takes 1.06 times as long
// without in JSON, 1.1 times in MessagePack.
func (m *member) appendLabel(dst []byte) []byte {
	n, size := len(dst), len(m.label)
	if size > 16 || cap(dst)-n < 16 {
		return append(dst, m.label...)
	}
	room := dst[n : n+16]
	binary.LittleEndian.PutUint64(room, m.labelWords[0])
	binary.LittleEndian.PutUint64(room[8:], m.labelWords[1])
	return dst[:n+size]
}

// ownField is the field that index leads to, or -1 where it is one of an embedded struct.
func ownField(index []int) int {
	if len(index) > 1 {
		return -1
	}
	return index[0]
}

// failed says that err belongs to this member.
func (m *member) failed(err error) error {
	return &ValueError{Where: "member " + strconv.Quote(m.name), Err: err}
}

// mostLeftOut is how many members that a peer has left out are passed before one is looked
// up by its name. BenchmarkDecodeLeftOut takes 1.12 times as long in JSON where none are.
const mostLeftOut = 3

// find returns the member with a name, which is likely the one with the number
// next, or soon after it: peers, too, write members in their order.
func (ms *members) find(name []byte, next int) (*member, int) {
	for i := next; i < len(ms.list) && i <= next+mostLeftOut; i++ {
		if ms.list[i].name == string(name) && !ms.list[i].hidden {
			return &ms.list[i], i
		}
	}
	if i, ok := ms.byName[string(name)]; ok {
		return &ms.list[i], i
	}
	return nil, next
}

// findFolded is find without regard to case.
func (ms *members) findFolded(name []byte, next int) (*member, int) {
	if m, i := ms.find(name, next); m != nil {
		return m, i
	}
	var upper [64]byte
	if len(name) <= len(upper) {
		ascii := true
		for i, c := range name {
			if c-'a' < 26 {
				c -= 'a' - 'A'
			}
			upper[i] = c
			ascii = ascii && c < 0x80
		}
		if ascii { // what foldName makes of it
			if i, ok := ms.folded[string(upper[:len(name)])]; ok {
				return &ms.list[i], i
			}
			return nil, next
		}
	}
	if i, ok := ms.folded[foldName(string(name))]; ok {
		return &ms.list[i], i
	}
	return nil, next
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

// jsonMembers finds the members of the struct t by the rules of encoding/json.
func (b planBuilder) jsonMembers(t reflect.Type) *members {
	ms := &members{byName: make(map[string]int), folded: make(map[string]int)}
	for i, f := range findJSONFields(t) {
		m := member{name: f.name, index: f.index, plan: b.plan(f.typ), asString: f.asString}
		m.field = ownField(m.index)
		m.setLabel("," + string(appendJSONString(nil, f.name)) + ":")
		m.byKind = m.plan.json.alwaysByKind && !m.asString
		m.omit = jsonOmit(f)
		ms.list = append(ms.list, m)
		ms.byName[f.name] = i
		if _, taken := ms.folded[foldName(f.name)]; !taken { // the first wins
			ms.folded[foldName(f.name)] = i
		}
	}
	return ms
}

// A jsonField is a field that is a member in JSON.
type jsonField struct {
	name      string
	index     []int
	typ       reflect.Type
	omitEmpty bool
	omitZero  bool
	asString  bool
	tagged    bool // its name is from the tag
	times     int  // that its struct is embedded at this level
}

// findJSONFields finds the fields of the struct t that are members, in their
// order. An embedded struct without a name of its own is part of the outer one.
// Of several fields with one name the least embedded is the member, then the one
// whose tag says the name, else none.
func findJSONFields(t reflect.Type) []jsonField {
	type embedded struct {
		t     reflect.Type
		index []int
	}
	var found []jsonField
	level, times := []embedded{{t, nil}}, map[reflect.Type]int{t: 1}
	seen := make(map[reflect.Type]bool)
	decided := make(map[string]bool)
	for len(level) > 0 {
		var next []embedded
		nextTimes := make(map[reflect.Type]int)
		candidates := make(map[string][]jsonField)
		for _, outer := range level {
			if seen[outer.t] {
				continue
			}
			seen[outer.t] = true
			for i := range outer.t.NumField() {
				f, inline, ok := newJSONField(outer.t.Field(i))
				f.index = append(slices.Clone(outer.index), i)
				switch {
				case inline != nil:
					if nextTimes[inline]++; nextTimes[inline] == 1 {
						next = append(next, embedded{inline, f.index})
					}
				case ok:
					f.times = times[outer.t]
					candidates[f.name] = append(candidates[f.name], f)
				}
			}
		}
		for name, list := range candidates {
			if f := dominant(list); f != nil && !decided[name] {
				found = append(found, *f)
			}
			decided[name] = true
		}
		level, times = next, nextTimes
	}
	slices.SortFunc(found, func(a, b jsonField) int { return slices.Compare(a.index, b.index) })
	return found
}

// dominant is the field of a name at one level that is the member, or nil.
func dominant(list []jsonField) *jsonField {
	rank := func(f jsonField) int {
		if f.tagged {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b jsonField) int { return cmp.Compare(rank(a), rank(b)) })
	first := &list[0]
	if first.times > 1 || len(list) > 1 && list[1].tagged == first.tagged {
		return nil
	}
	return first
}

// newJSONField looks at one field; inline is the struct whose members take its
// place.
func newJSONField(f reflect.StructField) (j jsonField, inline reflect.Type, ok bool) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return j, nil, false
	}
	target := f.Type
	if target.Kind() == reflect.Pointer && target.Name() == "" {
		target = target.Elem()
	}
	if !f.IsExported() && !(f.Anonymous && target.Kind() == reflect.Struct) {
		return j, nil, false
	}
	name, rest, _ := strings.Cut(tag, ",")
	if !validJSONName(name) {
		name = ""
	}
	if name == "" && f.Anonymous && target.Kind() == reflect.Struct {
		return j, target, false
	}
	options := strings.Split(rest, ",")
	j = jsonField{name: name, typ: f.Type, tagged: name != "", omitEmpty: slices.Contains(options, "omitempty"), omitZero: slices.Contains(options, "omitzero")}
	if name == "" {
		j.name = f.Name
	}
	if slices.Contains(options, "string") {
		k := target.Kind()
		j.asString = k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
	}
	return j, nil, true
}

// validJSONName reports whether encoding/json takes name from a tag.
func validJSONName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && (r < ' ' || r > '~' || strings.ContainsRune("\"'\\,`", r)) {
			return false
		}
	}
	return name != ""
}

// jsonOmit is the condition of the options omitempty and omitzero.
func jsonOmit(f jsonField) func(reflect.Value) bool {
	var zero func(reflect.Value) bool
	if f.omitZero {
		zero = zeroTest(f.typ)
	}
	switch {
	case f.omitEmpty && f.omitZero:
		return func(v reflect.Value) bool { return isEmpty(v) || zero(v) }
	case f.omitEmpty:
		return isEmpty
	}
	return zero
}

// isEmpty is the condition of omitempty in JSON.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// zeroer is a type that says itself what is zero.
type zeroer interface{ IsZero() bool }

// isPackEmpty is the condition of omitempty in MessagePack: a struct is empty
// if all its members are left out.
func isPackEmpty(v reflect.Value) bool {
	for v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	if z, ok := v.Interface().(zeroer); ok {
		switch v.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice:
			return v.IsNil() || z.IsZero()
		}
		return z.IsZero()
	}
	if v.Kind() != reflect.Struct {
		return isEmpty(v)
	}
	for _, m := range planOf(v.Type()).pack.members.list {
		if !m.leftOut(v) {
			return false
		}
	}
	return true
}

// zeroTest is the condition of omitzero for values of t: their IsZero method,
// if they have one.
func zeroTest(t reflect.Type) func(reflect.Value) bool {
	method := reflect.TypeFor[zeroer]()
	switch {
	case t.Implements(method):
		return func(v reflect.Value) bool {
			switch v.Kind() {
			case reflect.Pointer:
				if v.IsNil() {
					return true
				}
			case reflect.Interface:
				if v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() {
					return true
				}
			}
			return v.Interface().(zeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(method):
		return func(v reflect.Value) bool { return withPointerMethods(v).(zeroer).IsZero() }
	}
	return reflect.Value.IsZero
}

// packMembers finds the members of the struct t by the rules of
// vmihailenco/msgpack: the tag "msgpack" with a name and omitempty, inline,
// noinline and alias:name; as_array or omitempty for the whole struct on a field
// called _msgpack; embedded structs are inlined unless a name is taken. What the
// tag "json" hides is hidden here, too, unless there is a tag "msgpack".
func (b planBuilder) packMembers(t reflect.Type) *members {
	f := packFinder{members: &members{byName: make(map[string]int)}}
	f.find(t, nil)
	for i := range f.list {
		m := &f.list[i]
		m.field = ownField(m.index)
		m.setLabel(string(appendMPString(nil, m.name)))
		m.plan = b.plan(t.FieldByIndex(m.index).Type)
		m.byKind = m.plan.pack.alwaysByKind
		m.hidden = f.byName[m.name] != i
	}
	return f.members
}

// A packFinder collects the members of a struct.
type packFinder struct{ *members }

// find adds the members of t; outer are the structs that t is embedded in.
func (f packFinder) find(t reflect.Type, outer []reflect.Type) {
	var omitAll bool
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("msgpack")
		name, rest, _ := strings.Cut(tag, ",")
		options := strings.Split(rest, ",")
		switch {
		case !tagged && field.Tag.Get("json") == "-", name == "-":
			continue
		case field.Name == "_msgpack":
			f.asArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
			omitAll = slices.Contains(options, "omitempty")
			continue
		case !field.IsExported() && !field.Anonymous:
			continue
		case field.Anonymous && f.inline(field, options, append(outer, t)) || !field.IsExported():
			continue
		}
		if name == "" {
			name = field.Name
		}
		m := member{name: name, index: field.Index}
		if omitAll || slices.Contains(options, "omitempty") {
			m.omit = isPackEmpty
		}
		f.add(m)
		for _, option := range options {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				f.byName[alias] = len(f.list) - 1
			}
		}
	}
}

func (f packFinder) add(m member) {
	f.byName[m.name] = len(f.list)
	f.list = append(f.list, m)
	f.mayOmit = f.mayOmit || m.omit != nil
}

// inline adds the members of the embedded struct field as if they were members
// of the outer one, if that is possible and wanted.
func (f packFinder) inline(field reflect.StructField, options []string, outer []reflect.Type) bool {
	t := field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || slices.Contains(options, "noinline") || slices.Contains(outer, t) {
		return false
	}
	if w := packWays(t); w.addressed != byKind || w.decode != byKind {
		return false
	}
	inner := packFinder{members: &members{byName: make(map[string]int)}}
	inner.find(t, outer)
	taken := func(m member) bool { _, ok := f.byName[m.name]; return ok }
	if !slices.Contains(options, "inline") && slices.ContainsFunc(inner.list, taken) {
		return false
	}
	for _, m := range inner.list {
		if !taken(m) {
			m.index = append(slices.Clone(field.Index), m.index...)
			f.add(m)
		}
	}
	return true
}
