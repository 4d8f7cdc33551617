"""A switch that works (CTL2, CTL6): twenty agents call without pause while an operator pauses and resumes.

The target is one agent, one owner's agents and the whole room in turn. Judged from the log: no act of a bound
agent has a number between the pause's and the resume's. Judged from the clients' clocks: a call that starts after
the pause was acknowledged, and is answered before the resume is sent, was refused as `paused`; the first call
after the resume was acknowledged is not. Half of the agents have another owner, so that a pause of one owner
binds ten of them.

The twin keeps what it read of a caller's standing for some calls, outside of the acts' own transactions.
"""

import asyncio
import bisect
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.server.door import admission
from teamroom.server.identity import Caller as Member
from teamroom.server.refusals import CODES
from teamroom.server.store.transaction import Reading
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.invariants import chain_faults, half_acts, rows
from tests.campaigns.load import Called, Caller
from tests.support.engines import engine_of
from tests.support.rates import LIMITLESS
from tests.support.room_in_thread import RoomInThread, room_in_thread

AGENTS = 20
CACHED_CALLS = 10
CALM_SECONDS = 0.02
"""At most this long the operator waits between a resume and the next pause, at random."""


@dataclass
class Flip:
    """A pause and its resume, as the operator's clock saw them, and whom they bound."""

    target: str
    bound: set[str]
    pause: Called
    resume: Called
    probe: Called


@dataclass
class Agent:
    """An agent that works without pause: whatever it may do next, at random."""

    caller: Caller
    dice: random.Random
    names: list[str]
    calls: list[Called] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    offers: list[str] = field(default_factory=list)
    answered: asyncio.Condition = field(default_factory=asyncio.Condition)
    hung_up: int = 0

    async def work(self, stop: asyncio.Event) -> None:
        """Call and call again until told to stop."""
        while not stop.is_set():
            tool, arguments = self._next()
            try:
                called = await self.caller.call(tool, **arguments)
            except ConnectionError:  # a call that a stop does not answer within its grace is hung up on
                self.hung_up += 1
                continue
            self._learn(called)
            self.calls.append(called)
            async with self.answered:
                self.answered.notify_all()

    async def calls_more(self, count: int) -> None:
        """Wait until so many more calls are answered; the last of them started after this."""
        goal = len(self.calls) + count
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.calls) >= goal)

    def _next(self) -> tuple[str, dict[str, Any]]:
        mark = f"{self.caller.name} {len(self.calls)}"
        other = self.dice.choice(self.names)
        kind = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "held" and self.offers:
            return "answer_hand_off", {"offer": self.offers.pop(), "accept": self.dice.random() < 0.5}
        if kind == "held" and self.held:
            return self._about_held(mark, other)
        calls: dict[str, tuple[str, dict[str, Any]]] = {
            "post": ("post_message", {"text": f"{mark}, @{other}"}),
            "create": ("create_task", {"title": mark, "review": "none"}),
            "check_in": ("check_in", {}),
            "beat": ("heartbeat", {"note": mark}),
            "messages": ("read_messages", {"limit": 3}),
            "who": ("who", {"name": other}),
        }
        return calls.get(kind, ("claim_task", {}))

    def _about_held(self, mark: str, other: str) -> tuple[str, dict[str, Any]]:
        task, fence = self.dice.choice(list(self.held.items()))
        which = self.dice.random()
        if which < 0.4:
            return "update_task", {"task": task, "fence": fence, "note": mark}
        del self.held[task]
        if which < 0.6 and other != self.caller.name:
            return "hand_off", {"task": task, "fence": fence, "to": other, "note": mark}
        return "complete_task", {"task": task, "fence": fence, "summary": mark, "evidence": []}

    def _learn(self, called: Called) -> None:
        if called.refused:
            return
        if called.tool == "claim_task":
            self.held[called.body["task"]] = called.body["fence"]
        elif called.tool == "check_in":
            self.held = {task["task"]: task["fence"] for task in called.body["tasks"] if task["state"] == "claimed"}
            self.offers = [offer["offer"] for offer in called.body["offers"]]


WEIGHTS = {"post": 5, "create": 2, "held": 4, "claim": 1, "check_in": 1, "beat": 2, "messages": 2, "who": 1}


async def campaign(
    folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently, agents: int = AGENTS
) -> Outcome:
    """`number` pauses and resumes while `agents` call."""
    dice = random.Random(seed)
    names = [f"agent-{n}" for n in range(agents)]
    with (
        room_in_thread(folder, choose_engine=engine_of(folder).choose, **LIMITLESS) as room,
        cached_standing() if twin else contextlib.nullcontext(),
    ):
        _enroll(room, names)
        operator = Caller("opal", room.port, room.token("opal"))
        workers = {
            name: Agent(Caller(name, room.port, room.token(name)), random.Random(dice.random()), names)
            for name in names
        }
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(agent.work(stop)) for agent in workers.values()]
            flips = []
            for n in range(number):
                flips.append(await _flip(operator, room, workers, dice, n))
                advance()
            stop.set()
        assert all(work.done() for work in working)
        for caller in (operator, *(agent.caller for agent in workers.values())):
            caller.hang_up()
        logged = [f"logged: {line}" for line in room.log.lines]
    calls = {name: agent.calls for name, agent in workers.items()}
    outcome = Outcome({"agents": agents, "pauses": len(flips), "calls": sum(map(len, calls.values()))})
    outcome.figures["calls that a pause hung up on"] = sum(agent.hung_up for agent in workers.values())
    outcome.faults += logged
    _judge_codes(outcome, calls)
    _judge_log(outcome, folder, flips)
    _judge_clocks(outcome, flips, calls)
    outcome.faults += [*chain_faults(folder), *half_acts(folder)]
    return outcome


