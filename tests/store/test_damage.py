"""A damaged database is opened to be read only, says how to restore, and is left as it is (SAF4)."""

import json
import shlex
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from teamroom.clients.local.verify import verified
from teamroom.server.record import notary
from teamroom.server.store.folder import DATABASE, OWNER_TOKEN, SEAL
from teamroom.server.store.sqlite import damage
from teamroom.server.store.sqlite.copy import open_to_read
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import running_room
from tests.support.shells import Done, Shell, up

pytestmark = promise("SAF4")

WAL = DATABASE + "-wal"
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24

FREE_OF_DAMAGE = ("board", "stream", "roster")
ACTS = (
    ("enroll", "tester"),
    ("pause", "builder", "--reason", "look"),
    ("resume", "builder", "--reason", "look"),
    ("revoke", "builder"),
)


def shell(folder: Path, *words: str) -> Done:
    return Shell(folder.parent).now(*words, "--data", str(folder))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped room with a member and with a backup, to be copied."""
    folder = tmp_path_factory.mktemp("stopped") / "room"
    with up(folder):
        assert shell(folder, "enroll", "builder").code == 0
        assert shell(folder, "backup").code == 0
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """The folder of a stopped room with a member and with a backup."""
    return shutil.copytree(stopped, tmp_path / "room")


def spoil(folder: Path, table: str = "request") -> None:
    """Write over the first page of a table that reads do not need."""
    with closing(open_to_read(folder / DATABASE)) as connection:
        page = connection.execute("select rootpage from sqlite_schema where name = ?", (table,)).fetchone()[0]
        size = connection.execute("pragma page_size").fetchone()[0]
    overwrite(folder / DATABASE, (page - 1) * size, b"\x5a" * size)


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def kept(folder: Path) -> dict[str, bytes]:
    """What the room wrote, byte by byte."""
    files = {name: (folder / name).read_bytes() for name in (DATABASE, WAL) if (folder / name).exists()}
    return {name: content for name, content in files.items() if content or name == DATABASE}


# ------------------------------------------------------------------ it opens to be read


def test_a_damaged_room_is_read_only_and_names_the_command_that_repairs_it(folder: Path) -> None:
    spoil(folder)
    before = kept(folder)
    with up(folder) as running:
        assert any("read-only" in line for line in running.said)
        for word in FREE_OF_DAMAGE:
            assert shell(folder, word).code == 0, word
        for act in ACTS:
            refused = shell(folder, *act)
            assert refused.code != 0
            assert "Refused (storage): The room's database is damaged" in refused.err
        fix = refused.err.split("`")[1]
        assert fix.startswith("teamroom restore ")
        assert running.stop()[0] == 0
    assert kept(folder) == before
    assert shell(folder, *shlex.split(fix)[1:-2]).code == 0
    with up(folder):
        assert shell(folder, "pause", "builder", "--reason", "it can be stopped again").code == 0
        assert shell(folder, "verify").code == 0


def test_without_a_backup_it_says_where_one_would_be(folder: Path) -> None:
    shutil.rmtree(folder / "backups")
    spoil(folder)
    with up(folder):
        refused = shell(folder, "enroll", "tester")
        assert f"There is no backup in {folder / 'backups'}" in refused.err


async def test_a_room_whose_last_commits_are_damaged_is_read_only_and_left_as_it_is(tmp_path: Path) -> None:
    """SQLite takes its log for ended where a frame does not fit, and would number anew from there on."""
    image, token = await a_crashed_room_with_a_spoilt_log(tmp_path)
    before = kept(image)
    async with running_room(image) as room:
        assert "the seal covers entry" in str(room.room.store.damage)
        owner = await room.connect("olga", token)
        assert (await owner.refused("enroll", name="tester"))["code"] == "storage"
        assert (await owner("who"))["members"]
    assert kept(image) == before


async def test_what_is_left_of_a_room_can_be_accepted_and_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    image, token = await a_crashed_room_with_a_spoilt_log(tmp_path)
    assert "the end was cut off" in shell(image, "backup").err
    accepted = shell(image, "seal", "--accept", "--json").json
    assert "the seal covers entry" in accepted["accepted"]
    assert accepted["epoch"] == 2
    async with running_room(image) as room:
        assert room.room.store.damage is None
        owner = await room.connect("olga", token)
        receipt = (await owner("post_message", text="it goes on"))["receipt"]
        assert receipt > int(accepted["head"].partition("@")[2])
    assert verified(image).good


async def test_without_its_seal_the_same_room_gives_lost_numbers_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: SQLite by itself finds nothing wrong."""
    image, token = await a_crashed_room_with_a_spoilt_log(tmp_path)
    lost = json.loads((image / SEAL).read_text())["seq"]
    monkeypatch.setattr(notary, "contradiction", lambda *_: None)
    async with running_room(image) as room:
        owner = await room.connect("olga", token)
        assert (await owner("post_message", text="again"))["receipt"] <= lost


