"""The client of signalrcore, which has threads."""
import logging
import os
import queue
import sys
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

MODES = ["WebSockets json", "WebSockets messagepack", "WebSockets json without negotiation", "ServerSentEvents json"]


class Client:
    class CallError(Exception):
        pass

    def __init__(self, url, mode, limit):
        transport, protocol, *_ = mode.split()
        self.limit, self.received, self.closed, self.opened = limit, queue.Queue(), threading.Event(), threading.Event()
        self.waiting = {}  # by invocation id: what takes the end of a call, as (result, error)
        options = {"transport": HttpTransportType(transport), "skip_negotiation": mode.endswith("without negotiation")}
        self.hub = (HubConnectionBuilder().with_url(url, options=options)
                    .with_hub_protocol(HubProtocolEncoding.binary if protocol == "messagepack" else HubProtocolEncoding.text)
                    .configure_logging(logging.CRITICAL).build())
        # What arrives before a stream has its subscriber is lost: nothing is dispatched meanwhile.
        self.dispatching, dispatch = threading.RLock(), self.hub.on_message

        def guarded(messages):
            with self.dispatching:
                dispatch(messages)
        self.hub.on_message = guarded
        self.hub.on("M", lambda args: self.received.put(args[0]))
        self.hub.on_open(self.opened.set)
        self.hub.on_close(self.closed.set)
        self.hub.on_error(lambda m: self.waiting[m.invocation_id].put((None, m.error)))

    def start(self):
        self.hub.start()
        if not self.opened.wait(self.limit):
            raise TimeoutError("the start takes too long")

    def stop(self):
        # It waits until the server's next ping has come: its socket is closed while another thread reads from it.
        threading.Thread(target=self.hub.stop, daemon=True).start()

    def begin(self, method, *args):
        """Calls, and returns what waits for the result."""
        end, id = queue.Queue(), f"{method} {len(self.waiting)}"
        self.waiting[id] = end
        self.hub.invoke(method, list(args), lambda m: end.put((m.result, None)), id)

        def wait():
            result, error = end.get(timeout=self.limit)
            if error:
                raise self.CallError(error)
            return result
        return wait

    def invoke(self, method, *args):
        return self.begin(method, *args)()

    def send(self, method, *args):
        self.hub.invoke(method, list(args))

    def items(self, method, *args):
        """All items of a stream, and then the text of the error if there is one."""
        got, end = [], queue.Queue()
        with self.dispatching:
            stream = self.hub.stream(method, list(args))
            stream.subscribe({"next": got.append, "complete": lambda m: end.put(None), "error": end.put})
            self.waiting[stream.invocation_id] = end  # an error comes to the hub's on_error
        if (last := end.get(timeout=self.limit)) is not None:
            got.append(last[1])
        return got

    def upload(self, method, items):
        s = Subject()
        self.hub.send(method, s)
        for item in items:
            s.next(item)
        s.complete()


def leave():
    """Ends the process: threads of the library may be left."""
    sys.stdout.flush()
    os._exit(0)
