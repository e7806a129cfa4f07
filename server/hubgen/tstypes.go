package hubgen

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

const tsReserved = `arguments await break case catch class const continue debugger default delete do else enum eval export extends
	false finally for function if implements import in instanceof interface let new null package private protected public return
	static super switch this throw true try typeof var void while with yield`

// A typeScript writes TypeScript. Its types are those of one protocol: JSON, or
// MessagePack if packed.
type typeScript struct {
	bytes.Buffer
	types  *types
	packed bool
}

func newTypeScript(m *model, reserved ...string) *typeScript {
	reserved = append(reserved, m.className(), "HubConnection", "Promise", "Array", "Record", "Date", "Uint8Array")
	return &typeScript{types: newTypes(reserved...), packed: m.packed}
}

func (g *typeScript) doc(indent, text string) {
	if text == "" {
		return
	}
	g.WriteString(indent + "/**\n")
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "*/", "* /"), "\n") {
		g.WriteString(strings.TrimRight(indent+" * "+line, " ") + "\n")
	}
	g.WriteString(indent + " */\n")
}

// declarations writes the types that were met.
func (g *typeScript) declarations(m *model) {
	for i := 0; i < len(g.types.order); i++ { // writing one may find others
		t := g.types.order[i]
		g.doc("", m.source.typeDoc(t.Name()))
		switch {
		case isEnum(t):
			g.enum(t)
		case !g.packed:
			g.iface(t, fieldsOf(t))
		default:
			list, asArray := packedFieldsOf(t)
			if asArray {
				g.tuple(t, list)
			} else {
				g.iface(t, list)
			}
		}
	}
}

// enum writes the numbers that JSON has, or the names that MessagePack has.
func (g *typeScript) enum(t reflect.Type) {
	fmt.Fprintf(g, "export enum %s {\n", g.types.name(t))
	for _, x := range membersOf(t) {
		value := x.number(t)
		if g.packed {
			value = strconv.Quote(x.packed)
		}
		fmt.Fprintf(g, "  %s = %s,\n", x.name, value)
	}
	g.WriteString("}\n\n")
}

func (g *typeScript) iface(t reflect.Type, list []field) {
	fmt.Fprintf(g, "export interface %s {\n", g.types.name(t))
	for _, f := range list {
		name, mark := f.name, ""
		if identifier(name) != name {
			name = strconv.Quote(name)
		}
		if f.optional {
			mark = "?"
		}
		fmt.Fprintf(g, "  %s%s: %s;\n", name, mark, g.member(f))
	}
	g.WriteString("}\n\n")
}

// tuple writes a struct whose members have no names in MessagePack.
func (g *typeScript) tuple(t reflect.Type, list []field) {
	taken := map[string]bool{}
	var elements []string
	for _, f := range list {
		elements = append(elements, unique(taken, identifier(f.name))+": "+g.member(f))
	}
	fmt.Fprintf(g, "export type %s = [%s];\n\n", g.types.name(t), strings.Join(elements, ", "))
}

func (g *typeScript) member(f field) string {
	switch {
	case f.quoted:
		return "string"
	case f.null:
		return orNull(g.typ(f.t))
	}
	return g.typ(f.t)
}

func orNull(text string) string {
	if text == "unknown" || strings.HasSuffix(text, " | null") {
		return text
	}
	return text + " | null"
}

// typ is t in TypeScript, as the official client has its values.
func (g *typeScript) typ(t reflect.Type) string {
	special := specialOf(t)
	if g.packed {
		special = packedOf(t)
	}
	switch special {
	case asTime, asBytes:
		if !g.packed {
			return "string"
		}
		return map[bool]string{true: "Date", false: "Uint8Array"}[special == asTime]
	case asText:
		return "string"
	case asNumber:
		return "number"
	case asClock:
		return "[Date, number]"
	case asAny:
		return "unknown"
	}
	if isEnum(t) {
		return g.types.name(t)
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Pointer:
		return orNull(g.typ(t.Elem()))
	case reflect.Slice, reflect.Array:
		text := g.typ(t.Elem())
		if strings.Contains(text, " ") {
			return "Array<" + text + ">"
		}
		return text + "[]"
	case reflect.Map:
		return "Record<string, " + g.typ(t.Elem()) + ">"
	case reflect.Struct:
		return g.types.name(t)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return "never"
	}
	return "number"
}

// arguments declares those of f, and names them. A stream is a stream<T>.
func (g *typeScript) arguments(f function, stream string) (declared string, names []string) {
	names = argumentNames(f, tsReserved)
	var list []string
	for i, a := range f.args {
		text := g.typ(a.t)
		if a.stream {
			text = stream + "<" + text + ">"
		}
		list = append(list, names[i]+": "+text)
	}
	return strings.Join(list, ", "), names
}

// handlerType is the type of a function of the user's that handles f.
func (g *typeScript) handlerType(f function) string {
	declared, _ := g.arguments(f, "")
	result := "void"
	if f.result != nil {
		r := g.typ(f.result)
		result = r + " | Promise<" + r + ">"
	}
	return fmt.Sprintf("(%s) => %s", declared, result)
}

// passed are the name of f and its arguments, as the official client takes them.
func passed(f function, names []string) string {
	return strings.Join(append([]string{strconv.Quote(f.name)}, names...), ", ")
}

func (m *model) className() string {
	if strings.HasSuffix(m.name, "Hub") {
		return pascal(m.name)
	}
	return pascal(m.name) + "Hub"
}

// uses reports whether the hub has methods that stream, and that take streams.
func (m *model) uses() (streams, uploads bool) {
	for _, f := range m.hub {
		streams = streams || f.streams
		uploads = uploads || f.uploads()
	}
	return streams, uploads
}

func (f function) uploads() bool {
	for _, a := range f.args {
		if a.stream {
			return true
		}
	}
	return false
}
