package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandWritesAllLanguagesAndLeavesNothingBehind(t *testing.T) {
	for lang, want := range map[string][]string{
		"ts":       {"sendMessage(user: string, text: string): Promise<void>", "SendMessage tells everyone.", "onReceiveMessage(handler: (user: string, text: string) => void)", "ReceiveMessage shows a line to a client.", `"Whisper"`},
		"cs":       {"SendMessageAsync(this HubConnection connection, string user, string text", "OnReceiveMessage(", "OnceReceiveMessage(", "namespace MyApp.Hubs;"},
		"asyncapi": {`"asyncapi": "3.0.0"`, `"title": "user"`, `"title": "The \"chat\" of %s"`, `"version": "1.2.3"`, `"address": "/chat"`, `"host": "example.com"`},
		"rxjs":     {"readonly receiveMessage$: Observable<{ user: string; text: string }>", "class ChatHub extends LiveHub"},
		"angular":  {"class ChatHubService extends ChatHub", "new MessagePackHubProtocol()"},
	} {
		file := filepath.Join(t.TempDir(), "out")
		codec := map[bool]string{true: "messagepack", false: "json"}[lang == "angular"]
		args := []string{"-lang", lang, "-protocol", codec, "-type", "Chat", "-o", file, "testdata/chat"}
		if lang == "cs" {
			args = append([]string{"-namespace", "MyApp.Hubs"}, args...)
		}
		if lang == "asyncapi" {
			args = append([]string{"-title", `The "chat" of %s`, "-version", "1.2.3", "-path", "/chat", "-server", "wss://example.com"}, args...)
		}
		if err := run(t.Context(), args, nil, os.Stderr); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(got), w) {
				t.Errorf("%s: no %q in\n%s", lang, w, got)
			}
		}
	}
	nothingLeft(t)
}

func TestOptionsRenameMethods(t *testing.T) {
	for _, options := range []string{"Options", "NewOptions"} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"-lang", "ts", "-type", "Chat", "-options", options, "testdata/chat"}, &out, os.Stderr); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `this.connection.invoke("whisper-to", user, text)`) {
			t.Errorf("-options %s: no whisper-to in\n%s", options, &out)
		}
	}
	nothingLeft(t)
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown language":            {[]string{"-lang", "vb", "-type", "Chat"}, `-lang is "vb"`},
		"an unknown protocol":            {[]string{"-protocol", "xml", "-type", "Chat"}, `-protocol is "xml"`},
		"a namespace of TypeScript":      {[]string{"-namespace", "App", "-type", "Chat"}, "-namespace"},
		"a namespace that is none":       {[]string{"-lang", "cs", "-namespace", "My App", "-type", "Chat"}, `"My App"`},
		"a title of TypeScript":          {[]string{"-title", "Chat", "-type", "Chat"}, "-lang asyncapi"},
		"a server that is none":          {[]string{"-lang", "asyncapi", "-server", "example", "-type", "Chat", "testdata/chat"}, `"example" is not the URL`},
		"an unknown flag":                {[]string{"-langauge", "ts"}, "flag provided but not defined: -langauge"},
		"no type":                        {nil, "-type is missing"},
		"a type that is not there":       {[]string{"-type", "Nobody", "testdata/chat"}, "has no type Nobody"},
		"a type that is not exported":    {[]string{"-type", "chat", "testdata/chat"}, "not the name of an exported type"},
		"a program instead of a package": {[]string{"-type", "Chat", "."}, "is a program"},
		"a folder that is not there":     {[]string{"-type", "Chat", "testdata/none"}, "testdata/none"},
		"a hub that cannot be called":    {[]string{"-type", "Bad", "testdata/chat"}, "method Say: variadic"},
		"options that are not there":     {[]string{"-type", "Chat", "-options", "Nothing", "testdata/chat"}, "no variable or function Nothing"},
		"options that are not exported":  {[]string{"-type", "Chat", "-options", "a b", "testdata/chat"}, `-options "a b"`},
		"two packages":                   {[]string{"-type", "Chat", "a", "b"}, "one package at a time"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			err := run(t.Context(), c.args, &out, &log)
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
				t.Errorf("got %v and %q, want an error with %q and no output", err, &out, c.want)
			}
		})
	}
	nothingLeft(t)
}

func TestHelpIsNoErrorAndWrongFlagsAre(t *testing.T) {
	program := filepath.Join(t.TempDir(), "hubgen")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for flag, want := range map[string]int{"-help": 0, "-h": 0, "-nonsense": 1, "-type=": 1} {
		cmd := exec.Command(program, flag)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want || len(out) == 0 {
			t.Errorf("hubgen %s ended with %d (%v) and printed %q, want %d", flag, got, err, out, want)
		}
		if flag == "-help" && !bytes.Contains(out, []byte("angular, asyncapi, cs, rxjs, ts")) {
			t.Errorf("hubgen -help does not say what it writes:\n%s", out)
		}
	}
}

func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob("testdata/chat/.hubgen*")
	if err != nil || len(left) > 0 {
		t.Errorf("not removed: %v, %v", left, err)
	}
}
