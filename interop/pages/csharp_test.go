package pages

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

// declaration begins a type, or an attribute of one, at the beginning of a line.
var declaration = regexp.MustCompile(`^(?:public|internal|sealed|class|record|interface|enum|\[)`)

// csharpFile makes a file of a block: its usings, its types in the namespace of
// the page, and its statements as the body of a method.
func csharpFile(page string, n int, code string) string {
	name := strings.NewReplacer("-", "", ".md", "").Replace(filepath.Base(page))
	var usings, types, statements []string
	inType := false
	for line := range strings.Lines(code) {
		switch {
		case strings.HasPrefix(line, "using ") && strings.HasSuffix(strings.TrimSpace(line), ";") && !strings.Contains(line, "="):
			usings = append(usings, line)
			continue
		case strings.HasPrefix(line, "namespace "):
			continue
		case declaration.MatchString(line):
			inType = true
		}
		if !inType {
			statements = append(statements, line)
			continue
		}
		types = append(types, line)
		if end := strings.TrimRight(line, "\n"); end == "}" || !strings.HasPrefix(line, " ") && strings.HasSuffix(strings.Split(end, " //")[0], ";") {
			inType = false
		}
	}
	return fmt.Sprintf(`%s
namespace Page_%s
{
%s
static class Block%d
{
    static async Task Run(WebApplicationBuilder builder, WebApplication app)
    {
%s
    await Task.CompletedTask;
    }
}
}
`, strings.Join(usings, ""), name, strings.Join(types, ""), n, strings.Join(statements, ""))
}

// All blocks are one project of a web server, which also has the client.
func TestCSharpOfThePagesCompiles(t *testing.T) {
	harness.Dotnet(t)
	dir := t.TempDir()
	n := 0
	for _, page := range pagesWith(t, "csharp") {
		for _, code := range harness.Blocks(t, page, "csharp") {
			n++
			write(t, dir, fmt.Sprintf("Block%d.cs", n), csharpFile(page, n, code))
		}
	}
	write(t, dir, "PassGoConnections.cs", read(t, "interop/middleware/PassGoConnections.cs")) // which docs/fleet.md uses
	write(t, dir, "Program.cs", `Console.WriteLine("ok");`)
	write(t, dir, "Usings.cs", globalUsings)
	write(t, dir, "pages.csproj", webProject)
	harness.DotnetProgram(t, dir)
}

// globalUsings are what a project has that its pages do not repeat, and a hub for one
// that shows none.
const globalUsings = `global using System.Runtime.CompilerServices;
global using Microsoft.AspNetCore.Authorization;
global using Microsoft.AspNetCore.SignalR;
global using StackExchange.Redis;

namespace Page_fleet
{
    sealed class ChatHub : Hub;
}
`

const webProject = `<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.AspNetCore.SignalR.Client" Version="10.0.12" />
    <PackageReference Include="Microsoft.AspNetCore.SignalR.Protocols.MessagePack" Version="10.0.12" />
    <PackageReference Include="Microsoft.AspNetCore.SignalR.StackExchangeRedis" Version="10.0.12" />
    <PackageReference Include="MessagePack" Version="2.5.305" />
    <PackageReference Include="Microsoft.NET.StringTools" Version="17.7.2" />
  </ItemGroup>
</Project>
`
