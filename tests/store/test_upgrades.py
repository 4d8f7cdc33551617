"""Servers of two releases on one room in PostgreSQL, upgraded one by one through a change of the schema.

The newer release is this one with one more migration, in a folder of its own.
"""

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.server.store.statements import EXPANSION, known_migrations, postgres_statements, sqlite_statements
from tests.campaigns.invariants import chain_faults, rows
from tests.campaigns.load import Caller
from tests.campaigns.process import Server, enroll, serving
from tests.support import postgres
from tests.support.promises import promise
from tests.support.repository import ROOT

pytestmark = [pytest.mark.postgres, promise("LOG3", "LOG4", "CTL2")]

ADDS = "alter table task add column colour text not null default '';\ncreate table palette (id bigint primary key);\n"
RENAMES = "alter table message rename column summary to headline;\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The data folder of the first server."""
    postgres.require_server()
    postgres.keep_in_database(tmp_path / "first")
    yield tmp_path / "first"
    postgres.drop_databases()


def newer_release(place: Path, script: str, end: str) -> dict[str, str]:
    """Make a release with one more migration; returns the environment in which it runs."""
    package = place / "newer" / "teamroom"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "src" / "teamroom" / "__init__.py", package)
    shutil.copytree(ROOT / "server", package / "server")  # with its compiled modules
    for name in ("clients", "resources", "tools"):
        (package / name).symlink_to(ROOT / name)
    number = max(known_migrations()) + 1
    (package / "server" / "store" / "migrations" / f"{number:04}_colours{end}.sql").write_text(script)
    return {"PYTHONPATH": str(place / "newer"), "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def another(first: Path, name: str, **environment: str) -> Iterator[Server]:
    """One more server of the room, not yet started."""
    folder = first.with_name(name)
    postgres.keep_in_database(folder, postgres.address_of(first))
    key = first.with_name("copied.key")
    shutil.copyfile(first / "room.key", key)
    with serving(folder, key_file=key) as server:
        server.environment = environment
        yield server


async def posted(caller: Caller, texts: list[str], stop: asyncio.Event) -> None:
    """Post without pause, each text until it is acknowledged."""
    while not stop.is_set():
        text = f"{caller.name} {len(texts)}"
        called = await caller.call("post_message", text, text=text)
        if called.refused:
            assert called.code == "busy", called.body
        else:
            texts.append(text)


async def test_servers_are_upgraded_one_by_one_while_both_releases_serve(tmp_path: Path, folder: Path) -> None:
    newer, stop, texts = newer_release(tmp_path, ADDS, EXPANSION), asyncio.Event(), list[str]()
    with serving(folder) as first:
        await first.start()
        owner = Caller("olga", first.port, first.owner_token)
        builder, worker = await enroll(owner, ["builder", "worker"])
        working = asyncio.create_task(posted(worker, texts, stop))
        with another(folder, "second", **newer) as second:
            await second.start()
            assert rows(folder, "select count(*) as count from palette")[0]["count"] == 0
            served = len(texts)
            there = Caller("builder", second.port, builder.token)
            task = (await owner.carried_out("create_task", title="seen by both"))["task"]
            assert (await there.carried_out("claim_task", task=task))["fence"] == 1
            await there.carried_out("post_message", text="through the newer release")
            await builder.carried_out("post_message", text="through the older release")
            read = await owner.carried_out("read_messages", query="release")
            assert len(read["messages"]) == 2
            await Caller("olga", second.port, owner.token).carried_out("pause", target="builder", reason="look")
            assert (await builder.call("post_message", text="no")).code == "paused"
            while len(texts) < served + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with another(folder, "third") as third:
                await third.start()
                await Caller("olga", third.port, owner.token).carried_out("resume", target="builder", reason="seen")
                await there.carried_out("post_message", text="after the older release started again")
            stop.set()
            await working
            first.kill()
            first.environment = newer
            await first.start()
            await builder.carried_out("post_message", text="the first server is upgraded, too")
    assert chain_faults(folder) == []
    stored = [row["text"] for row in rows(folder, "select text from message where text like 'worker %' order by seq")]
    assert stored == texts


async def test_a_release_that_changes_what_earlier_ones_use_waits_until_they_have_stopped(
    tmp_path: Path, folder: Path
) -> None:
    newer = newer_release(tmp_path, RENAMES, "")
    with serving(folder) as first:
        await first.start()
        with another(folder, "second", **newer) as second, pytest.raises(RuntimeError, match="has the room open"):
            await second.start()
        owner = Caller("olga", first.port, first.owner_token)
        await owner.carried_out("post_message", text="nothing was changed")


async def test_a_release_that_says_wrongly_that_it_only_adds_breaks_an_earlier_one(
    tmp_path: Path, folder: Path
) -> None:
    newer = newer_release(tmp_path, RENAMES, EXPANSION)
    with serving(folder) as first:
        await first.start()
        owner = Caller("olga", first.port, first.owner_token)
        with another(folder, "second", **newer) as second:
            await second.start()
            assert (await owner.call("post_message", text="no such column")).refused


@promise("LOG4")
def test_no_statement_reads_all_columns_of_a_table_because_a_newer_release_may_add_one() -> None:
    reads_all = re.compile(r"\w\.\*|^\s*select \* from \w", re.MULTILINE)
    for statements in (sqlite_statements(), postgres_statements()):
        assert [name for name, text in statements.items() if reads_all.search(text)] == []


def test_the_newer_release_is_the_one_that_is_found(tmp_path: Path) -> None:
    environment = newer_release(tmp_path, ADDS, EXPANSION)
    code = f"{sys.executable} -c 'import teamroom.server.store.statements as s; print(max(s.known_migrations()))'"
    with os.popen(f"PYTHONPATH={environment['PYTHONPATH']} {code}") as said:
        assert int(said.read()) == max(known_migrations()) + 1
