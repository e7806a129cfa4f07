package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// overlays are what a user applies.
var overlays = []string{"trial", "production", "websockets"}

// kustomize is a command of the version that its module has here. kubectl apply -k
// is the same program.
const kustomize = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1"

// build writes what an overlay amounts to into a file and returns its name. It
// skips, as Need does, where the go command cannot fetch kustomize.
func build(t *testing.T, overlay string) string {
	t.Helper()
	if out, err := harness.FetchBy(".", "go", "run", kustomize, "version"); err != nil {
		harness.Missing(t, "%s: %v\n%s", kustomize, err, out)
	}
	out := harness.Output(t, exec.Command("go", "run", kustomize, "build", root+"/deploy/kubernetes/overlays/"+overlay), checkTime)
	file := filepath.Join(t.TempDir(), overlay+".yaml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// An object is what these tests read of one.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Replicas    *int
		Template    podTemplate
		Selector    json.RawMessage // of a Service: labels; else {matchLabels: labels}
		PodSelector selector
		Ports       []struct{ TargetPort string }
		Rules       []struct {
			HTTP struct {
				Paths []struct {
					Backend struct {
						Service struct {
							Name string
							Port struct{ Name string }
						}
					}
				}
			}
		}
		ScaleTargetRef struct{ Kind, Name string }
		PolicyTypes    []string
	}
}

type selector struct{ MatchLabels map[string]string }

type podTemplate struct {
	Metadata struct{ Labels map[string]string }
	Spec     struct {
		TerminationGracePeriodSeconds int
		Containers                    []struct {
			Env []struct {
				Name, Value string
				ValueFrom   struct{ SecretKeyRef struct{ Name, Key string } }
			}
			Ports     []struct{ Name string }
			Resources struct{ Limits struct{ Memory string } }
		}
		Volumes []struct{ Secret struct{ SecretName string } }
	}
}

// objects returns those of a file by "Kind name".
func objects(t *testing.T, file string) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, line := range check(t, harness.Modules(t, "."), "json", file) {
		var o object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all[o.Kind+" "+o.Metadata.Name] = o
	}
	return all
}

// Names that refer to nothing, and labels that select nothing, follow every
// schema.
func TestWhatTheManifestsNameIsThere(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			all := objects(t, build(t, overlay))
			for name, o := range all {
				checkSelectors(t, all, name, o)
				for _, rule := range o.Spec.Rules {
					for _, path := range rule.HTTP.Paths {
						if to := path.Backend.Service.Name; all["Service "+to].Kind == "" {
							t.Errorf("%s leads to the Service %s, which is not there", name, to)
						}
					}
				}
			}
			checkNodes(t, all, overlay)
		})
	}
}

func checkSelectors(t *testing.T, all map[string]object, name string, o object) {
	t.Helper()
	labels := o.Spec.PodSelector.MatchLabels
	switch o.Kind {
	case "Service":
		if err := json.Unmarshal(o.Spec.Selector, &labels); err != nil {
			t.Error(err)
		}
	case "Deployment", "PodDisruptionBudget":
		var s selector
		if err := json.Unmarshal(o.Spec.Selector, &s); err != nil {
			t.Error(err)
		}
		labels = s.MatchLabels
	case "NetworkPolicy":
	case "HorizontalPodAutoscaler":
		if target := all[o.Spec.ScaleTargetRef.Kind+" "+o.Spec.ScaleTargetRef.Name]; target.Kind == "" || target.Spec.Replicas != nil {
			t.Errorf("%s: what it scales is not there, or has a number of its own: %v", name, target.Spec.Replicas)
		}
		return
	default:
		return
	}
	for other, d := range all {
		if d.Kind == "Deployment" && len(labels) > 0 && contains(d.Spec.Template.Metadata.Labels, labels) {
			for _, port := range o.Spec.Ports {
				if !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p struct{ Name string }) bool { return p.Name == port.TargetPort }) {
					t.Errorf("%s leads to the port %s, which %s has not", name, port.TargetPort, other)
				}
			}
			return
		}
	}
	t.Errorf("%s selects no pod: %v", name, labels)
}

func contains(all, some map[string]string) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}

// checkNodes holds the nodes of an overlay against what they need.
func checkNodes(t *testing.T, all map[string]object, overlay string) {
	t.Helper()
	for _, name := range []string{"PodDisruptionBudget hubwire", "NetworkPolicy hubwire", "NetworkPolicy hubwire-to-redis", "Ingress hubwire", "Service hubwire"} {
		if all[name].Kind == "" {
			t.Errorf("there is no %s", name)
		}
	}
	nodes := all["Deployment hubwire"]
	if scaled := all["HorizontalPodAutoscaler hubwire"].Kind != ""; scaled == (nodes.Spec.Replicas != nil) {
		t.Errorf("an autoscaler is there: %v; the number of nodes is %v", scaled, nodes.Spec.Replicas)
	}
	pod := nodes.Spec.Template.Spec
	if pod.TerminationGracePeriodSeconds <= 28 {
		t.Errorf("a node needs 28 s to end, and gets %d", pod.TerminationGracePeriodSeconds)
	}
	node, env := pod.Containers[0], map[string]string{}
	secrets := []string{}
	for _, e := range node.Env {
		env[e.Name] = e.Value
		if ref := e.ValueFrom.SecretKeyRef; ref.Name != "" {
			env[e.Name] = ref.Key
			secrets = append(secrets, ref.Name)
		}
	}
	for _, v := range pod.Volumes {
		secrets = append(secrets, v.Secret.SecretName)
	}
	var soft, hard int
	if _, err := fmt.Sscanf(env["GOMEMLIMIT"]+" "+node.Resources.Limits.Memory, "%dMiB %dMi", &soft, &hard); err != nil || soft*100 < hard*70 || soft*100 > hard*90 {
		t.Errorf("GOMEMLIMIT %q is not about four fifths of the limit %q (%v)", env["GOMEMLIMIT"], node.Resources.Limits.Memory, err)
	}
	if env["REDIS_URL"] != "url" {
		t.Errorf("REDIS_URL is the key %q of a Secret, want url", env["REDIS_URL"])
	}
	// A Secret is made by the overlay (trial), or by the one who applies it.
	for _, secret := range secrets {
		if _, made := all["Secret "+secret]; made != (overlay == "trial") || !strings.HasPrefix(secret, "hubwire-redis") {
			t.Errorf("the Secret %s is made by the overlay: %v", secret, made)
		}
	}
	if tls := env["SSL_CERT_FILE"] != ""; tls == (overlay == "trial") || tls != (len(pod.Volumes) == 1) {
		t.Errorf("SSL_CERT_FILE is %q, with %d volumes", env["SSL_CERT_FILE"], len(pod.Volumes))
	}
}
