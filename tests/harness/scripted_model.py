"""A model on 127.0.0.1 that follows a script, whatever API its harness speaks."""

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, cast

from tests.harness.script import Say, Step, Turn, next_turn

Json = dict[str, Any]


class Api(Protocol):
    """How one vendor's harness asks its model, and how that model answers."""

    @property
    def path(self) -> str:
        """Where turns are asked for, as a pattern."""
        ...

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls in a request, in their order."""
        ...

    def events(self, request: Json, turn: Turn, number: int) -> Iterable[Json]:
        """A turn as server-sent events; `number` counts the turns of a conversation from 0."""
        ...


class ScriptedModel:
    """Serves a script over an API on a free port, and keeps what its model saw.

    `seen`: the results of the script's calls. `opening`: the first request for a turn, which comes before any call.
    """

    def __init__(self, api: Api, steps: Sequence[Step]) -> None:
        self._api = api
        self._steps = steps
        self._server = _Server(self)
        self.seen: list[str] = []
        self.opening = ""
        self.failure: Exception | None = None

    @property
    def url(self) -> str:
        """Where the model answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ScriptedModel":
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> list[Json] | None:
        """The events that answer a request; None where there is no answer: no turn was asked for, or it failed."""
        if not re.fullmatch(self._api.path, path.partition("?")[0]):
            return None
        try:
            request = json.loads(body)
            seen = self._api.seen(request)
            return list(self._api.events(request, self._turn(request, seen), len(seen)))
        except Exception as error:
            self.failure = error
            return None

    def _turn(self, request: Json, seen: list[str]) -> Turn:
        if not request.get("tools"):
            return Say("-")  # a harness that wants a title or a summary
        self.seen = max(self.seen, seen, key=len)
        self.opening = self.opening or json.dumps(request, ensure_ascii=False)
        return next_turn(self._steps, seen)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, model: ScriptedModel) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A harness may leave in the middle of an answer."""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The test's output stays its own."""

    def do_HEAD(self) -> None:
        """Say that somebody is here."""
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        """There is nothing to get."""
        self.send_error(404)

    def do_POST(self) -> None:
        """Answer one request for a turn."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        events = cast(_Server, self.server).model.answer(self.path, body)
        if events is None:
            self.send_error(400)  # which no harness tries again
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for event in events:
                self.wfile.write(_frame(event))


def _frame(event: Json) -> bytes:
    """A server-sent event, with its type where the API has types."""
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()
