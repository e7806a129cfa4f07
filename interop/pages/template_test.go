package pages

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	template    = "examples/blog"
	templateKey = "a secret of 32 bytes or more, to try things out" // of its README
	mostLines   = 400
)

// A team copies the folder into a module of its own, builds it, asks it for a
// token, publishes with that, and ends it.
func TestTheTemplateRunsAsItsReadmeSays(t *testing.T) {
	if !strings.Contains(read(t, template+"/README.md"), `export JWT_KEY="`+templateKey+`"`) {
		t.Fatal("the README has another key")
	}
	program := filepath.Join(copyOfTemplate(t), "blog")
	env := append(os.Environ(), "JWT_KEY="+templateKey, "REDIS_URL=", "AUTHORITY=")
	ask := exec.Command(program, "-token", "alice", "-role", "author")
	ask.Env = env
	token, err := ask.Output()
	if err != nil {
		t.Fatalf("blog -token: %v", err)
	}
	process, addr := harness.StartListening(t, "", func(address string) *exec.Cmd {
		server := exec.Command(program)
		server.Env = append(env[:len(env):len(env)], "ADDR="+address)
		return server
	}, func(address string) error { return answers("GET", "http://"+address+"/readyz") })
	for authorization, want := range map[string]int{"Bearer " + strings.TrimSpace(string(token)): http.StatusAccepted, "": http.StatusUnauthorized} {
		r, err := http.NewRequest("POST", "http://"+addr+"/api/posts/42/publish", strings.NewReader("title=What+a+hub+is"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("publish with %d bytes of authorization is answered %d, want %d", len(authorization), answer.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := process.Stop(); err != nil {
		t.Errorf("after SIGTERM it ended with %v", err)
	}
}

// copyOfTemplate builds the template in a folder and module of its own.
func copyOfTemplate(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := os.ReadDir(filepath.Join(root, template))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		text := read(t, template+"/"+file.Name())
		write(t, dir, file.Name(), text)
		if file.Name() != "README.md" {
			lines += strings.Count(text, "\n")
		}
	}
	if lines > mostLines {
		t.Errorf("the template has %d lines, want at most %d", lines, mostLines)
	}
	build(t, dir, "example.com/blog")
	return dir
}

// answers returns an error unless the request is answered 200.
func answers(method, url string) error {
	defer http.DefaultClient.CloseIdleConnections()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}
