package hubgen

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/hubwire/hubwire/protocol"
)

// dotNet are the types of package protocol for one of .NET. JSON carries them
// as text, but Decimal as a number.
var dotNet = map[reflect.Type]string{
	reflect.TypeFor[protocol.DateTime]():       "DateTime",
	reflect.TypeFor[protocol.DateTimeOffset](): "DateTimeOffset",
	reflect.TypeFor[protocol.Decimal]():        "decimal",
	reflect.TypeFor[protocol.Guid]():           "Guid",
	reflect.TypeFor[protocol.Char]():           "char",
	reflect.TypeFor[protocol.TimeSpan]():       "TimeSpan",
	reflect.TypeFor[protocol.TimeOnly]():       "TimeOnly",
	reflect.TypeFor[protocol.DateOnly]():       "DateOnly",
}

func isEnum(t reflect.Type) bool {
	return t.Name() != "" && t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && t.Implements(reflect.TypeFor[protocol.Enum]())
}

// A member is one value of an enum.
type member struct {
	name   string // an identifier
	packed string // what MessagePack calls it
	value  int64
}

// membersOf lists the values of t from the smallest to the largest.
func membersOf(t reflect.Type) []member {
	names := reflect.Zero(t).Interface().(protocol.Enum).EnumNames()
	taken := map[string]bool{}
	var list []member
	for _, value := range slices.Sorted(maps.Keys(names)) {
		list = append(list, member{unique(taken, identifier(names[value])), names[value], value})
	}
	return list
}

// number is the value in digits; t is its enum.
func (m member) number(t reflect.Type) string {
	if t.Kind() >= reflect.Uint {
		return strconv.FormatUint(uint64(m.value), 10)
	}
	return strconv.FormatInt(m.value, 10)
}
