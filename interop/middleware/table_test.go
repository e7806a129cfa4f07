package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// works is the cell of what clients can do.
const works = "works"

// A column is one way to run the ASP.NET Core nodes of a fleet: two of them.
type column struct {
	title string
	goes  string // a Go node
	asp   [2]string
}

// A row is something that clients do. Each way of a column must come to the same.
type row struct {
	what string
	ways []way
}

// A way is one connection, or several: outcome says what came of it, "works" or the
// status that ended it.
type way struct {
	// route names the node of each request, of all that the column has.
	route func(c column) func(r *http.Request) string
	// passed are kinds of requests that the first ASP.NET Core node has to answer if it works.
	passed []kind
	play   play // Near is the balancer; without Transport it is fresh credentials
	far    func(c column) string
}

// after gives negotiates to one node, and all that follows to another.
func after(negotiated, rest func(c column) string) func(c column) func(r *http.Request) string {
	return func(c column) func(r *http.Request) string {
		first, then := negotiated(c), rest(c)
		return func(r *http.Request) string {
			if kindOf(r) == negotiate {
				return first
			}
			return then
		}
	}
}

func toGo(c column) string    { return c.goes }
func toASP(c column) string   { return c.asp[0] }
func toOther(c column) string { return c.asp[1] }

// afterLoss gives the first WebSocket to the Go node, the next ones to the other.
func afterLoss(c column) func(r *http.Request) string {
	var first sync.Once
	return func(r *http.Request) string {
		node := c.goes
		if kindOf(r) == webSocket {
			node = c.asp[0]
			first.Do(func() { node = c.goes })
		}
		return node
	}
}

// onlyRefresh gives fresh credentials to the ASP.NET Core node, all else to the Go node.
func onlyRefresh(c column) func(r *http.Request) string {
	return func(r *http.Request) string {
		if kindOf(r) == refresh {
			return c.asp[0]
		}
		return c.goes
	}
}

// over makes a way of each transport.
func over(route func(c column) func(r *http.Request) string, far func(c column) string) (ways []way) {
	for _, p := range []play{every[1], every[2], every[3]} {
		ways = append(ways, way{route: route, play: p, far: far})
	}
	return ways
}

// goTokenAt makes a way of a Go node's connection of which an ASP.NET Core node gets
// all other requests.
func goTokenAt(p play, passed ...kind) []way {
	return []way{{route: after(toGo, toASP), play: p, passed: passed}}
}

var skipNegotiation = play{Transport: "WebSockets", Protocol: "json", SkipNegotiation: true}

var rows = []row{
	{"messages, groups, users, client results between clients on nodes of both kinds", over(after(toGo, toGo), toASP)},
	{"requests at the node that the client negotiated with, of either kind", append(over(after(toGo, toGo), toGo), over(after(toASP, toASP), toASP)...)},
	{"WebSockets with `skipNegotiation: true`, at any node", []way{
		{route: after(toGo, toGo), play: skipNegotiation, far: toASP},
		{route: after(toASP, toASP), play: skipNegotiation, far: toOther},
	}},
	{"negotiated with a Go node, the WebSocket at an ASP.NET Core node", goTokenAt(every[0], webSocket)},
	{"the same, the event stream and its POSTs", goTokenAt(every[2], eventStream, post)},
	{"the same, polls, POSTs and the DELETE", goTokenAt(every[4], poll, post, del)},
	{"the same, the WebSocket of a stateful reconnect", []way{{
		route: afterLoss, passed: []kind{webSocket}, far: toGo, play: play{Transport: "WebSockets", Protocol: "json", Cut: true},
	}}},
	{"the same, `POST /chat/refresh`", []way{{route: onlyRefresh, passed: []kind{refresh}}}},
	{"negotiated with an ASP.NET Core node, anything at a Go node", over(after(toASP, toGo), toGo)},
	{"negotiated with an ASP.NET Core node, anything at another ASP.NET Core node", over(after(toASP, toOther), toGo)},
}

