"""Every kind of damage to a room's record, made while the room is open and while it is stopped (LOG3, SAF5).

Each kind is made by somebody who knows how the chain is made and has everything but the room's key. It must be found:
`teamroom verify` names it, or the room opens to be read only. A forgery of the log must also stay found, whatever acts
come after it and however often the room opens: the room never seals what it did not write.

The twin trusts the database: its server takes over any head, and no seal is asked when the room opens.
"""

import contextlib
import json
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.clients.local.verify import verified
from teamroom.clients.session.failure import Failure
from teamroom.server.acts.control.control import KILL, PAUSE
from teamroom.server.acts.members.members import ENROLL, REVOKE
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.app import Room
from teamroom.server.door.door import UnauthorisedError
from teamroom.server.record import chain
from teamroom.server.record.keys import RoomKey
from teamroom.server.record.seal import HISTORY, parse_seal
from teamroom.server.record.sealed import Seal, sign
from teamroom.server.refusals import Refusal
from teamroom.server.rules.chain import entry_hash
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import DATABASE, KEY, SEAL
from teamroom.server.store.sqlite.commit import Committer
from tests.campaigns.campaign import Advance, Outcome, command, silently
from tests.support.engines import SQLITE, Engine, sqlite_with

Database = sqlite3.Connection


@dataclass(frozen=True)
class Place:
    """A room's folder, and two others that a forger has copies of: the same room earlier, and another room."""

    folder: Path
    earlier: Path
    other: Path

    def copy(self, source: Path, *names: str) -> None:
        """Put files of another folder into this one. What belongs to the database that was here goes with it."""
        for name in names:
            for end in ("-wal", "-shm") if name == DATABASE else ():
                (self.folder / (name + end)).unlink(missing_ok=True)
            shutil.copyfile(source / name, self.folder / name)


@dataclass(frozen=True)
class Kind:
    """A kind of damage. `lasts`: it must stay found, because nothing that the server writes replaces it."""

    make: Callable[[Place], object]
    while_open: bool = True
    lasts: bool = True


@dataclass(slots=True)
class Seen:
    """What noticed a damage, in order; and what was wrong with that."""

    by: list[str]
    fault: str = ""


# ------------------------------------------------------------------ what a forger does


def in_database(*statements: str, chained: bool = False) -> Callable[[Place], None]:
    """Change the database; `chained`: then make the chain fit again, as somebody does who knows how it is made."""

    def work(database: Database) -> None:
        for statement in statements:
            database.execute(statement)
        if chained:
            chain_again(database)

    return changing(work)


def changing(work: Callable[[Database], object]) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        with closing(sqlite3.connect(place.folder / DATABASE, isolation_level=None)) as database:
            database.row_factory = sqlite3.Row
            database.execute("begin immediate")
            work(database)
            database.execute("commit")

    return make


def chain_again(database: Database) -> None:
    """Renumber and rehash every entry, and update the head row to match."""
    previous, seq = chain.FIRST_HASH, 0
    rows = database.execute("select rowid, * from log order by seq").fetchall()
    database.execute("update log set seq = -seq")
    for seq, row in enumerate(rows, 1):
        digest = chain.content_digest(row["salt"], row["summary"], row["detail"])
        header = (seq, *(row[name] for name in chain.HEADER[1:]))
        previous = entry_hash(previous, header, digest)
        values = (seq, digest, previous, -row["seq"])
        database.execute("update log set seq = ?, digest = ?, hash = ? where seq = ?", values)
    database.execute("update head set seq = ?, hash = ?", (seq, previous))


def cut(database: Database, entries: int = 2) -> None:
    """Cut the end of the log off."""
    database.execute("delete from log where seq > (select max(seq) - ? from log)", (entries,))


FORGED = "epoch, at, 2, 2, 'resume', '@evil', 'ok', '@olga resumed @evil', '{}', '00', '', '' from log"
"""An entry that nobody made, after its number."""


def grow(database: Database, entries: int) -> None:
    """Write entries that nobody made at the end of the log."""
    for _ in range(entries):
        database.execute(f"insert into log select max(seq) + 1, {FORGED}")


def cut_with_head(database: Database) -> None:
    cut(database)
    chain_again(database)


def grow_back(entries: int) -> Callable[[Database], None]:
    def work(database: Database) -> None:
        cut(database)
        grow(database, entries)
        chain_again(database)

    return work


