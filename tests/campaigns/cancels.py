"""Calls cancelled at random points, and no half act (the reason why an act is one function on one thread).

Acts of many statements are cut off in three ways: the client hangs up; a client with a session sends
`notifications/cancelled`; the call's task is cancelled inside the server. Each call carries a request id that
the room remembers in the act's own transaction, so that afterwards each is known to have happened or not. Then
the whole database is checked: every entry of the log has all its effects, the counters agree, the chain
verifies, no transaction is open, and the room still acts.

The twin gives the same acts one shared connection, statement by statement: aiosqlite's, or one to PostgreSQL.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import aiosqlite
import anyio
import anyio.from_thread
import anyio.to_thread

from teamroom.server.acts.act import AnyAct
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import BusyError, Recover, Work
from teamroom.server.store.postgres.connect import connect_writer
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.transaction import Context, Head, Writing
from teamroom.tools.serve import TOOLS
from tests.campaigns.campaign import Advance, Outcome, command, quantile, silently
from tests.campaigns.invariants import chain_faults, half_acts, rows, write_lock_is_free
from tests.campaigns.load import Caller, SessionCaller
from tests.support.engines import engine_of
from tests.support.rates import LIMITLESS
from tests.support.room_in_thread import logged
from tests.support.rooms import RunningRoom, running_room

AGENTS = 8
AT_ONCE = 16
"""Calls that are open at the same time."""

TWIN_AT_ONCE = 1
"""The twin's calls wait for each other, where nothing can go wrong; one at a time is cut off in the middle."""

STEPS = 40
"""A task is cancelled after at most this many turns of the event loop, and most often some milliseconds more."""

PACES, TWIN_PACES = 6.0, 2.0
"""A call is cut off after up to this many times what one takes alone, on this machine at this moment,"""

STRETCHES = (0.3, 1.0, 3.0)
"""and this many times that, at random: the pace changes with the machine's load."""

PACED_CALLS = 9
UNFINISHED_TASKS = 40
SETTLE_SECONDS = 10.0

NEEDS = ["repo:acme/api", "tool:docker"]

