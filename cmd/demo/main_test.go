package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
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

func TestWrongPostsAreAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c := &client{name: "c", posts: make(chan int, 2)}
	if err := c.expect(ctx, 42); err == nil {
		t.Error("expect(42) of a client without posts = nil")
	}
	c.posts <- 7
	if err := c.expect(t.Context(), 42); err == nil || !strings.Contains(err.Error(), "[7], not [42]") {
		t.Errorf("expect(42) of a client with post 7 = %v", err)
	}
}
