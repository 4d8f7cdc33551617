"""How much memory of the server an idle listener holds, for each way to listen, next to a stream of bare SSE.

python -m tests.bench.memory [LISTENERS]. Some listeners come first, so that what all of them share is there. Then so
many more come, one for each member, and stay idle. The figure is the growth of the server's resident memory, over their
number. Each way has a server of its own, because memory that listeners gave back would serve the next ones.
"""

import contextlib
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.costs import cpu_seconds, floor
from tests.campaigns.callers import RawCaller, enroll
from tests.harness.room import RoomOfProcesses, free_port, served_room
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Legacy, Wire, message, modern_headers, posted, request

LISTENERS, FIRST = 1_000, 100
LIMIT_KIB = 64.0
"""What an idle listener may hold."""

INBOX = "teamroom://inbox"
WAIT_SECONDS = 50
"""How long a call waits at most: all of them must have begun by then."""

QUIET_SECONDS, QUIET_CPU_SECONDS, LONGEST_SECONDS = 0.5, 0.02, 20.0
"""The server is quiet once it used at most so much CPU in so long; how long it may take to become so."""

Listen = Callable[[int, str], Wire]
"""Opens the idle listener of a member: gets the port and the member's token, or the stream's name."""


@dataclass(frozen=True)
class Way:
    """A way to listen, and what one idle listener of it holds, in KiB."""

    name: str
    kib: float
    limit: float | None = LIMIT_KIB

    @property
    def is_good(self) -> bool:
        """Whether it holds no more than it may."""
        return self.limit is None or self.kib <= self.limit


def stream(port: int, token: str) -> Wire:
    """A stream of `subscriptions/listen`."""
    params = {"notifications": {"resourceSubscriptions": [INBOX]}, "_meta": ENVELOPE}
    return _opened(port, posted(port, token, message("subscriptions/listen", params), _LISTEN), rb"acknowledged")


def long_poll(port: int, token: str) -> Wire:
    """A waiting call, which `quiet` waits for, because nothing comes back."""
    params = {"name": "wait_for_wake", "arguments": {"timeout_seconds": WAIT_SECONDS}, "_meta": ENVELOPE}
    return _opened(port, posted(port, token, message("tools/call", params), _WAIT))


def session(port: int, token: str) -> Wire:
    """A session of 2025-06-18, with its open stream and a subscription."""
    member = Legacy(port, token)
    headers = [("host", f"127.0.0.1:{port}"), ("authorization", f"Bearer {token}"), ("accept", "text/event-stream")]
    wire = _opened(port, request("GET", "/mcp", [*headers, *member.session]))
    answer = member.ask("resources/subscribe", {"uri": INBOX})
    if "result" not in answer.json:
        raise RuntimeError(f"a subscription failed: {answer.body[:500]!r}")
    member.wire.socket.close()
    return wire


def line(port: int, name: str) -> Wire:
    """A stream of bare SSE."""
    return _opened(port, request("GET", f"/listen/{name}", [("host", f"127.0.0.1:{port}")]), rb"200 OK")


WAYS: dict[str, Listen] = {
    "subscriptions/listen, 2026-07-28": stream,
    "wait_for_wake, 2026-07-28": long_poll,
    "a session with its stream, 2025-06-18": session,
}
BARE = "bare SSE"

_LISTEN = modern_headers("subscriptions/listen")
_WAIT = modern_headers("tools/call", "wait_for_wake")


def _opened(port: int, sent: bytes, sign: bytes | None = None) -> Wire:
    """A connection with a request, once something with this sign has come back. Raises RuntimeError if it does not."""
    wire, got = Wire(port), b""
    wire.send(sent)
    while sign is not None and not re.search(sign, got):
        data = wire.socket.recv(65_536)
        if not data:
            raise RuntimeError(f"a listener was not served: {got[:500]!r}")
        got += data
    return wire


def quiet(process: int) -> None:
    """Wait until a server has nothing to do, within a bound."""
    end, used = time.monotonic() + LONGEST_SECONDS, -1.0
    while time.monotonic() < end:
        now = cpu_seconds(process)
        if used >= 0 and now - used <= QUIET_CPU_SECONDS:
            return
        used = now
        time.sleep(QUIET_SECONDS)


def kib_each(port: int, process: int, names: Sequence[str], listen: Listen) -> float:
    """Open a listener for each name; returns by how many KiB each of them grew the server, after the first ones."""
    with contextlib.ExitStack() as open_:
        began = time.monotonic()
        for name in names[:FIRST]:
            open_.enter_context(listen(port, name))
        quiet(process)
        before = psutil.Process(process).memory_info().rss
        for name in track(names[FIRST:], "Listening", transient=True):
            open_.enter_context(listen(port, name))
        quiet(process)
        if time.monotonic() - began > WAIT_SECONDS:
            raise TimeoutError("this machine is so slow that the first listeners have ended their wait")
        return float(psutil.Process(process).memory_info().rss - before) / (len(names) - FIRST) / 1024


async def enroll_all(room: RoomOfProcesses, count: int) -> list[str]:
    """The tokens of so many new members."""
    caller = await RawCaller.connect(room.port)
    numbers = track(range(count), f"Enrolling {count} members", transient=True)
    tokens = [await enroll(caller, room, f"agent-{number}") for number in numbers]
    caller.close()
    return tokens


def measure(count: int = LISTENERS) -> list[Way]:
    """What an idle listener holds, for each way, and the floor last. A way is left out if the machine is too slow."""
    more_files()
    return [*in_room(count), in_floor(count)]


def in_room(count: int) -> Iterator[Way]:
    """What an idle listener of a room holds, for each way."""
    settings: dict[str, Any] = {**LIMITLESS, "connections": 8192}
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in settings.items()}
    with (
        tempfile.TemporaryDirectory() as folder,
        served_room(Path(folder) / "room", free_port(), environment) as served,
    ):
        tokens = uvloop.run(enroll_all(served.room, FIRST + count))
        for name, listen in WAYS.items():
            served.restart()
            with contextlib.suppress(TimeoutError):
                yield Way(name, kib_each(served.room.port, served.process.pid, tokens, listen))


def in_floor(count: int) -> Way:
    """What a stream of bare SSE holds."""
    with floor("sse") as (port, process):
        names = [str(number) for number in range(FIRST + count)]
        return Way(BARE, kib_each(port, process, names, line), None)


def show(ways: Sequence[Way]) -> None:
    """Print and draw what each listener holds."""
    table = Table("an idle listener", "KiB", "", "at most", box=None)
    for way in ways:
        bar = ProgressBar(total=2 * LIMIT_KIB, completed=min(way.kib, 2 * LIMIT_KIB), width=30)
        limit = "" if way.limit is None else f"{way.limit:.0f}{'' if way.is_good else '  MISSED'}"
        table.add_row(way.name, f"{way.kib:.1f}", bar, limit)
    Console().print(table)


def more_files() -> None:
    """Let this process open as many files as the system allows: each listener is one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def main() -> None:
    """Measure, and draw. Exits with 1 if a listener holds too much."""
    ways = measure(int(sys.argv[1]) if len(sys.argv) > 1 else LISTENERS)
    show(ways)
    sys.exit(not all(way.is_good for way in ways))


if __name__ == "__main__":
    main()
