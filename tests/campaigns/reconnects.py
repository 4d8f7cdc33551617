"""A listener that reconnects a thousand times while twenty members write: no wake is lost, doubled or out of order.

Each reader waits with the cursor of what it has read whole, as `teamroom listen` does. Its connections are cut before
the answer and in the middle of it, read slowly, or left open and never read. A wake that was cut off comes again under
the same number.

The twin begins with what is new after each cut, as streams without a cursor do.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httptools

from teamroom.clients.session.listening import new_listener
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.invariants import rows
from tests.campaigns.load import Caller
from tests.support.engines import engine_of
from tests.support.rates import LIMITLESS
from tests.support.raw import ENVELOPE, Answer, message, modern_headers, posted
from tests.support.rooms import RunningRoom, running_room

WRITERS, READERS = 20, 4
WRITER_SECONDS = 0.1
"""The longest pause of a writer between two messages."""

CUT_SECONDS, CUT_BYTES = 0.05, 3_000
"""When a connection is cut at the latest: so long after the question, or after so many bytes of the answer."""

SLOW_BYTES, SLOW_SECONDS = 200, 0.001
"""A slow reader takes so many bytes at a time, and pauses between them."""

LEFT_OPEN = 8
"""How many connections of a reader stay open although nobody reads them."""

WAYS = ("cut before the answer", "cut in the answer", "left open", "read slowly", "read at once")
"""How a connection ends."""

WAIT_SECONDS, ANSWER_SECONDS = 1.0, 30.0

Ways = Counter[str]


@dataclass
class Reader:
    """A member's listener. `cursor`: up to where it has read answers whole."""

    name: str
    token: str
    port: int
    listener: str
    newest: Callable[[], int] | None
    """Only of a twin: the number of the newest entry, with which it begins after a cut."""
    cursor: int = 0
    seen: list[int] = field(default_factory=list)
    left_open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def listen(self, dice: random.Random, ways: Ways) -> None:
        """Wait once, over a connection of its own, and lose it in some way or read its answer whole."""
        way = dice.choice(WAYS)
        ways[way] += 1
        reader, writer = await self._ask()
        if way == "left open":
            self.left_open.append(writer)
            if len(self.left_open) > LEFT_OPEN:
                self.left_open.pop(0).transport.abort()
            await asyncio.sleep(dice.uniform(0, CUT_SECONDS))
        elif way == "cut before the answer":
            await asyncio.sleep(dice.uniform(0, CUT_SECONDS))
            writer.transport.abort()
        elif way == "cut in the answer":
            await reader.read(dice.randrange(1, CUT_BYTES))
            writer.transport.abort()
        else:
            await self._read(reader, slowly=way == "read slowly")
            writer.transport.abort()
            return
        if self.newest is not None:
            self.cursor = self.newest()

    async def read_the_rest(self) -> None:
        """Read until nothing waits any more."""
        while True:
            reader, writer = await self._ask(seconds=0)
            count = await self._read(reader)
            writer.transport.abort()
            if not count:
                return

    async def _ask(self, seconds: float = WAIT_SECONDS) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send the question; returns the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=SLOW_BYTES)
        meta = {**ENVELOPE, "teamroom/listener": self.listener}
        asked = {"name": "wait_for_wake", "arguments": {"after": self.cursor, "timeout_seconds": seconds}}
        body = message("tools/call", {**asked, "_meta": meta})
        writer.write(posted(self.port, self.token, body, modern_headers("tools/call", "wait_for_wake")))
        return reader, writer

    async def _read(self, reader: asyncio.StreamReader, slowly: bool = False) -> int:
        """Read the answer whole; returns how many wakes it has."""
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        async with asyncio.timeout(ANSWER_SECONDS):
            while not answer.complete:
                parser.feed_data(await reader.read(SLOW_BYTES))
                if slowly:
                    await asyncio.sleep(SLOW_SECONDS)
        waited = answer.json["result"]["structuredContent"]
        if "wakes" not in waited:
            raise AssertionError(f"@{self.name} was refused: {waited}")
        self.seen += [wake["seq"] for wake in waited["wakes"]]
        self.cursor = waited["cursor"]
        return len(waited["wakes"])


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` connections of the readers, most of which are lost."""
    dice, ways = random.Random(seed), Ways()
    async with running_room(folder, choose_engine=engine_of(folder).choose, wakes_from_one=1000, **LIMITLESS) as room:
        writers = [f"writer-{n}" for n in range(WRITERS)]
        names = [f"reader-{n}" for n in range(READERS)]
        await room.enroll(*writers, *names)
        port = room.room.settings.port
        newest = partial(_newest, folder) if twin else None
        readers = [Reader(name, room.tokens[name], port, new_listener(), newest) for name in names]
        sent: dict[str, list[int]] = {name: [] for name in names}
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for name in writers:
                tasks.create_task(_write(room, name, sent, dice, is_over))
            await asyncio.gather(*(_lose(one, number // READERS, dice, ways, advance) for one in readers))
            is_over.set()
        for one in readers:
            await one.read_the_rest()
    faults = [fault for one in readers for fault in _faults_of(one, sorted(sent[one.name]))]
    figures = {"connections": number, "how they ended": dict(ways), "wakes": sum(len(one.seen) for one in readers)}
    return Outcome(figures, faults)


async def _lose(reader: Reader, count: int, dice: random.Random, ways: Ways, advance: Advance) -> None:
    for _ in range(count):
        await reader.listen(dice, ways)
        advance()
    for writer in reader.left_open:
        writer.transport.abort()


async def _write(
    room: RunningRoom, name: str, sent: dict[str, list[int]], dice: random.Random, is_over: asyncio.Event
) -> None:
    """Mention a reader, again and again."""
    caller, count = Caller(name, room.room.settings.port, room.tokens[name]), 0
    while not is_over.is_set():
        count += 1
        to = dice.choice(list(sent))
        sent[to].append((await caller.carried_out("post_message", text=f"@{to} {name} {count}"))["receipt"])
        await asyncio.sleep(dice.uniform(0, WRITER_SECONDS))
    caller.hang_up()


def _newest(folder: Path) -> int:
    return int(rows(folder, "select max(seq) as newest from log")[0]["newest"])


def _faults_of(reader: Reader, sent: list[int]) -> list[str]:
    """What the reader read otherwise than it was sent."""
    lost = sorted(set(sent) - set(reader.seen))
    foreign = sorted(set(reader.seen) - set(sent))
    doubled = [seq for seq, times in Counter(reader.seen).items() if times > 1]
    disorder = [pair for pair in pairwise(reader.seen) if pair[0] > pair[1]]
    found: dict[str, list[Any]] = {"lost": lost, "never sent": foreign, "doubled": doubled, "out of order": disorder}
    return [
        f"@{reader.name}: {len(which)} wakes were {what}, such as {which[0]}" for what, which in found.items() if which
    ]


if __name__ == "__main__":
    command(
        "reconnects",
        "NUMBER connections of listeners, most of them lost: no wake is",
        1_000,
        campaign,
        on_both_engines=True,
    )
