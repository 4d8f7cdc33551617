"""What must hold of a whole room's database whenever nobody writes: each entry of the log has all its effects.

A room whose data folder names a database is read there; every other one in its file.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from teamroom.server.policy import Policy
from teamroom.server.record.chain import Verifier
from teamroom.server.record.keys import RoomKey, find_key
from teamroom.server.record.seal import read_seals
from teamroom.server.record.sealed import Seal
from teamroom.server.record.texts import text_digest
from teamroom.server.rules.exchanges import TURNS_OF_A_ROUND, asks_something
from teamroom.server.rules.mentions import find_mentions
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_reader as connect_reader_of_postgres
from teamroom.server.store.postgres.connect import snapshot
from teamroom.server.store.sqlite.connect import connect_reader
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context, Reading
from tests.support.postgres import address_of, as_postgres, is_in_database, named_row

READ_SECONDS = 600.0
"""How long the verification of a room in PostgreSQL may take."""

HELD = ("claimed", "blocked", "offered", "in_review", "done")
"""States of a task that had a holder when it came into them."""


class Row(Protocol):
    """A row, by the names and numbers of its columns."""

    def __getitem__(self, key: Any) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Rows(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to a room's database, as these checks use it: parameters are written as `?`."""

    def execute(self, sql: str, parameters: tuple[Any, ...] = (), /) -> Rows: ...


class InDatabase:
    """A connection to a room in PostgreSQL, for statements that are written for SQLite."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: tuple[Any, ...] = (), /) -> Any:
        """What a statement finds."""
        text = as_postgres(sql).replace("%", "%%").replace("?", "%s")
        return self._connection.execute(text.encode(), parameters)


@contextmanager
def connected(folder: Path) -> Iterator[Connection]:
    """A connection that reads a room's database from outside, in one snapshot."""
    if is_in_database(folder):
        with psycopg.connect(address_of(folder), row_factory=named_row) as database:
            database.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield InDatabase(database)
    else:
        with closing(connect_reader(folder / data_folder.DATABASE)) as connection:
            connection.execute("begin")
            yield connection


def rows(folder: Path, sql: str, *parameters: Any) -> list[Any]:
    """What a statement finds in a room's database, read from outside."""
    with connected(folder) as connection:
        return connection.execute(sql, parameters).fetchall()


def chain_faults(folder: Path, verifier: Verifier | None = None) -> list[str]:
    """What the log's own verification finds; a verifier that is passed in goes on where it stopped."""
    verifier = verifier or Verifier(*seal_and_key(folder))
    with _reading(folder) as tx:
        while (verdict := verifier.step(tx)) is None:
            pass
    return [] if verdict.good else [f"the log is bad from {verdict.first_bad} on: {verdict.why}"]


@contextmanager
def _reading(folder: Path) -> Iterator[Reading]:
    """A read of a room's database as the room itself makes it."""
    if is_in_database(folder):
        with (
            closing(connect_reader_of_postgres(Address.parse(address_of(folder)), READ_SECONDS)) as session,
            snapshot(session),
        ):
            yield Reading(session, Context(postgres_statements(), Settings(), bytes))
    else:
        with closing(connect_reader(folder / data_folder.DATABASE)) as connection:
            yield Reading(connection, Context(sqlite_statements(), Settings(), bytes))


def seal_and_key(folder: Path) -> tuple[Seal | None, RoomKey | None]:
    """The signed head outside the database, if there is one yet, and the key that signed it."""
    return read_seals(folder).seal, find_key(folder)


def half_acts(folder: Path) -> list[str]:
    """Every trace of an act that was carried out in part."""
    with connected(folder) as connection:
        engine = () if is_in_database(folder) else _engine(connection)
        return [*engine, *_counters(connection), *_orphans(connection), *_effects(connection)]


def write_lock_is_free(folder: Path) -> bool:
    """Whether no transaction is open that could still write."""
    if is_in_database(folder):
        with psycopg.connect(address_of(folder)) as database:
            try:
                database.execute("select id from head where id = 1 for update nowait")
            except psycopg.errors.LockNotAvailable:
                return False
        return True
    with closing(sqlite3.connect(folder / data_folder.DATABASE, timeout=0, isolation_level=None)) as outside:
        try:
            outside.execute("begin immediate")
            outside.execute("rollback")
        except sqlite3.OperationalError:
            return False
    return True


def _engine(connection: Connection) -> Iterator[str]:
    found = connection.execute("pragma integrity_check").fetchone()[0]
    if found != "ok":
        yield f"integrity_check: {found}"
    for row in connection.execute("pragma foreign_key_check"):
        yield f"foreign_key_check: {tuple(row)}"


