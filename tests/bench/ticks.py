"""How long a tick of the supervisor takes over ten thousand members and a hundred thousand tasks, as the log grows.

python -m tests.bench.ticks [MEMBERS TASKS ENTRIES]. Fills a room without the wire and lets the room's own supervisor
tick: with nothing due, while the log has ten thousand entries and then ENTRIES, and with some due. Beside it what a
supervisor would take that looks at every task and every member in each tick, on the same room.
"""

import argparse
import asyncio
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.app import Room
from teamroom.server.clock import RoomClock
from teamroom.server.door.door import Door
from teamroom.server.metrics import Metrics
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import Store
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context
from teamroom.server.supervisor.loop import Supervisor
from tests.campaigns.campaign import quantile
from tests.support.rates import without_limits

MEMBERS, TASKS, FEW_ENTRIES, ENTRIES = 10_000, 100_000, 10_000, 1_000_000
TICKS, ROUNDS = 300, 5
DUE = (1, 64, 1_000)
BOUND_SECONDS, FLAT = 0.005, 2.0
"""What a tick with nothing due may take, and how many times longer with the long log."""

NOW = 1_795_000_000.0
OTHERS = 2
"""The room itself and its owner have the first numbers."""

SETTINGS = Settings(reserve_bytes=0)

COUNT = "with recursive n (i) as (select 1 union all select i + 1 from n where i < :count) "
FURNISH = (
    "insert into member (id, name, folded, looks, kind, role, owner, mode, created_at, acknowledged) "
    "select :others + i, 'm' || i, 'm' || i, 'm' || i, 'agent', 'member', 2, 'every:3600', :now, 0 from n",
    "insert into presence (member, last_call_at, connected_since) select :others + i, :now, :now from n",
    "insert into standing (scope, target, state, since, by_member, by_role, reason) "
    "select 'member', :others + i, 'active', :now, 2, 'owner', '' from n",
    "insert into due (rule, subject, member, at, since, span) "
    "select 'presence', :others + i, :others + i, :now + 3600 + i, :now, 3600 from n",
)
WORK = (
    "insert into task (id, title, detail, priority, creator, created_at, changed_seq, state, holder, fence, "
    "claimed_at, touched_at, lease_from, lease_seconds, blocked_on, review, summary, evidence, hops) "
    "select i, 'task ' || i, 'what is to do', 0, 2, :now, 3 + i % 9000, 'claimed', :others + 1 + i % :members, 1, "
    ":now, :now, :now, 86400, '', 'auto', '', '[]', 0 from n",
    "insert into due (rule, subject, member, at, since, span) "
    "select 'task', i, :others + 1 + i % :members, :now + 5400 + i * 0.5, :now, 5400 from n",
    "insert into due (rule, subject, member, at, since, span) "
    "select 'lease', i, :others + 1 + i % :members, :now + 86400, :now, 86400 from n",
)
GROW = (
    "insert into log (seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash) "
    "select :end + i, 1, :now - 7200, :others + 1 + i % :members, 2, 'update_task', 'T-' || (1 + i % :tasks), 'ok', "
    "'@m updated a task: ' || i, '{\"note\":\"' || i || '\",\"status\":null}', printf('%032x', i), printf('%064x', i), "
    "printf('%064x', i) from n",
    "insert into wake (member, seq, reason, subject, sender, line, at, folded) "
    "select :others + 1 + i % :members, :end + i, 'mention', 'M-' || i, 2, 'a line', :now - 7200, 0 from n "
    "where i % 10 = 0",
)
NAIVE = (
    "select count(*) from task join member on member.id = task.holder join presence on presence.member = member.id "
    "where task.state = 'claimed' and (task.lease_from + task.lease_seconds <= :now "
    "or coalesce(task.touched_at, task.claimed_at) + 5400 <= :now)",
    "select count(*) from member join presence on presence.member = member.id "
    "where presence.last_call_at + 3600 <= :now or presence.busy_until <= :now",
)
RUN_OUT = {
    "run_out": "update task set lease_from = :at - 86400 where id >= :first and id < :end",
    "let_be_due": "update due set at = :at where rule = 'lease' and subject >= :first and subject < :end",
}


@dataclass(frozen=True, slots=True)
class Size:
    """What a room is filled with."""

    members: int
    tasks: int


async def furnish(folder: Path, size: Size) -> None:
    """A room with so many members and tasks that are claimed, all of which is due later."""
    data_folder.make_private(folder)
    room = Room(folder, SETTINGS, clock=lambda: NOW, steady=lambda: NOW)
    await room.open("olga")
    await room.close()
    with closing(connect_writer(folder / data_folder.DATABASE)) as connection:
        given = {"others": OTHERS, "members": size.members, "now": NOW}
        connection.execute("begin")
        for statements, count in ((FURNISH, size.members), (WORK, size.tasks)):
            for sql in statements:
                connection.execute(_counted(sql), {**given, "count": count})
        connection.execute("update head set members = members + ?, tasks = ?", (size.members, size.tasks))
        connection.execute("commit")


