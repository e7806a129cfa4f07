"""Plays the cases of interop/internal/cases with a client library of Python.

    python3 play.py signalrcore|pysignalr URL LEFT-OUT...

Each case prints one line of JSON: the mode, the case, and what the client got, or how the case failed.
"""
import importlib
import json
import re
import sys
import time
import traceback
import urllib.request

LIMIT = 60  # seconds for each wait


class Cases:
    def __init__(self, library, node, mode):
        self.library, self.node, self.mode, self.started = library, node, mode, []

    def client(self, query=""):
        """A started client. `received` takes what M was called with."""
        c = self.library.Client(f"{self.node}/hub{query}", self.mode, LIMIT)
        self.started.append(c)
        c.start()
        c.invoke("Nothing")  # before it is answered, the hub may not know the client
        return c

    def play(self, name):
        line = {"mode": self.mode, "case": name}
        try:
            line["got"] = CASES[name](self)
        except Exception:
            line["error"] = traceback.format_exc()
        for c in self.started:
            c.stop()
        self.started.clear()
        print(json.dumps(line), flush=True)

    def ended(self, id):
        """What OnDisconnected was given of a connection."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            with urllib.request.urlopen(f"{self.node}/api/ended") as answer:
                texts = json.load(answer)
            if id in texts:
                return texts[id]
            time.sleep(0.01)
        return "not called"


def received(*expected):
    """What each client's M was called with, of pairs of a client and how many messages it should get. What was sent before has come once the server has
    handled a call of the client, and from another node a little later."""
    every = []
    for c, count in expected:
        got, end = [], time.monotonic() + LIMIT
        while True:
            c.invoke("SendCaller", "M", "end")
            while (text := c.received.get(timeout=LIMIT)) != "end":
                got.append(text)
            if len(got) >= count or time.monotonic() > end:
                break
        every.append(got)
    return every


def error(c, *call):
    """The text of the error of a call."""
    try:
        return f"no error but {c.invoke(*call)!r}"
    except c.CallError as e:
        return str(e)


def calls(t):
    c = t.client()
    c.invoke("Nothing")
    return [c.invoke("Add", 1, 2), c.invoke("AddLong", -1, 4294967296), c.invoke("EchoByte", 255), c.invoke("EchoDouble", 0.1),
            c.invoke("Echo", "grüße \"<&>' \\ / \u2028 \U0001F680"), c.invoke("echo", "")]


def an_object(t):
    sample = {key.lower(): value for key, value in t.client().invoke("MakeSample").items()}  # MessagePack has C#'s names
    return [sample[key] for key in ("int", "text", "list", "map")]


def side_by_side(t):
    c = t.client()
    return sum(wait() for wait in [c.begin("Add", i, 1) for i in range(100)])


def a_send(t):
    c = t.client()
    c.send("SendCaller", "M", "sent")
    return c.received.get(timeout=LIMIT)


def many_messages(t):
    c = t.client()
    c.invoke("SendCallerOften", 1000, "M", "often")
    [got] = received((c, 1001))
    return [len(got), got[-1]]


def errors(t):
    c = t.client()
    calls = [["NoSuchMethod"], ["Add", 1], ["Add", "one", "two"], ["Throw", "secret"], ["ThrowHubException", "for all"], ["OnlyUsers"]]
    return [error(c, *call) for call in calls] + [c.invoke("Echo", "still here")]


def a_stream(t):
    c = t.client()
    return [c.items("Counter", 5, 0), c.items("Letters", 3), c.items("Counter", 0, 0)]


def upload_without_result(t):
    c = t.client()
    c.upload("Concat", ["a", "b"])
    return c.invoke("Echo", "still here")


def fails(question):
    raise RuntimeError("client says no")


def client_results(t):
    a, b = t.client(), t.client()
    b.answer("Ask", lambda q: f"answer to {q}")
    b.answer("AskLater", lambda q: f"late answer to {q}")
    b.answer("AskInt", lambda: 42)
    b.answer("AskFails", fails)
    id = b.invoke("ConnectionId")
    return [a.invoke("Ask", id, "Ask", "q"), a.invoke("Ask", id, "AskLater", "q"), a.invoke("AskInt", id, "AskInt"), error(a, "Ask", id, "AskFails", "q")]


def no_handler(t):
    c = t.client()
    return error(c, "Ask", c.invoke("ConnectionId"), "NoHandler", "q")


def groups(t):
    a, b, c = t.client(), t.client(), t.client()
    group = f"python {a.invoke('ConnectionId')}"
    a.invoke("Join", group)
    b.invoke("Join", group)
    c.invoke("SendGroup", group, "M", "to both")
    both = received((a, 1), (b, 1), (c, 0))
    a.invoke("Leave", group)
    a.invoke("SendGroup", group, "M", "to one")
    one = received((a, 0), (b, 1), (c, 0))
    b.invoke("SendOthersInGroup", group, "M", "to nobody")
    return [both, one, received((a, 0), (b, 0), (c, 0))]


def users(t):
    user = f"python{time.monotonic_ns()}"
    a, b, c = t.client(f"?user={user}"), t.client(f"?user={user}"), t.client()
    c.invoke("SendUser", user, "M", "hi")
    return [received((a, 1), (b, 1), (c, 0)), a.invoke("UserIdentifier") == user]


def everybody(t):
    a, b = t.client(), t.client()
    a.invoke("SendAll", "M", "all")
    a.invoke("SendOthers", "M", "others")
    a.invoke("SendCaller", "M", "caller")
    return [sorted(got) for got in received((a, 2), (b, 2))]  # over Redis they need not come in order


def connection_id(t):
    # Both clients negotiate version 0, in which the id is the token, too: on any node that is a sealed one.
    return re.fullmatch(r"[\w-]{22}|hw1\.[\w-]{58}", t.client().invoke("ConnectionId")) is not None


def a_stop(t):
    c = t.client()
    id = c.invoke("ConnectionId")
    c.stop()
    return t.ended(id)


def abort(t):
    c = t.client()
    id = c.invoke("ConnectionId")
    c.send("Abort")
    if not c.closed.wait(LIMIT):
        return "the client does not see it"
    return t.ended(id)


def refused(t):
    c = t.library.Client(f"{t.node}/hub?connected=throw", t.mode, LIMIT)
    t.started.append(c)
    c.start()
    return c.refusal()


CASES = {
    "results of calls": calls,
    "an object": an_object,
    "calls side by side": side_by_side,
    "a send": a_send,
    "many messages": many_messages,
    "a big result": lambda t: len(t.client().invoke("Text", 100_000)),
    "errors of calls": errors,
    "a stream": a_stream,
    "a stream that fails": lambda t: t.client().items("CounterThenThrow", 2, "x"),
    "an upload without a result": upload_without_result,
    "client results": client_results,
    "a question without handler": no_handler,
    "groups": groups,
    "users": users,
    "all, others and the caller": everybody,
    "the connection's id": connection_id,
    "the transport": lambda t: t.mode.startswith(t.client().invoke("Transport")),
    "a stop": a_stop,
    "the server aborts": abort,
    "the server refuses": refused,
}

if __name__ == "__main__":
    name, node, *left_out = sys.argv[1:]
    library = importlib.import_module(f"with_{name}")
    for mode in library.MODES:
        for case in CASES:
            if f"{mode}/{case}" not in left_out:
                Cases(library, node, mode).play(case)
    library.leave()
