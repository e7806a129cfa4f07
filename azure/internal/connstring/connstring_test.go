package connstring_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/azure/internal/connstring"
)

func TestConnectionStringsSayWhereAndHow(t *testing.T) {
	for text, want := range map[string]struct{ endpoint, key, audience, client, server string }{
		"Endpoint=http://localhost;Port=8888;AccessKey=ABC;Version=1.0;":                             {"http://localhost:8888", "ABC", "http://localhost", "http://localhost:8888/", "http://localhost:8888/"},
		" endpoint = https://x.service.signalr.net/ ; ACCESSKEY = a=b== ;version=1.0 ;":              {"https://x.service.signalr.net", "a=b==", "https://x.service.signalr.net", "https://x.service.signalr.net/", "https://x.service.signalr.net/"},
		"Endpoint=https://x:443;AccessKey=k":                                                         {"https://x", "k", "https://x", "https://x/", "https://x/"},
		"Endpoint=https://x:8443/;AccessKey=k;Port=443":                                              {"https://x", "k", "https://x", "https://x/", "https://x/"},
		"Endpoint=http://x:8443;AccessKey=k;;nothing;Future=1":                                       {"http://x:8443", "k", "http://x", "http://x:8443/", "http://x:8443/"},
		"Endpoint=http://[::1]:7000;AccessKey=k;Port=9":                                              {"http://[::1]:9", "k", "http://[::1]", "http://[::1]:9/", "http://[::1]:9/"},
		"Endpoint=http://x;AccessKey=k;ClientEndpoint=https://proxy;ServerEndpoint=http://in:81/p":   {"http://x", "k", "http://x", "https://proxy/", "http://in:81/p"},
		"Endpoint=http://x;AccessKey=k;ClientEndpoint=https://proxy/a/;ServerEndpoint=http://in:81/": {"http://x", "k", "http://x", "https://proxy/a/", "http://in:81/"},
		"Endpoint=http://x:0080;AccessKey=k;ClientEndpoint=http://p:0081":                            {"http://x", "k", "http://x", "http://p:81/", "http://x/"},
		"Endpoint=http://x:9;AccessKey=k;Port=0080":                                                  {"http://x", "k", "http://x", "http://x/", "http://x/"},
		"Endpoint=http://x:0;AccessKey=k":                                                            {"http://x:0", "k", "http://x", "http://x:0/", "http://x:0/"},
		"Endpoint=https://x;Version=1.12-preview.3":                                                  {"https://x", "", "https://x", "https://x/", "https://x/"},
	} {
		s, err := connstring.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if s.Endpoint != want.endpoint || s.AccessKey != want.key || s.AudienceBase() != want.audience || s.ClientBase() != want.client || s.ServerBase() != want.server {
			t.Errorf("%q\nis %q %q %q %q %q\nwant %q", text, s.Endpoint, s.AccessKey, s.AudienceBase(), s.ClientBase(), s.ServerBase(), want)
		}
		again, err := connstring.Parse(s.Text())
		if s.Version == "" {
			s.Version = "1.0"
		}
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%q is written %q, which is %+v, %v", text, s.Text(), again, err)
		}
	}
}

func TestBadConnectionStringsAreRefusedByName(t *testing.T) {
	for text, want := range map[string]error{
		"":                                         connstring.ErrParts,
		"Endpoint=http://x":                        connstring.ErrParts,
		"Endpoint=http://x;;; ;":                   connstring.ErrParts,
		"AccessKey=secret;Version=1.0":             connstring.ErrEndpoint,
		"Endpoint=x;AccessKey=secret":              connstring.ErrEndpoint,
		"Endpoint=/x;AccessKey=secret":             connstring.ErrEndpoint,
		"Endpoint=ws://x;AccessKey=secret":         connstring.ErrEndpoint,
		"Endpoint=http://;AccessKey=secret":        connstring.ErrEndpoint,
		"Endpoint=http://x:y;AccessKey=secret":     connstring.ErrEndpoint,
		"Endpoint=http://x:65536;AccessKey=secret": connstring.ErrEndpoint,
		"Endpoint=http://x;AccessKey=secret;ServerEndpoint=http://y:65536": connstring.ErrProxy,
		"Endpoint=http://x;AccessKey=secret;endpoint=http://x":             connstring.ErrDuplicate,
		"Endpoint=http://x;AccessKey=secret;accesskey=secret":              connstring.ErrDuplicate,
		"Endpoint=http://x;AccessKey=secret;Port=0":                        connstring.ErrPort,
		"Endpoint=http://x;AccessKey=secret;Port=65536":                    connstring.ErrPort,
		"Endpoint=http://x;AccessKey=secret;Port=":                         connstring.ErrPort,
		"Endpoint=http://x;AccessKey=secret;Port=a":                        connstring.ErrPort,
		"Endpoint=http://x;AccessKey=secret;Version=2.0":                   connstring.ErrVersion,
		"Endpoint=http://x;AccessKey=secret;Version=1":                     connstring.ErrVersion,
		"Endpoint=http://x;AccessKey=secret;Version=1.0 x":                 connstring.ErrVersion,
		"Endpoint=http://x;AccessKey=secret;ClientEndpoint=proxy":          connstring.ErrProxy,
		"Endpoint=http://x;AccessKey=secret;ServerEndpoint=ftp://p/a":      connstring.ErrProxy,
	} {
		s, err := connstring.Parse(text)
		if !errors.Is(err, want) || !reflect.DeepEqual(s, connstring.String{}) {
			t.Errorf("%q: %v, %v, want %v", text, s, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error holds the key: %v", text, err)
		}
	}
}

func TestAPrintedConnectionStringHasNoSecret(t *testing.T) {
	s, err := connstring.Parse("Endpoint=http://x;AccessKey=hidden;ClientSecret=hidden;AuthType=azure.app;ClientId=c;TenantId=t")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v", &s)} {
		if strings.Contains(text, "hidden") || !strings.Contains(text, "Endpoint=http://x;AccessKey=***;") {
			t.Errorf("%s", text)
		}
	}
	if !strings.Contains(s.Text(), "AccessKey=hidden;AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret=hidden;") {
		t.Errorf("%s", s.Text())
	}
}

func TestConnectionStringsComeFromTheEnvironmentAsInASPNETCore(t *testing.T) {
	got := connstring.FromEnviron([]string{
		"PATH=/bin", "Azure__SignalR__ConnectionString__west__secondary=w", "AZURE__SIGNALR__CONNECTIONSTRING=default=1",
		"Azure:SignalR:ConnectionString:east:primary=e", "ConnectionStrings__Azure__SignalR__ConnectionString__a:b=ab",
		"Azure__SignalR__ConnectionStrings=no", "Azure__SignalR__ConnectionString__empty= ", "Azure__SignalR__Enabled=true",
	})
	want := []connstring.Named{{Text: "default=1"}, {Name: "a:b", Text: "ab"}, {Name: "east", Text: "e"}, {Name: "west", Secondary: true, Text: "w"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Endpoint=http://localhost;Port=8888;AccessKey=ABC;Version=1.0;ClientEndpoint=http://p/a;AuthType=azure.app;ClientSecret=x")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := connstring.Parse(text)
		if err != nil {
			return
		}
		again, err := connstring.Parse(s.Text())
		if s.Version == "" {
			s.Version = "1.0"
		}
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%q is written %q, which is %+v, %v", text, s.Text(), again, err)
		}
	})
}
