"""What a caller without a valid token is told, and what the room notes of it: a bounded number of counters and lines.

A stranger is a connection on which no valid token has been shown. Whatever it is answered, it is closed then.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Message, Send

from teamroom.server.metrics import Metrics
from teamroom.server.refusals import REFUSED

logger = logging.getLogger("teamroom.gate")

QUIET_SECONDS = 60.0
"""How long a status is not logged again after it was logged."""

CLOSE = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that is refused before it is one: it has no method, path or body that anything could answer."""

    status: int
    code: str
    why: str
    fix: str

    @property
    def answer(self) -> bytes:
        """The whole response, after which the connection is closed."""
        data = {"code": self.code, "why": self.why, "fix": self.fix}
        message = f"Refused ({self.code}): {self.why} Fix: {self.fix}"
        error = {"code": REFUSED, "message": message, "data": data}
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


class Rejections:
    """Counts who is rejected, and says so at most once a minute for each status, and never what was sent."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said: dict[int, float] = {}

    def note(self, status: int, code: str) -> None:
        """Note one rejected request."""
        self._metrics.count_rejected(status, code)
        now = time.monotonic()
        if now - self._said.get(status, -QUIET_SECONDS) >= QUIET_SECONDS:
            self._said[status] = now
            logger.info("request rejected with %d (%s); further ones are not logged for a minute", status, code)


def closing(send: Send, is_stranger: Callable[[], bool]) -> Send:
    """Answer as `send` does, and close the connection afterwards if a stranger is answered."""

    def sent(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and is_stranger():
            message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
        return send(message)

    return sent
