"""How fast words are found among many messages: common and rare ones, newest first, in order, in a thread.

python -m tests.bench.search [MESSAGES]. Fills a room of its own, without the wire, and times each search with the
acts' own code on one snapshot; the best of five. The last line is what a scan would take.
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.acts.messages.find_messages import Filter, best_messages, messages_before, messages_from
from teamroom.server.facts.ids import LARGEST_NUMBER
from teamroom.server.rules.search import parse_search
from teamroom.server.settings import Settings
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading

MESSAGES = 200_000
PIECE = 2_000
ROUNDS = 5
PAGE = 50
BOUND_SECONDS = 0.1
"""What a search may take."""

COMMON = (
    *("status", "build", "green", "tests", "pass", "branch", "feature", "deploy"),
    *("error", "timeout", "lease", "claim", "review", "proof"),
)


def fill(path: Path, messages: int) -> None:
    """A database of so many messages in threads of ten: each says "status", one in a thousand "rare"."""
    random = Random(1)
    words = [*COMMON, *(f"word{number}" for number in range(5_000))]
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
                text = f"status {rare}" + " ".join(random.choice(words) for _ in range(30))
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
    return {
        "a word that every message has": lambda: best_messages(tx, parse_search("status"), PAGE),
        "its beginning": lambda: best_messages(tx, parse_search("sta"), PAGE),
        "two common words": lambda: best_messages(tx, parse_search("status build"), PAGE),
        "a rare word": lambda: best_messages(tx, parse_search("rare"), PAGE),
        "a common and a rare word": lambda: best_messages(tx, parse_search("rare status"), PAGE),
        "after a number, in order": lambda: messages_from(tx, Filter(words=parse_search("status")), middle, PAGE),
        "in a thread": lambda: messages_before(tx, thread, LARGEST_NUMBER, PAGE),
        "a word that nobody said": lambda: best_messages(tx, parse_search("nowhere"), PAGE),
    }


def best(work: Callable[[], object]) -> float:
    """The shortest of some rounds, in seconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Fill, time, draw. Exits with 1 when a search is too slow."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "room.db"
        fill(path, messages)
        with closing(connect_writer(path)) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes))
            times = {name: best(work) for name, work in searches(tx, messages).items()}
            scan = best(lambda: connection.execute("select count(*) from message where text like '%rare%'").fetchall())
    table = Table(f"search in {messages:,} messages", "ms", "", box=None)
    for name, seconds in {**times, "a scan, for comparison": scan}.items():
        bar = ProgressBar(total=BOUND_SECONDS, completed=min(seconds, BOUND_SECONDS), width=30)
        table.add_row(name, f"{seconds * 1000:.1f}", bar)
    Console().print(table)
    sys.exit(max(times.values()) > BOUND_SECONDS)


if __name__ == "__main__":
    main()
