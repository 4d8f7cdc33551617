"""What a whole night costs to look at: the read behind `overnight`, in a room with a million entries in its span.

python -m tests.bench.overnight [ENTRIES]. Fills a room of its own, without the wire: fifty agents whose day is mostly
talk, and the same where each entry is of an act that is counted. Times the act's own code on one snapshot, the best of
five. The last line is what reading every entry would take.
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.acts.overnight.overnight import OVERNIGHT, Overnight
from teamroom.server.identity import Caller
from teamroom.server.settings import Settings
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading
from teamroom.tools.words.overnight import render_night

ENTRIES = 1_000_000
AGENTS = 50
TASKS = 20_000
PIECE = 5_000
ROUNDS = 5
END, NIGHT_SECONDS = 1_795_000_000.0, 12 * 3600.0
BOUND_SECONDS = 1.0
"""What a look at the night may take."""

READER = Caller("", "", member=2, name="olga", kind="human", role="owner", owner=2, owner_name="olga")

TALK = (("post_message", 60), ("update_task", 25), ("claim_task", 6), ("complete_task", 5), ("review_task", 4))
WORK = (("complete_task", 50), ("review_task", 40), ("overdue", 5), ("presence", 5))
"""What the entries are of, and how many of a hundred each: a usual night, and the worst for who counts."""


def fill(path: Path, entries: int, acts: tuple[tuple[str, int], ...]) -> None:
    """A room of fifty agents and twenty thousand tasks, with so many entries in one night."""
    random = Random(1)
    names, weights = [name for name, _ in acts], [weight for _, weight in acts]
    with closing(connect_writer(path)) as connection:
        migrate(connection, 0.0)
        run = sqlite_statements()
        connection.execute("begin")
        connection.execute(run["open_head"], {"created_at": 0, "hash": ""})
        for member in range(1, AGENTS + 3):
            kind = {1: "room", 2: "human"}.get(member, "agent")
            connection.execute(
                "insert into member (id, name, folded, kind, role, owner, mode, created_at, acknowledged) "
                "values (?, ?, ?, ?, 'member', ?, 'live', 0, 0)",
                (member, f"member-{member}", f"member-{member}", kind, min(member, 2)),
            )
            connection.execute(run["add_presence"], {"member": member})
            for scope in ("member", "owner"):
                standing = {"scope": scope, "target": member, "now": 0, "by_member": 1, "by_role": "owner"}
                connection.execute(run["open_standing"], standing)
        for task in range(1, TASKS + 1):
            holder = 3 + task % AGENTS if task <= 5 * AGENTS else None
            connection.execute(
                "insert into task (id, title, detail, priority, creator, created_at, changed_seq, state, holder, "
                "fence, touched_at, lease_from, lease_seconds, blocked_on, review, summary, evidence, hops) "
                "values (?, ?, '', 0, 2, 0, 1, ?, ?, 1, ?, ?, 3600, '', 'auto', '', '[]', 0)",
                (task, f"work {task}", "claimed" if holder else "done", holder, END - task, END - 60 * task),
            )
        connection.execute("commit")
        for start in track(range(1, entries + 1, PIECE), "Filling", transient=True):
            connection.execute("begin")
            for seq in range(start, min(start + PIECE, entries + 1)):
                act = random.choices(names, weights)[0]
                connection.execute(run["append_entry"], entry(seq, entries, act, random))
            connection.execute("commit")
        connection.execute("update head set seq = ? where id = 1", (entries,))


def entry(seq: int, entries: int, act: str, random: Random) -> dict[str, Any]:
    """One entry of the log, as long as a usual one; its hashes are made up."""
    member = random.randrange(3, AGENTS + 3)
    subject = {"presence": f"@member-{member}", "post_message": f"M-{seq}"}.get(act, f"T-{1 + seq % TASKS}")
    return {
        "seq": seq,
        "epoch": 1,
        "at": END - NIGHT_SECONDS + NIGHT_SECONDS * seq / entries,
        "actor": 1 if act in ("presence", "overdue") else member,
        "owner": 2,
        "act": act,
        "subject": subject,
        "outcome": "refused" if act == "claim_task" and seq % 50 == 0 else "ok",
        "summary": f"@member-{member} did something to {subject}: " + "words " * 12,
        "detail": '{"note":"' + "words " * 20 + '"}',
        "salt": "0" * 32,
        "digest": "0" * 64,
        "hash": "0" * 64,
    }


def best(work: Callable[[], object]) -> float:
    """The shortest of some rounds, in seconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def measured(entries: int, acts: tuple[tuple[str, int], ...]) -> Iterator[tuple[str, float, int]]:
    """What each look costs, and how many lines it has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "room.db"
        fill(path, entries, acts)
        with closing(connect_writer(path)) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes, lambda: END))
            for hours in (1.0, 12.0, 24.0 * 365):
                asked = Overnight(hours=hours)
                lines = len(render_night(OVERNIGHT.run(tx, READER, asked)).splitlines())
                yield f"{hours:g} h", best(lambda asked=asked: OVERNIGHT.run(tx, READER, asked)), lines  # type: ignore[misc]
            scan = "select act, actor, count(*), max(at) from log not indexed group by act, actor"
            yield "a scan, for comparison", best(lambda: connection.execute(scan).fetchall()), 0


def main() -> None:
    """Fill, time, draw. Exits with 1 when a look is too slow or too long."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    table = Table(f"overnight over {entries:,} entries", "ms", "", "lines", box=None)
    failed = False
    for night, acts in (("usual", TALK), ("all work", WORK)):
        for name, seconds, lines in measured(entries, acts):
            failed |= bool(lines) and (seconds > BOUND_SECONDS or lines > 60)
            bar = ProgressBar(total=BOUND_SECONDS, completed=min(seconds, BOUND_SECONDS), width=30)
            table.add_row(f"{night}, {name}", f"{seconds * 1000:.1f}", bar, str(lines or ""))
    Console().print(table)
    sys.exit(failed)


if __name__ == "__main__":
    main()
