// Package hubtest tests hubs: in memory, without ports, browsers or other
// processes, over the real code of every transport.
//
// A whole hub, with clients:
//
//	func TestSayReachesTheRoom(t *testing.T) {
//		n := hubtest.New(t, Chat{}, nil)
//		alice, bob := n.Connect(), n.Connect()
//		alice.Do("Join", "lobby")
//		bob.Do("Join", "lobby")
//		alice.Do("Say", "lobby", "hello")
//		bob.Expect("Said", "hello")
//	}
//
// A single method, without clients:
//
//	func TestSaySendsToTheRoom(t *testing.T) {
//		call, sent := hubtest.Call(t)
//		if err := (Chat{}).Say(call, "lobby", "hello"); err != nil {
//			t.Fatal(err)
//		}
//		sent.Expect(hubtest.ToGroup("lobby"), "Said", "hello")
//	}
//
// docs/testing.md shows more.
//
// Everything works inside a testing/synctest bubble, where pings, timeouts and
// the methods' own timers take no time, and outside of one. Nothing waits for a
// while and hopes: Expect waits for the message, and ExpectNone asks the server
// whether it has sent one.
//
// What fails calls Fatal of the test, and therefore must be called by the
// goroutine that runs it, unless said otherwise. Everything is ended when the
// test ends; a connection that is left over then fails it.
package hubtest
