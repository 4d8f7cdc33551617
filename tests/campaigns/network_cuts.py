"""A network that is cut between one of two servers and the database, again and again (CTL2, CTL4, LOG4).

The second server runs in a network namespace, whose one cable leads to the database. Members post through both servers
while the cable is cut. Each time, a member of the second server is paused through the first, the cable is mended, and
the member is resumed. Where this process may not make a namespace, a relay of bytes takes the cable's place.

Judged: the pause is acknowledged within two seconds, and no act of the member has a number between it and its resume.
The second server is quiet within two seconds, which means that its streams have ended and it refuses. It answers again
within five seconds of the cut's end. What was acknowledged is in the log once.

The twin never notices that the database is silent, and remembers for some calls who may act.
"""

import asyncio
import contextlib
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from psycopg.conninfo import conninfo_to_dict

from tests.campaigns.campaign import Advance, Outcome, command, quantile, silently
from tests.campaigns.invariants import chain_faults, rows
from tests.campaigns.load import Called, Caller, Connect
from tests.campaigns.process import Server, enroll, serving
from tests.support.cables import cable_to
from tests.support.kept_alive import connect
from tests.support.networks import network
from tests.support.own_postgres import own_server
from tests.support.postgres import keep_in_database
from tests.support.stopwatch import Stopwatch

PAUSED_SECONDS, QUIET_SECONDS, BACK_SECONDS = 2.0, 2.0, 5.0
LOAD_SECONDS = 0.5
"""At most this long everybody works before a cut, and the cut lasts after its pause, at random."""

AGAIN_SECONDS = 0.02
GIVEN_UP_SECONDS = 8.0
"""After this long a server is not quiet, or not back."""


class Cuttable(Protocol):
    """What is between the second server and the database."""

    def cut(self) -> None: ...

    def mend(self) -> None: ...


@dataclass
class Way:
    """The way of the second server to the database, and how it is reached itself."""

    cable: Cuttable
    kind: str
    address: str
    inside: tuple[str, ...]
    connect: Connect


@dataclass
class Member:
    """A member that posts through the second server without pause, each text until it is acknowledged."""

    caller: Caller
    texts: dict[str, int] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    last: str = ""

    async def work(self, stop: asyncio.Event) -> None:
        """Post until told to stop."""
        while not stop.is_set():
            text = f"{self.caller.name} {len(self.texts)}"
            called = await self._post(text)
            self.last = called.code if called is not None else "unreachable"
            self.answers += 1
            self.codes[self.last or "done"] += 1
            if called is not None and not called.refused:
                self.texts[text] = called.receipt or 0
            await asyncio.sleep(AGAIN_SECONDS if self.last else 0)

    async def _post(self, text: str) -> Called | None:
        try:
            return await self.caller.call("post_message", text, text=text)
        except ConnectionError:
            return None


@dataclass
class Listener:
    """A member that waits for wakes through the second server."""

    caller: Caller
    ended: int = 0
    """How many of its calls have ended."""
    waits: bool = False

    async def work(self, stop: asyncio.Event) -> None:
        """Wait again and again until told to stop."""
        while not stop.is_set():
            self.waits = True
            with contextlib.suppress(ConnectionError):
                await self.caller.call("wait_for_wake", timeout_seconds=50)
            self.waits = False
            self.ended += 1
            await asyncio.sleep(AGAIN_SECONDS)


@dataclass
class Seen:
    """Seconds of each cut."""

    paused: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    more_seconds: float = 0.0,
) -> Outcome:
    """`number` cuts; `more_seconds`: how much longer than promised anything may take on a busy machine."""
    dice, seen, stop = random.Random(seed), Seen(), asyncio.Event()
    first, second = folder.with_name("first"), folder.with_name("second")
    async with _ways(first) as way:
        if way is None:
            return Outcome({"skipped": "no initdb on this machine"})
        keep_in_database(second, way.address)
        key = {"key_file": folder.with_name("room.key")}
        fault = "tests.campaigns.never_notices" if twin else None
        with serving(first) as one, serving(second, fault, **key) as other:
            await one.start()
            shutil.copyfile(first / "room.key", key["key_file"])
            other.inside, other.connect = way.inside, way.connect
            await other.start()
            owner = Caller("olga", one.port, one.owner_token)
            builder, lena, anna = await enroll(owner, ["builder", "lena", "anna"])
            member = Member(_through(builder, other))
            beside, listener = Member(anna), Listener(_through(lena, other))
            working = [asyncio.create_task(each.work(stop)) for each in (member, beside, listener)]
            try:
                for turn in range(number):
                    await asyncio.sleep(dice.uniform(0, LOAD_SECONDS))
                    await _cut(way.cable, one, other, owner, member, listener, dice, seen, turn)
                    advance()
            finally:
                way.cable.mend()
                stop.set()
                for task in working[2:]:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
        faults = _judge(first, seen, [member, beside], more_seconds)
    return Outcome(_figures(way.kind, seen, member), faults)


def _through(caller: Caller, server: Server) -> Caller:
    """The same member as a caller of another server."""
    return Caller(caller.name, server.port, caller.token, server.connect)


