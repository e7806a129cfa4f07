package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPrintsFailsForAnotherTextOrStatus(t *testing.T) {
	Need(t, "sh")
	for _, tt := range []struct {
		name, script string
		failed       bool
	}{
		{name: "what is wanted", script: "echo; echo ok"},
		{name: "more than that", script: "echo ok then", failed: true},
		{name: "an error", script: "echo ok; exit 1", failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := outcome(func(r testing.TB) {
				r.(*recorder).TB = t // for Cleanup
				Prints(r, exec.Command("sh", "-c", tt.script), time.Minute, "ok")
			})
			if o.failed != tt.failed {
				t.Errorf("failed %v, want %v", o.failed, tt.failed)
			}
		})
	}
}

func TestStatusIsThatOfTheProgram(t *testing.T) {
	Need(t, "sh")
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -9 $$": -1} {
		if _, err := Run(t, exec.Command("sh", "-c", script), time.Minute); Status(err) != want {
			t.Errorf("%s: %v is status %d, want %d", script, err, Status(err), want)
		}
	}
}

func TestALineThatIsNoJSONFailsAndIsLeftOut(t *testing.T) {
	var got []int
	o := outcome(func(r testing.TB) { got = JSONLines[int](r, "it", []byte("1\nodd\n2\n")) })
	if want := []int{1, 2}; !slices.Equal(got, want) || !o.failed {
		t.Errorf("JSONLines = %v, failed %v; want %v and a failure", got, o.failed, want)
	}
}

func TestReadJSONTakesNoUnknownField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.json")
	for text, failed := range map[string]bool{`{"Known": 1}`: false, `{"Known": 1, "Other": 2}`: true} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := outcome(func(r testing.TB) { ReadJSON[struct{ Known int }](r, file) })
		if o.failed != failed {
			t.Errorf("%s: failed %v, want %v", text, o.failed, failed)
		}
	}
}

func TestRunNodeTestsTellsHowEachTestEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some.test.mjs")
	script := `import test from "node:test";
test("suite", async (t) => { await t.test("good", () => {}); await t.test("bad", () => { throw new Error("oh"); }); });
test("left out", { skip: "why" }, () => {});
`
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := RunNodeTests(t, ".", file)
	if Status(err) != 1 || len(all) < 3 {
		t.Fatalf("RunNodeTests = %+v, %v; want three tests and status 1", all, err)
	}
	good, bad, left := all[0], all[1], all[len(all)-1]
	if !good.Passed || good.Name() != "suite/good" || bad.Passed || !strings.Contains(bad.Error, "oh") || left.Skipped != "why" {
		t.Errorf("outcomes %+v", all)
	}
}
