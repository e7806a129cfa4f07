package dotnet

import (
	"regexp"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// TestOurNodeBehindOurGateway plays all modes that negotiate against nodes whose
// clients azure/gateway has: others cannot be told where to connect. What differs from
// the same nodes without a service is in expectedservice.json.
func TestOurNodeBehindOurGateway(t *testing.T) {
	forEachClient(t, func(t *testing.T, _ harness.Release, program string) {
		if !harness.OwnNode() {
			t.Skip("the node of HUBWIRE_NODE has no --azure")
		}
		g, expected := harness.StartGateway(t), loadExpectations(t, "expectedservice.json")
		t.Setenv("SERVICE", g.URL()) // the matrix cuts its clients off from it
		report(t, playOn(t, program, harness.NodeCommand(t), playing{
			skip:    withoutNegotiation,
			more:    behind(g),
			differs: expected,
		}), expected)
	})
}

// TestTheSDKBehindOurGateway plays the same against the reference node's hub with the
// unmodified Microsoft.Azure.SignalR, whose clients azure/gateway has. What differs
// from the reference node is in expectedsdk.json.
func TestTheSDKBehindOurGateway(t *testing.T) {
	harness.Long(t, "takes a minute")
	harness.Dotnet(t)
	program, node := harness.DotnetProgram(t, "matrix", harness.Net10.Property()), harness.DotnetProgram(t, "../azure/node")
	g, expected := harness.StartGateway(t), loadExpectations(t, "expectedsdk.json")
	t.Setenv("SERVICE", g.URL())
	report(t, playOn(t, program, "dotnet "+node, playing{skip: withoutNegotiation, more: behind(g), differs: expected, kill: true}), expected)
}

// withoutNegotiation is in the names of cases whose client cannot be told where the
// service is.
const withoutNegotiation = " without negotiation "

// behind are the arguments of a node whose clients a gateway has. By one connection,
// what is sent has an order.
func behind(g *harness.Gateway) func(flag string) []string {
	return func(string) []string { return []string{"--azure", g.ConnectionString(), "--connections", "1"} }
}

// refreshes are words of the scenarios in which a client refreshes its authentication
// because it is told to. By itself it does so at times that count from negotiate, and
// what is printed counts from the start, which takes longer with a service.
var refreshes = []string{"manual refresh", "refused refresh: ", "token provider throws", "refresh before the start"}

// TestClient11RefreshesBehindOurGateway plays refreshes by the .NET client 11 of
// connections that azure/gateway has. The lines are those of ASP.NET Core 11 without a
// service, but for what changes in all of them.
func TestClient11RefreshesBehindOurGateway(t *testing.T) {
	if !harness.OwnNode() {
		t.Skip("the node of HUBWIRE_NODE has no --azure")
	}
	g := harness.StartGateway(t)
	differ := map[string]string{}
	for _, transport := range everyTransport {
		differ["manual refresh, life time unknown"+transport+"json"] = "the token of the service has an end in any case"
		differ["refused refresh: other user"+transport+"json"] = "the code is permission_change_rejected, as with the SDK: the service refuses"
	}
	client11Read(t, harness.NodeCommand, differ, refreshes, asWithService, "--azure", g.ConnectionString(), "--connections", "1")
}

// withService are what changes in the lines, and what is put in its place.
var withService = []struct {
	line *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"accessToken":"[^"]+",`), ""},                            // for the service, in each answer
	{regexp.MustCompile(`(afterwards \w+ with) \S+`), "$1 <token>"},               // that token
	{regexp.MustCompile(`("a: a(?: [xy])?) a; (http a(?: [xy])?) a"`), `$1; $2"`}, // the id of the user comes back as the claim sub, too
}

func asWithService(output string) string {
	for _, one := range withService {
		output = one.line.ReplaceAllString(output, one.with)
	}
	return output
}