def _counters(connection: Connection) -> Iterator[str]:
    """The head row counts what there is: numbers are dense from 1."""
    head = connection.execute("select seq, hash, members, messages, tasks, offers from head").fetchone()
    for counter, table in (("members", "member"), ("messages", "message"), ("tasks", "task"), ("offers", "offer")):
        count, last = connection.execute(f"select count(*), coalesce(max(id), 0) from {table}").fetchone()
        if not head[counter] == count == last:
            yield f"the head counts {head[counter]} {counter}; there are {count}, the last is number {last}"
    count, last = connection.execute("select count(*), coalesce(max(seq), 0) from log").fetchone()
    if not head["seq"] == count == last:
        yield f"the head ends at {head['seq']}; the log has {count} entries, the last is number {last}"
    end = connection.execute("select hash from log where seq = ?", (head["seq"],)).fetchone()
    if end is None or end["hash"] != head["hash"]:
        yield "the head's hash is not that of the log's end"


ORPHANS = {
    "messages without their entry": "select id from message m where not exists (select 1 from log "
    "where log.seq = m.seq and act = 'post_message' and outcome = 'ok' and subject = 'M-' || m.id "
    "and actor = m.author)",
    "tasks without their entry": "select id from task t where not exists (select 1 from log "
    "where outcome = 'ok' and actor = t.creator "
    "and ((act in ('create_task', 'import_task') and subject = 'T-' || t.id) "
    "or (act = 'repair' and detail ->> 'task' = 'T-' || t.id)))",
    "tasks changed by no entry": "select id from task where changed_seq not in (select seq from log)",
    "offers without their entry": "select id from offer o where not exists (select 1 from log "
    "where act = 'hand_off' and outcome = 'ok' and subject = 'O-' || o.id and actor = o.giver)",
    "wakes without their entry": "select seq, subject from wake where seq not in (select seq from log)",
    "lines of a task without their entry": "select task, seq from task_entry where seq not in (select seq from log)",
    "verdicts without their entry": "select task, seq from verdict v where not exists (select 1 from log "
    "where log.seq = v.seq and act = 'review_task' and outcome = 'ok' and subject = 'T-' || v.task)",
    "remembered calls without their entry": "select key from request r where reply ->> 'receipt' is not null and not "
    "exists (select 1 from log where log.seq = cast(r.reply ->> 'receipt' as bigint) and log.act = r.act "
    "and log.actor = r.member)",
    "tasks whose holder does not fit their state": "select id, state from task "
    "where (state in ('claimed', 'blocked', 'offered')) > (holder is not null) "
    "or (state = 'open') > (holder is null)",
    "tasks with an open offer that are not offered, or the reverse": "select id, state from task t "
    "where case when state = 'offered' then 1 else 0 end "
    "<> (select count(*) from offer o where o.task = t.id and o.state = 'offered')",
}


def _orphans(connection: Connection) -> Iterator[str]:
    for what, sql in ORPHANS.items():
        found = [tuple(row) for row in connection.execute(sql)]
        if found:
            yield f"{what}: {len(found)}, such as {found[0]}"


def _effects(connection: Connection) -> Iterator[str]:
    fences: dict[str, int] = {}
    for entry in connection.execute("select * from log where outcome = 'ok' order by seq"):
        check = CHECKS.get(entry["act"])
        if check is None or entry["detail"] is None:  # what was taken away cannot be compared
            continue
        detail = json.loads(entry["detail"])
        yield from (f"entry {entry['seq']} ({entry['act']}): {what}" for what in check(connection, entry, detail))
        if entry["act"] == "claim_task" or (entry["act"] == "answer_hand_off" and detail["accept"]):
            task = entry["subject"] if entry["act"] == "claim_task" else detail["task"]
            fences[task] = fences.get(task, 0) + 1
            if entry["act"] == "claim_task" and detail["fence"] != fences[task]:
                yield f"entry {entry['seq']}: {task} has fence {detail['fence']} at its claim number {fences[task]}"
    for task in connection.execute("select id, fence from task"):
        claims = fences.get(f"T-{task['id']}", 0)
        if task["fence"] != claims:
            yield f"T-{task['id']} has fence {task['fence']} after {claims} claims"


