"""`teamroom copy` moves a room between engines, with numbers, hashes, fences and cursors unchanged."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from teamroom.server.store.folder import DATABASE
from tests.support import postgres
from tests.support.promises import promise
from tests.support.rooms import running_room
from tests.support.shells import Shell, up

pytestmark = [pytest.mark.postgres, promise("LOG3", "TSK2")]

KEPT = {
    "log": "select seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash from log "
    "order by seq",
    "head": "select epoch, seq, hash, members, messages, tasks, offers, room_at, ahead from head",
    "task": "select id, title, state, holder, fence, waits, first_need, place, lease_from from task order by id",
    "member": "select id, name, owner, acknowledged, epoch from member order by id",
    "share": "select member, reviewed, upheld from share order by member",
}


@pytest.fixture
def address() -> Iterator[str]:
    """The address of an empty database."""
    postgres.require_server()
    yield postgres.address_at(postgres.make_database())
    postgres.drop_databases()


async def a_room(folder: Path) -> None:
    """A room in one file, with something in every corner that an engine keeps by itself."""
    async with running_room(folder) as room:
        owner = await room.owner()
        builder, tester = await room.enroll("builder", "tester")
        await builder("declare_capabilities", capabilities=["repo:acme/api"])
        first = (await owner("create_task", title="Baue die Brücke", needs=["repo:acme/api"]))["task"]
        await owner("create_task", title="Then this", depends_on=[first])
        claimed = await builder("claim_task", task=first)
        await builder("post_message", text="sessionRestart naïve 会議は明日です", to=["tester"])
        done = {"summary": "built", "evidence": [{"kind": "link", "ref": "x", "value": "y"}]}
        await builder("complete_task", task=first, fence=claimed["fence"], **done)
        await tester("check_in")
        await owner("pause", target="tester", reason="look")


def in_file(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return {name: [tuple(row) for row in connection.execute(sql)] for name, sql in KEPT.items()}


def in_database(address: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(address) as connection:
        return {name: connection.execute(sql.encode()).fetchall() for name, sql in KEPT.items()}


async def test_a_room_goes_to_a_database_and_back_and_stays_the_same(tmp_path: Path, address: str) -> None:
    folder, back, shell = tmp_path / "room", tmp_path / "back", Shell(tmp_path)
    await a_room(folder)
    before = in_file(folder)
    copied = shell.now("copy", "--from", str(folder), "--to", address, "--json")
    assert copied.code == 0, copied.err
    assert copied.json["hash"] == before["head"][0][2]
    assert in_database(address) == before
    again = shell.now("copy", "--from", str(folder), "--to", address)
    assert "There is a room" in again.err
    shutil.copytree(folder, back, ignore=shutil.ignore_patterns(f"{DATABASE}*", "room.lock"))
    assert shell.now("copy", "--from", address, "--to", str(back)).code == 0
    assert in_file(back) == before
    async with running_room(back) as room:
        owner = await room.owner()
        for query in ("naive", "会議", "restart"):
            assert len((await owner("read_messages", query=query))["messages"]) == 1, query
        assert [task["task"] for task in (await owner("read_board", query="brucke", state="all"))["tasks"]] == ["T-1"]
    assert shell.now("verify", "--data", str(back)).code == 0


async def test_a_copied_room_is_served_from_its_database(tmp_path: Path, address: str) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    assert Shell(tmp_path).now("copy", "--from", str(folder), "--to", address).code == 0
    token = (folder / "owner.token").read_text().strip()
    with up(tmp_path / "new", "--key-file", str(folder / "room.key"), TEAMROOM_DATABASE=address) as server:
        owner = Shell(tmp_path).with_(TEAMROOM_URL=server.url, TEAMROOM_TOKEN=token)
        assert owner.now("resume", "tester", "--reason", "seen").code == 0
        found = owner.now("board", "--json")
        assert {task["task"] for task in json.loads(found.out)["tasks"]} == {"T-1", "T-2"}


async def test_a_room_that_a_server_has_open_is_not_copied_wherever_its_wall_clock_stands(
    tmp_path: Path, address: str
) -> None:
    await a_room(tmp_path / "room")
    assert Shell(tmp_path).now("copy", "--from", str(tmp_path / "room"), "--to", address).code == 0
    here = shutil.copytree(tmp_path / "room", tmp_path / "here", ignore=shutil.ignore_patterns(f"{DATABASE}*"))
    with psycopg.connect(address) as connection:
        connection.execute("update head set ahead = 1000")
        connection.execute(
            "insert into server (id, until, listens, connected) "
            "values ('one', extract(epoch from clock_timestamp()) - 1000 + 60, '[]', '[]')"
        )
    refused = Shell(tmp_path).now("copy", "--from", address, "--to", str(here))
    assert "A server has the room open" in refused.err
    with psycopg.connect(address) as connection:
        connection.execute("update head set ahead = 900")
    assert Shell(tmp_path).now("copy", "--from", address, "--to", str(here)).code == 0


def test_tables_that_refer_to_each_other_are_refused_and_not_waited_for(tmp_path: Path, address: str) -> None:
    """Twin: a table that refers to itself and to another is no reason."""
    folder, shell, whole = tmp_path / "room", Shell(tmp_path), postgres.address_at(postgres.make_database())
    asyncio.run(a_room(folder))
    for database in (address, whole):
        with psycopg.connect(database) as connection:
            connection.execute(
                "create table one (id int primary key, own int references one, head int references head);"
                "create table other (id int primary key, one int references one)"
            )
    with psycopg.connect(address) as connection:
        connection.execute("alter table one add column other int references other")
    refused = shell.run("copy", "--from", str(folder), "--to", address)
    assert refused.code == 1
    assert "refer to each other" in refused.err
    assert {name for name in ("one", "other") if name in refused.err} == {"one", "other"}
    copied = shell.run("copy", "--from", str(folder), "--to", whole)
    assert copied.code == 0, copied.err
