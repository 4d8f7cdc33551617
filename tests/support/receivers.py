"""A place outside the room that takes letters: an HTTP server on this machine, as wilful as a test wants."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from teamroom.server.rules.letters import BREAK
from tests.support.bounds import BOUND_SECONDS


@dataclass
class Receiver:
    """What came, and how the next is answered. While `open` is not set, an answer waits for it.

    `letters`: title and body as a person reads them, without the invisible breaks. `raw`: the bodies as they came.
    """

    port: int = 0
    status: int = 200
    open: threading.Event = field(default_factory=threading.Event)
    came: threading.Condition = field(default_factory=threading.Condition)
    letters: list[tuple[str, str]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    tries: int = 0

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.letters]

    def take(self, title: str, body: str) -> int:
        """Note that a letter came; returns the status to answer with."""
        with self.came:
            self.tries += 1
            if self.status == 200:
                self.letters.append((title, body.replace(BREAK, "")))
                self.raw.append(body)
            self.came.notify_all()
        self.open.wait(BOUND_SECONDS)
        return self.status

    def until(self, enough: Callable[["Receiver"], bool]) -> None:
        """Wait until enough came. Raises AssertionError beyond a bound."""
        end = time.monotonic() + BOUND_SECONDS
        with self.came:
            while not enough(self):
                assert self.came.wait(max(end - time.monotonic(), 0)), self.letters


@contextlib.contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver on a free port, or on one that was left."""
    found = Receiver()
    found.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = found.take(sent["title"], sent["message"])
            with contextlib.suppress(OSError):  # who sent it may have left
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    found.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    serving.start()
    try:
        yield found
    finally:
        found.open.set()
        server.shutdown()
        server.server_close()
        serving.join(BOUND_SECONDS)
