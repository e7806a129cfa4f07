package pages

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hubwire/hubwire/interop/harness"
	"github.com/hubwire/hubwire/server"
)

// compile runs tsc in dir.
func compile(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"--strict", "--skipLibCheck", "--experimentalDecorators",
		"--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom"}, args...)
	harness.Output(t, harness.Script(t, dir, filepath.Join(dir, "node_modules/typescript/bin/tsc"), args...), limit)
}

func TestTypeScriptOfThePagesCompiles(t *testing.T) {
	dir := folderWith(t, harness.Modules(t, "."))
	args := []string{"--noEmit", "--noUnusedLocals"}
	write(t, dir, "chat.ts", harness.Blocks(t, startingPage, "ts")[0]) // imported by the page's component
	for _, page := range pagesWith(t, "ts") {
		for i, code := range harness.Blocks(t, page, "ts") {
			name := fmt.Sprintf("%s-%d.ts", strings.TrimSuffix(filepath.Base(page), ".md"), i+1)
			write(t, dir, name, code)
			args = append(args, name)
		}
	}
	compile(t, dir, args...)
}

// chat is the hub of the README, as far as its Angular client knows it.
type chat struct{ connected *atomic.Int32 }

func (c chat) OnConnected(*server.Call) error {
	c.connected.Add(1)
	return nil
}

func (chat) Join(call *server.Call, room string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), room)
}

func (chat) Say(call *server.Call, room, text string) error {
	return call.Clients().Group(room).Send(call.Context(), "Said", text)
}

// serveChat serves a chat, until stop is called.
func serveChat(t *testing.T, l net.Listener, connected *atomic.Int32) (stop func()) {
	t.Helper()
	hub := server.MustHub(chat{connected}, nil)
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", hub)
	web := &http.Server{Handler: mux}
	ended := make(chan struct{})
	go func() { // ends with web.Close
		defer close(ended)
		_ = web.Serve(l)
	}()
	return func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := errors.Join(hub.Shutdown(ctx), web.Close()); err != nil {
			t.Errorf("the server's end: %v", err)
		}
		<-ended
	}
}

// The service of the README starts once for all who ask, and is in its room
// again after the server was away.
func TestTheAngularServiceStartsOnceAndJoinsItsRoomAgain(t *testing.T) {
	dir := folderWith(t, harness.Modules(t, "."))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // again, if all went well
	addr := l.Addr().String()
	service := harness.Blocks(t, "README.md", "ts")[0]
	if !strings.Contains(service, pageAddr) {
		t.Fatalf("the service does not connect to %s", pageAddr)
	}
	write(t, dir, "package.json", `{"type": "module"}`)
	write(t, dir, "chat.ts", strings.ReplaceAll(service, pageAddr, addr))
	write(t, dir, "drive.mjs", driveService)
	compile(t, dir, "chat.ts")

	var connected atomic.Int32
	stop := serveChat(t, l, &connected)
	drive := harness.Script(t, dir, filepath.Join(dir, "drive.mjs"))
	in, err := drive.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := drive.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process := harness.Start(t, drive)
	expect := lines(t, out)
	expect("said 1")
	if n := connected.Load(); n != 1 {
		t.Errorf("the service has connected %d times, want once for all who ask", n)
	}
	stop()
	expect("offline")
	// A connection of another program may have got the port meanwhile.
	harness.Await(t, "the port of "+addr, limit, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	stop = serveChat(t, l, &connected)
	defer stop()
	expect("online")
	if _, err := in.Write([]byte("say\n")); err != nil {
		t.Fatal(err)
	}
	expect("said 2")
	in.Close()
	if err := process.Wait(); err != nil {
		t.Errorf("drive.mjs ended with %v", err)
	}
}

// driveService uses the service as components would, without a page.
const driveService = `import "@angular/compiler";
import { createWatch } from "@angular/core/primitives/signals";
import { once } from "node:events";
import { Chat } from "./chat.js";

const chat = new Chat();
setTimeout(() => { console.log("too late"); process.exit(1); }, 60_000);
/** Waits until a condition on signals holds, which is asked at each of their changes. */
const until = (condition) => new Promise((ok) => {
    const watch = createWatch(() => { if (condition()) ok(); }, () => queueMicrotask(() => watch.run()), false);
    watch.notify();
});

await Promise.all([chat.join("lobby"), chat.join("lobby"), chat.say("lobby", "nobody hears it")]); // three components, one start
await chat.say("lobby", "one");
await until(() => chat.said().includes("one"));
console.log("said 1");
await until(() => !chat.online());
console.log("offline");
await until(() => chat.online());
console.log("online");
await once(process.stdin, "data");
await chat.say("lobby", "two");
await until(() => chat.said().includes("two"));
console.log("said 2");
process.exit(0);
`
