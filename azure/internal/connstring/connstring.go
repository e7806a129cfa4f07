// Package connstring reads and writes the connection strings of Azure SignalR:
//
//	Endpoint=https://name.service.signalr.net;AccessKey=...;Version=1.0;
//
// and finds them where ASP.NET Core's configuration has them.
package connstring

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Errors of Parse, which says more beside them.
var (
	ErrParts     = errors.New("connection string: fewer than two parts")
	ErrDuplicate = errors.New("connection string: a name stands twice")
	ErrEndpoint  = errors.New("connection string: Endpoint is missing or no http or https URL")
	ErrPort      = errors.New("connection string: Port is not from 1 to 65535")
	ErrVersion   = errors.New("connection string: Version is not 1.x")
	ErrProxy     = errors.New("connection string: ClientEndpoint or ServerEndpoint is no http or https URL")
)

// A String is what a connection string says. It is not changed once it is parsed.
type String struct {
	// Endpoint is the service: an absolute http or https URL, with Port in it if
	// the string has one, without a slash at the end.
	Endpoint string
	// AccessKey signs tokens, by its text. "" means that tokens of Microsoft Entra
	// are used.
	AccessKey string
	Version   string // "" or 1.x
	// ClientEndpoint and ServerEndpoint are what clients and app servers use in
	// place of Endpoint, such as a reverse proxy; "": Endpoint.
	ClientEndpoint, ServerEndpoint string

	// Of Microsoft Entra.
	AuthType, ClientID, TenantID, ClientSecret, ClientCert string
}

var version = regexp.MustCompile(`^1\.\d+(?:[\w\-.]+)?$`)

// Parse reads a connection string. Parts are separated by semicolons, names from
// values by the first "="; the case of names does not matter, nor does space
// around either. Parts without "=", and names that mean nothing, are passed over.
// The errors are those of this package; none holds the access key.
func Parse(text string) (String, error) {
	parts := map[string]string{}
	n := 0
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		n++
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := parts[name]; twice {
			return String{}, fmt.Errorf("%w: %s", ErrDuplicate, name)
		}
		parts[name] = strings.TrimSpace(value)
	}
	if n < 2 {
		return String{}, ErrParts
	}
	s := String{
		AccessKey:      parts["accesskey"],
		Version:        parts["version"],
		ClientEndpoint: parts["clientendpoint"],
		ServerEndpoint: parts["serverendpoint"],
		AuthType:       strings.ToLower(parts["authtype"]),
		ClientID:       parts["clientid"],
		TenantID:       parts["tenantid"],
		ClientSecret:   parts["clientsecret"],
		ClientCert:     parts["clientcert"],
	}
	if s.Version != "" && !version.MatchString(s.Version) {
		return String{}, fmt.Errorf("%w: %q", ErrVersion, s.Version)
	}
	for _, proxy := range []string{s.ClientEndpoint, s.ServerEndpoint} {
		if proxy != "" && parseURL(proxy) == nil {
			return String{}, fmt.Errorf("%w: %q", ErrProxy, proxy)
		}
	}
	u := parseURL(parts["endpoint"])
	if u == nil {
		return String{}, fmt.Errorf("%w: %q", ErrEndpoint, parts["endpoint"])
	}
	port, ok := parts["port"]
	if ok {
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			return String{}, fmt.Errorf("%w: %q", ErrPort, port)
		}
		port = strconv.Itoa(number)
	}
	s.Endpoint = withPort(u, port)
	return s, nil
}

// parseURL returns an absolute http or https URL; nil if text is none. Its port, if
// it has one, is a number without zeros in front.
func parseURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil
	}
	if port := u.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil
		}
		u.Host = fmt.Sprintf("%s:%d", host(u), number)
	}
	return u
}

// withPort returns u, with a port in place of its own if there is one. The usual
// port of the scheme is left out, and so is the slash at the end.
func withPort(u *url.URL, port string) string {
	c := url.URL{Scheme: u.Scheme, Path: u.Path} // user, query and fragment mean nothing
	if port == "" {
		port = u.Port()
	}
	c.Host = host(u)
	if usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]; port != "" && port != usual {
		c.Host += ":" + port
	}
	return strings.TrimRight(c.String(), "/")
}

// host is the host of a URL, an IPv6 address in its brackets.
func host(u *url.URL) string {
	if name := u.Hostname(); !strings.Contains(name, ":") {
		return name
	}
	return "[" + u.Hostname() + "]"
}

// AudienceBase returns what tokens for this endpoint are made for begin with: its
// scheme and host, never a port, and never those of a proxy.
func (s String) AudienceBase() string {
	u := parseURL(s.Endpoint)
	if u == nil {
		return ""
	}
	return u.Scheme + "://" + host(u)
}

// ClientBase returns what "client/?hub=" is added to. A path of ClientEndpoint
// without a slash at its end stays so, as in the SDK.
func (s String) ClientBase() string { return base(s.ClientEndpoint, s.Endpoint) }

// ServerBase returns what "server/?hub=" is added to.
func (s String) ServerBase() string { return base(s.ServerEndpoint, s.Endpoint) }

func base(proxy, endpoint string) string {
	if proxy == "" {
		return endpoint + "/"
	}
	if u := parseURL(proxy); u != nil && u.Path == "" {
		u.Path = "/"
		return u.String()
	}
	return proxy
}

// Text returns the connection string, with its secrets.
func (s String) Text() string {
	version := s.Version
	if version == "" {
		version = "1.0"
	}
	var b strings.Builder
	for _, part := range [][2]string{
		{"Endpoint", s.Endpoint}, {"AccessKey", s.AccessKey}, {"AuthType", s.AuthType}, {"ClientId", s.ClientID}, {"TenantId", s.TenantID},
		{"ClientSecret", s.ClientSecret}, {"ClientCert", s.ClientCert}, {"Version", version}, {"ClientEndpoint", s.ClientEndpoint}, {"ServerEndpoint", s.ServerEndpoint},
	} {
		if part[1] != "" {
			b.WriteString(part[0] + "=" + part[1] + ";")
		}
	}
	return b.String()
}

// String returns the connection string without its secrets, for logs.
func (s String) String() string {
	for _, secret := range []*string{&s.AccessKey, &s.ClientSecret} {
		if *secret != "" {
			*secret = "***"
		}
	}
	return s.Text()
}

// GoString is String.
func (s String) GoString() string { return s.String() }