def grow(folder: Path, size: Size, entries: int) -> None:
    """Let the log have so many entries, a tenth of which woke somebody."""
    with closing(connect_writer(folder / data_folder.DATABASE)) as connection:
        end = connection.execute("select seq from head").fetchone()[0]
        given = {"others": OTHERS, "members": size.members, "tasks": size.tasks, "now": NOW, "end": end}
        connection.execute("begin")
        for sql in GROW:
            connection.execute(_counted(sql), {**given, "count": entries - end})
        connection.execute("update head set seq = :seq", {"seq": entries})
        connection.execute("commit")


def _counted(sql: str) -> str:
    """A statement with its rows numbered from 1 to `count`, which SQLite wants before what is selected from them."""
    into, select = sql.split(") select ", 1)
    return f"{into}) {COUNT}select {select}"


@asynccontextmanager
async def supervised(folder: Path, address: str | None = None) -> AsyncIterator[tuple[Supervisor, Door]]:
    """The room's store under the room's own supervisor, its clock standing still.

    `address`: of the database that the room was copied into.
    """
    watch = RoomClock(lambda: NOW, lambda: NOW, SETTINGS.clock_step_seconds)
    watch.since = NOW - 3600
    store: Store
    if address is None:
        context = Context({**sqlite_statements(), **RUN_OUT}, SETTINGS, secrets.token_bytes, watch)
        store = SqliteStore(folder, context, lambda effects: None)
    else:
        context = Context(postgres_statements(), SETTINGS, secrets.token_bytes, watch)
        store = PostgresStore(Address.parse(address), context, lambda effects: None)
    await store.open()
    try:
        metrics = Metrics()
        door = Door(store, watch, metrics, str, without_limits())
        yield Supervisor(door, store, watch, SETTINGS, metrics, "bench"), door
    finally:
        await store.close()


async def time_idle(folder: Path) -> list[float]:
    """How long each of some ticks takes that find nothing due, in seconds."""
    times = []
    async with supervised(folder) as (supervisor, _):
        await supervisor.tick()
        for _ in range(TICKS):
            started = time.perf_counter()
            await supervisor.tick()
            times.append(time.perf_counter() - started)
    return times


async def time_due(folder: Path, count: int, first: int) -> float:
    """How long a tick takes that finds so many leases run out, in seconds; the median of some rounds."""
    times = []
    async with supervised(folder) as (supervisor, door):
        for turn in range(ROUNDS):
            tasks = {"first": first + turn * count, "end": first + (turn + 1) * count, "at": NOW - 1}
            await door.act_as_room(lambda tx, tasks=tasks: [tx.run(name, **tasks) for name in RUN_OUT])
            started = time.perf_counter()
            await supervisor.tick()
            times.append(time.perf_counter() - started)
    with closing(connect_writer(folder / data_folder.DATABASE)) as connection:
        said = connection.execute("select count(*) from task_entry where kind = 'overdue' and task >= ?", (first,))
        assert said.fetchone()[0] == ROUNDS * count, "a tick left something due"
    return median(times)


def time_naive(folder: Path) -> float:
    """How long a tick would take that looks at every task and every member, in seconds; the best of some."""
    with closing(sqlite3.connect(folder / data_folder.DATABASE)) as connection:

        def look_at_all() -> None:
            for sql in NAIVE:
                connection.execute(sql, {"now": NOW}).fetchall()

        return min(_timed(look_at_all) for _ in range(ROUNDS))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def measure(folder: Path, size: Size, entries: int) -> tuple[dict[str, list[float]], float, dict[int, float]]:
    """Idle ticks under a short and a long log, the naive tick, and ticks with some due."""
    await furnish(folder, size)
    idle = {}
    for count in (FEW_ENTRIES, entries):
        grow(folder, size, count)
        idle[f"nothing due, {count:,} entries"] = await time_idle(folder)
    naive, due, first = time_naive(folder), {}, 1
    for count in DUE:
        due[count] = await time_due(folder, count, first)
        first += ROUNDS * count
    return idle, naive, due


def main() -> int:
    """Fill, time, draw. 1 where an idle tick is too slow, or grows with the log."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ticks", description=__doc__)
    parser.add_argument("members", type=int, nargs="?", default=MEMBERS)
    parser.add_argument("tasks", type=int, nargs="?", default=TASKS)
    parser.add_argument("entries", type=int, nargs="?", default=ENTRIES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = Size(given.members, given.tasks)
        idle, naive, due = asyncio.run(measure(Path(folder) / "room", size, given.entries))
    medians = {name: median(times) for name, times in idle.items()}
    table = Table(f"a tick over {given.members:,} members and {given.tasks:,} tasks", "ms", "p99 ms", "", box=None)
    for name, seconds in medians.items():
        table.add_row(name, f"{seconds * 1000:.3f}", f"{quantile(idle[name], 0.99) * 1000:.3f}", _bar(seconds, naive))
    table.add_row("one that looks at all, for comparison", f"{naive * 1000:.3f}", "", _bar(naive, naive))
    for count, seconds in due.items():
        table.add_row(f"{count:,} leases over: {seconds / count * 1000:.2f} ms each", f"{seconds * 1000:.3f}", "", "")
    short, long = medians.values()
    console = Console()
    console.print(table)
    console.print(f"with the long log it takes {long / short:.2f} times as long as with the short one")
    return int(max(short, long) > BOUND_SECONDS or long > FLAT * short)


def _bar(seconds: float, whole: float) -> ProgressBar:
    return ProgressBar(total=whole, completed=min(seconds, whole), width=30)


if __name__ == "__main__":
    sys.exit(main())
