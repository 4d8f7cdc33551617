"""A database that dies under load (LOG4): `pg_ctl stop -m immediate`, again and again, on a cluster of its own.

Each act carries a request id and is repeated until it is answered. At the end, every acknowledged act is in the log
once, under the number that was acknowledged. The twin does not wait until a commit is on the disk.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.app import Room
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import make_private
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import AGAIN_SECONDS as CONNECT_SECONDS
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.transaction import Reading
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.shared_rooms import chain_faults, engine_at, enrolled, server
from tests.support.own_postgres import own_server

WORKERS = 8
LOAD_SECONDS = 0.4
"""At most this long the load runs between two stops, at random."""

AGAIN_SECONDS = 0.05
BACK_SECONDS = 30.0


class NeverWaits(Committer):
    """The twin: an act is answered before the disk has it."""

    def _connect(self, seconds: int = CONNECT_SECONDS) -> None:
        super()._connect(seconds)
        self.session.script("set synchronous_commit to off")


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` immediate stops of the database under load."""
    with own_server() as own, _silenced():
        if own is None:
            return Outcome({"skipped": "no initdb on this machine"})
        make_private(folder)
        dice, stop = random.Random(seed), asyncio.Event()
        async with server(folder / "first", engine_at(own.address, NeverWaits if twin else Committer)) as room:
            callers = await enrolled(room, *(f"agent-{n}" for n in range(WORKERS)))
            working = [asyncio.create_task(_work(room, caller, stop)) for caller in callers]
            for _ in range(number):
                await asyncio.sleep(dice.uniform(0, LOAD_SECONDS))
                await asyncio.to_thread(own.stop, "immediate")
                await asyncio.to_thread(own.start)
                await _until_it_answers(room)
                advance()
            stop.set()
            acknowledged = {text: seq for done in await asyncio.gather(*working) for text, seq in done.items()}
            faults = await _judge(room, acknowledged) + await chain_faults(room)
    return Outcome({"acts": len(acknowledged), "stops": number}, faults)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Let the room log nothing: it says of each stop what was refused."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


async def _work(room: Room, caller: Caller, stop: asyncio.Event) -> dict[str, int]:
    """Post without pause, each text until it is acknowledged; returns the texts and their numbers."""
    done: dict[str, int] = {}
    while not stop.is_set() and room.store.damage is None:
        text = f"{caller.name} {len(done)}"
        while text not in done and room.store.damage is None:
            try:
                reply = await room.door.act(caller, POST_MESSAGE, POST_MESSAGE.arguments(text=text), text)
                done[text] = reply.receipt
            except Refusal as refusal:
                if refusal.code not in ("storage", "busy"):
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
    return done


async def _until_it_answers(room: Room) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                await room.store.look_up(lambda tx: tx.number("count_members_named", name="olga"))
                return
            except StorageError:
                await asyncio.sleep(AGAIN_SECONDS)


async def _judge(room: Room, acknowledged: dict[str, int]) -> list[str]:
    """What is lost or doubled."""

    def posted(tx: Reading) -> list[tuple[int, str]]:
        return [(message.seq, message.text) for message in tx.all(MessageRow, "messages_after", after=0, limit=2**31)]

    found = await room.store.read(posted, is_small=False)
    counted, numbers = Counter(text for _, text in found), {text: seq for seq, text in found}
    doubled = [f"{text!r} is there {count} times" for text, count in counted.items() if count > 1]
    return doubled + [
        f"{text!r} was acknowledged as {seq}, and is {numbers.get(text, 'lost')}"
        for text, seq in acknowledged.items()
        if numbers.get(text) != seq
    ]


if __name__ == "__main__":
    command("postgres_stops", __doc__, 50, campaign)
