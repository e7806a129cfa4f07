package hubtype

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// checkReceiver reports hubs that clients could not call as their author
// believes.
func checkReceiver(t reflect.Type, ofLibraries map[string]bool) error {
	switch {
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Pointer:
		return fmt.Errorf("a pointer to a pointer has no methods; the hub is a %s", t.Elem())
	case t.Kind() == reflect.Pointer:
		return nil
	}
	var missing []string
	for _, m := range methodNames(reflect.PointerTo(t)) {
		if _, ok := t.MethodByName(m); !ok && !ofLibraries[m] {
			missing = append(missing, m)
		}
	}
	if missing != nil {
		return fmt.Errorf("methods with a pointer receiver (%s) are none of a value; the hub is a *%s", strings.Join(missing, ", "), t)
	}
	return nil
}

func methodNames(t reflect.Type) (names []string) {
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}

// notForClients are methods that the hub of another language has for the server
// to call, or that its every object has, by their lower-case name. In Go they
// would be methods for clients.
var notForClients = map[string]string{
	"onconnectedasync":               "the hub's is OnConnected",
	"ondisconnectedasync":            "the hub's is OnDisconnected",
	"onconnected":                    "the hub's is OnConnected",
	"ondisconnected":                 "the hub's is OnDisconnected",
	"onconnect":                      "the hub's is OnConnected",
	"ondisconnect":                   "the hub's is OnDisconnected",
	"onauthenticationrefreshedasync": "the hub's is OnAuthenticationRefreshed",
	"onauthenticationrefreshed":      "the hub's is OnAuthenticationRefreshed",
	"onreconnected":                  "no hub is told of reconnects",
	"onreconnectedasync":             "no hub is told of reconnects",
	"dispose":                        "nobody disposes of a Go hub",
	"disposeasync":                   "nobody disposes of a Go hub",
	"finalize":                       "nobody finalizes a Go hub",
	"gethashcode":                    "no client needs it",
	"gettype":                        "no client needs it",
	"tostring":                       "no client needs it",
}

// checkName reports names that look like the server's, unless Options.Methods
// says that clients may call them.
func checkName(name string, listed bool) error {
	if why, bad := notForClients[strings.ToLower(name)]; bad && !listed {
		return fmt.Errorf("clients could call it; %s. Rename it, or say in Options.Methods what it is: Hidden, or with its Name", why)
	}
	return nil
}

func checkSpecial(name string, special Special) error {
	switch {
	case isHook(name):
		return errors.New("has no MethodOptions: clients never call it")
	case special.Hidden && (special.Name != "" || special.Authorize):
		return errors.New("is Hidden: it needs neither Name nor Authorize")
	}
	return nil
}
