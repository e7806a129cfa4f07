package dotnet

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/hubwire/hubwire/interop/harness"
)

var table = flag.Bool("table", false, "play all cases against both servers and print a table")

// TestTable prints scenario, transport, protocol, reference node and our node.
// It fails if the two differ in more than expected.json says.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("prints a table with -table; the other tests play the same cases")
	}
	harness.Dotnet(t)
	program := harness.DotnetProgram(t, "matrix", harness.Net11.Property())
	reference := play(t, program, harness.ReferenceNode(t, harness.Net11))
	ours := play(t, program, harness.NodeCommand(t))
	expected := loadExpectations(t, "expected.json")
	differ := 0
	for i, r := range reference {
		if differs(r, ours[i]) && expected.of(r) == nil {
			differ++
		}
	}
	if err := writeTable(os.Stdout, reference, ours); err != nil {
		t.Fatal(err)
	}
	if differ > 0 {
		t.Errorf("%d cases differ without being listed in expected.json", differ)
	}
}

// differs reports whether a client can tell the servers apart.
func differs(reference, ours result) bool {
	return reference.OK != ours.OK || !slices.Equal(reference.Saw, ours.Saw)
}

// writeTable writes a line for each case, and the first differences of those
// that differ below the table. Both lists have the same cases in the same order.
func writeTable(w io.Writer, reference, ours []result) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "scenario\ttransport\tprotocol\treference node\tour node")
	var below strings.Builder
	for i, r := range reference {
		our := cell(ours[i])
		if differs(r, ours[i]) {
			our += ", differs"
			fmt.Fprintf(&below, "\n%s\n  reference node saw %s\n  our node saw       %s\n", r.name(), sight(r), sight(ours[i]))
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\n", r.Scenario, r.Transport, r.Protocol, cell(r), our)
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, below.String())
	return err
}

func cell(r result) string {
	if r.OK {
		return "ok"
	}
	return "failed"
}

// sight is what the client saw, and why the case failed if it did.
func sight(r result) string {
	text := fmt.Sprintf("%q", r.Saw)
	if !r.OK {
		reason, _, _ := strings.Cut(r.Error, "\n")
		text += "; " + reason
	}
	return text
}

func TestWriteTable(t *testing.T) {
	one := result{Scenario: "a call", Transport: "WebSockets", Protocol: "json", OK: true, Saw: []string{"1"}}
	two := result{Scenario: "a stream", Transport: "LongPolling", Protocol: "messagepack", OK: true, Saw: []string{"1", "2"}}
	failed, other := two, one
	failed.OK, failed.Error, failed.Saw = false, "got 3, want 2\nat a line", []string{"1", "3"}
	other.Saw = []string{"2"}
	for _, tt := range []struct {
		name string
		ours []result
		want string
	}{
		{name: "servers that are the same", ours: []result{one, two}, want: `
scenario  transport    protocol     reference node  our node
a call    WebSockets   json         ok              ok
a stream  LongPolling  messagepack  ok              ok
`},
		{name: "a case that fails, and one in which the client saw something else", ours: []result{other, failed}, want: `
scenario  transport    protocol     reference node  our node
a call    WebSockets   json         ok              ok, differs
a stream  LongPolling  messagepack  ok              failed, differs

a call / WebSockets / json
  reference node saw ["1"]
  our node saw       ["2"]

a stream / LongPolling / messagepack
  reference node saw ["1" "2"]
  our node saw       ["1" "3"]; got 3, want 2
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := writeTable(&b, []result{one, two}, tt.ours); err != nil {
				t.Fatal(err)
			}
			if got := "\n" + b.String(); got != tt.want {
				t.Errorf("writeTable\n got: %s\nwant: %s", got, tt.want)
			}
		})
	}
}
