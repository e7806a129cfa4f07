package main

import (
	"bytes"
	"context"
	"errors"
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
			if err := run(t.Context(), append([]string{"-once", "-addr", "127.0.0.1:0"}, test.args...), &out); err != nil {
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
		name string
		args []string
		want string
	}{
		{"an address that is none", []string{"-addr", "nowhere"}, "missing port"},
		{"a Redis that is not there", []string{"-redis", "redis://127.0.0.1:1"}, "refused"},
		{"a Redis URL that is none", []string{"-redis", "http://127.0.0.1"}, "scheme"},
		{"an unknown flag", []string{"-x"}, "-x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(t.Context(), append([]string{"-once"}, test.args...), &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run(%q) = %v, want an error with %q", test.args, err, test.want)
			}
		})
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

func TestTakenPortIsReplaced(t *testing.T) {
	first, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.l.Close()
	second, err := listen(first.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.l.Close()
	if first.url == second.url {
		t.Errorf("both nodes are at %s", first.url)
	}
}
