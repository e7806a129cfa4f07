package hubgen_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

// Größe has a name that no key of AsyncAPI can have, as the methods below.
type Größe struct{ Weite int }

type oddNames struct{}

func (oddNames) Méthode(Größe) {}
func (oddNames) Methode(Größe) {}

// Every reference of a document leads somewhere, and operations name messages of
// their channel.
func TestTheReferencesOfADocumentLeadToWhatTheyName(t *testing.T) {
	spaced := &server.Options{Methods: map[string]server.MethodOptions{"Methode": {Name: "M~thode/x"}}}
	for _, c := range []struct {
		hub  any
		opts *server.Options
	}{{&Chat{}, nil}, {oddNames{}, spaced}} {
		var text bytes.Buffer
		if err := hubgen.AsyncAPI(&text, c.hub, c.opts, receive, ask, bye); err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := json.Unmarshal(text.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		references := 0
		var walk func(where string, value any)
		walk = func(where string, value any) {
			switch value := value.(type) {
			case []any:
				for _, v := range value {
					walk(where, v)
				}
			case map[string]any:
				for key, v := range value {
					walk(where+"/"+key, v)
				}
				ref, ok := value["$ref"].(string)
				if !ok {
					return
				}
				references++
				var at any = document
				for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					inner, _ := at.(map[string]any)
					at = inner[step]
				}
				message := strings.HasSuffix(where, "/messages")
				if at == nil || message != strings.HasPrefix(ref, "#/channels/hub/messages/") {
					t.Errorf("%T: %s is %q, which leads to %v", c.hub, where, ref, at)
				}
			}
		}
		walk("", document["operations"])
		walk("", document["components"])
		walk("", document["channels"].(map[string]any)["hub"].(map[string]any)["bindings"])
		for _, message := range document["channels"].(map[string]any)["hub"].(map[string]any)["messages"].(map[string]any) {
			walk("", message)
		}
		if references < 8 {
			t.Errorf("%T: %d references", c.hub, references)
		}
	}
}

func TestTheDocumentIsServedToGetAndHead(t *testing.T) {
	source, err := hubgen.ReadSourceFS(os.DirFS("testdata/source"))
	if err != nil {
		t.Fatal(err)
	}
	opts := &server.Options{Methods: map[string]server.MethodOptions{"Renamed": {Hidden: true}}}
	info := hubgen.Info{Title: "Shop", Version: "1.2.3", Path: "/chat", Server: "wss://example.com"}
	handler, err := hubgen.AsyncAPIHandler(&Chat{}, opts, source, info, receive, ask, bye)
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "/asyncapi.json", nil))
		if w.Code != want || (method == "GET") != json.Valid(w.Body.Bytes()) || want == 200 && w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d, want %d, with %v and\n%s", method, w.Code, want, w.Header(), w.Body)
		}
		if method != http.MethodGet {
			continue
		}
		for _, want := range []string{`"title": "Shop"`, `"version": "1.2.3"`, `"address": "/chat"`, `"host": "example.com"`, `"protocol": "wss"`,
			"SendMessage tells everyone.", `"title": "user"`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("nowhere: %s", want)
			}
		}
		if strings.Contains(w.Body.String(), "Renamed") {
			t.Error("a hidden method is in the document")
		}
	}
}

func TestWhatIsNoDocumentIsAnError(t *testing.T) {
	for name, extra := range map[string]any{
		"MessagePack":           protocol.MessagePack{},
		"a server of HTTP":      hubgen.Info{Server: "https://example.com"},
		"a server with a path":  hubgen.Info{Server: "wss://example.com/chat"},
		"a server that is none": hubgen.Info{Server: "example.com"},
	} {
		var out bytes.Buffer
		if err := hubgen.AsyncAPI(&out, &Chat{}, nil, extra); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v and %d bytes", name, err, out.Len())
		}
		if _, err := hubgen.AsyncAPIHandler(&Chat{}, nil, extra); err == nil {
			t.Errorf("%s is served", name)
		}
	}
}
