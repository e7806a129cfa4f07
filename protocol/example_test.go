package protocol_test

import (
	"fmt"
	"time"

	"github.com/hubwire/hubwire/protocol"
)

// Post is the Go side of a class of .NET with the properties Id, Title, PublishedAt
// and EditedBy.
type Post struct {
	ID          int       `json:"id" msgpack:"Id"`
	Title       string    `json:"title"`
	PublishedAt time.Time `json:"publishedAt"`
	EditedBy    *string   `json:"editedBy"`
}

func ExampleJSON() {
	post := Post{ID: 1, Title: "Go & SignalR", PublishedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	wire, err := protocol.JSON{}.Append(nil, &protocol.Invocation{Target: "PostPublished", Arguments: []any{post}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", wire)

	m, rest, err := protocol.JSON{}.Next(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	call := m.(*protocol.Invocation)
	var received Post
	if err := (protocol.JSON{}).Unmarshal(call.RawArguments[0], &received); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(call.Target, received.Title, len(rest))
	// Output:
	// "{\"type\":1,\"target\":\"PostPublished\",\"arguments\":[{\"id\":1,\"title\":\"Go & SignalR\",\"publishedAt\":\"2026-01-02T03:04:05Z\",\"editedBy\":null}]}\x1e"
	// PostPublished Go & SignalR 0
}

func ExampleMessagePack() {
	post := Post{ID: 1, Title: "Go"}
	raw, err := protocol.MessagePack{}.AppendValue(nil, post)
	if err != nil {
		fmt.Println(err)
		return
	}
	var received map[string]any
	if err := (protocol.MessagePack{}).Unmarshal(raw, &received); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(received)
	// Output:
	// map[EditedBy:<nil> Id:1 PublishedAt:0001-01-01 00:00:00 +0000 UTC Title:Go]
}

func ExampleParseHandshakeRequest() {
	read := []byte("{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e")
	request, rest, err := protocol.ParseHandshakeRequest(read)
	fmt.Println(request.Protocol, request.Version, err)
	m, _, err := protocol.JSON{}.Next(rest) // what follows belongs to the hub protocol
	fmt.Printf("%T %v\n", m, err)
	// Output:
	// json 1 <nil>
	// *protocol.Ping <nil>
}