def _posted(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    """A message with its text; an addressee for each member that it names, and a wake unless the loop guard says no."""
    stored = connection.execute("select * from message where seq = ?", (entry["seq"],)).fetchone()
    if stored is None or text_digest(stored["text"]) != detail["text"]:
        yield "no message with its text"
        return
    sql = "select name from addressee join member on member.id = addressee.member where message = ?"
    addressed = {row["name"].lower() for row in connection.execute(sql, (stored["id"],))}
    known = {
        row["name"].lower() for row in connection.execute("select name from member where id <> ?", (entry["actor"],))
    }
    spelled = [[name.lower() for name in mention.spellings] for mention in find_mentions(stored["text"])]
    named = {next((name for name in names if name in known), "") for names in spelled} - {""}
    if named - addressed:
        yield f"{named - addressed} are named and not addressed"
    woken = _woken(connection, entry)
    if woken - addressed or addressed - woken - _not_to_wake(connection, stored, addressed):
        yield f"{addressed} are addressed, {woken} were woken"


def _not_to_wake(connection: Connection, message: Row, addressed: set[str]) -> set[str]:
    """Addressees that a message need not wake: an agent replied to what asked nothing, or they answer without end."""
    sql = (
        "select parent.kind, parent.text, lower(asker.name) as author from message as parent "
        "join member as asker on asker.id = parent.author join member on member.id = ? "
        "where parent.id = ? and member.kind = 'agent'"
    )
    parent = connection.execute(sql, (message["author"], message["reply_to"] or 0)).fetchone()
    is_note = parent is not None and message["kind"] == "note" and addressed == {parent["author"]}
    if is_note and not asks_something(parent["kind"], parent["text"]):
        return addressed
    rounds = Policy().exchange_rounds
    sql = (
        "select lower(name) as name from addressee join member on member.id = addressee.member "
        "where message = ? and (turn >= ? or lap > ?)"
    )
    return {row["name"] for row in connection.execute(sql, (message["id"], rounds * TURNS_OF_A_ROUND, rounds))}


def _created(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, entry["subject"], ("created",))


def _claimed(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, entry["subject"], ("claimed",))


def _updated(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    kind = detail["status"] or ("note" if detail["note"] else "changed")
    yield from _line_of_task(connection, entry, entry["subject"], (kind,))


def _completed(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, entry["subject"], ("completed",))
    policy = connection.execute("select review from task where id = ?", (int(entry["subject"][2:]),)).fetchone()
    if policy is not None and policy["review"] != "none" and not _woken(connection, entry):
        yield "no reviewer was woken"


def _reviewed(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, entry["subject"], ("accepted_review", "sent_back"))
    sql = "select upheld from verdict where seq = ?"
    verdict = connection.execute(sql, (entry["seq"],)).fetchone()
    if verdict is None or bool(verdict["upheld"]) != (detail["verdict"] == "accept"):
        yield "no verdict that agrees"
    if not _woken(connection, entry):
        yield "nobody was told"


def _offered(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, detail["task"], ("offered",))
    sql = "select receiver from offer where id = ?"
    if connection.execute(sql, (int(entry["subject"][2:]),)).fetchone() is None:
        yield "no offer"
    if _woken(connection, entry) != {detail["to"].lower()}:
        yield "its receiver was not woken"


def _answered(connection: Connection, entry: Row, detail: Any) -> Iterator[str]:
    yield from _line_of_task(connection, entry, detail["task"], ("accepted", "declined", "withdrawn"))
    offer = connection.execute("select state, giver from offer where id = ?", (int(entry["subject"][2:]),)).fetchone()
    if offer is None or (offer["state"] == "accepted") != detail["accept"] or offer["state"] == "offered":
        yield "its offer does not agree"
    elif offer["state"] != "withdrawn" and not _woken(connection, entry):
        yield "the giver was not told"


CHECKS = {
    "post_message": _posted,
    "create_task": _created,
    "claim_task": _claimed,
    "update_task": _updated,
    "complete_task": _completed,
    "review_task": _reviewed,
    "hand_off": _offered,
    "answer_hand_off": _answered,
}


def _line_of_task(connection: Connection, entry: Row, task: str, kinds: tuple[str, ...]) -> Iterator[str]:
    sql = "select kind from task_entry where task = ? and seq = ? and member = ?"
    found = {row["kind"] for row in connection.execute(sql, (int(task[2:]), entry["seq"], entry["actor"]))}
    if not found & set(kinds):
        yield f"no line on {task} that says {' or '.join(kinds)}"


def _woken(connection: Connection, entry: Row) -> set[str]:
    sql = "select name from wake join member on member.id = wake.member where seq = ? and subject = ?"
    return {row["name"].lower() for row in connection.execute(sql, (entry["seq"], entry["subject"]))}
