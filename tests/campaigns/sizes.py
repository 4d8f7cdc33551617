"""Every act, duty and read in a large room: how much of the writer's thread each takes (SAF9).

The room has as many tasks and messages as the number says, and a hundredth as many members. Each act of the contract is
called in it, and the supervisor does its duties. An act's steps of the database must stay within its budget, its CPU
time on the writer's thread within the promised bound, and a read's within its time.

Steps depend on nothing but the room. The short form judges only them: in a room of four times the size, an act may not
take more than half as many again.

The twin looks at every open task to find the best one.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.messages.messages import READ_MESSAGES
from teamroom.server.acts.overnight.overnight import OVERNIGHT, STUCK
from teamroom.server.acts.presence.me import READ_INBOX, READ_ME
from teamroom.server.acts.presence.presence import WAKES_WAITING
from teamroom.server.acts.receipts.receipts import CHECK_ENTRIES, READ_RECEIPTS, READ_STREAM
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.supervisor.loop import Supervisor
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.campaigns.full_disks import CALLS, CHANNELS, Call, every_act
from tests.models.world import Plan, World, clean_up, run_at_once, statement
from tests.support.large_rooms import Size, fill

COUNTED = 100
"""Steps are counted so many at a time."""

CPU_MILLISECONDS = 50.0
"""What an act may take of the writer's thread."""

READ_SECONDS = 2.0

MEMBERS = 120
"""How many members a small room has."""

GROWTH, GROWTH_STEPS = 1.5, 6_000
"""An act in a room of four times the size may take this factor more, and so many steps on top."""

PLAN = Plan(
    members={
        **{name: {"mode": "live"} for name in ("builder", "second", "third", "fourth", "fifth", "spare", "crowded")},
        "rex": {"role": "watchdog"},
    },
    settings={"notify": CHANNELS, "asks_per_hour": 1000},
)

LARGE_CALLS = (
    *CALLS,
    Call("fifth", "claim_task", {}),
    Call("builder", "claim_task", {}),
    Call("builder", "check_in", {}),
    Call("olga", "check_in", {}),
    Call("builder", "create_task", {"title": "waits", "depends_on": [f"T-{n}" for n in range(1100, 1150)]}),
    Call("olga", "update_task", {"task": "T-20", "changes": {"depends_on": [f"T-{n}" for n in range(1000, 1050)]}}),
    Call("olga", "update_task", {"task": "T-8", "status": "cancelled"}),
    Call("builder", "post_message", {"text": "help!", "kind": "alert"}),
    Call("fifth", "post_message", {"text": "to many", "to": [f"crowd-{n}" for n in range(1, 21)], "kind": "ask"}),
    Call("olga", "enroll", {"name": "another", "kind": "human"}),
    Call("olga", "pause", {"target": "owner:olga", "reason": "at size"}),
    Call("olga", "resume", {"target": "owner:olga", "reason": "at size"}),
    Call("olga", "pause", {"target": "room", "reason": "at size"}),
    Call("olga", "resume", {"target": "room", "reason": "at size"}),
    Call("olga", "redact", {"older_than_seconds": 3600, "reason": "at size"}),
    Call("olga", "redact", {"what": "T-12", "reason": "at size"}),
    Call("olga", "kill", {"target": "builder", "reason": "at size"}),
)