async def a_crashed_room_with_a_spoilt_log(tmp_path: Path) -> tuple[Path, str]:
    """The folder as a crash leaves it, with a bit of its write-ahead log turned over, and the owner's token."""
    image = tmp_path / "image"
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        for number in range(20):
            await owner("post_message", text=f"message {number}")
        room.room.seal()
        shutil.copytree(room.folder, image)
        token = room.owner_token
    content = (image / WAL).read_bytes()
    page = struct.unpack(">I", content[8:12])[0]
    frames = (len(content) - WAL_HEADER_BYTES) // (page + FRAME_HEADER_BYTES)
    middle = WAL_HEADER_BYTES + (frames // 2) * (page + FRAME_HEADER_BYTES) + FRAME_HEADER_BYTES
    overwrite(image / WAL, middle, bytes([content[middle] ^ 1]))
    return image, token


async def test_an_old_copy_of_the_database_revives_no_member(tmp_path: Path) -> None:
    folder, copy = tmp_path / "room", tmp_path / "copy.db"
    async with running_room(folder) as room:
        await room.enroll("builder")
        token = room.tokens["builder"]
    shutil.copyfile(folder / DATABASE, copy)
    async with running_room(folder) as room:
        owner = await room.owner()
        await owner("kill", target="builder", reason="it went wrong")
    shutil.copyfile(copy, folder / DATABASE)
    async with running_room(folder) as again:
        builder = await again.connect("builder", token)
        assert (await builder.refused("post_message", text="I live"))["code"] == "storage"


async def test_a_restore_over_an_old_copy_begins_an_epoch_that_never_was(tmp_path: Path) -> None:
    folder, copy = tmp_path / "room", tmp_path / "copy.db"
    async with running_room(folder):
        pass
    shutil.copyfile(folder / DATABASE, copy)
    made = shell(folder, "backup", "--json").json
    assert [shell(folder, "restore", made["path"], "--json").json["epoch"] for _ in range(2)] == [2, 3]
    shutil.copyfile(copy, folder / DATABASE)
    async with running_room(folder) as room:
        assert "the seal is of epoch 3" in str(room.room.store.damage)
    assert shell(folder, "restore", made["path"], "--json").json["epoch"] == 4


@pytest.mark.parametrize("largest", [0, damage.WHOLE_BYTES], ids=["table by table", "as a whole"])
async def test_a_spoilt_page_is_found_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(damage, "WHOLE_BYTES", largest)
    folder = tmp_path / "room"
    for _ in range(2):
        async with running_room(folder) as room:
            assert room.room.store.damage is None
    spoil(folder)
    with logged():
        async with running_room(folder) as room:
            assert room.room.store.damage is not None


async def test_damage_that_the_look_at_the_start_had_no_time_for_stops_every_act_once_one_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(damage, "STEPS", 1)
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        await room.enroll("builder")
        token = room.tokens["builder"]
        await (await room.owner())("create_task", title="Rotate the keys")
    spoil(folder)
    async with running_room(folder) as room:
        owner, builder = await room.owner(), await room.connect("builder", token)
        assert (await builder("claim_task", task="T-1"))["fence"] == 1
        with logged():
            met = await builder.refused("post_message", text="hello")
        assert "damaged" in met["why"]
        for act, arguments in (("update_task", {"task": "T-1", "fence": 1, "note": "done"}), ("heartbeat", {})):
            assert "teamroom restore" in (await builder.refused(act, **arguments))["fix"]
        assert (await owner.refused("pause", target="builder", reason="look"))["code"] == "storage"
        assert [task["task"] for task in (await owner("read_board"))["tasks"]] == ["T-1"]
        assert (await room.raw("GET", "/readyz")).status_code == 503
        for path in ("/livez", "/healthz"):
            assert (await room.raw("GET", path)).status_code == 200


def test_a_room_without_its_seal_says_how_to_restore_it_and_how_to_accept_it(folder: Path) -> None:
    (folder / SEAL).unlink()
    with up(folder) as running:
        said = " ".join(running.said)
        assert "read-only: seal.json is missing, although the log is not empty" in said
        refused = shell(folder, "enroll", "tester")
        assert "Refused (storage)" in refused.err
    (_, restore, _, accept, _) = refused.err.split("`")
    assert restore in said
    assert accept in said
    copy = shutil.copytree(folder, folder.with_name("copy"))
    assert shell(folder, *shlex.split(restore)[1:-2]).code == 0
    assert shell(copy, *shlex.split(accept)[1:-2]).code == 0
    for mended in (folder, copy):
        with up(mended):
            assert shell(mended, "enroll", "tester").code == 0
            assert "seal.json is missing" in shell(mended, "verify").out, "it stays named"
            assert shell(mended, "verify").code == 0


# ------------------------------------------------------------------ it cannot even be read


@pytest.mark.parametrize("how", ["header", "emptied", "removed", "cut", "a head that is no text"])
async def test_an_unreadable_database_does_not_open_and_is_not_replaced_with_a_new_room(folder: Path, how: str) -> None:
    token = (folder / OWNER_TOKEN).read_text()
    database = folder / DATABASE
    match how:
        case "header":
            overwrite(database, 0, b"not a database at all")
        case "emptied":
            database.write_bytes(b"")
        case "removed":
            database.unlink()
        case "cut":
            database.write_bytes(database.read_bytes()[:6000])
        case "a head that is no text":
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute("update head set hash = cast(x'ff00' as text)")
    before = kept(folder)
    failed = await Shell(folder.parent).process("up", "--data", str(folder), "--port", "0")
    assert failed.code == 1
    assert f"teamroom: {database} is damaged: " in failed.err
    assert f"teamroom restore {folder / 'backups'}/room-" in failed.err
    assert kept(folder) == before
    assert (folder / OWNER_TOKEN).read_text() == token
    fix = failed.err.split("`")[1]
    assert shell(folder, *shlex.split(fix)[1:-2]).code == 0
    async with running_room(folder) as room:
        assert {member["name"] for member in (await (await room.connect("olga", token.strip()))("who"))["members"]}


async def test_without_the_seal_an_emptied_room_becomes_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: the token of the room that was is written over."""
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        token = room.owner_token
    (folder / DATABASE).unlink()
    monkeypatch.setattr(notary, "contradiction", lambda *_: None)
    async with running_room(folder) as room:
        assert room.owner_token != token
