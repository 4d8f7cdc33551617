"""Programs without a mind that stay well for as long as they are believed: the room finds those that read nothing."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from teamroom.server.acts.act import Act
from teamroom.server.acts.capabilities import capabilities
from teamroom.server.store.statements import sqlite_statements
from teamroom.tools.serve import TOOLS
from tests.models import presence as faults
from tests.presence.test_zombies import MINUTE, said, verdict
from tests.support.planting import API, planted, prove
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("PRS3")

FOUND_SECONDS, EVERY_SECONDS = 26 * MINUTE, 60.0
"""Two intervals without an answer and two challenges of one and a half make a zombie; it acts every minute."""

NONCE = re.compile('answer "([0-9a-f]+) ')

Program = Callable[[Member, int], Awaitable[Any]]
"""What a program does in one of its rounds, which are counted."""


async def beats(member: Member, count: int) -> None:
    await member("heartbeat")


async def counter(member: Member, count: int) -> None:
    await member("heartbeat", note=f"working, step {count}", busy_until=3600)


async def caps(member: Member, count: int) -> None:
    await member("declare_capabilities", capabilities=[f"tool:{count}"])


async def shotgun(member: Member, count: int) -> None:
    """Takes the code of a challenge from the line of its wake, and answers with all that it could be."""
    for wake in (await member("wait_for_wake", after=0, timeout_seconds=0))["wakes"]:
        if (nonce := NONCE.search(wake["line"])) is not None:
            tasks, messages = (f"T-{number}" for number in range(1, 22)), (f"M-{number}" for number in range(1, 8))
            await member.said("heartbeat", answer=" ".join([nonce[1], member.name, *tasks, *messages]))


async def guesser(member: Member, count: int) -> None:
    """The same, one guess at a time; before its first challenge ends, it would come to what it holds."""
    for wake in (await member("wait_for_wake", after=0, timeout_seconds=0))["wakes"]:
        if (nonce := NONCE.search(wake["line"])) is not None:
            await member.said("heartbeat", answer=f"{nonce[1]} T-{count + 5}")


async def parser(member: Member, count: int) -> None:
    """Reads its inbox, and answers what it is asked: nobody can tell it from a mind by its presence."""
    challenge = (await member("check_in"))["challenge"]
    if challenge is not None and (nonce := NONCE.search(challenge)) is not None:
        held = (await member("check_in"))["tasks"]
        await member("heartbeat", answer=f"{nonce[1]} {held[0]['task'] if held else member.name}")


async def life_of(room: RunningRoom, program: Program, seconds: float = FOUND_SECONDS) -> list[str]:
    """What the room finds about a program that holds a task, is asked something, and goes on."""
    asker, member = await room.enroll("asker", program.__name__, mode="live")
    for number in range(20):
        await asker("create_task", title=f"work {number}")
    await member("check_in")
    await member("claim_task", task="T-20")
    await asker("post_message", text="what is the state?", to=[member.name], kind="ask")
    for count in range(int(seconds / EVERY_SECONDS)):
        await program(member, count)
        await room.later(EVERY_SECONDS)
    return [await verdict(asker, member.name), *said(room, member.name)]


LEFT_OUT: dict[Program, Callable[[], AbstractContextManager[None]]] = {
    beats: faults.a_beat_that_is_evidence,
    counter: faults.a_note_that_is_evidence,
    caps: lambda: patch.object(capabilities, "prove", lambda tx, caller, proofs: ["whatever it declares"]),
    shotgun: faults.a_guess_that_is_an_answer,
}
"""Each program with the rule without which it stays well."""


@pytest.mark.parametrize("program", [*LEFT_OUT, guesser], ids=lambda program: program.__name__)
async def test_a_program_that_reads_nothing_is_found_within_26_minutes(room: RunningRoom, program: Program) -> None:
    found = await life_of(room, program)
    assert found == ["zombie", "suspect", "suspect", "zombie"]


@pytest.mark.parametrize("program", LEFT_OUT, ids=lambda program: program.__name__)
async def test_without_the_rule_against_it_the_same_program_is_not_found(room: RunningRoom, program: Program) -> None:
    with LEFT_OUT[program]():
        assert "zombie" not in await life_of(room, program)


async def test_without_a_limit_on_wrong_answers_a_program_that_guesses_is_not_found(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", challenge_answers=20) as room:
        assert "recovered" in await life_of(room, guesser)


async def test_a_program_that_reads_and_answers_what_it_is_asked_is_never_found(room: RunningRoom) -> None:
    found = await life_of(room, parser, 2 * FOUND_SECONDS)
    assert "zombie" not in found
    assert "recovered" in found


async def test_a_program_that_counts_about_its_own_task_is_found_four_hours_past_its_oldest_unanswered_wake(
    room: RunningRoom,
) -> None:
    asker, member = await room.enroll("asker", "counter", mode="live")
    task = (await member("create_task", title="build"))["task"]
    await member("claim_task", task=task)
    await asker("post_message", text="what is the state?", to=["counter"], kind="ask")
    for minute in range(0, 239, 5):
        await member("heartbeat", task=task, note=f"after {minute} minutes", busy_until=3600)
        await room.later(5 * MINUTE - 1)
    assert (said(room, "counter"), await verdict(asker, "counter")) == ([], "working")
    for minute in range(240, 270, 5):
        await member("heartbeat", task=task, note=f"after {minute} minutes", busy_until=3600)
        await room.later(5 * MINUTE)
    assert said(room, "counter") == ["suspect", "suspect", "zombie"]
    assert await verdict(asker, "counter") == "zombie", "though it says that it works for another hour"
    await member("update_task", task=task, fence=1, note="it is half built")
    assert await verdict(asker, "counter") == "live", "a report that others can read is evidence"


async def test_declared_work_excuses_a_member_only_while_it_holds_the_task(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await room.enroll("asker", "member", mode="live")
    task = (await member("create_task", title="build"))["task"]
    await member("claim_task", task=task)
    await member("heartbeat", task=task, note="it builds", busy_until=3 * 3600)
    await asker("post_message", text="what is the state?", to=["member"], kind="ask")
    for _ in range(12):
        await member("heartbeat")
        await room.later(5 * MINUTE)
    assert said(room, "member") == []
    await owner("update_task", task=task, status="released")
    for _ in range(4):
        await member("heartbeat")
        await room.later(5 * MINUTE)
    assert said(room, "member")[:1] == ["suspect"]


@promise("PRS4")
async def test_a_proof_that_the_room_asked_for_is_evidence_and_a_declaration_is_none(
    room: RunningRoom, tmp_path: Path
) -> None:
    (member,) = await planted(room, tmp_path / "proof", "member")
    asker = await room.owner()
    await member("check_in", mode="live")
    await asker("post_message", text="what is the state?", to=["member"], kind="ask")
    for _ in range(11):
        await beats(member, 0)
        await room.later(MINUTE)
    await member("declare_capabilities", capabilities=[API, "tool:docker"])
    assert await verdict(asker, "member") == "suspect"
    await prove(member, tmp_path)
    assert (await verdict(asker, "member"), said(room, "member")[-1]) == ("live", "recovered")
    for _ in range(12):
        await beats(member, 0)
        await room.later(MINUTE)
    assert said(room, "member") == ["suspect", "recovered"], "it did something since it was asked"


def test_every_act_is_evidence_except_what_a_member_says_of_itself() -> None:
    acts = {tool.does.name for tool in TOOLS.values() if isinstance(tool.does, Act)}
    says_of_itself = {"check_in", "heartbeat", "declare_capabilities", "check_authorization"}
    listed = re.findall(r"\('(\w+)'\)", sqlite_statements()["last_act"])
    assert sorted(listed) == sorted(acts - says_of_itself | {"accept"})