async def _cut(
    cable: Cuttable,
    one: Server,
    server: Server,
    owner: Caller,
    member: Member,
    listener: Listener,
    dice: random.Random,
    seen: Seen,
    turn: int,
) -> None:
    """Cut the cable, pause the member, mend the cable, and resume the member."""
    assert server.process is not None
    await _until(lambda: member.last == "" and listener.waits, GIVEN_UP_SECONDS)
    ended, process = listener.ended, server.process.pid
    stopwatch = Stopwatch(process)
    cable.cut()
    pausing = asyncio.create_task(_pause(owner, member.caller.name, turn, one))
    is_quiet = await _until(lambda: listener.ended > ended and member.last == "storage", GIVEN_UP_SECONDS)
    seen.quiet.append(stopwatch.seconds if is_quiet else GIVEN_UP_SECONDS)
    pause, took = await pausing
    seen.paused.append(took)
    await asyncio.sleep(dice.uniform(0, LOAD_SECONDS))
    stopwatch = Stopwatch(process)
    cable.mend()
    is_back = await _until(lambda: member.last in ("", "paused"), GIVEN_UP_SECONDS)
    seen.back.append(stopwatch.seconds if is_back else GIVEN_UP_SECONDS)
    answers = member.answers
    await _until(lambda: member.answers >= answers + 2, GIVEN_UP_SECONDS)
    resume = await owner.carried_out("resume", target=member.caller.name, reason=f"cut {turn}")
    seen.spans.append((pause.receipt or 0, resume["receipt"]))


async def _pause(owner: Caller, name: str, turn: int, server: Server) -> tuple[Called, float]:
    """Pause a member, again if the room says that it is busy; returns the pause, and the seconds until then."""
    assert server.process is not None
    stopwatch = Stopwatch(server.process.pid)
    while True:
        called = await owner.call("pause", target=name, reason=f"cut {turn}")
        if not called.refused:
            return called, stopwatch.seconds
        if called.code != "busy":
            raise AssertionError(f"the pause was refused: {called.body}")


async def _until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; returns whether it was in time."""
    try:
        async with asyncio.timeout(seconds):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(AGAIN_SECONDS / 2)
    except TimeoutError:
        return False
    return True


@contextlib.asynccontextmanager
async def _ways(first: Path) -> AsyncIterator[Way | None]:
    """A database of its own, which the first server has, and the second one's way to it; None without PostgreSQL."""
    with network() as made, own_server(None if made is None else made.here) as own:
        if own is None:
            yield None
            return
        keep_in_database(first, own.address)
        if made is not None:
            there = own.address.replace("127.0.0.1", made.here)
            yield Way(made, "a network namespace", there, made.inside, made.connect)
            return
        given: Any = conninfo_to_dict(own.address)
        async with cable_to("127.0.0.1", int(given["port"])) as cable:
            there = own.address.replace(f":{given['port']}", f":{cable.port}")
            yield Way(cable, "a relay of bytes", there, (), connect)


# ------------------------------------------------------------------ what must hold


def _judge(folder: Path, seen: Seen, members: list[Member], more_seconds: float) -> list[str]:
    acts = rows(
        folder,
        "select log.seq, log.act, message.text from log join member on member.id = log.actor "
        "left join message on message.seq = log.seq where member.name in ('builder', 'anna') and outcome = 'ok'",
    )
    name = members[0].caller.name
    faults = [
        f"entry {act['seq']} was committed after the pause was acknowledged"
        for act in acts
        for begin, end in seen.spans
        if begin < act["seq"] < end and str(act["text"]).startswith(name)
    ]
    numbers = {act["text"]: act["seq"] for act in acts if act["act"] == "post_message"}
    doubled = [text for text, count in Counter(act["text"] for act in acts).items() if count > 1 and text]
    faults += [f"{text!r} is there more than once" for text in doubled]
    faults += [
        f"{text!r} was acknowledged as {seq}, and is {numbers.get(text, 'lost')}"
        for member in members
        for text, seq in member.texts.items()
        if numbers.get(text) != seq
    ]
    for what, times, bound in (
        ("the pause was acknowledged", seen.paused, PAUSED_SECONDS),
        ("the server was quiet", seen.quiet, QUIET_SECONDS),
        ("the server was back", seen.back, BACK_SECONDS),
    ):
        faults += [f"{what} after {took:.1f} s" for took in times if took > bound + more_seconds]
    return faults + chain_faults(folder)


def _figures(kind: str, seen: Seen, member: Member) -> dict[str, Any]:
    def spread(values: list[float]) -> str:
        return f"median {quantile(values, 0.5):.2f} s, worst {max(values):.2f} s"

    return {
        "what was cut": kind,
        "cuts": len(seen.spans),
        "acts through the second server": len(member.texts),
        "answers there": dict(member.codes),
        "quiet after": spread(seen.quiet),
        "back after": spread(seen.back),
        "a pause through the first server acknowledged after": spread(seen.paused),
    }


if __name__ == "__main__":
    command("network_cuts", (__doc__ or "").partition("\n")[0], 20, campaign)
