"""How fast words are found among many messages: common and rare ones, newest first, in order, in a thread.

python -m tests.bench.search [MESSAGES]. Fills a room of its own, without the wire, and times each search with the
acts' own code on one snapshot: the CPU time of its thread, half of the rounds and nearly all. The last line is what a
scan would take. Where there is a PostgreSQL server on this machine, a copy of the room is searched there, too. Then the
CPU of the database counts.
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.acts.messages.find_messages import Filter, messages_from, search_messages
from teamroom.server.rules.search import parse_search
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_reader, snapshot
from teamroom.server.store.postgres.stopped import opened
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Connection, Context, Reading
from tests.bench.costs import POSTGRES, SQLITE, cpu_seconds
from tests.bench.database import copied_database, is_on_this_machine
from tests.campaigns.campaign import quantile

MESSAGES = 1_000_000
PIECE = 2_000
ROUNDS, SCANS = 100, 3
PAGE = 20
BOUND_MILLISECONDS, PAGE_MILLISECONDS = 20.0, 100.0
"""What nearly every search may take, and a page of matches in order."""

PAGES = ("after a number, in order", "in a thread")
SCAN = "a scan, for comparison"
SCANNED = "select count(*) from message where text like '%rare%'"

Clock = Callable[[], float]
"""The CPU in seconds that was used so far."""

Costs = dict[str, list[float]]
"""By search, the CPU of each round in milliseconds."""

COMMON = (
    *("status", "build", "green", "tests", "pass", "branch", "feature", "deploy"),
    *("error", "timeout", "lease", "claim", "review", "proof"),
)


def fill(path: Path, messages: int) -> None:
    """A database of so many messages in threads of ten: each says "status" and "构建完成", one in a thousand "rare"."""
    random = Random(1)
    words = [*COMMON, *(f"word{number}" for number in range(5_000))]
    path.touch(0o600)
    with closing(connect_writer(path)) as connection:
        migrate(connection, 0.0)
        connection.execute(
            "insert into member (id, name, folded, kind, role, owner, mode, created_at, acknowledged) "
            "values (1, 'room', 'room', 'room', 'owner', 1, 'manual', 0, 0)"
        )
        for start in track(range(1, messages + 1, PIECE), "Filling", transient=True):
            connection.execute("begin")
            for number in range(start, min(start + PIECE, messages + 1)):
                rare = "rare " if number % 997 == 0 else ""
                text = f"status 构建完成 {rare}" + " ".join(random.choice(words) for _ in range(30))
                connection.execute(
                    "insert into message (id, seq, author, at, kind, summary, text, thread) "
                    "values (?, ?, 1, ?, 'note', ?, ?, ?)",
                    (number, number, number, text[:140], text, number - number % 10 or 1),
                )
            connection.execute(sqlite_statements()["index_messages"], {"after": start - 1})
            connection.execute("commit")


def searches(tx: Reading, messages: int) -> dict[str, Callable[[], object]]:
    """What is timed."""
    middle = messages // 2
    thread = Filter(thread=middle - middle % 10, words=parse_search("status"))

    def search(query: str) -> list[int]:
        return search_messages(tx, Filter(words=parse_search(query)), PAGE)

    return {
        "a word that every message has": lambda: search("status"),
        "its beginning": lambda: search("sta"),
        "two common words": lambda: search("status build"),
        "a rare word": lambda: search("rare"),
        "a common and a rare word": lambda: search("rare status"),
        "after a number, in order": lambda: messages_from(tx, Filter(words=parse_search("status")), middle, PAGE),
        "in a thread": lambda: search_messages(tx, thread, PAGE),
        "a word without spaces around it, in every message": lambda: search("构建"),
        "all of such a run": lambda: search("构建完成"),
        "a word that nobody said": lambda: search("nowhere"),
    }


def costs(work: Callable[[], object], clock: Clock, rounds: int) -> list[float]:
    """The CPU time of each round, in milliseconds."""
    found = []
    for _ in range(rounds):
        started = clock()
        work()
        found.append((clock() - started) * 1000)
    return found


def time_in_sqlite(file: Path, messages: int, rounds: int) -> Costs:
    """The cost of each search in the file of a room; the last one is a scan."""
    with closing(connect_writer(file)) as connection:
        work = searches(_reading(connection, sqlite_statements()), messages)
        return _timed(work, connection, time.thread_time, rounds)


def time_in_postgres(address: str, messages: int, rounds: int) -> Costs:
    """The same in a database, with the CPU of the process that serves this connection."""
    with opened(connect_reader, Address.parse(address)) as session, snapshot(session):
        backend = session.connection.info.backend_pid
        work = searches(_reading(session, postgres_statements()), messages)
        return _timed(work, session, lambda: time.thread_time() + cpu_seconds(backend), rounds)


def _reading(connection: Connection, statements: Mapping[str, str]) -> Reading:
    return Reading(connection, Context(statements, Settings(), secrets.token_bytes))


def _timed(work: Mapping[str, Callable[[], object]], connection: Connection, clock: Clock, rounds: int) -> Costs:
    found = {name: costs(work[name], clock, rounds) for name in track(work, "Searching", transient=True)}
    return {**found, SCAN: costs(lambda: connection.execute(SCANNED, {}).fetchall(), clock, SCANS)}


def run(messages: int = MESSAGES, rounds: int = ROUNDS) -> dict[str, Costs]:
    """Fill, and time each search in each engine that can be measured here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / DATABASE
        fill(file, messages)
        found = {SQLITE: time_in_sqlite(file, messages, rounds)}
        if is_on_this_machine():
            with copied_database(file.parent) as address:
                found[POSTGRES] = time_in_postgres(address, messages, rounds)
        return found


def limit_of(name: str) -> float | None:
    """What nearly every search of a kind may take, in milliseconds; None if nothing is asked."""
    return None if name == SCAN else PAGE_MILLISECONDS if name in PAGES else BOUND_MILLISECONDS


def show(found: dict[str, Costs], messages: int) -> bool:
    """Print and draw what each search costs; returns whether none is too slow."""
    is_good = True
    for engine, searched in found.items():
        title = f"search in {messages:,} messages, {engine}"
        table = Table(title, "p50 ms", "p99 ms", "", "at most", box=None)
        for name, each in searched.items():
            p99, limit = quantile(each, 0.99), limit_of(name)
            is_late = limit is not None and p99 > limit
            is_good &= not is_late
            bar = ProgressBar(total=limit or p99, completed=min(p99, limit or p99), width=30)
            verdict = "" if limit is None else f"{limit:.0f}{'  MISSED' if is_late else ''}"
            table.add_row(name, f"{median(each):.1f}", f"{p99:.1f}", bar, verdict)
        Console().print(table)
    return is_good


def main() -> None:
    """Fill, time, draw. Exits with 1 when a search is too slow."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    sys.exit(not show(run(messages), messages))


if __name__ == "__main__":
    main()
