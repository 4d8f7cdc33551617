"""Callers without a token take what they can: connections, memory, descriptors, lines of the log (SAF11).

One kind after another: silent connections, half heads, probes, slow and large bodies, endless heads, trailers and
extensions, garbage, upgrades, handshakes, wrong tokens. Meanwhile a member calls on a connection that it opened before,
another one opens a connection for each call, and the probes are asked. Memory and descriptors are looked at all the
time, and must be bounded; then all strangers leave, and connections and descriptors must be as before.

The twin serves a room that takes in whatever a stranger sends.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from teamroom.server.handshake import new_challenge
from tests.campaigns.campaign import Advance, Outcome, command, quantile, silently
from tests.campaigns.crowd import enough_files
from tests.campaigns.inside import Inside, look, until
from tests.campaigns.load import Caller
from tests.campaigns.process import Server, enroll, serving
from tests.support.kept_alive import connect
from tests.support.raw import message, posted, request

FILES = 4096
"""How many files the server may have open: fewer than there are strangers."""

WORKERS = 64
"""Strangers that connect and send at once."""

MEMORY_BYTES = 64 << 20
"""How much more memory than before the server may use."""

LOG_BYTES = 20_000
"""How much the server may write of itself because of one kind."""

SPARE_FILES = 32
"""Descriptors that must be left, however many strangers come."""

FLOOD_BYTES = 4 << 20
"""What one stranger sends of what has no end."""

FLOODS = 20
"""Each this many strangers, one sends what has no end."""

ANSWERED_SECONDS = 20.0
"""Within this a call must be answered, new connections and all."""

LEFT_SECONDS = 15.0
LOOK_SECONDS = 0.02
SENT_SECONDS = 5.0
"""How long a stranger tries to send."""

LONG = b"b" * 16_000


@dataclass(frozen=True)
class Kind:
    """What a stranger sends, what it repeats, and whether it stays connected then."""

    begun: bytes
    endless: bytes = b""
    stays: bool = True


def kinds(port: int) -> dict[str, Kind]:
    """Each kind of stranger by its name."""
    host = ("host", f"127.0.0.1:{port}")
    probe = request("GET", "/livez", [host])
    chunked = posted(port, None, b"", [("transfer-encoding", "chunked"), ("content-length", "0")])
    chunked = chunked.replace(b"content-length: 0\r\n", b"")
    challenge = new_challenge("0" * 64, f"127.0.0.1:{port}")
    upgrade = [host, ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "eA==")]
    return {
        "silent": Kind(b""),
        "half a head": Kind(b"POST /mcp HTTP/1.1\r\nhost: 127"),
        "probes": Kind(probe),
        "probes sent at once": Kind(probe * 1000),
        "slow bodies": Kind(posted(port, None, b"{", [("content-length", "1000")])),
        "large bodies": Kind(posted(port, None, b"x" * 260_000, [("content-length", "262000")])),
        "handshakes": Kind(request("GET", f"/handshake?{challenge.query}", [host]) * 2),
        "wrong tokens": Kind(posted(port, "tr_" + "0" * 64, message("tools/list", {}))),
        "short headers": Kind(b"GET /livez HTTP/1.1\r\n", b"a:b\r\n" * 3200, stays=False),
        "one header": Kind(b"GET /livez HTTP/1.1\r\na: ", LONG, stays=False),
        "an address": Kind(b"GET /", LONG, stays=False),
        "trailers": Kind(chunked + b"2\r\n{}\r\n0\r\n", b"a: " + LONG + b"\r\n", stays=False),
        "one trailer": Kind(chunked + b"2\r\n{}\r\n0\r\na: ", LONG, stays=False),
        "extensions": Kind(chunked + b"2;x=", LONG, stays=False),
        "empty lines": Kind(b"", b"\r\n" * 8000, stays=False),
        "garbage": Kind(b"\x00\x01garbage\r\n\r\n" * 100),
        "upgrades": Kind(request("GET", "/livez", upgrade) * 20),
    }


@dataclass
class Seen:
    """What was seen of the server and by its members during one kind."""

    memory_bytes: int = 0
    files: int = 0
    beats: list[float] = field(default_factory=list)
    entered: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    connections: int = 0


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    files: int = FILES,
    only: tuple[str, ...] = (),
) -> Outcome:
    """`number` strangers of each kind; `only` of these kinds."""
    outcome, dice = Outcome(), random.Random(seed)
    with serving(folder, "tests.campaigns.hospitable" if twin else None, files=files, body_seconds=30) as server:
        await server.start()
        owner = Caller("olga", server.port, server.owner_token)
        stays, enters = await enroll(owner, ["stays", "enters"])
        owner.hang_up()
        await stays.carried_out("heartbeat")
        found = {name: kind for name, kind in kinds(server.port).items() if not only or name in only}
        order = dice.sample(sorted(found), len(found))
        first = await look(server)
        for name in order:
            strangers = Strangers(server, found[name], number if found[name].stays else max(1, number // FLOODS))
            before = await look(server)
            said = server.said_bytes
            seen = await _under(strangers, stays, enters, outcome, name)
            left, took = await until(server, lambda seen, before=before: seen.is_within(before), LEFT_SECONDS)
            outcome.faults += _judge(name, first, seen, server.said_bytes - said, files)
            if not left.is_within(before):
                outcome.faults.append(
                    f"{name}: {took:.0f} s after all had left there is {left}, before it was {before}"
                )
            outcome.figures[name] = _figures(seen, before, left, server.said_bytes - said)
            advance()
        last = await look(server)
        stays.hang_up()
    outcome.figures["memory before and after all"] = f"{first.memory_bytes / 1e6:.1f}, {last.memory_bytes / 1e6:.1f} MB"
    outcome.figures["descriptors before and after all"] = f"{first.files}, {last.files}"
    return outcome


def _judge(name: str, first: Inside, seen: Seen, said_bytes: int, files: int) -> list[str]:
    faults = []
    if seen.memory_bytes - first.memory_bytes > MEMORY_BYTES:
        faults.append(f"{name}: memory rose from {first.memory_bytes / 1e6:.0f} to {seen.memory_bytes / 1e6:.0f} MB")
    if seen.files > files - SPARE_FILES:
        faults.append(f"{name}: {seen.files} of {files} descriptors were in use")
    if said_bytes > LOG_BYTES:
        faults.append(f"{name}: the server wrote {said_bytes} bytes of itself")
    return faults


def _figures(seen: Seen, before: Inside, left: Inside, said_bytes: int) -> str:
    memory = (before.memory_bytes, seen.memory_bytes, left.memory_bytes)
    named = {"open connection": seen.beats, "new connection": seen.entered, "probe": seen.probes}
    calls = [
        f"{name} {len(times)} calls, median {1000 * quantile(times, 0.5):.0f} ms, worst {1000 * max(times):.0f} ms"
        for name, times in named.items()
        if times
    ]
    return "; ".join(
        [
            f"{seen.connections} connections",
            f"memory {' -> '.join(f'{size / 1e6:.1f}' for size in memory)} MB",
            f"descriptors {before.files} -> {seen.files} -> {left.files}",
            f"log +{said_bytes} bytes",
            *calls,
        ]
    )


async def _under(strangers: "Strangers", stays: Caller, enters: Caller, outcome: Outcome, name: str) -> Seen:
    """Let strangers come, and see what becomes of the others; then let the strangers leave."""
    seen, over = Seen(), asyncio.Event()
    port = strangers.server.port

    async def beat() -> None:
        await stays.carried_out("heartbeat")

    async def enter() -> None:
        try:
            await enters.carried_out("heartbeat")
        finally:
            enters.hang_up()

    async def probe() -> None:
        connection = await connect(port)
        try:
            answer = await connection.exchange(request("GET", "/livez", [("host", f"127.0.0.1:{port}")]))
            assert answer.status == 200, answer
        finally:
            connection.transport.abort()

    others = [
        asyncio.create_task(_repeat(beat, seen.beats, over, 0)),
        asyncio.create_task(_repeat(enter, seen.entered, over, ANSWERED_SECONDS)),
        asyncio.create_task(_repeat(probe, seen.probes, over, ANSWERED_SECONDS)),
    ]
    watching = asyncio.create_task(_watch(strangers.server, seen))
    try:
        seen.connections = await strangers.come()
    finally:
        over.set()
        found = await asyncio.gather(*others, return_exceptions=True)  # the last calls stand behind all strangers
        watching.cancel()
        await strangers.leave()
    outcome.faults += [f"{name}: {fault!r}" for fault in found if isinstance(fault, BaseException)]
    return seen


async def _repeat(
    call: Callable[[], Awaitable[None]], times: list[float], over: asyncio.Event, patience: float
) -> None:
    """Call until all strangers have come, and once more then. A call that is cut off is made again for so long."""
    is_last = False
    while not is_last:
        is_last = over.is_set()
        begun = time.perf_counter()
        while True:
            try:
                await call()
                break
            except (ConnectionError, TimeoutError) as error:
                if time.perf_counter() - begun > patience:
                    raise AssertionError(f"a member's call got no answer: {error}") from error
        times.append(time.perf_counter() - begun)
        await asyncio.sleep(LOOK_SECONDS)


async def _watch(server: Server, seen: Seen) -> None:
    """The most memory and descriptors that the server used."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    while True:
        seen.memory_bytes = max(seen.memory_bytes, process.memory_info().rss)
        seen.files = max(seen.files, process.num_fds())
        await asyncio.sleep(LOOK_SECONDS)


