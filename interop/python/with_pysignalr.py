"""The client of pysignalr, which is asynchronous: it runs in a thread of its own."""
import asyncio
import logging
import queue
import threading

from pysignalr.client import SignalRClient
from pysignalr.exceptions import ServerError
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

MODES = ["WebSockets json", "WebSockets messagepack"]

logging.disable(logging.CRITICAL)
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()


class Client:
    class CallError(Exception):
        pass

    def __init__(self, url, mode, limit):
        self.limit, self.received, self.closed = limit, queue.Queue(), threading.Event()
        self.failures = {}  # by invocation id: what takes the error of a call
        self.hub = SignalRClient(url, MessagepackProtocol() if mode.endswith("messagepack") else JSONProtocol())
        self.hub.on("M", self._m)
        self.hub.on_error(self._nothing)
        self.hub.on_close(self._closed)
        self.running = None

    async def _m(self, args):
        self.received.put(args[0])

    async def _nothing(self, message=None):
        pass

    async def _closed(self):
        self.closed.set()

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, loop).result(self.limit)

    def start(self):
        self.running = asyncio.run_coroutine_threadsafe(self.hub.run(), loop)

    def stop(self):
        if self.running is not None:
            self.running.cancel()

    def begin(self, method, *args):
        """Calls, and returns what waits for the result."""
        end = queue.Queue()

        async def on_end(message):
            end.put(message)
        self._do(self.hub.send(method, list(args), on_end))

        def wait():
            message = end.get(timeout=self.limit)
            if message.error:
                raise self.CallError(message.error)
            return message.result
        return wait

    def invoke(self, method, *args):
        return self.begin(method, *args)()

    def send(self, method, *args):
        self._do(self.hub.send(method, list(args)))

    def items(self, method, *args):
        """All items of a stream, and then the text of the error if there is one."""
        got, end = [], queue.Queue()

        async def on_item(item):
            got.append(item)

        async def on_end(message):
            end.put(message.error)
        self._do(self.hub.stream(method, list(args), on_item, on_end, on_end))
        if error := end.get(timeout=self.limit):
            got.append(error)
        return got

    def upload(self, method, items):
        async def all():
            async with self.hub.client_stream(method) as stream:
                for item in items:
                    await stream.send(item)
        self._do(all())

    def answer(self, method, f):
        """Returns client results."""
        async def on_question(args):
            return f(*args)
        self.hub.on(method, on_question)

    def refusal(self):
        """The text of the error with which the server has closed the connection."""
        try:
            self.running.result(self.limit)
        except ServerError as e:
            return str(e)
        return "no error"


def leave():
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