Choice = tuple[str, str, dict[str, Any]]
"""Who calls which tool with which arguments."""


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` calls, each cancelled at a random moment."""
    dice = random.Random(seed)
    ways: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    names = [f"agent-{n}" for n in range(AGENTS)]
    at_once = TWIN_AT_ONCE if twin else AT_ONCE
    settings = {"presence_write_seconds": 0, "wip_cap": 100, "hop_limit": 50, **LIMITLESS}
    async with running_room(folder, choose_engine=engine_of(folder).choose, **settings) as room:
        await _furnish(room, names)
        async with shared_connection(room.room.store) if twin else contextlib.nullcontext():
            with logged() as log:
                delay = (TWIN_PACES if twin else PACES) * await _pace(room, names[0])
                for first in range(0, number, at_once):
                    choices = _choose(folder, names, dice, range(first, min(first + at_once, number)))
                    moments = [dice.uniform(0, delay * dice.choice(STRETCHES)) for _ in choices]
                    cuts = [
                        _cut(room, f"cut-{first + n}", choice, moment, dice, ways)
                        for n, (choice, moment) in enumerate(zip(choices, moments, strict=True))
                    ]
                    ends.update(await asyncio.gather(*cuts))
                    for _ in choices:
                        advance()
                faults = await _still_acts(room, folder, names)
    faults += [f"logged: {line}" for line in log.lines]
    faults += [f"{count} calls were {end}" for end, count in ends.items() if "broken" in end]
    faults += [] if write_lock_is_free(folder) else ["a transaction is still open"]
    committed, halves = _committed(folder), half_acts(folder)
    faults += [*halves, *chain_faults(folder)]
    return Outcome(
        {
            "calls": number,
            "cut off by": dict(ways),
            "how they ended": dict(ends),
            "committed": committed,
            "cut off, and committed whole": committed - ends["answered first"],
            "half acts": len(halves),
        },
        faults,
    )


async def _furnish(room: RunningRoom, names: list[str]) -> None:
    """Members that can do what the tasks need."""
    owner = Caller("olga", room.room.settings.port, room.owner_token)
    for name in names:
        room.tokens[name] = (await owner.carried_out("enroll", name=name))["token"]
        member = Caller(name, owner.port, room.tokens[name])
        await member.carried_out("declare_capabilities", capabilities=NEEDS)
        member.hang_up()
    owner.hang_up()


async def _pace(room: RunningRoom, name: str) -> float:
    """How long one call takes that nobody cuts off: the median of a few, in seconds."""
    caller = Caller(name, room.room.settings.port, room.tokens[name])
    calls = [await caller.call("post_message", text=f"pace {n}") for n in range(PACED_CALLS)]
    caller.hang_up()
    return quantile([call.ended - call.started for call in calls], 0.5)


# ------------------------------------------------------------------ what is called


def _choose(folder: Path, names: list[str], dice: random.Random, numbers: Sequence[int]) -> list[Choice]:
    """Calls that fit the board as it is now; some of them get into each other's way, and are refused."""
    tasks = rows(
        folder,
        "select task.id, task.state, task.fence, holder.name as holder, reviewer.name as reviewer, "
        "offer.id as offer, receiver.name as receiver from task "
        "left join member as holder on holder.id = task.holder "
        "left join member as reviewer on reviewer.id = task.reviewer "
        "left join offer on offer.task = task.id and offer.state = 'offered' "
        "left join member as receiver on receiver.id = offer.receiver "
        "where task.state not in ('done', 'cancelled') order by task.id",
    )
    return [_choice(tasks, names, dice, number) for number in numbers]


def _choice(tasks: list[Any], names: list[str], dice: random.Random, number: int) -> Choice:
    mark = f"call {number}"
    one, *others = dice.sample(names, 4)
    if not tasks or (len(tasks) < UNFINISHED_TASKS and dice.random() < 0.2):
        return one, "create_task", {"title": mark, "needs": NEEDS, **dice.choice([{}, {"assign": others[0]}])}
    if dice.random() < 0.3:
        return one, "heartbeat", {}
    if dice.random() < 0.25:
        return one, "post_message", {"text": f"{mark} " + " ".join(f"@{name}" for name in others)}
    task = dice.choice(tasks)
    name, holder = f"T-{task['id']}", task["holder"] or one  # after half an act, a state may be without its member
    if task["state"] == "open":
        return one, "claim_task", {"task": name}
    if task["state"] == "offered":
        offer = {"offer": f"O-{task['offer'] or 0}", "accept": dice.random() < 0.7}
        return task["receiver"] or one, "answer_hand_off", offer
    if task["state"] == "in_review":
        verdict = dice.choice(["accept", "send_back"])
        return task["reviewer"] or one, "review_task", {"task": name, "verdict": verdict, "note": mark}
    fenced = {"task": name, "fence": task["fence"]}
    other = next(name for name in others if name != holder)
    return dice.choice(
        [
            (holder, "update_task", {**fenced, "note": mark}),
            (holder, "update_task", {**fenced, "status": "released"}),
            (holder, "hand_off", {**fenced, "to": other, "note": mark}),
            (holder, "hand_off", {**fenced, "to": other, "note": mark}),
            (holder, "complete_task", {**fenced, "summary": mark, "evidence": [{"kind": "test", "ref": mark}]}),
        ]
    )


# ------------------------------------------------------------------ how it is cut off


async def _cut(
    room: RunningRoom, request_id: str, choice: Choice, delay: float, dice: random.Random, ways: Counter[str]
) -> str:
    """Make a call and cut it off after `delay` seconds; returns how it ended for who called."""
    way, how = dice.choices(
        [("hanging up", _hang_up), ("notifications/cancelled", _cancel_by_id), ("cancelling the task", _cancel_task)],
        [2, 1, 3],
    )[0]
    ways[way] += 1
    return await how(room, request_id, choice, delay, dice.randrange(STEPS))


async def _hang_up(room: RunningRoom, request_id: str, choice: Choice, delay: float, steps: int) -> str:
    name, tool, arguments = choice
    caller = Caller(name, room.room.settings.port, _token(room, name))
    call = asyncio.create_task(caller.call(tool, request_id, **arguments))
    done, _ = await asyncio.wait([call], timeout=delay)
    caller.hang_up()
    return await _ended(call, bool(done))


async def _cancel_by_id(room: RunningRoom, request_id: str, choice: Choice, delay: float, steps: int) -> str:
    name, tool, arguments = choice
    caller = SessionCaller(name, room.room.settings.port, _token(room, name))
    await caller.open()
    call = asyncio.create_task(caller.call(tool, request_id, **arguments))
    done, _ = await asyncio.wait([call], timeout=delay)
    await caller.cancel()
    caller.hang_up()
    return await _ended(call, bool(done))


async def _ended(call: asyncio.Task[Any], answered: bool) -> str:
    """What a call that was cut off over HTTP came to."""
    if not answered:
        call.cancel()
        await asyncio.wait([call])
        if call.cancelled() or isinstance(call.exception(), ConnectionError):
            return "cut off"
    called = call.result()
    return f"refused ({called.code})" if called.refused else "answered first"


async def _cancel_task(room: RunningRoom, request_id: str, choice: Choice, delay: float, steps: int) -> str:
    name, tool, arguments = choice
    door = room.room.door
    end = "cut off"

    async def call() -> None:
        nonlocal end
        try:
            what: AnyAct = TOOLS[tool].does  # type: ignore[assignment]  # none of the chosen calls is a read
            await door.act(await door.identify(_token(room, name)), what, what.arguments(**arguments), request_id)
            end = "answered first"
        except Refusal as refusal:
            end = f"refused ({refusal.code})"
        except BusyError:  # the look at the token, which the gate answers
            end = "refused (busy)"
        except Exception as error:
            end = f"broken ({type(error).__name__})"

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        for _ in range(steps):
            await asyncio.sleep(0)
        if steps % 4:
            await asyncio.sleep(delay)
        group.cancel_scope.cancel()
    return end


def _token(room: RunningRoom, name: str) -> str:
    return room.owner_token if name == "olga" else room.tokens[name]


# ------------------------------------------------------------------ what must hold afterwards


async def _still_acts(room: RunningRoom, folder: Path, names: list[str]) -> list[str]:
    """Every member still posts, and the log has the number that it was told."""
    faults = []
    for name in names:
        caller = Caller(name, room.room.settings.port, room.tokens[name])
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                called = await caller.call("post_message", text=f"{name} is still here")
        except (ConnectionError, TimeoutError) as error:
            faults.append(f"@{name} can no longer act: {error!r}")
            continue
        finally:
            caller.hang_up()
        found = rows(folder, "select subject from log where seq = ?", called.receipt or 0)
        if called.refused or [row["subject"] for row in found] != [called.body["message"]]:
            faults.append(f"@{name} can no longer act: {called.body}")
    return faults


def _committed(folder: Path) -> int:
    """How many of the calls were carried out, answered or not: each of these is remembered by its id."""
    return int(rows(folder, "select count(*) as count from request where key like 'id:cut-%'")[0]["count"])


# ------------------------------------------------------------------ the twin


@dataclass
class Rows:
    """What a statement found and changed."""

    found: Sequence[Any]
    rowcount: int
    description: Any

    def fetchone(self) -> Any:
        return self.found[0] if self.found else None

    def fetchall(self) -> Sequence[Any]:
        return self.found


class Shared(Protocol):
    """One connection for all who write, each of whose methods is a coroutine."""

    async def execute(self, sql: str, parameters: Any) -> Rows: ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...


class SharedFile:
    """A connection of aiosqlite, which begins a transaction by itself."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.commit, self.rollback = connection.commit, connection.rollback

    async def execute(self, sql: str, parameters: Any) -> Rows:
        """One statement."""
        async with self._connection.execute(sql, parameters) as cursor:
            return Rows(list(await cursor.fetchall()), cursor.rowcount, cursor.description)


class SharedSession:
    """A connection to PostgreSQL, which begins a transaction with the first statement after the end of the last one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def execute(self, sql: str, parameters: Any) -> Rows:
        """One statement."""
        return await asyncio.to_thread(self._execute, sql, parameters)

    def _execute(self, sql: str, parameters: Any) -> Rows:
        if not self._session.is_in_transaction:
            self._session.script("begin")
        found = self._session.execute(sql, parameters)
        return Rows(found.fetchall(), found.rowcount, found.description)

    async def commit(self) -> None:
        """End the transaction."""
        await asyncio.to_thread(self._session.script, "commit")

    async def rollback(self) -> None:
        """Undo it."""
        await asyncio.to_thread(self._session.script, "rollback")


class SharedConnection:
    """The naive store: one connection for all who write, a wait at each statement, commit at the end.

    The acts are functions, so each runs on a thread, and each of its statements waits for the event loop; there a
    cancelled call ends between two statements, as a coroutine does.
    """

    def __init__(self, connection: Shared, context: Context) -> None:
        self._connection = connection
        self._context = context
        self._turn = asyncio.Lock()

    async def write(self, work: Work, recover: Recover, *_: object) -> tuple[Any, int]:
        """Run an act; undone when it raises, but nobody thought of being cancelled."""
        async with self._turn:
            try:
                return await self._run(work)
            except Exception as error:
                await self._connection.rollback()
                failed = error
            return await self._run(lambda tx: recover(tx, failed))

    async def _run(self, work: Callable[[Writing], Any]) -> tuple[Any, int]:
        statements = self._context.statements
        found = await self._connection.execute(statements["lock_head"], {})
        head = Head(*found.fetchone())
        tx = Writing(self, self._context, head)

        def to_its_end() -> Any:
            result = work(tx)
            tx.end()
            return result

        result = await anyio.to_thread.run_sync(to_its_end, abandon_on_cancel=True)
        await self._connection.execute(statements["save_head"], head.values())
        await self._connection.commit()
        return result, head.seq

    def execute(self, sql: str, parameters: Any, /) -> Rows:
        """One statement of an act."""
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(self._connection.execute, sql, parameters)


@contextlib.asynccontextmanager
async def shared_connection(store: Any) -> AsyncIterator[None]:
    """Let the room write through one shared connection."""
    async with contextlib.AsyncExitStack() as stack:
        shared: Shared
        if isinstance(store, PostgresStore):
            session = await asyncio.to_thread(connect_writer, store.address, SETTLE_SECONDS)
            shared = SharedSession(stack.enter_context(contextlib.closing(session)))
        else:
            connection = await stack.enter_async_context(aiosqlite.connect(store.path))
            connection.row_factory = aiosqlite.Row
            shared = SharedFile(connection)
        with patch.object(store, "write", SharedConnection(shared, store.context).write):
            yield


if __name__ == "__main__":
    command("cancels", "NUMBER calls cancelled at random points: no half act", 10_000, campaign, on_both_engines=True)