def _enroll(room: RoomInThread, names: list[str]) -> None:
    """Even agents belong to @olga, odd ones to @otto; @opal, a person, operates the switch."""
    room.enroll("opal", kind="human", role="operator")
    room.enroll("otto", kind="human")
    room.enroll(*names[0::2], owner="olga")
    room.enroll(*names[1::2], owner="otto")


async def _flip(
    operator: Caller, room: RoomInThread, workers: dict[str, Agent], dice: random.Random, turn: int
) -> Flip:
    """Pause; wait until each bound agent has called and been answered; resume; call as one of them."""
    names = list(workers)
    target, bound = [
        (one := dice.choice(names), {one}),
        ("owner:olga", set(names[0::2])),
        ("room", set(names)),
    ][turn % 3]
    pause = await operator.call("pause", target=target, reason=f"turn {turn}")
    await asyncio.gather(*(workers[name].calls_more(2) for name in bound))
    resume = await operator.call("resume", target=target, reason=f"turn {turn}")
    name = dice.choice(sorted(bound))
    first = Caller(name, room.port, room.token(name))
    probe = await first.call("post_message", text=f"first after resume {turn}")
    first.hang_up()
    await asyncio.sleep(dice.uniform(0, CALM_SECONDS))
    return Flip(target, bound, pause, resume, probe)


# ------------------------------------------------------------------ what must not be


def _judge_codes(outcome: Outcome, calls: dict[str, list[Called]]) -> None:
    codes = Counter(call.code for made in calls.values() for call in made if call.refused)
    outcome.figures["refusals by code"] = dict(codes)
    outcome.faults += [f"{count} calls were refused with {code}" for code, count in codes.items() if code not in CODES]


def _judge_log(outcome: Outcome, folder: Path, flips: list[Flip]) -> None:
    """No act of a bound agent has a number between those of a pause and its resume."""
    acts = rows(
        folder,
        "select log.seq, log.act, member.name from log join member on member.id = log.actor "
        "where log.outcome = 'ok' and member.kind = 'agent' order by log.seq",
    )
    passed = 0
    for flip in flips:
        start, end = flip.pause.receipt, flip.resume.receipt
        if start is None or end is None:
            outcome.faults.append(f"the switch itself was refused: {flip.pause.body} {flip.resume.body}")
            continue
        through = [act for act in acts if start < act["seq"] < end and act["name"] in flip.bound]
        passed += len(through)
        outcome.faults += [
            f"{flip.target} paused as {start}, resumed as {end}: {act['act']} of @{act['name']} is {act['seq']}"
            for act in through
        ]
    outcome.figures["acts in the log"] = len(acts)
    outcome.figures["acts of bound agents in the log between a pause and its resume"] = passed


def _judge_clocks(outcome: Outcome, flips: list[Flip], calls: dict[str, list[Called]]) -> None:
    starts = {name: [call.started for call in made] for name, made in calls.items()}
    under, through, in_flight, late, first = 0, 0, 0, 0, 0
    for flip in flips:
        first += not flip.probe.refused
        if flip.probe.refused:
            outcome.faults.append(f"the first call after the resume of {flip.target} was refused: {flip.probe.body}")
        for name in flip.bound:
            made = calls[name]
            paused = bisect.bisect_right(starts[name], flip.pause.ended)
            resumed = bisect.bisect_right(starts[name], flip.resume.ended)
            in_flight += paused > 0 and made[paused - 1].ended > flip.pause.ended
            for call in made[paused:resumed]:
                if call.ended < flip.resume.started:
                    under += 1
                    if not _is_paused(call):
                        through += 1
                        outcome.faults.append(f"{flip.target} was paused, then {call.tool} of @{name} was carried out")
            after = made[resumed] if resumed < len(made) else None
            if after is not None and _is_paused(after) and not _pauses_again(flips, flip, name, after):
                late += 1
                outcome.faults.append(f"{flip.target} was resumed, then {after.tool} of @{name} was refused")
    outcome.figures |= {
        "calls that started under an acknowledged pause": under,
        "of these carried out": through,
        "calls in flight when a pause was acknowledged": in_flight,
        "first calls after a resume that succeeded": f"{first} of {len(flips)}",
        "agents' own next calls after a resume that were refused": late,
    }


def _is_paused(call: Called) -> bool:
    """Whether the room said that the caller is paused; a heartbeat is answered then, and says so."""
    if call.tool == "heartbeat":
        return call.body.get("standing") == "paused"
    return call.code == "paused"


def _pauses_again(flips: list[Flip], flip: Flip, name: str, call: Called) -> bool:
    """Whether a later pause may have caught the call."""
    return any(
        name in other.bound and flip.resume.ended < other.pause.ended and other.pause.started < call.ended
        for other in flips
    )


@contextlib.contextmanager
def cached_standing() -> Iterator[None]:
    """The naive check: what a caller may do is looked up once in some calls, not inside each act."""
    read, kept = admission.find_principal, dict[str, tuple[Any, int]]()

    def principal(tx: Reading, caller: Member) -> Any:
        row, left = kept.get(caller.token_id, (None, 0))
        if left == 0:
            row, left = read(tx, caller), CACHED_CALLS
        kept[caller.token_id] = row, left - 1
        return row

    with patch.object(admission, "find_principal", principal):
        yield


if __name__ == "__main__":
    command(
        "pauses",
        f"{AGENTS} agents call while an operator pauses and resumes NUMBER times",
        500,
        campaign,
        on_both_engines=True,
    )
