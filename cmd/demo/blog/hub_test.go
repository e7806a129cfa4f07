package blog

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

func TestTheAngularPageKnowsTheHubAsItIs(t *testing.T) {
	source, err := hubgen.ReadSource(".")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := hubgen.TypeScript(&want, PostHub{}, nil, source, PostPublished, Receive, ReceiveMessage); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../angular/src/app/post-hub.ts")
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("post-hub.ts is not that of the hub (%v): go generate ./cmd/demo/blog", err)
	}
}

func TestPostsHaveNumbers(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("POST /api/posts/{id}/publish", Publish(server.MustHub(PostHub{}, nil)))
	for id, want := range map[string]int{"42": http.StatusAccepted, "x": http.StatusBadRequest} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/posts/"+id+"/publish", nil))
		if w.Code != want {
			t.Errorf("post %s: %d, want %d", id, w.Code, want)
		}
	}
}