// TestTable measures what works with ASP.NET Core nodes in the fleet, prints it as a
// table, and compares it with the page.
func TestTable(t *testing.T) {
	f := startFleet(t)
	columns := []column{
		{"ASP.NET Core as it is", f.goNodes[0], [2]string{f.reference(t, harness.Net11), f.reference(t, harness.Net10)}},
		{"with the middleware", f.goNodes[0], [2]string{f.aspNode(t, harness.Net11), f.aspNode(t, harness.Net10)}},
		{"and `negotiate: true`", f.goNodes[0], [2]string{f.aspNode(t, harness.Net11, "--negotiate", "true"), f.aspNode(t, harness.Net10, "--negotiate", "true")}},
	}
	got := table(columns, measure(t, columns))
	t.Logf("what works with ASP.NET Core nodes:\n%s", got)
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## With ASP.NET Core nodes\n")
	if !found || !strings.Contains(section, "\n"+got+"\n") {
		t.Errorf("docs/fleet.md does not have this table below \"With ASP.NET Core nodes\":\n%s", got)
	}
}

// measure returns the cells of each row.
func measure(t *testing.T, columns []column) [][]string {
	t.Helper()
	type attempt struct {
		row, column int
		way         way
		balancer    *balancer
		failed      string // what the client says
	}
	var attempts []*attempt
	var played []*attempt
	var plays []play
	for i, r := range rows {
		for j, c := range columns {
			for _, w := range r.ways {
				a := &attempt{row: i, column: j, way: w, balancer: newBalancer(t, w.route(c))}
				attempts = append(attempts, a)
				if w.play.Transport == "" {
					a.failed = refreshAt(t, a.balancer.url)
					continue
				}
				p := w.play
				p.Near = a.balancer.url
				if p.Far = p.Near; w.far != nil {
					p.Far = w.far(c)
				}
				plays, played = append(plays, p), append(played, a)
			}
		}
	}
	for i, failed := range run(t, plays, func(i int) []int { return played[i].balancer.refused() }) {
		played[i].failed = failed
	}
	cells := make([][]string, len(rows))
	for _, a := range attempts {
		c := columns[a.column]
		if cells[a.row] == nil {
			cells[a.row] = make([]string, len(columns))
		}
		outcome := works
		refused := slices.DeleteFunc(a.balancer.refused(), func(status int) bool { return status == http.StatusServiceUnavailable }) // see run
		if a.failed != "" && len(refused) == 1 {
			outcome = fmt.Sprint(refused[0])
		} else if a.failed != "" { // what a client asks while it stops may be refused
			t.Errorf("%s, %s: the client says %q, the nodes have answered %v", rows[a.row].what, c.title, a.failed, refused)
		}
		for _, what := range a.way.passed {
			if outcome == works && a.balancer.count(what, c.asp[0]) == 0 {
				t.Errorf("%s, %s: the ASP.NET Core node has had no %s", rows[a.row].what, c.title, what)
			}
		}
		if cell := &cells[a.row][a.column]; *cell == "" {
			*cell = outcome
		} else if *cell != outcome {
			t.Errorf("%s, %s: %s over %+v, and %s otherwise", rows[a.row].what, c.title, outcome, a.way.play, *cell)
		}
	}
	return cells
}

func table(columns []column, cells [][]string) string {
	var b strings.Builder
	b.WriteString("| what")
	for _, c := range columns {
		b.WriteString(" | " + c.title)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(columns)) + "|")
	for i, r := range rows {
		fmt.Fprintf(&b, "\n| %s | %s |", r.what, strings.Join(cells[i], " | "))
	}
	return b.String()
}

// refreshAt negotiates, polls once, and sends fresh credentials. It returns what went wrong.
func refreshAt(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}, Timeout: waitTime}
	defer client.CloseIdleConnections()
	do := func(method, path, token string, answer any) error {
		r, err := http.NewRequest(method, url+"/hub-refresh"+path, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer user=ada&expires=1000")
		if token != "" {
			r.Header.Set("X-SignalR-Connection-Token", token)
		}
		got, err := client.Do(r)
		if err != nil {
			return err
		}
		defer got.Body.Close()
		if got.StatusCode != http.StatusOK {
			return errors.New(got.Status)
		}
		if answer == nil {
			return nil
		}
		return json.NewDecoder(got.Body).Decode(answer)
	}
	var negotiated struct{ ConnectionToken string }
	var refreshed struct{ TokenLifetimeSeconds int }
	err := do("POST", "/negotiate?negotiateVersion=1", "", &negotiated)
	if err == nil {
		err = do("GET", "?id="+negotiated.ConnectionToken, "", nil) // makes the connection
	}
	if err == nil {
		err = do("POST", "/refresh", negotiated.ConnectionToken, &refreshed)
	}
	if err == nil && refreshed.TokenLifetimeSeconds < 900 {
		err = fmt.Errorf("the new life time is %d s", refreshed.TokenLifetimeSeconds)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
