"""A room's store at work without HTTP: members who act through the door, and what must then stand in the room.

Whoever breaks the store off learns from `Told` which acts were called and which were acknowledged, and holds the
folder against that in `Expected`, over every life of the room.
"""

import asyncio
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teamroom.server.acts.act import AnyAct
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.app import Room
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.record.chain import Verifier
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from tests.campaigns.invariants import chain_faults, half_acts, rows, seal_and_key
from tests.campaigns.kills import ENTRIES

MEMBERS = 6
POSTS = 0.6
"""The share of posts among what a member begins; the rest are tasks, created, claimed and completed."""

ACTS: dict[str, AnyAct] = {act.name: act for act in (POST_MESSAGE, CREATE_TASK, CLAIM_TASK, COMPLETE_TASK)}
KINDS = {"create_task": "created", "claim_task": "claimed", "complete_task": "completed"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An act that a member wants: under one request id, however often it is called."""

    key: str
    member: str
    act: str
    arguments: dict[str, Any]
    title: str = ""

    def stands(self, reply: dict[str, Any]) -> tuple[Any, ...]:
        """What must stand in the room once this was acknowledged: see `kills.ENTRIES`."""
        if self.act == "post_message":
            return (self.act, "ok", reply["message"], self.member, self.arguments["text"], None, None)
        return (self.act, "ok", reply["task"], self.member, None, self.title, KINDS[self.act])


Tell = Callable[[str, Wanted, dict[str, Any]], None]
"""Told "called" before each act, "acknowledged" with its reply after it, "refused" when it was refused."""


async def make_room(folder: Path) -> dict[str, Caller]:
    """A new room with its members, closed again; returns them by name."""
    data_folder.make_private(folder)
    room = Room(folder, Settings())
    token = await room.open("olga")
    assert token is not None
    try:
        owner = await room.door.identify(token)
        names = [f"worker-{n}" for n in range(MEMBERS)]
        enrolled = [await room.door.act(owner, ENROLL, ENROLL.arguments(name=name)) for name in names]
        return {name: await room.door.identify(reply.token) for name, reply in zip(names, enrolled, strict=True)}
    finally:
        await room.close()


async def everybody_acts(
    door: Door, callers: dict[str, Caller], again: list[Wanted], life: str, dice: random.Random, tell: Tell
) -> None:
    """Let every member act without rest, those first whose acts are in doubt, until the store fails or is gone."""
    async with asyncio.TaskGroup() as group:
        for name, caller in callers.items():
            plan = [wanted for wanted in again if wanted.member == name]
            group.create_task(_acts(door, caller, plan, life, random.Random(dice.random()), tell))


async def _acts(door: Door, caller: Caller, plan: list[Wanted], life: str, dice: random.Random, tell: Tell) -> None:
    count = 0
    while True:
        count += 1
        wanted = plan.pop(0) if plan else _begun(caller.name, f"{caller.name} {life}.{count}", dice)
        tell("called", wanted, {})
        act = ACTS[wanted.act]
        try:
            reply = await door.act(caller, act, act.arguments(**wanted.arguments), wanted.key)
        except Refusal as refusal:
            if refusal.code == "storage":
                return
            tell("refused", wanted, {"code": refusal.code})
            continue
        said = reply.model_dump()
        tell("acknowledged", wanted, said)
        plan += _next(wanted, said)


def _begun(member: str, text: str, dice: random.Random) -> Wanted:
    if dice.random() < POSTS:
        return Wanted(text, member, "post_message", {"text": text})
    return Wanted(text, member, "create_task", {"title": text, "review": "none"}, text)


def _next(wanted: Wanted, reply: dict[str, Any]) -> list[Wanted]:
    if wanted.act == "create_task":
        return [Wanted(f"{wanted.key} c", wanted.member, "claim_task", {"task": reply["task"]}, wanted.title)]
    if wanted.act == "claim_task":
        done = {"task": reply["task"], "fence": reply["fence"], "summary": "done", "evidence": []}
        return [Wanted(f"{wanted.key}d", wanted.member, "complete_task", done, wanted.title)]
    return []


@dataclass
class Told:
    """What a life of the store told: acts in doubt are those that were called and not acknowledged."""

    acknowledged: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    doubtful: dict[str, Wanted] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    replayed: int = 0

    def hear(self, what: str, wanted: dict[str, Any], reply: dict[str, Any]) -> None:
        """Take in one thing that was told by another process."""
        self(what, Wanted(**wanted), reply)

    def __call__(self, what: str, wanted: Wanted, reply: dict[str, Any]) -> None:
        """Take in one thing that was told."""
        if what == "called":
            self.calls += 1
            self.doubtful[wanted.key] = wanted
            return
        del self.doubtful[wanted.key]
        if what == "refused":
            self.refused[reply["code"]] = self.refused.get(reply["code"], 0) + 1
        else:
            self.replayed += reply["replayed"] is not None
            self.acknowledged[reply["receipt"]] = wanted.stands(reply)


class Expected:
    """A folder held against all that was ever told of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: dict[int, tuple[Any, ...]] = {}
        self._verifier = Verifier(None, seal_and_key(folder)[1])

    def missing(self, told: Told) -> list[str]:
        """Which acts of this life are not in the room as they were acknowledged."""
        self.acknowledged |= told.acknowledged
        return _missing(self.folder, told.acknowledged)

    def faults(self) -> list[str]:
        """What is wrong with what stands now, from the chain's last checked entry on, seal included."""
        self._verifier.compare_with(seal_and_key(self.folder)[0])
        return [*chain_faults(self.folder, self._verifier), *half_acts(self.folder)]

    def faults_of_all(self) -> tuple[list[str], list[str]]:
        """Once more for the whole life of the room: what is lost, and what else is wrong."""
        return _missing(self.folder, self.acknowledged), [*chain_faults(self.folder), *_doubles(self.folder)]


def _missing(folder: Path, acknowledged: dict[int, tuple[Any, ...]]) -> list[str]:
    entries = {entry["seq"]: tuple(entry)[1:] for entry in rows(folder, ENTRIES, min(acknowledged, default=1) - 1)}
    return [
        f"{seq} was acknowledged as {stands}, there is {entries.get(seq)}"
        for seq, stands in acknowledged.items()
        if entries.get(seq) != stands
    ]


def _doubles(folder: Path) -> list[str]:
    posts = rows(folder, "select text from message group by text having count(*) > 1")
    tasks = rows(folder, "select title from task group by title having count(*) > 1")
    return [f"stands twice: {row[0]}" for row in (*posts, *tasks)]


def fresh_copy(template: Path, folder: Path) -> Expected:
    """The room as it was made, in place of what the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    return Expected(folder)
