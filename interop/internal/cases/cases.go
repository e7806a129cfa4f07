// Package cases is what clients play that are neither JavaScript nor .NET: a
// list of cases with the result that a client must get, and the comparison with
// what a program in the client's language reports.
//
// The program is given the URL of a node and the names of the cases that it
// leaves out, as "mode/case". For every other case it prints a line of JSON:
//
//	{"mode": "WebSockets json", "case": "a send", "got": ["sent"]}
//	{"mode": "WebSockets json", "case": "groups", "error": "what went wrong"}
package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hubwire/hubwire/interop/harness"
)

// playTime bounds a program with all its modes.
const playTime = 3 * time.Minute

// wants is what every client gets in a case, as JSON. Where a client words it
// in its own way, Client.Words has that.
var wants = map[string]string{
	"results of calls":           `[3, 4294967295, 255, 0.1, "grüße \"<&>' \\ / \u2028 \ud83d\ude80", ""]`,
	"an object":                  `[-7, "grüße \"<&>' \ud83d\ude80", [1, 2, 3], {"a": "b", "Key": "Value"}]`,
	"calls side by side":         `5050`,
	"a send":                     `"sent"`,
	"many messages":              `[1001, "last"]`,
	"a big result":               `100000`,
	"a stream":                   `[[0, 1, 2, 3, 4], ["a", "b", "c"], []]`,
	"a stream that fails":        `[0, 1, "An error occurred on the server while streaming results."]`,
	"a stream that is cancelled": `[[0, 1, 2], "still here"]`,
	"uploads":                    `["abc", 5050, "", "a-1,b-2", ["x", "y"]]`,
	"an upload without a result": `"still here"`,
	"an upload that fails":       `"HubException: upload failed"`,
	"client results":             `["answer to q", "late answer to q", 42, "An unexpected error occurred invoking 'Ask' on the server. HubException: client says no"]`,
	"a question without handler": `"An unexpected error occurred invoking 'Ask' on the server. HubException: Client didn't provide a result."`,
	"groups":                     `[[["to both"], ["to both"], []], [[], ["to one"], []], [[], [], []]]`,
	"users":                      `[[["hi"], ["hi"], []], true]`,
	"all, others and the caller": `[["all", "caller"], ["all", "others"]]`,
	"the connection's id":        `true`,
	"the transport":              `true`,
	"a stop":                     `"null"`,
	"the server aborts":          `"null"`,
	"the server refuses":         `"Connection closed with an error."`,
	"errors of calls": `[
		"Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist.",
		"Failed to invoke 'Add' due to an error on the server.",
		"Failed to invoke 'Add' due to an error on the server.",
		"An unexpected error occurred invoking 'Throw' on the server.",
		"An unexpected error occurred invoking 'ThrowHubException' on the server. HubException: for all",
		"Failed to invoke 'OnlyUsers' because user is unauthorized",
		"still here"
	]`,
}

// A Client is a version of a client library.
type Client struct {
	// Modes are its transports and protocols, as its program names them.
	Modes []string
	// Words is what this client gets instead, by case, as JSON.
	Words map[string]string
	// Lacks are the cases that it does not play.
	Lacks []Lack
	// Refused, if it is not nil, counts the node's answers of 503: cases that fail
	// meanwhile are played again.
	Refused func() int
	// Command makes the command line of its program from the arguments.
	Command func(args ...string) *exec.Cmd
}

// A Lack is a case that a client cannot play: it has no such feature, or a
// defect.
type Lack struct {
	Case string
	Mode string // empty: all
	Why  string
}

// lacks returns why the client does not play the case in this mode, or "".
func (c *Client) lacks(mode, name string) string {
	for _, lack := range c.Lacks {
		if lack.Case == name && (lack.Mode == "" || lack.Mode == mode) {
			return lack.Why
		}
	}
	return ""
}

// A report is a line of the program's output.
type report struct {
	Mode  string          `json:"mode"`
	Case  string          `json:"case"`
	Got   json.RawMessage `json:"got"`
	Error string          `json:"error"`
}

// Play runs the client's program against the node at url. Each case is a
// subtest in a subtest of its mode: it is compared, or skipped because the
// client lacks it.
func Play(t *testing.T, c *Client, url string) {
	t.Helper()
	names := slices.Sorted(maps.Keys(wants))
	reports := map[[2]string]report{}
	var ended error // how the program has ended
	play := func() (failed string) {
		args := []string{url}
		for _, mode := range c.Modes {
			for _, name := range names {
				if r, played := reports[[2]string{mode, name}]; c.lacks(mode, name) != "" || c.failure(name, r, played) == "" {
					args = append(args, mode+"/"+name)
				}
			}
		}
		cmd := c.Command(args...)
		out, err := harness.Run(t, cmd, playTime)
		if ended = err; err != nil {
			ended = fmt.Errorf("%s ended with %w", cmd.Path, err)
			failed = ended.Error()
		}
		maps.Copy(reports, parse(t, out))
		for _, mode := range c.Modes {
			for _, name := range names {
				r, played := reports[[2]string{mode, name}]
				if text := c.failure(name, r, played); text != "" && c.lacks(mode, name) == "" {
					failed += "\n" + mode + "/" + name + ": " + text
				}
			}
		}
		return failed
	}
	if c.Refused == nil {
		play()
	} else {
		harness.Again(t, c.Refused, play)
	}
	if ended != nil {
		t.Error(ended)
	}
	for _, mode := range c.Modes {
		t.Run(mode, func(t *testing.T) {
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					r, played := reports[[2]string{mode, name}]
					delete(reports, [2]string{mode, name})
					c.check(t, mode, name, r, played)
				})
			}
		})
	}
	for key := range reports {
		t.Errorf("the program reports case %q of mode %q, which is not in the list", key[1], key[0])
	}
}

// parse reads the lines of a program. What is no report fails the test.
func parse(t *testing.T, out []byte) map[[2]string]report {
	t.Helper()
	reports := map[[2]string]report{}
	for _, r := range harness.JSONLines[report](t, "the program", out) {
		reports[[2]string{r.Mode, r.Case}] = r
	}
	return reports
}

// check compares one case with what is wanted.
func (c *Client) check(t *testing.T, mode, name string, r report, played bool) {
	t.Helper()
	if why := c.lacks(mode, name); why != "" {
		if played {
			t.Errorf("the client plays what it is said to lack (%s)", why)
		}
		t.Skip("the client lacks it: " + why)
	}
	if text := c.failure(name, r, played); text != "" {
		t.Error(text)
	}
}

// failure says how a case has failed, or "".
func (c *Client) failure(name string, r report, played bool) string {
	if !played {
		return "the program does not report this case"
	}
	if r.Error != "" {
		return r.Error
	}
	wanted, ok := c.Words[name]
	if !ok {
		wanted = wants[name]
	}
	var got, want any
	if err := json.Unmarshal(r.Got, &got); err != nil {
		return fmt.Sprintf("%q is no JSON: %v", r.Got, err)
	}
	if err := json.Unmarshal([]byte(wanted), &want); err != nil {
		return fmt.Sprintf("%q is no JSON: %v", wanted, err)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("\n got: %s\nwant: %s", r.Got, wanted)
	}
	return ""
}
