"""A room in a thread of its own, which answers tests that block."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from teamroom.server.http.connections import Connections
from teamroom.server.http.transports import Transports
from tests.support.bounds import BOUND_SECONDS
from tests.support.raw import Legacy, Modern, Wire, reply
from tests.support.rooms import RunningRoom, running_room
from tests.support.stopwatch import Stopwatch


class Logged(logging.Handler):
    """What was logged from some level on, by anybody."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


LOGGERS = ("", "uvicorn", "mcp", "teamroom", "sse_starlette", "asyncio")


@contextlib.contextmanager
def logged(level: int = logging.ERROR) -> Iterator[Logged]:
    """Collect what is logged; inside a running room, because its start sets loggers up anew."""
    handler = Logged(level)
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    heard = [logging.getLogger(name) for name in ("", "uvicorn")]
    for logger in heard:
        logger.addHandler(handler)
    if level < logging.WARNING:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(level)
    try:
        yield handler
    finally:
        for logger in heard:
            logger.removeHandler(handler)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


@dataclass
class RoomInThread:
    """A running room whose event loop is in another thread, so that a test may block."""

    running: RunningRoom
    portal: BlockingPortal
    log: Logged
    connections: Connections
    transports: Transports

    @property
    def port(self) -> int:
        return self.running.room.settings.port

    def token(self, name: str) -> str:
        return self.running.owner_token if name == "olga" else self.running.tokens[name]

    def modern(self, name: str) -> Modern:
        return Modern(self.port, self.token(name))

    def legacy(self, name: str) -> Legacy:
        return Legacy(self.port, self.token(name))

    def wire(self, receive_bytes: int | None = None) -> Wire:
        return Wire(self.port, receive_bytes)

    def enroll(self, *names: str, **options: Any) -> None:
        """Enroll members, whose tokens the room then knows."""
        with self.modern("olga") as owner:
            for name in names:
                self.running.tokens[name] = reply(owner.call("enroll", {"name": name, **options}))["token"]

    def open_now(self) -> tuple[int, int, int]:
        """How many connections, requests in work and asyncio tasks there are."""

        def count(_: RunningRoom) -> tuple[int, int, int]:
            return len(self.connections.open), self.connections.answering_now, len(asyncio.all_tasks())

        counted: tuple[int, int, int] = self.look(count)
        return counted

    def sessions(self, *sessions: "Legacy") -> list[bool]:
        """Which of these sessions the server still has."""
        ids = [session.session[0][1] for session in sessions]
        return list(self.look(lambda _: [id_ in self.transports.sessions_of(member_of(id_)) for id_ in ids]))

    def until_open(
        self, at_most: tuple[int, int, int], seconds: float = BOUND_SECONDS, stopwatch: Stopwatch | None = None
    ) -> tuple[int, int, int]:
        """Wait until no more is open than this, or the stopwatch, now or started before, is past the seconds.

        Returns what is open then.
        """
        stopwatch = stopwatch or Stopwatch()
        while True:
            now = self.open_now()
            if stopwatch.seconds > seconds or is_within(now, at_most):
                return now
            time.sleep(0.005)

    def run(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        """Run a coroutine function on the room's own event loop."""
        return self.portal.call(work, *arguments)

    def until_waiting(self, members: int = 1) -> None:
        """Wait until this many members wait for a wake."""
        self.run(self.running.until_waiting, members)

    def look(self, read: Callable[[RunningRoom], Any]) -> Any:
        """Look at the room from its own thread."""
        return self.portal.call(read, self.running)


def member_of(session: str) -> int:
    """The number of the member that a session id was made for."""
    return int(session.partition(".")[0])


def is_within(now: tuple[int, ...], at_most: tuple[int, ...]) -> bool:
    """Whether no count is above its bound."""
    return all(count <= most for count, most in zip(now, at_most, strict=True))


@contextlib.contextmanager
def room_in_thread(folder: Path, **settings: Any) -> Iterator[RoomInThread]:
    """A room served from a thread of its own."""
    with (
        start_blocking_portal("asyncio", {"use_uvloop": True}) as portal,
        portal.wrap_async_context_manager(running_room(folder, **settings)) as running,
        logged() as log,
    ):
        connections, transports = (getattr(hook, "__self__", None) for hook in running.room.bus.on_ended[:2])
        assert isinstance(connections, Connections)
        assert isinstance(transports, Transports)
        yield RoomInThread(running, portal, log, connections, transports)
