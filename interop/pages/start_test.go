package pages

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
)

const (
	startingPage = "docs/getting-started.md"
	pageAddr     = "127.0.0.1:8080" // of the page
	hubwire      = "github.com/hubwire/hubwire"
)

// The first steps of a stranger, as the page tells them: a module with the
// server, the client in Node, the client in .NET. "go get" is a replace here,
// as nothing is downloaded, and "dotnet new" a project of the same content.
func TestGettingStartedRuns(t *testing.T) {
	addr := startChat(t)
	t.Run("the client in Node", func(t *testing.T) {
		dir := folderWith(t, harness.Modules(t, "."))
		write(t, dir, "client.mjs", strings.ReplaceAll(harness.Blocks(t, startingPage, "js")[0], pageAddr, addr))
		client := harness.Script(t, dir, filepath.Join(dir, "client.mjs"))
		harness.Prints(t, client, limit, harness.Blocks(t, startingPage, "text")[0])
	})
	t.Run("the client in .NET", func(t *testing.T) {
		harness.Dotnet(t)
		dir := t.TempDir()
		code := harness.Blocks(t, startingPage, "csharp")[0]
		if !strings.Contains(code, `"http://`+pageAddr) {
			t.Fatalf("the client does not connect to %s", pageAddr)
		}
		write(t, dir, "client.csproj", clientProject)
		write(t, dir, "Program.cs", strings.ReplaceAll(code, `"http://`+pageAddr+`/chat"`, "args[0]"))
		client := exec.Command("dotnet", harness.DotnetProgram(t, dir), "http://"+addr+"/chat")
		harness.Prints(t, client, limit, "said: hello from .NET\n1 + 2 = 3")
	})
}

// startChat builds and runs the page's server in a module of its own, and
// returns its address.
func startChat(t *testing.T) string {
	t.Helper()
	dir, program := t.TempDir(), harness.Blocks(t, startingPage, "go")[0]
	if !strings.Contains(program, pageAddr) {
		t.Fatalf("the server does not listen on %s", pageAddr)
	}
	write(t, dir, "main.go", program)
	build(t, dir, "example.com/chat") // which takes long the first time; the address may be lost meanwhile
	_, addr := harness.StartListening(t, "", func(address string) *exec.Cmd {
		write(t, dir, "main.go", strings.ReplaceAll(program, pageAddr, address))
		build(t, dir, "example.com/chat")
		return exec.Command(filepath.Join(dir, "chat"))
	}, func(address string) error {
		return answers("POST", "http://"+address+"/chat/negotiate?negotiateVersion=1")
	})
	return addr
}

// The line of the README for hubgen works in a package with its hub.
func TestTheGeneratorRunsAsTheReadmeSays(t *testing.T) {
	dir := t.TempDir()
	hub, _, found := strings.Cut(harness.Blocks(t, "README.md", "go")[0], "func main()")
	line := harness.Blocks(t, "README.md", "go")[1]
	if !found || !strings.HasPrefix(line, "//go:generate ") {
		t.Fatalf("the README has no main, or another second block:\n%s", line)
	}
	hub = strings.NewReplacer("package main", "package chat", "\t\"log\"\n", "", "\t\"net/http\"\n", "").Replace(hub)
	write(t, dir, "chat.go", hub+line)
	build(t, dir, "example.com/chat")
	generate := exec.Command("go", "generate", "./...")
	generate.Dir, generate.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("go generate: %v\n%s", err, out)
	}
	if service, err := os.ReadFile(filepath.Join(dir, "chat.ts")); err != nil || !strings.Contains(string(service), "@Injectable(") {
		t.Errorf("chat.ts is no service: %v\n%s", err, service)
	}
}

// build makes dir a module of that name, which has this repository as its
// hubwire, and builds it; the program is called as the last part of the name.
func build(t *testing.T, dir, name string) {
	t.Helper()
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	module := strings.Replace(read(t, "go.mod"), "module "+hubwire, "module "+name, 1) // for the same versions
	write(t, dir, "go.mod", module)
	write(t, dir, "go.sum", read(t, "go.sum"))
	for _, args := range [][]string{
		{"mod", "edit", "-require=" + hubwire + "@v0.0.0", "-replace=" + hubwire + "=" + repository},
		{"build", "-mod=mod", "-o", path.Base(name), "."},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
}

// folderWith is a new folder with the packages of modules.
func folderWith(t *testing.T, modules string) string {
	t.Helper()
	dir := t.TempDir()
	harness.LinkModules(t, modules, dir)
	return dir
}

const clientProject = `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.AspNetCore.SignalR.Client" Version="10.0.12" />
  </ItemGroup>
</Project>
`
