package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	checkTime = time.Minute
	root      = "../.."
)

// check runs check.mjs and returns what it complains about.
func check(t *testing.T, modules, kind string, files ...string) []string {
	t.Helper()
	script, err := filepath.Abs("check.mjs")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{script, kind}
	for _, f := range files {
		path, err := filepath.Abs(f)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = modules
	out, err := harness.Run(t, cmd, checkTime)
	if err != nil {
		t.Fatalf("check.mjs: %v", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func TestManifestsFollowTheirSchemas(t *testing.T) {
	modules := harness.Modules(t, ".")
	manifests, err := filepath.Glob(root + "/deploy/kubernetes/*.yaml")
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for kind, files := range map[string][]string{"kubernetes": manifests, "compose": {root + "/docker-compose.yml", root + "/examples/blog/compose.yaml"}} {
		for _, complaint := range check(t, modules, kind, files...) {
			t.Error(complaint)
		}
	}
}

// A check that finds nothing wrong must find what is.
func TestTheCheckSeesMisspeltFieldsAndWrongTypes(t *testing.T) {
	modules := harness.Modules(t, ".")
	for _, test := range []struct{ kind, file, right, wrong, complaint string }{
		{"kubernetes", "deploy/kubernetes/hubwire.yaml", "imagePullPolicy", "imagePullPolcy", "has no field imagePullPolcy"},
		{"kubernetes", "deploy/kubernetes/hubwire.yaml", "readinessProbe", "readynessProbe", "has no field readynessProbe"},
		{"kubernetes", "deploy/kubernetes/hubwire.yaml", "replicas: 3", "replicas: three", "must be integer"},
		{"kubernetes", "deploy/kubernetes/redis.yaml", "kind: Service", "kind: Servise", "no such kind"},
		{"compose", "docker-compose.yml", "cap_drop", "cap_drp", "cap_drp"},
	} {
		text, err := os.ReadFile(filepath.Join(root, test.file))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "wrong.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), test.right, test.wrong, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if complaints := strings.Join(check(t, modules, test.kind, file), "\n"); !strings.Contains(complaints, test.complaint) {
			t.Errorf("%s in place of %s: complaints %q, want %q", test.wrong, test.right, complaints, test.complaint)
		}
	}
}

// What the Dockerfile builds is a program without C that knows the flags and
// paths of the manifests.
func TestTheImageRunsWhatTheManifestsAskFor(t *testing.T) {
	dockerfile, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0) go build (.*) -o (\S+) (\./\S+)$`).FindStringSubmatch(string(dockerfile))
	if line == nil {
		t.Fatal("the Dockerfile has no line that builds a static program")
	}
	program := filepath.Join(t.TempDir(), "demo")
	build := exec.Command("go", "build", "-trimpath", "-o", program, line[4])
	build.Dir, build.Env = root, append(os.Environ(), line[1])
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", line[4], err, out)
	}
	flags, _ := exec.Command(program, "-h").CombinedOutput() // its status says that it has not run
	var manifests strings.Builder
	for _, file := range []string{"Dockerfile", "docker-compose.yml", "deploy/kubernetes/hubwire.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		manifests.Write(text)
	}
	for _, name := range regexp.MustCompile(`"-([a-z]+)"`).FindAllStringSubmatch(manifests.String(), -1) {
		if !strings.Contains(string(flags), "-"+name[1]+" ") {
			t.Errorf("the manifests give -%s, which the program has not:\n%s", name[1], flags)
		}
	}
	source, err := os.ReadFile(root + "/cmd/demo/single.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range regexp.MustCompile(`path: (/\w+)`).FindAllStringSubmatch(manifests.String(), -1) {
		if !strings.Contains(string(source), `"GET `+path[1]+`"`) {
			t.Errorf("a probe asks for %s, which a node has not", path[1])
		}
	}
}
