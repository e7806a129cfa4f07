package azure

import "strings"

// A difference is in what a scenario is not the same as with the SDK, or is not the
// same in every recording.
type difference struct {
	skip     bool                   // the scenario is not played
	anywhere bool                   // on which connection something comes is left to chance
	sorted   bool                   // the order is left to chance
	ignore   func(line string) bool // what only one side sends
	reason   string
}

// differenceOf returns the difference of a scenario.
func differenceOf(name string) difference {
	best := ""
	for prefix := range differences {
		if strings.HasPrefix(name, prefix) && len(prefix) > len(best) {
			best = prefix
		}
	}
	return differences[best]
}

// differences are by the beginning of the scenarios' names.
var differences = map[string]difference{
	"negotiate":                       {skip: true, reason: "no frames: TestNegotiateAnswersAsTheSDKDoes plays them"},
	"Entra":                           {skip: true, reason: "Microsoft Entra is not served"},
	".NET 11, authentication refresh": {skip: true, reason: "requests for the most part: TestRefreshDoesWhatTheSDKDoes plays them"},
	".NET 11, refresh not enabled":    {skip: true, reason: "a request: TestRefreshDoesWhatTheSDKDoes plays it"},
	".NET 11, refresh enabled":        {skip: true, reason: "the SDK opens two sets of connections then, the hub one"},
	"UpdateConnectionClaims":          {skip: true, reason: "the SDK for .NET 10 drops the claims; TestRefreshDoesWhatTheSDKDoes has .NET 11"},
	"two app servers":                 {skip: true, reason: "of two processes: interop/azure plays the SDK's app and a Go app, client results and migration both ways"},
	"two primary":                     {skip: true, reason: "of two endpoints: TestWhatIsSentGoesToEveryEndpointThatIsOnline"},
	"primary and secondary":           {skip: true, reason: "of two endpoints: TestASecondaryEndpointOnlySends"},
	"endpoints change":                {skip: true, reason: "options are not read again"},
	"checks, user":                    {skip: true, reason: "no interface of a hub sends these"},
	"SIGTERM":                         {skip: true, reason: "a program's own signals: server.Node has them"},
	"start: two hubs":                 {skip: true, reason: "one hub is played at a time"},

	"pings":                  {anywhere: true, reason: "a connection is chosen at random"},
	"sending: 5 connections": {anywhere: true, reason: "a connection is chosen at random"},
	"groups":                 {anywhere: true, reason: "a connection is chosen at random"},
	"flow control":           {anywhere: true, reason: "a connection is chosen at random"},
	"shutdown, WaitForClientsClose, the clients stay": {
		ignore: func(line string) bool {
			return strings.Contains(line, `\"type\":7`) || strings.HasPrefix(line, "CloseConnection")
		},
		reason: "clients that have not left in time get a Close, and the service is told",
	},
	"shutdown, Off, no finack": {
		sorted: true,
		ignore: func(line string) bool {
			return strings.Contains(line, `\"type\":7`) || strings.HasPrefix(line, "close")
		},
		reason: "clients get a Close though the service does not answer, and the connection is closed properly",
	},
	"shutdown, Wait":      {anywhere: true, reason: "a connection is chosen at random"},
	"shutdown, Migrate":   {anywhere: true, reason: "a connection is chosen at random"},
	"shutdown, Off":       {sorted: true, reason: "clients end in any order"},
	"client results: own": {sorted: true, reason: "clients are pinged in any order"},
	"a client:":           {sorted: true, reason: "two calls run at the same time"},

	"framing": {
		ignore: func(line string) bool { return line == "close 1000" },
		reason: "after a length over 2 GB the SDK reads nothing any more: the hub closes, and connects again",
	},
	"client handshakes": {
		ignore: func(line string) bool { return strings.Contains(line, "protocol-in-OpenConnection") },
		reason: "the hub reads the protocol of the handshake and not that of OpenConnection: no client hangs when they differ",
	},
	"who the client is": {
		ignore: func(line string) bool {
			return strings.Contains(line, `\"type\":3`) || strings.Contains(line, `"connectionId":"w"`)
		},
		reason: "an id that is used twice ends the first client, where both die of it in .NET; what .NET knows of a request is not what Go does: TestAUserIsWhatTheClaimsSay, TestARequestIsWhatTheServiceTellsOfIt",
	},
	"ends": {
		ignore: func(line string) bool {
			return strings.Contains(line, `\"invocationId\":\"1\"`) || strings.Contains(line, "kicked out")
		},
		reason: "no interface of a hub closes another client (kicked); the items of a stream that is cut, by time, and its completion, which is sent though the client has left",
	},
	"close timeout": {
		ignore: func(line string) bool { return strings.Contains(line, `\"invocationId\":\"1\"`) },
		reason: "whether a call that is cancelled by the end of its client is answered before the Close, which nobody gets",
	},
	"a service connection is lost": {
		ignore: func(line string) bool { return strings.Contains(line, `\"type\":2`) },
		reason: "the items of a stream that is cut, by time",
	},
}
