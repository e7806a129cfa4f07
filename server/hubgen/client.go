package hubgen

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A ClientMethod is a method of the clients, with names for its arguments.
type ClientMethod struct {
	declaration any
	names       []string
}

// Client gives names to the arguments of a declaration such as
//
//	var ReceiveMessage = server.ClientMethod2[string, string]("ReceiveMessage")
//
// in their order, as the comment that a Source reads does. Arguments beyond the
// names are arg1, arg2 and so on; more names than arguments are an error of
// TypeScript and CSharp.
func Client(declaration any, names ...string) ClientMethod {
	return ClientMethod{declaration, names}
}

// clientFunction reads a typed declaration of server: the types of the
// arguments are those of its method Send or Invoke.
func clientFunction(declaration any) (function, error) {
	var names []string
	if c, ok := declaration.(ClientMethod); ok {
		declaration, names = c.declaration, c.names
	}
	t := reflect.TypeOf(declaration)
	if t == nil || t.Kind() != reflect.String || t.PkgPath() != typeCall.Elem().PkgPath() {
		return function{}, fmt.Errorf("a client method is a server.ClientMethod or server.ClientFunction, not %T", declaration)
	}
	f := function{name: reflect.ValueOf(declaration).String()}
	call, ok := t.MethodByName("Send")
	if strings.HasPrefix(t.Name(), "ClientFunction") {
		if call, ok = t.MethodByName("Invoke"); ok {
			f.result = call.Type.Out(0)
		}
	}
	if !ok || f.name == "" {
		return function{}, fmt.Errorf("%T %q: not a named client method", declaration, f.name)
	}
	for i := 3; i < call.Type.NumIn(); i++ { // receiver, context and proxy go before
		f.args = append(f.args, argument{name: "arg" + strconv.Itoa(i-2), t: call.Type.In(i)})
	}
	if len(names) > len(f.args) {
		return function{}, fmt.Errorf("client method %s has %d arguments, but %d names were given", f.name, len(f.args), len(names))
	}
	f.named = len(names) > 0
	for i, name := range names {
		f.args[i].name = name
	}
	return f, nil
}
