package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

func TestStoryReachesEveryClientThatItShould(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want []string
		not  []string
	}{
		{
			name: "with a backplane both clients of the app receive the post, and another app does not",
			want: []string{
				`client of node 1       PostPublished   42 "Post 42"`,
				`client of node 2       PostPublished   42 "Post 42"`,
				`client of node 2       ReceiveMessage  client of node 1: hello`,
				`client of another app  PostPublished   7 "Post 7"`,
			},
			not: []string{"client of another app  PostPublished   42", "client of another app  ReceiveMessage", "client of node 1       PostPublished   7"},
		},
		{
			name: "a Redis of its own does the same",
			args: []string{"-redis", "redis://" + miniredis.RunT(t).Addr()},
			want: []string{`client of node 2       PostPublished   42 "Post 42"`, `client of another app  PostPublished   7 "Post 7"`},
			not:  []string{"client of another app  PostPublished   42", "miniredis"},
		},
		{
			name: "without a backplane the client of node 2 misses the post of node 1",
			args: []string{"-backplane=off"},
			want: []string{`client of node 1       PostPublished   42`, `client of node 2       PostPublished   7`},
			not:  []string{"client of node 2       PostPublished   42", "client of node 2       ReceiveMessage"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), append([]string{"-once", "-addr", "127.0.0.1:0"}, test.args...), strings.NewReader(""), &out); err != nil {
				t.Fatalf("run = %v\n%s", err, &out)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output does not have %q:\n%s", want, &out)
				}
			}
			for _, not := range test.not {
				if strings.Contains(out.String(), not) {
					t.Errorf("the output has %q:\n%s", not, &out)
				}
			}
		})
	}
}

func TestFailuresAreReported(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"an address that is none", "missing port", []string{"-addr", "nowhere"}},
		{"a Redis that is not there", "refused", []string{"-redis", "redis://127.0.0.1:1"}},
		{"a Redis URL that is none", "scheme", []string{"-redis", "http://127.0.0.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(t.Context(), append([]string{"-once"}, test.args...), strings.NewReader(""), io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run(%q) = %v, want an error with %q", test.args, err, test.want)
			}
		})
	}
}

func TestACommandLineThatMakesNoSenseIsRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"not defined: -x":        {"-x"},
		"must be on or off":      {"-backplane=maybe"},
		"must be on or off (no)": {"-angular=no"},
		`"node" is no flag`:      {"node"},
		"must be 2 to 5":         {"-nodes", "1"},
		"must be 2 to 5 (six)":   {"-nodes", "6"},
		"-nodes is not for":      {"-nodes", "3", "-node", "127.0.0.1:0"},
		"-drain is negative":     {"-node", "127.0.0.1:0", "-drain", "-1s"},
		"-drain is for -node":    {"-drain", "1s"},
		"-node tells no story":   {"-node", "127.0.0.1:0", "-once"},
		"-redis is for nodes":    {"-redis", "redis://127.0.0.1", "-backplane=off"},
	} {
		want, _, _ = strings.Cut(want, " (")
		var usage *usageError
		if _, err := parse(args, io.Discard); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%q) = %v, want a usage error with %q", args, err, want)
		}
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, strings.NewReader(""), &out); err != nil {
		t.Errorf("run -help = %v", err)
	}
	for _, name := range []string{"-addr", "-redis", "-backplane", "-angular", "-once", "-nodes", "-node", "-drain"} {
		if !strings.Contains(out.String(), "  "+name) {
			t.Errorf("the help does not have %s:\n%s", name, &out)
		}
	}
}

func TestWrongNewsAreAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &client{name: "c", news: make(chan string, 2)}
	if err := c.expect(ctx, "post 42"); !errors.Is(err, context.Canceled) {
		t.Errorf("expect of a client without news = %v, want context.Canceled", err)
	}
	c.note("post 7")
	if err := c.expect(t.Context(), "post 42"); err == nil || !strings.Contains(err.Error(), "received post 7, not post 42") {
		t.Errorf("expect of a client with other news = %v", err)
	}
}

func TestAPortThatIsTakenIsReplacedAndTheTerminalSaysSo(t *testing.T) {
	var out bytes.Buffer
	screen := &screen{out: &out}
	first, err := listen("node 1", "127.0.0.1:0", screen)
	if err != nil {
		t.Fatal(err)
	}
	defer first.l.Close()
	taken := first.l.Addr().String()
	second, err := listen("node 2", taken, screen)
	if err != nil {
		t.Fatal(err)
	}
	defer second.l.Close()
	if first.url == second.url {
		t.Errorf("both nodes are at %s", first.url)
	}
	for _, want := range []string{taken + " cannot be used", "in use", "node 2 takes " + second.l.Addr().String()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the terminal does not say %q: %s", want, &out)
		}
	}
}
