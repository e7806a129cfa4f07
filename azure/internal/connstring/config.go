package connstring

import (
	"slices"
	"strings"
)

// A Named is a connection string of a configuration, not parsed.
type Named struct {
	Name      string // "" if it has none
	Secondary bool   // used while no primary endpoint is there
	Text      string
}

// keys of the configuration that have connection strings, or names and connection
// strings below them.
var keys = []string{"connectionstrings:azure:signalr:connectionstring", "azure:signalr:connectionstring"}

// FromEnviron returns the connection strings of an environment, as os.Environ
// gives it, by the names that ASP.NET Core reads:
//
//	Azure__SignalR__ConnectionString=...
//	Azure__SignalR__ConnectionString__eastus=...
//	Azure__SignalR__ConnectionString__westus__secondary=...
//
// or the same below ConnectionStrings__. Case does not matter, and ":" may stand
// for "__". The one without a name comes first, then they are in the order of
// their names. Empty ones are left out.
func FromEnviron(environ []string) (list []Named) {
	for _, line := range environ {
		key, text, _ := strings.Cut(line, "=")
		key = strings.ReplaceAll(key, "__", ":")
		for _, prefix := range keys {
			if len(key) < len(prefix) || !strings.EqualFold(key[:len(prefix)], prefix) || strings.TrimSpace(text) == "" {
				continue
			}
			rest := key[len(prefix):]
			if name, ok := strings.CutPrefix(rest, ":"); ok || rest == "" {
				named := ParseName(name)
				named.Text = text
				list = append(list, named)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// ParseName parses the name of an endpoint in a configuration: NAME, or
// NAME:primary, or NAME:secondary.
func ParseName(name string) Named {
	plain, kind := name, ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		plain, kind = name[:i], name[i+1:]
	}
	switch {
	case strings.EqualFold(kind, "secondary"):
		return Named{Name: plain, Secondary: true}
	case strings.EqualFold(kind, "primary"):
		return Named{Name: plain}
	}
	return Named{Name: name}
}
