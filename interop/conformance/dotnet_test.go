package conformance

import (
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// Words in the names of dialogues that say whose client plays.
const (
	dotnetHalf     = " / dotnet "
	javaScriptHalf = " / js "
)

// TestDotnetDialogues plays the dialogues of the .NET client; TestDialogues
// plays those of the JavaScript client.
func TestDotnetDialogues(t *testing.T) {
	harness.Long(t, "takes a minute")
	harness.Dotnet(t)
	client := harness.DotnetProgram(t, "dotnet-client")
	suite{recorder: "dialogues", without: []string{javaScriptHalf}, client: client}.conform(t, 4)
}
