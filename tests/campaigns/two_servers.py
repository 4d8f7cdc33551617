"""A switch that works across servers (CTL2): members act through one server while another pauses and resumes them.

Judged from the log: no act of the member has a number between those of an acknowledged pause and of its resume. The
twin reads standing before it locks the head, as a plain read without the lock would.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.app import Room
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.folder import make_private
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import AGAIN_SECONDS as CONNECT_SECONDS
from teamroom.server.store.postgres.session import Rows, Session
from teamroom.server.store.statements import postgres_statements
from teamroom.server.store.transaction import Head
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.shared_rooms import chain_faults, engine_at, enrolled, owner_of, server
from tests.support import postgres

WORKERS = 4
PAUSED_SECONDS = 0.01


class ReadsStandingEarly(Session):
    """A connection whose look at a caller's standing shows what was there before the head was locked."""

    def __init__(self, made: Session) -> None:
        super().__init__(made.connection, 60.0)
        self._prepared = made._prepared
        self.seen: dict[str, list[tuple[Any, ...]]] = {}

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> Rows:
        """Run one statement, or show what it found before."""
        found = super().execute(sql, parameters)
        if sql == postgres_statements()["principal"]:
            rows = found.fetchall()
            found.loaded, found.at = self.seen.setdefault(parameters["token"], rows), 0
        return found

    def look(self) -> None:
        """See everybody's standing as it is now, before the lock."""
        for token in self.seen:
            found = super().execute(postgres_statements()["principal"], {"token": token})
            self.seen[token] = found.fetchall()


class PlainReads(Committer):
    """The twin: each transaction sees the standing from before it locked the head."""

    def _connect(self, seconds: int = CONNECT_SECONDS) -> None:
        super()._connect(seconds)
        self.session = ReadsStandingEarly(self.session)

    def _lock_head(self) -> Head:
        assert isinstance(self.session, ReadsStandingEarly)
        self.session.look()
        return super()._lock_head()


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` pauses through one server while a member acts through the other."""
    address = postgres.address_at(postgres.make_database())
    make_private(folder)
    acts: list[int] = []
    spans: list[tuple[int, int]] = []
    try:
        async with (
            server(folder / "first", engine_at(address)) as first,
            server(
                folder / "second", engine_at(address, PlainReads if twin else Committer), folder / "first"
            ) as second,
        ):
            (builder,) = await enrolled(first, "builder")
            stop = asyncio.Event()
            working = [asyncio.create_task(_work(second, builder, n, acts, stop)) for n in range(WORKERS)]
            owner = await owner_of(first)
            for n in range(number):
                spans.append(await _flip(first, owner, n))
                advance()
            stop.set()
            refused = sum(await asyncio.gather(*working))
            faults = await chain_faults(second)
    finally:
        postgres.drop_databases()
    passed = [seq for seq in acts for begin, end in spans if begin < seq < end]
    faults += [f"entry {seq} was committed after the pause was acknowledged" for seq in passed]
    return Outcome({"acts": len(acts), "refused": refused, "passed a pause": len(passed)}, faults)


async def _work(room: Room, caller: Caller, worker: int, acts: list[int], stop: asyncio.Event) -> int:
    """Post without pause; returns how many posts a stop refused."""
    refused = made = 0
    while not stop.is_set():
        made += 1
        try:
            reply = await room.door.act(caller, POST_MESSAGE, POST_MESSAGE.arguments(text=f"{worker} {made}"))
            acts.append(reply.receipt)
        except Refusal as refusal:
            if refusal.code != "paused":
                raise
            refused += 1
    return refused


async def _flip(room: Room, owner: Caller, number: int) -> tuple[int, int]:
    """Pause and resume; returns the numbers of both entries."""
    reason = {"target": "builder", "reason": f"turn {number}"}
    pause = await room.door.act(owner, PAUSE, PAUSE.arguments(**reason))
    await asyncio.sleep(PAUSED_SECONDS)
    resume = await room.door.act(owner, RESUME, RESUME.arguments(**reason))
    await asyncio.sleep(PAUSED_SECONDS)
    return pause.receipt, resume.receipt


if __name__ == "__main__":
    command("two_servers", __doc__, 200, campaign)
