"""How long each call takes, and how it ends, for the metrics."""

import time
from typing import Any

from teamroom.server.metrics import Metrics
from teamroom.server.refusals import Refusal


class Timed:
    """A call that is counted and timed, whatever its outcome."""

    __slots__ = ("_kind", "_metrics", "_name", "_started", "reply")

    def __init__(self, metrics: Metrics, kind: str, name: str) -> None:
        self._metrics, self._kind, self._name = metrics, kind, name
        self.reply: Any = None

    def __enter__(self) -> "Timed":
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            outcome = "ok" if getattr(self.reply, "replayed", None) is None else "replayed"
        elif isinstance(error, Refusal):
            outcome = error.code
        else:
            outcome = "fault" if isinstance(error, Exception) else "left"
        self._metrics.call(self._kind, self._name, outcome, time.perf_counter() - self._started)
