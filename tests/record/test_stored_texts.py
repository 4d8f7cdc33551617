"""`teamroom verify` holds the texts that members read against what the log keeps of them (LOG3)."""

import sqlite3
from pathlib import Path
from unittest.mock import patch

import pytest

from teamroom.clients.local.verify import verified
from teamroom.server.record.texts import StoredTexts
from tests.clients.test_verify_and_doctor import outside, verify
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("LOG3")

EVIDENCE = [{"kind": "test", "ref": "pytest -q: 212 passed"}]


async def furnish(room: RunningRoom) -> Member:
    """A room with three messages, a task that was edited and completed, and one that nobody touched."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(3):
        await builder("post_message", text=f"message {number}\nin two lines", summary=f"summary {number}")
    await owner("create_task", title="first title", detail="first detail", review="none")
    await owner("create_task", title="quiet", detail="quiet detail")
    await owner("update_task", task="T-1", changes={"detail": "second detail"})
    await owner("update_task", task="T-1", changes={"title": "second title", "priority": 2})
    fence = (await builder("claim_task", task="T-1"))["fence"]
    await builder("complete_task", task="T-1", fence=fence, summary="it is built", evidence=EVIDENCE)
    await owner("import_task", external="bd-9", title="theirs", detail="their detail", done=True, summary="their end")
    return owner


async def closed_room(tmp_path: Path) -> Path:
    async with running_room(tmp_path / "room") as room:
        await furnish(room)
    return room.folder


def entry_of(folder: Path, act: str, subject: str, nth: int = 0) -> int:
    """The number of the nth entry of an act on something."""
    with sqlite3.connect(folder / "room.db") as database:
        found = database.execute("select seq from log where act = ? and subject = ? order by seq", (act, subject))
        seq = found.fetchall()[nth][0]
    database.close()
    return int(seq)


CHANGES = [
    ("update message set text = 'message 1, and more' where id = 2", ("post_message", "M-2"), "text of M-2"),
    ("update message set text = cast(text as blob) where id = 2", ("post_message", "M-2"), "text of M-2"),
    ("update message set text = cast(x'ff00' as text) where id = 2", ("post_message", "M-2"), "M-2 cannot be read"),
    ("update message set summary = 'other' where id = 2", ("post_message", "M-2"), "summary of M-2"),
    (
        "update message set author = 2 where id = 2",
        ("post_message", "M-2"),
        "M-2 is stored with another author, time or kind",
    ),
    (
        "update message set kind = 'ask' where id = 2",
        ("post_message", "M-2"),
        "M-2 is stored with another author, time or kind",
    ),
    ("delete from message where id = 2", ("post_message", "M-2"), "M-2 is missing"),
    ("update task set title = 'first title' where id = 1", ("update_task", "T-1", 1), "title of T-1"),
    ("update task set detail = 'first detail' where id = 1", ("update_task", "T-1"), "detail of T-1"),
    ("update task set summary = 'never' where id = 1", ("complete_task", "T-1"), "summary of T-1"),
    ("update task set evidence = '[]' where id = 1", ("complete_task", "T-1"), "evidence of T-1"),
    ("update task set evidence = 'no json' where id = 1", ("complete_task", "T-1"), "evidence of T-1"),
    ("update task set detail = '' where id = 2", ("create_task", "T-2"), "detail of T-2"),
    ("update task set title = 'ours' where id = 3", ("import_task", "T-3"), "title of T-3"),
    ("update task set detail = 'our detail' where id = 3", ("import_task", "T-3"), "detail of T-3"),
    ("update task set summary = 'our end' where id = 3", ("import_task", "T-3"), "summary of T-3"),
    ("update task set title = cast(x'ff00' as text) where id = 2", ("create_task", "T-2"), "T-2 cannot be read"),
    ("delete from task where id = 2", ("create_task", "T-2"), "T-2 is missing"),
]


@pytest.mark.parametrize(("statement", "entry", "why"), CHANGES)
async def test_a_stored_text_that_was_changed_is_found_and_named(
    tmp_path: Path, statement: str, entry: tuple[str, str] | tuple[str, str, int], why: str
) -> None:
    folder = await closed_room(tmp_path)
    assert verify(folder).code == 0
    outside(folder, "pragma foreign_keys = off", statement)
    found = verify(folder, "--json")
    assert (found.code, found.err) == (1, "")
    assert found.json["first_bad"] == entry_of(folder, *entry)
    assert found.json["entries"] == found.json["first_bad"] - 1
    assert why in found.json["why"]
    assert f"BAD: entry {found.json['first_bad']}: " in verify(folder).out


async def test_without_the_comparison_such_a_change_would_verify(tmp_path: Path) -> None:
    """The twin."""
    folder = await closed_room(tmp_path)
    outside(folder, "update message set summary = 'other' where id = 2")
    assert not verified(folder).good
    with patch.object(StoredTexts, "follow", lambda self, tx, entry: None):
        assert verified(folder).good


@pytest.mark.parametrize("what", ["M-2", "T-1", "T-2", "entry", "edit", "age"])
async def test_redacted_entries_still_verify_and_the_others_are_still_compared(tmp_path: Path, what: str) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await furnish(room)
        number = {
            "entry": entry_of(room.folder, "create_task", "T-1"),
            "edit": entry_of(room.folder, "update_task", "T-1", 1),
        }
        if what == "age":
            room.time.forward(86_400)
            await owner("redact", older_than_seconds=3600, reason="old")
        else:
            await owner("redact", what=str(number.get(what, what)), reason="it was secret")
    assert verify(room.folder).code == 0
    outside(room.folder, "update message set text = 'forged' where id = 2")
    found = verify(room.folder).out
    assert ("M-2 has a text although it was redacted" if what in ("M-2", "age") else "the stored text of M-2") in found
