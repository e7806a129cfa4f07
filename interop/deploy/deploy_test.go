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
	args := []string{kind}
	for _, f := range files {
		args = append(args, harness.Abs(t, f))
	}
	out := harness.Output(t, harness.Script(t, modules, "check.mjs", args...), checkTime)
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func TestManifestsFollowTheirSchemas(t *testing.T) {
	modules := harness.Modules(t, ".")
	var manifests []string
	for _, overlay := range overlays {
		manifests = append(manifests, build(t, overlay))
	}
	manifests = append(manifests, root+"/deploy/kubernetes/components/redis-tls/secret.example.yaml")
	for kind, files := range map[string][]string{"kubernetes": manifests, "compose": {root + "/docker-compose.yml", root + "/deploy/gateway/compose.yaml", root + "/examples/blog/compose.yaml"}} {
		for _, complaint := range check(t, modules, kind, files...) {
			t.Error(complaint)
		}
	}
}

// A check that finds nothing wrong must find what is.
func TestTheCheckSeesMisspeltFieldsAndWrongTypes(t *testing.T) {
	modules := harness.Modules(t, ".")
	for _, test := range []struct{ kind, file, right, wrong, complaint string }{
		{"kubernetes", "deploy/kubernetes/base/deployment.yaml", "imagePullPolicy", "imagePullPolcy", "has no field imagePullPolcy"},
		{"kubernetes", "deploy/kubernetes/base/deployment.yaml", "readinessProbe", "readynessProbe", "has no field readynessProbe"},
		{"kubernetes", "deploy/kubernetes/base/deployment.yaml", "replicas: 3", "replicas: three", "must be integer"},
		{"kubernetes", "deploy/kubernetes/components/redis/redis.yaml", "kind: Service", "kind: Servise", "no such kind"},
		{"kubernetes", "deploy/kubernetes/components/autoscale/autoscaler.yaml", "averageValue:", "averageValu:", "has no field averageValu"},
		{"kubernetes", "deploy/kubernetes/base/network.yaml", "podSelector", "podSelecter", "has no field podSelecter"},
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
	if !regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 go build -trimpath .* -o (\S+) \./cmd/demo$`).Match(dockerfile) {
		t.Fatal("the Dockerfile has no line that builds the demo as a static program")
	}
	program := demo(t)
	flags, _ := exec.Command(program, "-h").CombinedOutput() // its status says that it has not run
	var manifests strings.Builder
	for _, file := range []string{"Dockerfile", "docker-compose.yml", "deploy/kubernetes/base/deployment.yaml"} {
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
	var source strings.Builder
	for _, file := range []string{"single.go", "node.go"} {
		text, err := os.ReadFile(filepath.Join(root, "cmd/demo", file))
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	for _, path := range regexp.MustCompile(`path: (/\w+)`).FindAllStringSubmatch(manifests.String(), -1) {
		if !strings.Contains(source.String(), `"GET `+path[1]+`"`) {
			t.Errorf("a probe or Prometheus asks for %s, which a node has not", path[1])
		}
	}
}

// The image of the gateway is a program without C that knows the flags that
// compose.yaml gives it.
func TestTheImageOfTheGatewayRunsWhatComposeAsksFor(t *testing.T) {
	var files strings.Builder
	for _, file := range []string{"Dockerfile", "compose.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "deploy/gateway", file))
		if err != nil {
			t.Fatal(err)
		}
		files.Write(text)
	}
	if !regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 go build -trimpath .* -o (\S+) \./cmd/hubwire$`).MatchString(files.String()) {
		t.Fatal("the Dockerfile has no line that builds the gateway as a static program")
	}
	flags, _ := exec.Command(static(t, "hubwire"), "gateway", "-h").CombinedOutput() // its status says that it has not run
	given := regexp.MustCompile(`"-([a-z][a-z-]*)"`).FindAllStringSubmatch(files.String(), -1)
	if len(given) < 8 {
		t.Fatalf("flags %q", given)
	}
	for _, name := range given {
		if !regexp.MustCompile(`(?m)^  -` + name[1] + `\b`).Match(flags) {
			t.Errorf("compose.yaml gives -%s, which the program has not:\n%s", name[1], flags)
		}
	}
}

// demo builds the demo as the Dockerfile does.
func demo(t *testing.T) string {
	t.Helper()
	return static(t, "demo")
}

// static builds a command as an image has it.
func static(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/"+name)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}