class Stranger(asyncio.Protocol):
    """One connection of a stranger."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._may_send = asyncio.Event()
        self._may_send.set()
        self.is_over = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """Send as fast as the room takes it. Raises ConnectionError when it takes no more."""
        if self.transport.is_closing():
            raise ConnectionResetError("the room closed the connection")
        self.transport.write(data)
        await self._may_send.wait()

    # what asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def pause_writing(self) -> None:
        self._may_send.clear()

    def resume_writing(self) -> None:
        self._may_send.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._may_send.set()
        self.is_over.set()


@dataclass
class Strangers:
    """Many of one kind."""

    server: Server
    kind: Kind
    number: int
    _open: list[Stranger] = field(default_factory=list)

    async def come(self) -> int:
        """All connect and send; returns how many were accepted."""
        numbers = iter(range(self.number))
        await asyncio.gather(*(self._send(numbers) for _ in range(WORKERS)))
        return len(self._open)

    async def leave(self) -> None:
        """All go at once."""
        for stranger in self._open:
            if not stranger.is_over.is_set():
                stranger.transport.abort()
        for stranger in self._open:
            await stranger.is_over.wait()

    async def _send(self, numbers: Iterator[int]) -> None:
        loop = asyncio.get_running_loop()
        for _ in numbers:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(SENT_SECONDS):
                    _, stranger = await loop.create_connection(Stranger, "127.0.0.1", self.server.port)
                    self._open.append(stranger)
                    await stranger.send(self.kind.begun)
                    for _ in range(FLOOD_BYTES // len(self.kind.endless) if self.kind.endless else 0):
                        await stranger.send(self.kind.endless)
                    if not self.kind.stays:
                        await stranger.is_over.wait()


if __name__ == "__main__":
    enough_files(1000)
    command("strangers", "NUMBER connections of each kind without a token take nothing from members", 5000, campaign)