def insert(database: Database) -> None:
    """Put an entry between others."""
    database.execute("update log set seq = -seq - 1 where seq > 4")
    database.execute("update log set seq = -seq where seq < 0")
    database.execute(f"insert into log select 5, {FORGED} where seq = 4")
    chain_again(database)


def swap(database: Database) -> None:
    """Let two entries change places."""
    for old, new in ((4, -5), (5, 4), (-5, 5)):
        database.execute("update log set seq = ? where seq = ?", (new, old))
    chain_again(database)


def unchained_end(database: Database) -> None:
    grow(database, 1)
    database.execute("update log set hash = 'ff' where seq = (select max(seq) from log)")
    database.execute("update head set seq = seq + 1, hash = 'ff'")


def in_seal(**values: Any) -> Callable[[Place], None]:
    """Change the seal."""

    def make(place: Place) -> None:
        seal = json.loads((place.folder / SEAL).read_text())
        changed = {name: value(seal[name]) if callable(value) else value for name, value in values.items()}
        (place.folder / SEAL).write_text(json.dumps({**seal, **changed}))

    return make


def in_file(name: str, change: Callable[[bytes], bytes]) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        (place.folder / name).write_bytes(change((place.folder / name).read_bytes()))

    return make


def removed(*names: str) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        for name in names:
            (place.folder / name).unlink()

    return make


def folder_for(name: str) -> Callable[[Place], None]:
    """Put something that cannot be read in the place of a file."""

    def make(place: Place) -> None:
        (place.folder / name).unlink()
        (place.folder / name).mkdir()

    return make


def copied(*names: str, of: str = "earlier") -> Callable[[Place], None]:
    return lambda place: place.copy(getattr(place, of), *names)


def signed_with(secret: bytes) -> Callable[[Place], None]:
    """Sign the seal with another key."""

    def make(place: Place) -> None:
        seal = parse_seal((place.folder / SEAL).read_text())
        assert seal is not None
        (place.folder / SEAL).write_text(json.dumps(asdict(sign(RoomKey(secret), seal))))

    return make


def with_own_key(place: Place) -> None:
    """Put another key there, and sign the seal with it."""
    (place.folder / KEY).write_text("11" * 32)
    signed_with(b"\x11" * 32)(place)


def forged_with_its_seal(place: Place) -> None:
    """Rewrite the log, and let the seal say so without a signature that fits."""
    in_database(*RESUMED, chained=True)(place)
    with closing(sqlite3.connect(place.folder / DATABASE)) as database:
        seq, hash_ = database.execute("select seq, hash from head").fetchone()
    in_seal(seq=seq, hash=hash_)(place)


def of_first_form(place: Place) -> None:
    """Put a seal there as an earlier release made them, with another key."""
    seal = parse_seal((place.folder / SEAL).read_text())
    assert seal is not None
    old = Seal(seal.epoch, seal.seq, seal.hash, seal.at)
    values = {name: asdict(replace(old, signature="0" * 64))[name] for name in ("epoch", "seq", "hash", "at")}
    (place.folder / SEAL).write_text(json.dumps({**values, "signature": "0" * 64}))


RESUMED = ("update log set summary = '@olga resumed @evil', act = 'resume' where act = 'kill'",)
SEALS = (SEAL, HISTORY)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda content: b"".join(change(content.splitlines(keepends=True)))


def stopped_only(make: Callable[[Place], object]) -> Kind:
    return Kind(make, while_open=False)


def mended(make: Callable[[Place], object]) -> Kind:
    """A kind that the server's next seal takes away: what it writes is right."""
    return Kind(make, lasts=False)


