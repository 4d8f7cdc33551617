"""Broken frames of every kind against a real server: no answer is a 5xx, nothing crashes, nothing is half done (SAF6).

Each frame goes over a real connection to a server in a process of its own. In between, good calls must be answered;
at the end the server has counted no fault of its own and logged none, the log verifies, and no act stands half.

The twin serves a room that believes what it is sent: arguments are not validated.
"""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httptools

from tests.campaigns.campaign import Advance, Outcome, command, over_time, silently
from tests.campaigns.frame_maker import Frame, FrameMaker
from tests.campaigns.invariants import chain_faults, half_acts
from tests.campaigns.load import Caller, SessionCaller
from tests.campaigns.process import Server, enroll, serving
from tests.support.kept_alive import connect
from tests.support.raw import Headers, request

WORKERS = 16
CHECK_EVERY = 500
"""After so many frames of a worker a good call must be answered, and its session is opened anew."""

ANSWER_SECONDS = 20.0
"""How long the answer to a whole frame may take on a busy machine."""

HANG_SECONDS = 0.02
"""How long a frame that is not whole is waited for: the server may wait for the rest of it."""

LARGEST_BODY = 200_000
"""A frame beyond this may be refused and closed while it is still being sent, so that the refusal is lost."""

FAULT = re.compile(rb'"code": ?-32603|fault [0-9a-f]{8}')
"""What the room says where it failed itself."""


class Line(asyncio.Protocol):
    """One connection: the status of an answer as soon as it is known, then the whole."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.is_open = False
        self.lost = loop.create_future()
        self.begin()

    def begin(self) -> None:
        """Expect an answer."""
        loop = asyncio.get_running_loop()
        self.status, self.body = 0, b""
        self.head, self.whole = loop.create_future(), loop.create_future()
        self._parser = httptools.HttpResponseParser(self)

    # what asyncio and httptools call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport, self.is_open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if not self.head.done():
            self.head.set_result(None)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.status >= 200 and not self.whole.done():
            self.whole.set_result(None)


@dataclass
class Tally:
    """What became of the frames."""

    answers: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def count(self, frame: Frame, answer: str) -> None:
        """Note how a frame was answered."""
        self.answers.setdefault(frame.kind, Counter())[answer] += 1


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` frames."""
    tally = Tally()
    with serving(folder, "tests.campaigns.credulous" if twin else None, body_seconds=1) as server:
        await server.start()
        owner = Caller("olga", server.port, server.owner_token)
        members = await enroll(owner, ["bot", "rival", "dead", "victim"])
        await owner.carried_out("kill", target="dead", reason="a test")
        await owner.carried_out("create_task", title="a task of the owner's")
        good, dead = [caller.token for caller in members if caller.name in ("bot", "rival")], members[2].token
        strangers = [dead, "tr_" + "0" * 60, "", "\xff"]
        makers = [FrameMaker(server.port, good, strangers, seed, good[n % len(good)]) for n in range(WORKERS)]
        numbers = iter(range(number))
        try:
            async with asyncio.TaskGroup() as group:
                for maker in makers:
                    group.create_task(_send(server, maker, numbers, tally, advance))
        except* ConnectionError as gone:
            tally.faults.append(f"the server does not answer any more: {gone.exceptions[0]}")
        tally.faults += await _aftermath(server, owner)
        owner.hang_up()
    tally.faults += [*chain_faults(folder), *half_acts(folder)]
    figures = {f"answers to {kind}": dict(counts.most_common()) for kind, counts in sorted(tally.answers.items())}
    figures["frames a second over time"] = over_time(tally.rates)
    return Outcome(figures, tally.faults)


async def _send(server: Server, maker: FrameMaker, numbers: Iterator[int], tally: Tally, advance: Advance) -> None:
    """One worker: a frame after the other, and now and then a good call. Raises ConnectionError: the server is gone."""
    line, since = None, time.perf_counter()
    for sent, number in enumerate(numbers):
        if sent % CHECK_EVERY == 0:
            maker.session = await _checked(server.port, maker.token)
            if sent:
                tally.rates.append(round(CHECK_EVERY * WORKERS / (time.perf_counter() - since)))
            since = time.perf_counter()
        frame = maker.make(number)
        answer = "closed"
        if line is not None and line.is_open:
            answer = await _answer(line, frame)
        if answer == "closed":  # perhaps by the frame before
            line = await _line(server.port)
            answer = await _answer(line, frame)
        assert line is not None
        tally.count(frame, answer)
        if is_fault(frame, answer, line):
            tally.faults.append(f"frame {number} ({answer}): {frame.data[:400]!r} -> {line.body[:200]!r}")
        if not (frame.whole and line.whole.done()):  # what follows could be taken for the rest of it
            line.transport.abort()
            line = None
        advance()


def is_fault(frame: Frame, answer: str, line: Line) -> bool:
    """Whether the server failed: in its own words, or by silence where it must answer."""
    silent = answer == "nothing" or (answer == "closed" and frame.whole and len(frame.data) < LARGEST_BODY)
    return silent or line.status >= 500 or FAULT.search(line.body) is not None


async def _answer(line: Line, frame: Frame) -> str:
    """Send a frame; what came back, in a word."""
    line.begin()
    line.transport.write(frame.data)
    enough = line.head if frame.streams else line.whole
    seconds = ANSWER_SECONDS if frame.whole else HANG_SECONDS
    await asyncio.wait([enough, line.lost], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if line.status:
        if frame.whole and not enough.done():
            return "nothing"
        refused = b'"isError":true' in line.body or b'"error":' in line.body
        return f"{line.status}{' refused' if line.status == 200 and refused else ''}"
    if line.lost.done():
        return "closed"
    return "nothing" if frame.whole else "waits for more"


async def _line(port: int) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


async def _checked(port: int, token: str) -> Headers:
    """A good call of each era; the headers of the session that the older one opened. Raises ConnectionError."""
    modern, legacy = Caller("modern", port, token), SessionCaller("legacy", port, token)
    await legacy.open()
    for caller in (modern, legacy):
        await caller.carried_out("who", name="bot")
        caller.hang_up()
    return list(legacy.session)


async def _aftermath(server: Server, owner: Caller) -> list[str]:
    """What the server says of itself, once all frames are behind it."""
    assert server.process is not None
    if server.process.poll() is not None:
        return [f"the server ended with {server.process.returncode}: {server.said()[-2000:]}"]
    faults = []
    await owner.carried_out("post_message", text="the room goes on")
    connection = await connect(server.port)
    host = ("host", f"127.0.0.1:{server.port}")
    metrics = await connection.exchange(request("GET", "/metrics", [host, ("authorization", f"Bearer {owner.token}")]))
    connection.transport.abort()
    counted = re.search(rb"^teamroom_faults_total (.*)$", metrics.body, re.MULTILINE)
    if counted is None or float(counted[1]):
        faults.append(f"the server counts faults of its own: {counted and counted[1].decode()}")
    broken = [line for line in server.said().splitlines() if re.search(r"Traceback|ERROR|fault [0-9a-f]{8}", line)]
    return faults + [f"the server logged: {line[:300]}" for line in broken[:5]]


if __name__ == "__main__":
    command("frames", "NUMBER broken frames: no 5xx, no crash, nothing half done", 1_000_000, campaign)
