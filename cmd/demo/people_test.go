package main

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/hubwire/hubwire/cmd/demo/blog"
)

func TestWhoWasOnANodeThatHasDiedIsForgotten(t *testing.T) {
	inside := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: inside.Addr()})
	defer client.Close()
	first, second := newSharedPeople(client, "people"), newSharedPeople(client, "people")
	defer first.Close()
	defer second.Close()
	for _, put := range []struct {
		register *sharedPeople
		person   blog.Person
	}{
		{first, blog.Person{ID: "1", Name: "Ada"}},
		{second, blog.Person{ID: "2", Name: "Grace"}},
	} {
		if err := put.register.Put(t.Context(), put.person); err != nil {
			t.Fatal(err)
		}
	}
	// An entry that its node has not refreshed for long, and one that nobody can read.
	inside.HSet("people", "3", `{"id":"3","name":"Linus","seen":"`+time.Now().Add(-staleTime-time.Second).UTC().Format(time.RFC3339)+`"}`)
	inside.HSet("people", "4", "nonsense")
	all, err := first.All(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("here are %v, %v; want Ada and Grace", all, err)
	}
	if ids, err := inside.HKeys("people"); err != nil || len(ids) != 2 {
		t.Errorf("Redis has %q, %v; want 1 and 2", ids, err)
	}

	// A node writes its own again, whatever Redis has lost.
	inside.FlushAll()
	if err := second.writeOwn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := first.All(t.Context()); err != nil || len(all) != 1 || all[0].Name != "Grace" {
		t.Errorf("after Redis has lost all, here are %v, %v; want Grace", all, err)
	}
}