READS: tuple[tuple[str, AnyRead, dict[str, Any]], ...] = (
    ("builder", READ_BOARD, {}),
    ("builder", READ_BOARD, {"state": "done"}),
    ("builder", READ_BOARD, {"state": "in_review"}),
    ("builder", READ_BOARD, {"state": "all", "after": "T-2000"}),
    ("builder", READ_BOARD, {"query": "nowhere"}),
    ("builder", READ_MESSAGES, {"query": "build"}),
    ("builder", READ_MESSAGES, {"query": "the build of word7 is"}),
    ("builder", READ_MESSAGES, {"query": "b"}),
    ("builder", READ_MESSAGES, {"mentions": "builder"}),
    ("builder", READ_MESSAGES, {"ids": ["M-10", "M-11", "M-12"]}),
    ("builder", WHO, {}),
    ("builder", WHO, {"name": "builder"}),
    ("builder", WHO, {"capability": "tool:1"}),
    ("olga", OVERNIGHT, {}),
    ("olga", OVERNIGHT, {"hours": 10_000}),
    ("olga", STUCK, {}),
    ("olga", CHECK_ENTRIES, {"after": 1, "upto": 1000}),
    ("olga", READ_INBOX, {}),
    ("olga", READ_RECEIPTS, {}),
    ("olga", READ_RECEIPTS, {"actor": "builder", "act": "kill"}),
    ("olga", READ_RECEIPTS, {"actor": "builder", "act": "kill", "after": 1}),
    ("olga", READ_RECEIPTS, {"actor": "fifth"}),
    ("olga", READ_RECEIPTS, {"act": "kill"}),
    ("olga", READ_RECEIPTS, {"subject": "T-12", "act": "kill"}),
    ("olga", READ_STREAM, {}),
    ("builder", READ_ME, {}),
    ("builder", READ_INBOX, {}),
    ("builder", WAKES_WAITING, {}),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call took: steps of the database, and CPU time of its thread."""

    what: str
    steps: int
    milliseconds: float
    outcome: str


class LargeWorld(World):
    """A room that is large before its first step."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self.duties: list[Cost] = []
        super().__init__(PLAN)

    def _furnish(self) -> tuple[Path, dict[str, str]]:
        folder, tokens = super()._furnish()
        fill(folder / "room.db", self._size, self.callers["builder"].member, self.now)
        return folder, tokens

    def furnish(self) -> None:
        """Let the members do, before the room is large, what the calls need."""
        known = every_act()

        def call(by: str, act: str, **arguments: Any) -> None:
            reply = self.act(by, known[act], **arguments)
            assert not isinstance(reply, Refusal), reply

        call("rex", "declare_capabilities", capabilities=["runtime:builder"])
        call("builder", "post_message", text="something to take away")
        for number in range(1, 7):
            call("olga", "create_task", title=f"task {number}", review="olga" if number == 1 else "none")
            if number < 6:
                call("builder", "claim_task", task=f"T-{number}")
            if number == 1:
                call("builder", "complete_task", task="T-1", fence=1, summary="done", evidence=[])
        call("builder", "hand_off", task="T-5", fence=1, to="fifth", note="for you")
        call("olga", "pause", target="third", reason="to be resumed")

    def _supervisor(self, holder: str, door: Any) -> Supervisor:
        return super()._supervisor(holder, CountingDoor(door, self))

    def cost(self, what: str, call: Callable[[], Any]) -> Cost:
        """What a call takes of the thread that writes, with its commit."""
        steps = 0

        def count() -> bool:
            nonlocal steps
            steps += COUNTED
            return False

        connections = (self._store.committer.stepped, self._store.reads.open_connection())
        for connection in connections:
            connection.connection.set_progress_handler(count, COUNTED)
        began = time.thread_time()
        answer = call()
        took = time.thread_time() - began
        for connection in connections:
            connection.watch()
        outcome = f"{answer.code}: {answer.why}" if isinstance(answer, Refusal) else "done"
        return Cost(what, steps, took * 1000, outcome)


class CountingDoor:
    """Notes what each duty of a supervisor takes."""

    def __init__(self, door: Any, room: LargeWorld) -> None:
        self._door, self._room = door, room

    async def settle_refused(self) -> None:
        """Do what is due of refused calls."""
        await self._door.settle_refused()

    async def write_deliveries(self) -> None:
        """Write which wakes listeners were given."""
        await self._door.write_deliveries()

    async def act_as_room(self, work: Any) -> Any:
        """Carry it out, and note its cost."""
        due = getattr(work, "keywords", {}).get("seen")
        if due is None:
            return await self._door.act_as_room(work)
        answers = []
        cost = self._room.cost(f"duty {due.rule}", lambda: answers.append(run_at_once(self._door.act_as_room(work))))
        self._room.duties.append(cost)
        return answers[0]


def costs(size: Size, advance: Advance = silently) -> tuple[list[Cost], list[Cost]]:
    """What each act and duty takes in a room of a size, and each read."""
    known = every_act()
    with clean_up():
        room = LargeWorld(size)
        try:
            reads = [
                room.cost(_name(read.name, arguments), partial(room.read, name, read, **arguments))
                for name, read, arguments in READS
            ]
            writes = []
            for call in LARGE_CALLS:
                writes.append(room.cost(_name(call.act, call.arguments), partial(_act, room, known[call.act], call)))
                room.tick()
                advance()
            return writes + room.duties, reads
        finally:
            room.close()  # its log is as long as a real one, and no chain


def _act(room: LargeWorld, act: AnyAct, call: Call) -> Any:
    return room.act(call.by, act, **call.arguments)


def _name(what: str, arguments: dict[str, Any]) -> str:
    told = ", ".join(f"{name}={str(value)[:20]}" for name, value in arguments.items())
    return f"{what}({told})"


def worst(found: Iterable[Cost]) -> dict[str, Cost]:
    """The call of each kind that took the most steps."""
    return {cost.what: cost for cost in sorted(found, key=lambda cost: cost.steps)}


@contextlib.contextmanager
def looking_at_all(twin: bool) -> Iterator[None]:
    """The twin: a claim looks at every open task, for which there is no index."""
    by_index = "waits = 0 and coalesce(assigned, 0) = :assigned and first_need = :first_need"
    anything = "abs(waits) + abs(:assigned) + length(:first_need) >= 0"
    with statement("best_open_task", lambda sql: sql.replace(by_index, anything)) if twin else contextlib.nullcontext():
        yield


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """A room of `number` tasks and messages."""
    outcome = Outcome()
    with looking_at_all(twin):
        size = Size(number, number, max(number // 100, MEMBERS))
        writes, reads = await asyncio.to_thread(costs, size, advance)  # a loop of its own runs the supervisor there
    budget = Settings().act_steps
    for cost in worst(writes).values():
        outcome.figures[cost.what] = f"{cost.steps:,} steps, {cost.milliseconds:.1f} ms of the writer, {cost.outcome}"
        if cost.steps > budget:
            outcome.faults.append(f"{cost.what} took {cost.steps:,} steps")
    for cost in writes:
        if cost.milliseconds > CPU_MILLISECONDS:
            outcome.faults.append(f"{cost.what} took {cost.milliseconds:.1f} ms of the writer's thread")
    for cost in reads:
        outcome.figures[cost.what] = f"{cost.steps:,} steps, {cost.milliseconds:.1f} ms of a reader"
        if cost.milliseconds > READ_SECONDS * 1000:
            outcome.faults.append(f"{cost.what} took {cost.milliseconds:.1f} ms of a reader")
    return outcome


def growth(small: int, large: int, *, twin: bool = False) -> tuple[list[str], int]:
    """Acts, duties and pages of receipts that take more in a larger room; and how many kinds were compared.

    Both rooms have as many members.
    """
    with looking_at_all(twin):
        few, many = (_indexed(*costs(Size(number, number, MEMBERS))) for number in (small, large))
    faults = [
        f"{name}: {few[name].steps:,} steps among {small:,}, {cost.steps:,} among {large:,}"
        for name, cost in many.items()
        if name in few and cost.steps > few[name].steps * GROWTH + GROWTH_STEPS
    ]
    return faults, len(few.keys() & many.keys())


def _indexed(writes: list[Cost], reads: list[Cost]) -> dict[str, Cost]:
    """What an index leads to: every act and duty, and a page of receipts under any filter."""
    return worst([*writes, *(cost for cost in reads if cost.what.startswith(READ_RECEIPTS.name))])


if __name__ == "__main__":
    command("sizes", (__doc__ or "").partition("\n")[0], 100_000, campaign)
