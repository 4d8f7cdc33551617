"""A room's supervisor killed, again and again, and no reminder lost or sent twice (REM1).

Forty members owe two hundred things, which come due a thousand times in seventeen hours of the room's own time. The
process that supervises it gets SIGKILL at a random moment, inside a commit or a checkpoint, or exactly between what it
decided and the commit of that; another one opens the room and goes on. Once the time has passed, the ledger, the log
and the wakes must be what a room has that nobody killed: each slot once, for the same reason, each wake once.

The twin marks a slot as done in a transaction of its own, before it sends.
"""

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import HEARTBEAT
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.app import Room
from teamroom.server.store import folder as data_folder
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.invariants import chain_faults, half_acts, rows
from tests.campaigns.store_kills import AFTER_SECONDS, INSIDE_SECONDS, Server, serving
from tests.campaigns.store_life import PLACES
from tests.campaigns.supervised_life import BETWEEN, SETTINGS

BEGINNING = 1_795_000_000.0
HOURS = 17
"""The fifth slot of a task is passed after fifteen and a half."""

MEMBERS, TASKS_EACH, ASKS, ASKED_AT_ONCE = 40, 3, 2, 20
SECONDS_BETWEEN_ACTS = 7.0
LEADS_AGAIN_SECONDS = 6.0

NTH = {1: 12, 2: 4, 3: 60}
"""Up to which commit, checkpoint or decision of a life a kill is aimed at."""

LEDGER = "select rule, subject, member, slot, outcome, reason, missed from reminder"
SAID = "select act, subject, detail from log where act in ('remind', 'escalate')"
WAKES = "select member, reason, subject from wake where sender = 1"


@dataclass
class Decided:
    """What a room's supervisor did: each line of the ledger, of the log, and each wake, as often as it stands."""

    ledger: Counter[Any]
    said: Counter[Any]
    wakes: Counter[Any]

    def faults(self, undisturbed: "Decided") -> tuple[list[str], list[str]]:
        """What is missing, and what is there too often, beside what a room has that nobody killed."""
        pairs = ((self.ledger, undisturbed.ledger), (self.said, undisturbed.said), (self.wakes, undisturbed.wakes))
        lost = [f"lost: {what}" for found, all_ in pairs for what in (all_ - found).elements()]
        doubled = [f"once too often: {what}" for found, all_ in pairs for what in (found - all_).elements()]
        return lost, doubled


def decided(folder: Path) -> Decided:
    """What stands in a folder."""
    return Decided(*(Counter(tuple(row) for row in rows(folder, sql)) for sql in (LEDGER, SAID, WAKES)))


async def make_room(folder: Path) -> float:
    """A room with much to remind of, closed again; returns the time that it is in it."""
    data_folder.make_private(folder)
    now = BEGINNING
    room = Room(folder, SETTINGS, clock=lambda: now, steady=lambda: now)
    token = await room.open("olga")
    assert token is not None
    try:
        owner, act = await room.door.identify(token), room.door.act
        names = [f"worker-{n}" for n in range(MEMBERS)]
        for name in names:
            enrolled = await act(owner, ENROLL, ENROLL.arguments(name=name))
            caller = await room.door.identify(enrolled.token)
            await act(caller, HEARTBEAT, HEARTBEAT.arguments(note="at work", busy_until=86_400))
            for n in range(TASKS_EACH):
                now += SECONDS_BETWEEN_ACTS
                await act(owner, CREATE_TASK, CREATE_TASK.arguments(title=f"{n} of {name}", assign=name))
        for n in range(ASKS):
            for first in range(0, MEMBERS, ASKED_AT_ONCE):
                now += SECONDS_BETWEEN_ACTS
                asked = {"text": f"question {n}?", "kind": "ask", "to": names[first : first + ASKED_AT_ONCE]}
                await act(owner, POST_MESSAGE, POST_MESSAGE.arguments(**asked))
    finally:
        await room.close()
    return now


class Life:
    """One room, from its beginning until all its time has passed, over every life of its supervisor."""

    def __init__(self, server: Server, template: Path, folder: Path, begin: float, twin: bool) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        self._server, self._twin = server, twin
        self.folder, self.now, self.until = folder, begin, begin + HOURS * 3600

    def live(self, place: int = 0, times: int = 0, after_seconds: float = 3600.0) -> dict[str, Any]:
        """One life of its supervisor; returns how it ended."""
        order = {"folder": str(self.folder), "now": self.now, "until": self.until, "twin": self._twin}
        order |= {"place": place, "times": times, "after_seconds": after_seconds}
        ended = self._server.live(order, self._ticked)
        self.now += LEADS_AGAIN_SECONDS
        return ended

    def _ticked(self, what: str, now: float) -> None:
        self.now = now


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` kills."""
    outcome, dice = Outcome(), random.Random(seed)
    template = folder.with_name("template")
    begin = await make_room(template)
    places: Counter[str] = Counter()
    kills = rooms = lost = doubled = 0
    log = folder.with_suffix(".log")
    with serving(log, "supervised_life") as server:
        undisturbed = _finish(Life(server, template, folder, begin, twin=False), log)
        while kills < number:
            life = Life(server, template, folder, begin, twin)
            while (ended := _killed_once(life, dice))["code"] == -9 and kills < number:
                places[ended["place"]] += 1
                kills += 1
                advance()
            if ended["code"] not in (-9, 0):
                outcome.faults.append(f"a life broke off: {log.read_text()[-500:]}")
                break
            found = _finish(life, log)
            missing, twice = found.faults(undisturbed)
            outcome.faults += [*missing, *twice, *chain_faults(folder), *half_acts(folder)]
            rooms, lost, doubled = rooms + 1, lost + len(missing), doubled + len(twice)
    outcome.figures |= {
        "kills": {place: places[place] for place in (*PLACES, BETWEEN)},
        "rooms": rooms,
        "decisions in each": undisturbed.ledger.total(),
        "of these reminders sent": sum(n for line, n in undisturbed.ledger.items() if line[4] == "sent"),
        "lost lines, entries and wakes": lost,
        "doubled ones": doubled,
    }
    return outcome


def _killed_once(life: Life, dice: random.Random) -> dict[str, Any]:
    place = dice.choice((0, 1, 2, 3, 3))
    times = dice.randint(1, NTH[place]) if place else 0
    after_seconds = dice.uniform(0, INSIDE_SECONDS) if place else dice.uniform(*AFTER_SECONDS)
    return life.live(place, times, 0.0 if place == 3 else after_seconds)


def _finish(life: Life, log: Path) -> Decided:
    """What stands in a room once a last life, which nobody kills, has let the rest of its time pass."""
    if (ended := life.live())["code"] != 0:
        raise RuntimeError(f"the last life ended with {ended}: {log.read_text()[-500:]}")
    return decided(life.folder)


if __name__ == "__main__":
    command("supervisor_kills", __doc__, 2_000, campaign)
