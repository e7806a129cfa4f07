package blog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
	"github.com/hubwire/hubwire/server/hubgen"
)

func TestTheAngularPageKnowsTheHubAsItIs(t *testing.T) {
	source, err := hubgen.ReadSource(".")
	if err != nil {
		t.Fatal(err)
	}
	for file, codec := range map[string]protocol.Codec{"post-hub.ts": protocol.JSON{}, "post-hub.messagepack.ts": protocol.MessagePack{}} {
		var want bytes.Buffer
		if err := hubgen.Angular(&want, PostHub{}, nil, source, codec, NodeChanged, PeopleChanged, PostPublished, Question, Receive, ReceiveMessage, Said); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../angular/src/app/" + file)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not that of the hub (%v): go generate ./cmd/demo/blog", file, err)
		}
	}
}

func TestPostsHaveNumbers(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("POST /api/posts/{id}/publish", Publish(server.MustHub(New("node 1", NewPeople()), nil)))
	for id, want := range map[string]int{"42": http.StatusAccepted, "x": http.StatusBadRequest} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/posts/"+id+"/publish", nil))
		if w.Code != want {
			t.Errorf("post %s: %d, want %d", id, w.Code, want)
		}
	}
}

func newNode(t *testing.T) *hubtest.Node {
	t.Helper()
	return hubtest.New(t, New("node 1", NewPeople()), nil)
}

// enter lets a client in that does not care who else is here.
func enter(c *hubtest.Client, name string) {
	c.On("PeopleChanged", func([]Person) {})
	c.Do("Enter", name)
}

func TestEveryoneKnowsWhoIsHere(t *testing.T) {
	n := newNode(t)
	ada, grace := n.Connect(), n.Connect()
	seen := make(chan []string, 10)
	ada.On("PeopleChanged", func(all []Person) {
		var names []string
		for _, p := range all {
			names = append(names, p.Name)
		}
		seen <- names
	})
	if me := hubtest.Result[Person](ada, "Enter", " Ada "); me != (Person{ada.ID(), "Ada", "node 1", "WebSockets"}) {
		t.Errorf("Enter = %+v", me)
	}
	enter(grace, "Grace")
	enter(grace, "Grace Hopper")
	grace.Close()
	for _, want := range [][]string{{"Ada"}, {"Ada", "Grace"}, {"Ada", "Grace Hopper"}, {"Ada"}} {
		if got := <-seen; !slices.Equal(got, want) {
			t.Errorf("here are %q, want %q", got, want)
		}
	}
	for _, name := range []string{"", "  ", strings.Repeat("ä", 31)} {
		if err := ada.Invoke(nil, "Enter", name); err == nil || !strings.Contains(err.Error(), "a name has 1 to 30 letters") {
			t.Errorf("Enter(%q) = %v", name, err)
		}
	}
}

func TestWhatIsSaidReachesTheRoomWithTheNameOfWhoSaysIt(t *testing.T) {
	n := newNode(t)
	ada, grace := n.Connect(), n.Connect()
	grace.On("PeopleChanged", func([]Person) {})
	grace.Do("JoinGroup", "Go")
	enter(ada, "Ada")
	ada.Do("Say", "Go", "hello")
	grace.Expect("Said", "Go", "Ada", "hello")
	grace.Do("Leave", "Go")
	ada.Do("Say", "Go", "anybody?")
	grace.ExpectNone()
}

func TestTheServerAsksAndTheUserAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		ada, grace := n.Connect(hubtest.Patience(time.Hour)), n.Connect()
		enter(ada, "Ada")
		enter(grace, "Grace")
		grace.On("Question", func(from, question string) (string, error) {
			if question == "secret?" {
				return "", errors.New("not for " + from)
			}
			return from + " asks " + question, nil
		})
		if got := hubtest.Result[string](ada, "Ask", grace.ID(), "tea?"); got != "Ada asks tea?" {
			t.Errorf("the answer is %q", got)
		}
		for _, test := range []struct{ id, question, want string }{
			{grace.ID(), "secret?", "not for Ada"},
			{"nobody", "tea?", "is not here any more"},
		} {
			if err := ada.Invoke(nil, "Ask", test.id, test.question); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Ask(%q, %q) = %v, want %q", test.id, test.question, err, test.want)
			}
		}
		began := time.Now()
		grace.On("Question", func(string, string) (string, error) { time.Sleep(time.Minute); return "late", nil })
		if err := ada.Invoke(nil, "Ask", grace.ID(), "tea?"); err == nil || !strings.Contains(err.Error(), "no answer within 30s") {
			t.Errorf("Ask of a user who thinks for a minute = %v", err)
		}
		if took := time.Since(began); took < answerTime || took > answerTime+5*time.Second {
			t.Errorf("Ask has taken %v", took)
		}
	})
}

func TestAnUploadSaysHowFarItIsAndWhatHasArrived(t *testing.T) {
	c := newNode(t).Connect()
	sum := sha256.Sum256([]byte("abcde"))
	got := hubtest.List[Progress](c, "Upload", 5, pieces("ab", "cde"))
	want := []Progress{{Received: 2}, {Received: 5}, {5, hex.EncodeToString(sum[:])}}
	if !slices.Equal(got, want) {
		t.Errorf("progress is %v, want %v", got, want)
	}
	for _, test := range []struct {
		size  int
		chunk string
		want  string
	}{
		{5, "abc", "has not the 5 bytes"},
		{2, "abc", "has not the 2 bytes"},
		{largestUpload + 1, "abc", "up to 16 MB"},
		{-1, "abc", "up to 16 MB"},
	} {
		var last error
		for _, err := range hubtest.Items[Progress](c, "Upload", test.size, pieces(test.chunk)) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), test.want) {
			t.Errorf("an upload of %d bytes, announced as %d = %v, want %q", len(test.chunk), test.size, last, test.want)
		}
	}
}

func pieces(all ...string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, one := range all {
			if !yield([]byte(one)) {
				return
			}
		}
	}
}

func TestTheMemoryOfTheNodeIsAStreamThatEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newNode(t).Connect()
		began, n := time.Now(), 0
		for megabytes, err := range hubtest.Items[float64](c, "Memory") {
			if err != nil || megabytes <= 0 {
				t.Fatalf("item %d is %v, %v", n, megabytes, err)
			}
			if n++; n == 5 {
				break
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("five items have taken %v, want 1s", took)
		}
	})
}
