"""Rooms to simulate: a team in which everything happens, and one in which all is well."""

import random
from collections.abc import Mapping
from typing import Any

from tests.models.world import Plan
from tests.simulation.agents import Agent, Records
from tests.simulation.honest import Busy, Episodic, Flaky, Live, NightsOff, Rare, Suspended
from tests.simulation.judges import Cast
from tests.simulation.owner import Owner
from tests.simulation.room import DAY, HOUR, MINUTE, SimulatedRoom
from tests.simulation.wrong import Crashed, Forgetful, GatewayOnly, Hoarder, Narrator, SameNote, Thankful

Team = Mapping[type[Agent], int]

MIXED: Team = {
    Live: 4,
    Episodic: 2,
    Rare: 6,
    NightsOff: 1,
    Flaky: 2,
    Busy: 3,
    Suspended: 3,
    Crashed: 2,
    GatewayOnly: 2,
    SameNote: 1,
    Hoarder: 1,
    Narrator: 1,
    Thankful: 2,
}
"""A team of thirty in which everything goes wrong that people have seen."""

ONE_OF_EACH: Team = {**dict.fromkeys(MIXED, 1), Thankful: 2}
"""The same with one of each kind, where a week of thirty would take too long; those who thank need each other."""

HEALTHY: Team = {Live: 4, Episodic: 1, Rare: 3, NightsOff: 1, Busy: 1}
"""A team of ten in which nothing does."""

FORGETFUL: Team = {Forgetful: 20, Live: 2}
"""A team that must be reminded of nearly everything."""

SMALL: Team = {Live: 3, Rare: 1, NightsOff: 1, Crashed: 1, GatewayOnly: 1, Hoarder: 1}
"""A few of both, for a look at one fault."""


def play(team: Team, days: float, seed: int, *, disturbed: bool, work: float = 1.0) -> Cast:
    """Let a team live for some days.

    `disturbed`: with pauses, and restarts, sleeps and steps of the server's clock. `work`: tasks an agent and day.
    """
    members: dict[str, Mapping[str, Any]] = {}
    kinds: dict[str, type[Agent]] = {}
    for kind, count in team.items():
        for number in range(count):
            name = f"{kind.__name__.lower()}-{number}"
            members[name], kinds[name] = {"mode": kind.mode}, kind
    settings = {"notes_per_hour": 12, "listeners": 100}
    room, records = SimulatedRoom(Plan(members, settings), seed), Records()
    room.team = [name for name, kind in kinds.items() if kind is not Thankful]
    agents = [kind(name, room, records) for name, kind in kinds.items()]
    thankful = [agent for agent in agents if isinstance(agent, Thankful)]
    for agent, other in zip(thankful, reversed(thankful), strict=True):
        agent.other = other.name
    owner = Owner("olga", room, records)
    owner.work = work
    cast = Cast(room, agents, records, days)
    for member in (*agents, owner):
        member.start()
    if disturbed:
        room.after(DAY, owner.pause_somebody)
        _disturb(cast, random.Random(seed + 2))
    room.run(days)
    return cast


def _disturb(cast: Cast, dice: random.Random) -> None:
    """Every few days something happens to the server itself."""
    room = cast.room

    def disturb() -> None:
        begin = room.now
        what = dice.choice(["sleep", "step", "restart"])
        if what == "sleep":
            room.sleep(dice.uniform(10 * MINUTE, 5 * HOUR))
        elif what == "step":
            room.step_clock(dice.choice([-1, 1]) * dice.uniform(MINUTE, 2 * HOUR))
        else:
            room.restart(dice.uniform(1, 120))
        cast.disturbed.append((min(begin, room.now), max(begin, room.now) + HOUR))
        room.after(dice.expovariate(1 / (3 * DAY)), disturb)

    room.after(dice.expovariate(1 / (3 * DAY)), disturb)