KINDS: dict[str, Kind] = {
    "a kill made a resume, rechained": Kind(in_database(*RESUMED, chained=True)),
    "a kill made a resume, not rechained": Kind(in_database(*RESUMED)),
    "an actor, rechained": Kind(in_database("update log set actor = 1 where seq = 5", chained=True)),
    "an actor, not rechained": Kind(in_database("update log set actor = 1 where seq = 5")),
    "an owner, rechained": Kind(in_database("update log set owner = 1 where seq = 5", chained=True)),
    "a time, rechained": Kind(in_database("update log set at = at - 86400 where seq = 5", chained=True)),
    "a time, not rechained": Kind(in_database("update log set at = at + 1 where seq = 5")),
    "an outcome, rechained": Kind(in_database("update log set outcome = 'refused' where seq = 5", chained=True)),
    "a subject, rechained": Kind(in_database("update log set subject = '@a' where subject = '@evil'", chained=True)),
    "a detail, rechained": Kind(in_database("update log set detail = '{}' where act = 'pause'", chained=True)),
    "a detail, not rechained": Kind(in_database("update log set detail = '{\"a\":1}' where seq = 5")),
    "a summary, rechained at the end only": Kind(
        in_database("update log set summary = 'nothing' where seq = (select max(seq) from log)", chained=True)
    ),
    "an epoch of an entry, rechained": Kind(in_database("update log set epoch = 2 where seq > 5", chained=True)),
    "a salt taken away": Kind(in_database("update log set salt = null where seq = 5")),
    "another salt": Kind(in_database("update log set salt = '00' where seq = 5")),
    "another digest": Kind(in_database("update log set digest = '00' where seq = 5")),
    "another hash": Kind(in_database("update log set hash = '00' where seq = 5")),
    "a summary of bytes": Kind(in_database("update log set summary = x'ff00' where seq = 5")),
    "an entry removed": Kind(in_database("delete from log where seq = 5")),
    "an entry removed, the rest renumbered and rechained": Kind(
        in_database("delete from log where seq = 5", chained=True)
    ),
    "an entry inserted, the rest renumbered and rechained": Kind(changing(insert)),
    "two entries swapped, rechained": Kind(changing(swap)),
    "the end cut off": Kind(changing(cut)),
    "the end cut off with the head": Kind(changing(cut_with_head)),
    "the end cut off and grown back to its length": Kind(changing(grow_back(2))),
    "the end cut off and grown longer": Kind(changing(grow_back(5))),
    "the log cut to its first two entries": Kind(in_database("delete from log where seq > 2", chained=True)),
    "the log emptied": Kind(in_database("delete from log", f"update head set seq = 0, hash = '{chain.FIRST_HASH}'")),
    "every entry replaced": Kind(in_database("update log set summary = 'nothing', salt = '00'", chained=True)),
    "an entry at the end that does not follow": Kind(changing(unchained_end)),
    "a head that is behind the log": Kind(in_database("update head set seq = seq - 1")),
    "a head that is ahead of the log": Kind(in_database("update head set seq = seq + 1")),
    "another hash in the head": Kind(in_database("update head set hash = 'ff'")),
    "a later epoch in the head": Kind(in_database("update head set epoch = 7")),
    "an earlier epoch in the head": Kind(in_database("update head set epoch = 0")),
    "members counted down": Kind(in_database("update head set members = 2")),
    "messages counted down": Kind(in_database("update head set messages = 0")),
    "tasks counted down": Kind(in_database("update head set tasks = 0")),
    "the head row removed": Kind(in_database("delete from head")),
    "the log rewritten, and the seal with it": Kind(forged_with_its_seal),
    "the text of a message": Kind(in_database("update message set text = 'other' where id = 1")),
    "the title of a task": Kind(in_database("update task set title = 'other' where id = 1")),
    "the seal removed": mended(removed(SEAL)),
    "the seal emptied": mended(in_file(SEAL, lambda content: b"")),
    "the seal cut in half": mended(in_file(SEAL, lambda content: content[: len(content) // 2])),
    "the seal of bytes that are no text": mended(in_file(SEAL, lambda content: b"\xff\x00" * 40)),
    "a folder in the place of the seal": stopped_only(folder_for(SEAL)),
    "a folder in the place of the history": stopped_only(folder_for(HISTORY)),
    "a folder in the place of the key": stopped_only(folder_for(KEY)),
    "another number in the seal": mended(in_seal(seq=3)),
    "another hash in the seal": mended(in_seal(hash="00" * 32)),
    "another time in the seal": mended(in_seal(at=lambda at: at - 86_400)),
    "another epoch in the seal": mended(in_seal(epoch=9)),
    "another count of lines in the seal": mended(in_seal(line=0)),
    "a seal without a signature": mended(in_seal(signature="")),
    "a signature of zeros": mended(in_seal(signature="00" * 64)),
    "a seal signed with another key": mended(signed_with(b"\x22" * 32)),
    "a seal of an earlier release, with another key": mended(of_first_form),
    "the seal of another room": mended(copied(SEAL, of="other")),
    "the key removed": Kind(removed(KEY)),
    "the key emptied": Kind(in_file(KEY, lambda content: b"")),
    "the key of bytes that are no key": Kind(in_file(KEY, lambda content: b"no key")),
    "the key of another room": Kind(copied(KEY, of="other")),
    "another key, and a seal signed with it": stopped_only(with_own_key),
    "the seals' history removed": Kind(removed(HISTORY)),
    "the seals' history emptied": Kind(in_file(HISTORY, lambda content: b"")),
    "the first line of the history removed": Kind(in_file(HISTORY, lines(lambda found: found[1:]))),
    "a line in the middle of the history removed": Kind(in_file(HISTORY, lines(lambda found: found[:1] + found[2:]))),
    "the last line of the history removed": Kind(in_file(HISTORY, lines(lambda found: found[:-1]))),
    "a line of the history changed": Kind(in_file(HISTORY, lambda content: content.replace(b'"seq": 2', b'"seq": 3'))),
    "two lines of the history swapped": Kind(
        in_file(HISTORY, lines(lambda found: [found[1], found[0], *found[2:]]))
    ),
    "a line added to the history": stopped_only(in_file(HISTORY, lines(lambda found: [*found, found[-1]]))),
    "the history of another room": Kind(copied(HISTORY, of="other")),
    "seal and history removed": Kind(removed(*SEALS)),
    "an earlier copy of the database": stopped_only(copied(DATABASE)),
    "an earlier copy of the database and the seal": stopped_only(copied(DATABASE, SEAL)),
    "an earlier copy of the database and the history": stopped_only(copied(DATABASE, HISTORY)),
    "the database of another room": stopped_only(copied(DATABASE, of="other")),
    "the database and the seals of another room": stopped_only(copied(DATABASE, *SEALS, of="other")),
    "a killed member let live": stopped_only(
        in_database("update standing set state = 'active' where state = 'killed'")
    ),
    "a paused member let go on": stopped_only(
        in_database("update standing set state = 'active' where state = 'paused' and scope = 'member'")
    ),
    "a kill made a pause": stopped_only(in_database("update standing set state = 'paused' where state = 'killed'")),
    "the agents of an owner let go on": stopped_only(
        in_database("update standing set state = 'active' where scope = 'owner'")
    ),
    "a pause made to end soon": stopped_only(
        in_database("update standing set until = 1e9 where state = 'paused' and scope = 'member'")
    ),
    "an owner's pause made an operator's": stopped_only(
        in_database("update standing set by_role = 'operator' where state = 'paused'")
    ),
    "a revoked token made valid": stopped_only(in_database("update token set revoked_at = null")),
    "a standing removed": stopped_only(in_database("delete from standing where state = 'killed'")),
}  # fmt: skip
"""Every kind of damage by name."""


# ------------------------------------------------------------------ the room, and what is noticed


async def make_places(folder: Path) -> Place:
    """A room with a short history of three runs, the same room as it was after the first, and another room."""
    place = Place(folder / "room", folder / "earlier", folder / "other")
    for path in (place.folder, place.other):
        data_folder.make_private(path)
        async with opened(path) as room:
            owner = await caller(room)
            for name in ("a", "b", "evil"):
                await room.door.act(owner, ENROLL, ENROLL.arguments(name=name))
            await room.door.act(owner, CREATE_TASK, CREATE_TASK.arguments(title="a task", detail="with a detail"))
            await room.door.act(owner, POST_MESSAGE, POST_MESSAGE.arguments(text="hello @b"))
    shutil.copytree(place.folder, place.earlier)
    async with opened(place.folder) as room:
        owner = await caller(room)
        await room.door.act(owner, KILL, KILL.arguments(target="evil", reason="it stole"))
        await room.door.act(owner, PAUSE, PAUSE.arguments(target="a", reason="wrong"))
        await room.door.act(owner, PAUSE, PAUSE.arguments(target="owner:olga", reason="all of them"))
        await room.door.act(owner, REVOKE, REVOKE.arguments(name="b"))
    async with opened(place.folder) as room:
        owner = await caller(room)
        for number in range(4):
            await room.door.act(owner, POST_MESSAGE, POST_MESSAGE.arguments(text=f"message {number}"))
    return place


@contextlib.asynccontextmanager
async def opened(folder: Path, engine: Engine = SQLITE) -> AsyncIterator[Room]:
    """The folder's room without its web server."""
    room = Room(folder, Settings(readers=1), choose_engine=engine.choose)
    await room.open("olga")
    try:
        yield room
    finally:
        await room.close()


async def caller(room: Room) -> Any:
    return await room.door.identify((room.folder / data_folder.OWNER_TOKEN).read_text().strip())


class Trusts(Committer):
    """A committer that takes over whatever head it finds."""

    @property  # type: ignore[override]
    def last(self) -> None:
        """Nothing to compare with."""
        return

    @last.setter
    def last(self, head: object) -> None:
        pass

    @property  # type: ignore[override]
    def vouched(self) -> None:
        """Nothing to compare with."""
        return

    @vouched.setter
    def vouched(self, head: object) -> None:
        pass


TRUSTING = sqlite_with(Trusts)


async def look(template: Place, work: Path, name: str, *, is_open: bool, twin: bool = False) -> Seen:
    """Make one kind of damage in a copy of the room, and say what notices it, then and later."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template.folder, work)
    place, kind = Place(work, template.earlier, template.other), KINDS[name]
    seen = Seen([])
    with trusting() if twin else contextlib.nullcontext():
        try:
            await _follow(seen, kind, place, TRUSTING if twin else SQLITE, is_open=is_open)
        except RuntimeError as error:  # an act that breaks a rule of the schema
            seen.fault = f"the room failed: {error}"
    if not seen.by:
        seen.fault = seen.fault or "nothing notices it"
    elif kind.lasts and not {"opening", "verify in the end"} & set(seen.by):
        seen.fault = seen.fault or f"{seen.by[0]} notices it, and the room then made it good"
    return seen


async def _follow(seen: Seen, kind: Kind, place: Place, engine: Engine, *, is_open: bool) -> None:
    """Make the damage, and ask everybody who could notice it, in order."""
    if is_open:
        async with opened(place.folder, engine) as room:
            await act(room, "before")
            room.seal()
            kind.make(place)
            note(seen, "verify", verify(place.folder))
            note(seen, "the next act", await act(room, "after"))
            room.seal()
            note(seen, "verify after acts", verify(place.folder))
    else:
        kind.make(place)
        note(seen, "verify", verify(place.folder))
    note(seen, "opening", await reopen(place.folder, engine))
    note(seen, "verify in the end", verify(place.folder))


def note(seen: Seen, who: str, is_bad: bool) -> None:
    if is_bad:
        seen.by.append(who)


def verify(folder: Path) -> bool:
    """Whether `teamroom verify` finds something wrong, now or at an earlier time."""
    try:
        found = verified(folder, seal_wait_seconds=0)
    except Failure:
        return True
    return not found.good or bool(found.verification.named)


async def act(room: Room, text: str) -> bool:
    """Whether the room refuses an act because of its database."""
    try:
        await room.door.act(await caller(room), POST_MESSAGE, POST_MESSAGE.arguments(text=text))
    except (Refusal, StorageError, UnauthorisedError):
        return True
    return False


async def reopen(folder: Path, engine: Engine) -> bool:
    """Whether the room opens to be read only, or not at all; it acts if it can."""
    try:
        async with opened(folder, engine) as room:
            return room.store.damage is not None or await act(room, "later")
    except (StorageError, data_folder.FolderError):
        return True


@contextlib.contextmanager
def trusting() -> Iterator[None]:
    """The twin: nobody asks the seal when a room opens."""
    with patch("teamroom.server.record.notary.contradiction", lambda *_: None):
        yield


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """Every kind in turn, `number` times, with the room open and stopped."""
    outcome = Outcome()
    template = await make_places(folder)
    tried: dict[str, int] = {"open": 0, "stopped": 0}
    found: dict[str, int] = {"open": 0, "stopped": 0}
    by: dict[str, str] = {}
    logging.disable(logging.CRITICAL)
    try:
        for _ in range(number):
            for state in ("open", "stopped"):
                for name in (name for name, kind in KINDS.items() if kind.while_open or state == "stopped"):
                    seen = await look(template, folder / "work", name, is_open=state == "open", twin=twin)
                    tried[state] += 1
                    found[state] += not seen.fault
                    by[f"{state}: {name}"] = ", ".join(seen.by) or "nobody"
                    if seen.fault:
                        outcome.faults.append(f"{state}: {name}: {seen.fault}")
            advance()
    finally:
        logging.disable(logging.NOTSET)
    for state in ("open", "stopped"):
        outcome.figures[f"kinds found, of those tried with the room {state}"] = f"{found[state]} of {tried[state]}"
    outcome.figures |= by
    return outcome


if __name__ == "__main__":
    command("forgeries", __doc__, 1, campaign)
