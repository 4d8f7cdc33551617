"""Many claimers, one winner (TSK1): every task is claimed by all at once by name, then by whoever comes first.

First each task in turn: all claimers claim it in the same moment, one may win, and the owner releases it
again. Then all claim without naming a task and complete what they get, until the board is empty. So each
task is claimed exactly twice, its fences are 1 and 2, and nobody holds more than one at a time: the cap
on work in progress stays at its default.

The twin looks whether a task is free in one transaction and takes it in the next.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.server.acts.act import AnyAct
from teamroom.server.acts.tasks import claims as claim_acts
from teamroom.server.door.door import Door
from teamroom.server.facts.task import find_task
from teamroom.server.identity import Caller as Member
from teamroom.server.store.engine import Store
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.invariants import chain_faults, rows
from tests.campaigns.load import Called, Caller
from tests.support.engines import engine_of
from tests.support.rates import LIMITLESS
from tests.support.room_in_thread import room_in_thread

CLAIMERS = 64


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    claimers: int = CLAIMERS,
) -> Outcome:
    """`claimers` members claim `number` tasks."""
    dice = random.Random(seed)
    names = [f"claimer-{n}" for n in range(claimers)]
    outcome = Outcome({"claimers": claimers, "tasks": number})
    winners: dict[int, str] = {}
    with (
        room_in_thread(folder, choose_engine=engine_of(folder).choose, **LIMITLESS) as room,
        in_two_steps(room.running.room.store) if twin else contextlib.nullcontext(),
    ):
        room.enroll(*names)
        owner = Caller("olga", room.port, room.token("olga"))
        members = [Caller(name, room.port, room.token(name)) for name in names]
        for n in range(1, number + 1):
            await owner.carried_out("create_task", title=f"wanted {n}", review="none")
        for n in range(1, number + 1):
            dice.shuffle(members)
            calls = await asyncio.gather(*(member.call("claim_task", task=f"T-{n}") for member in members))
            _judge_round(outcome, f"T-{n}", calls, winners)
            await owner.carried_out("update_task", task=f"T-{n}", status="released")
            advance()
        if not twin:
            found = await asyncio.gather(*(_work_off(member, winners) for member in members))
            outcome.faults += [fault for faults in found for fault in faults]
        for caller in (owner, *members):
            caller.hang_up()
        outcome.faults += [f"logged: {line}" for line in room.log.lines]
    if not twin:
        outcome.faults += _judge_log(folder, number, winners)
        outcome.faults += chain_faults(folder)
    outcome.figures["claims that won"] = len(winners)
    return outcome


def _judge_round(outcome: Outcome, task: str, calls: list[Called], winners: dict[int, str]) -> None:
    """All claimed one task: one won, and every other one learnt who has it and until when."""
    won = [call for call in calls if not call.refused]
    codes = Counter(call.code for call in calls if call.refused)
    figures = outcome.figures
    figures["claims by name"] = figures.get("claims by name", 0) + len(calls)
    figures["refusals by code"] = dict(Counter(figures.get("refusals by code", {})) + codes)
    if len(won) != 1:
        outcome.faults.append(f"{task} has {len(won)} winners: {', '.join(call.member for call in won)}")
    for call in won:
        winners[call.body["receipt"]] = call.member
    if set(codes) - {"taken"}:
        outcome.faults.append(f"{task}: refused with {dict(codes)}")
    told = {(call.body.get("holder"), call.body.get("lease_until")) for call in calls if call.code == "taken"}
    if won and told - {(call.member, call.body["lease_until"]) for call in won}:
        outcome.faults.append(f"{task}: the losers were told {told}")


async def _work_off(member: Caller, winners: dict[int, str]) -> list[str]:
    """Claim whatever is open and complete it, until nothing is left."""
    while True:
        claim = await member.call("claim_task")
        if claim.refused:
            return [] if claim.code == "not_found" else [f"@{member.name}: a bare claim was refused: {claim.body}"]
        winners[claim.body["receipt"]] = member.name
        done = await member.call(
            "complete_task", task=claim.body["task"], fence=claim.body["fence"], summary="done", evidence=[]
        )
        if done.refused:
            return [f"@{member.name} could not complete {claim.body['task']}: {done.body}"]


def _judge_log(folder: Path, number: int, winners: dict[int, str]) -> list[str]:
    """By the log and the board each task was claimed twice, with fences 1 and 2, by whom the clients say."""
    claims = rows(
        folder,
        "select log.seq, log.subject, log.detail, member.name from log join member on member.id = log.actor "
        "where log.act = 'claim_task' and log.outcome = 'ok' order by log.seq",
    )
    fences: dict[str, list[int]] = defaultdict(list)
    for claim in claims:
        fences[claim["subject"]].append(json.loads(claim["detail"])["fence"])
    faults = [f"{task} was claimed with the fences {given}" for task, given in fences.items() if given != [1, 2]]
    if {claim["seq"]: claim["name"] for claim in claims} != winners:
        faults.append("the log names other winners than the clients do")
    board = rows(folder, "select id, state, fence from task where state <> 'done' or fence <> 2")
    faults += [f"T-{task['id']} is {task['state']} with fence {task['fence']}" for task in board]
    if len(fences) != number:
        faults.append(f"{len(fences)} of {number} tasks were claimed")
    return faults


@contextlib.contextmanager
def in_two_steps(store: Store) -> Iterator[None]:
    """The naive claim: look whether the task is free in one transaction, take it in the next."""
    check_free, act = claim_acts.check_free, Door.act

    async def look_then_act(self: Door, caller: Member, what: AnyAct, arguments: Any, *given: Any) -> Any:
        if what.name == "claim_task":
            await store.look_up(lambda tx: check_free(tx, caller, find_task(tx, arguments.task)))
            await asyncio.sleep(0)
        return await act(self, caller, what, arguments, *given)

    with patch.object(Door, "act", look_then_act), patch.object(claim_acts, "check_free", lambda *_: None):
        yield


if __name__ == "__main__":
    command("claims", f"{CLAIMERS} claimers on NUMBER tasks: one winner each", 200, campaign, on_both_engines=True)
