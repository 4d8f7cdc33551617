"""`teamroom verify` finds what was changed, and `doctor` names what is wrong with the fix."""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.doctor.machine import has_wal_reset_fix
from teamroom.clients.local.verify import verified
from teamroom.server.rules.chain import entry_hash
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import TOKEN, Done, Shell, free_port

pytestmark = house


async def closed_room(tmp_path: Path) -> Path:
    """The folder of a room in which something happened, and that is closed."""
    async with running_room(tmp_path / "room") as room:
        [builder] = await room.enroll("builder")
        for number in range(6):
            await builder("post_message", text=f"message {number}")
    return room.folder


def verify(folder: Path, *words: str) -> Done:
    return Shell(folder.parent).now("verify", "--data", str(folder), *words)


def outside(folder: Path, *statements: str) -> None:
    """Somebody else's hand in the database."""
    with sqlite3.connect(folder / "room.db") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def rewrite_chain(folder: Path, at: int) -> None:
    """Change an entry and make the chain fit again from there on, as somebody who knows how it is made would."""
    from teamroom.server.record import chain as log

    with sqlite3.connect(folder / "room.db") as database:
        database.row_factory = sqlite3.Row
        database.execute("update log set summary = 'nothing happened' where seq = ?", (at,))
        previous = database.execute("select hash from log where seq = ?", (at - 1,)).fetchone()["hash"]
        for row in database.execute("select * from log where seq >= ? order by seq", (at,)).fetchall():
            digest = log.content_digest(row["salt"], row["summary"], row["detail"])
            names = ("seq", "epoch", "at", "actor", "owner", "act", "subject", "outcome")
            previous = entry_hash(previous, tuple(row[name] for name in names), digest)
            database.execute("update log set digest = ?, hash = ? where seq = ?", (digest, previous, row["seq"]))
        database.execute("update head set hash = ?", (previous,))
    database.close()


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


# ------------------------------------------------------------------ verify


@promise("LOG3")
async def test_an_unchanged_log_verifies_and_is_left_as_it_was(tmp_path: Path) -> None:
    folder = await closed_room(tmp_path)
    before = contents(folder)
    done = verify(folder)
    assert done.code == 0
    assert "9 entries verify" in done.out
    assert "signed with the room's key" in done.out
    found = verify(folder, "--json").json
    assert found["good"] is True
    assert found["entries"] == found["seal"]["seq"] == 9
    assert found["hash"] == found["seal"]["hash"]
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"room.db-shm", "room.db-wal"}


@promise("LOG3")
@pytest.mark.parametrize(
    ("statements", "first_bad", "why"),
    [
        (["update log set summary = 'other' where seq = 5"], 5, "its content was changed"),
        (["update log set actor = 1 where seq = 5"], 5, "does not match the entry before it"),
        (["delete from log where seq = 5"], 5, "number 5 is missing"),
        (["delete from log where seq > 5"], 6, "the head row says"),
        (
            ["delete from log where seq > 5", "update head set seq = 5, hash = (select hash from log where seq = 5)"],
            6,
            "the end was cut off",
        ),
    ],
)
async def test_a_change_a_gap_and_a_truncation_are_found_and_the_first_bad_entry_is_named(
    tmp_path: Path, statements: list[str], first_bad: int, why: str
) -> None:
    folder = await closed_room(tmp_path)
    assert verify(folder).code == 0
    outside(folder, "pragma foreign_keys = off", *statements)
    done = verify(folder)
    assert done.code == 1
    assert f"BAD: entry {first_bad}: " in done.out
    found = verify(folder, "--json")
    assert found.code == 1
    assert found.json["first_bad"] == first_bad
    assert why in found.json["why"]


@promise("LOG3")
@pytest.mark.parametrize(
    "summary",
    ["x'ff00'", "cast(x'ff00' as text)", "cast(summary as blob)"],
    ids=["bytes", "text that is none", "the same as bytes"],
)
async def test_an_entry_that_cannot_be_read_is_named_like_a_changed_one(tmp_path: Path, summary: str) -> None:
    folder = await closed_room(tmp_path)
    outside(folder, f"update log set summary = {summary} where seq = 5")
    done = verify(folder)
    assert (done.code, done.err) == (1, "")
    assert "BAD: entry 5: " in done.out


@promise("LOG3")
async def test_a_chain_that_was_rewritten_to_fit_is_found_by_the_seal(tmp_path: Path) -> None:
    folder = await closed_room(tmp_path)
    rewrite_chain(folder, at=5)
    done = verify(folder)
    assert done.code == 1
    assert "it differs from the seal" in done.out
    (folder / "seal.json").unlink()
    assert not verified(folder, seal_wait_seconds=0).verification.good, "the seals' history has it too"
    (folder / "seal.history").unlink()
    without = verified(folder, seal_wait_seconds=0)
    assert without.verification.good, "without a seal this forgery would pass: so no seal is not good"
    assert not without.good
    assert "there is no seal" in without.why


@promise("LOG3")
async def test_a_seal_that_is_forged_or_invalid_is_found(tmp_path: Path) -> None:
    folder = await closed_room(tmp_path)
    seal = folder / "seal.json"
    whole = json.loads(seal.read_text())
    seal.write_text(json.dumps({**whole, "signature": "0" * 64}))
    assert "not made with this room's key" in verify(folder).out
    seal.write_text("{}")
    broken = verify(folder)
    assert (broken.code, "contains no valid seal" in broken.err) == (1, True)


@promise("LOG3")
async def test_the_log_verifies_while_the_room_runs_and_grows(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        [builder] = await room.enroll("builder")
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder)})
        entries = 0
        for number in range(8):
            await builder("post_message", text=f"message {number}")
            found = (await shell.here("verify", "--json")).json
            assert found["good"] is True, found
            assert found["entries"] > entries
            entries = found["entries"]


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 300])
async def test_a_folder_without_a_room_and_a_damaged_database_are_explained_in_words(
    tmp_path: Path, damage: bytes
) -> None:
    nowhere = verify(tmp_path / "nowhere")
    assert (nowhere.code, "There is no room in" in nowhere.err) == (1, True)
    folder = await closed_room(tmp_path)
    (folder / "room.db").write_bytes(damage)
    done = verify(folder)
    assert done.code == 1
    assert "room.db cannot be read" in done.err


# ------------------------------------------------------------------ doctor


async def doctor(room: RunningRoom, **variables: str) -> dict[str, Any]:
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url, **variables})
    done = await shell.here("doctor", "--json")
    found = done.json
    assert (done.code == 0) == found["ok"]
    assert TOKEN.search(done.out + done.err) is None
    return dict(found)


def lines(found: dict[str, Any], about: str) -> list[dict[str, str]]:
    return [check for check in found["checks"] if check["about"] == about]


async def test_a_healthy_room_has_no_problem_and_every_line_says_what_was_found(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        room.room.seal()
        found = await doctor(room)
        assert found["ok"] is True
        assert [check["about"] for check in found["checks"]] == [
            *("folder", "same user", "agents", "sqlite", "clock", "address", "settings", "room", *["part"] * 8),
            *("act", "runtimes", "tokens", "log", "backups"),
        ]
        expected = {"same user", "agents", "sqlite", "backups"}
        assert {c["about"] for c in found["checks"] if c["level"] != "ok"} <= expected
        assert all(check["fix"] for check in found["checks"] if check["level"] != "ok")
        assert "ms" in lines(found, "act")[0]["found"]
        assert lines(found, "sqlite")[0]["found"].startswith(f"SQLite {sqlite3.sqlite_version}")
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        shown = await shell.here("doctor")
        assert shown.code == 0
        assert "wip_cap" not in shown.out
        *_, worst, _, counts = shown.out.splitlines()
        assert worst.startswith("warning  "), "it ends with the findings, the worst ones last"
        assert counts.endswith("To see the settings in force, add --settings.")
        with_settings = (await shell.here("doctor", "--settings")).out
        assert with_settings.index("wip_cap") < with_settings.index("\nok       folder")


@promise("SAF7")
async def test_doctor_warns_that_programs_of_the_owners_user_can_read_the_owners_token(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        [line] = lines(await doctor(room), "same user")
        assert line["level"] == "warning"
        assert f"can read {room.folder}/owner.token" in line["found"]
        assert "another user" in line["fix"]
        (room.folder / "owner.token").rename(tmp_path / "elsewhere")
        [line] = lines(await doctor(room), "same user")
        assert line["level"] == "ok"


@pytest.mark.parametrize(
    ("break_it", "about", "fix"),
    [
        (
            lambda folder: (folder / "owner.token").rename(folder / "o") and (folder / "owner.token").symlink_to("o"),
            "folder",
            "Name the real path",
        ),
        (lambda folder: (folder / "room.key").rename(folder.parent / "key"), "folder", "Put back"),
        (lambda folder: (folder / "room.toml").write_text("wip_cap = 0"), "settings", "Correct it"),
    ],
)
async def test_each_problem_of_the_folder_has_a_fix(
    tmp_path: Path, break_it: Callable[[Path], object], about: str, fix: str
) -> None:
    async with running_room(tmp_path / "room") as room:
        assert (await doctor(room))["ok"] is True
        break_it(room.folder)
        problems = [c for c in lines(await doctor(room), about) if c["level"] == "problem"]
        assert len(problems) == 1
        assert fix in problems[0]["fix"]


async def test_each_setting_is_shown_with_its_origin(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        (room.folder / "room.toml").write_text("wip_cap = 7\nhop_limit = 3\n")
        found = await doctor(room, TEAMROOM_HOP_LIMIT="4")
        assert found["settings"]["wip_cap"] == {"value": 7, "origin": "room.toml"}
        assert found["settings"]["hop_limit"] == {"value": 4, "origin": "environment"}
        assert found["settings"]["trust"] == {"value": "declared", "origin": "default"}
        assert "wip_cap = 7 (room.toml)" in lines(found, "settings")[0]["found"]


async def test_doctor_warns_if_others_reach_the_room_at_an_address_that_members_are_not_told(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        (room.folder / "room.toml").write_text('allowed_hosts = ["room.example.org"]\n')
        [warned] = lines(await doctor(room), "address")
        assert warned["level"] == "warning"
        assert "room.example.org" in warned["found"]
        assert "public_url" in warned["fix"]
        (room.folder / "room.toml").write_text(
            'allowed_hosts = ["room.example.org"]\npublic_url = "https://room.example.org"\n'
        )
        [told] = lines(await doctor(room), "address")
        assert (told["level"], "https://room.example.org" in told["found"]) == ("ok", True)


async def test_a_room_that_does_not_answer_and_a_log_that_was_changed_are_problems(tmp_path: Path) -> None:
    folder = await closed_room(tmp_path)
    outside(folder, "update log set summary = 'other' where seq = 5")
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder), "TEAMROOM_URL": f"http://127.0.0.1:{free_port()}"})
    done = await shell.here("doctor")
    assert done.code == 1
    assert "problem  room" in done.out
    assert f"teamroom up --data {folder}" in done.out
    assert "problem  log" in done.out
    assert "Entry 5: its content was changed" in done.out


async def test_old_tokens_and_tokens_that_end_soon_are_warnings_with_the_command_that_replaces_them(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await owner("enroll", name="builder", label="ci", expires_seconds=3600)
        await owner("enroll", name="reviewer")
        outside(room.folder, f"update token set created_at = {time.time() - 300 * 86_400} where label = 'ci'")
        [ok, soon] = lines(await doctor(room), "tokens")
        assert ok["found"].startswith("3 valid. The oldest is @builder's (ci), 300 days old")
        assert soon["level"] == "warning"
        assert soon["fix"] == "To replace it, run: `teamroom enroll builder --label ci --rotate`"
        outside(room.folder, "update token set expires_at = null")
        [_, old] = lines(await doctor(room), "tokens")
        assert old["found"] == "@builder's (ci) is 300 days old."


async def test_a_clock_behind_the_log_is_a_problem(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        assert lines(await doctor(room), "clock")[0]["level"] == "ok"
        room.time.forward(3600)
        await (await room.owner())("post_message", text="from the future")
        [line] = lines(await doctor(room), "clock")
        assert line["level"] == "problem"


@promise("SAF7")
async def test_inside_an_agents_session_the_owners_token_is_never_tried(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        found = await doctor(room, CLAUDECODE="1")
        [act] = lines(found, "act")
        assert act["level"] == "warning"
        assert "CLAUDECODE is set" in act["found"]
        assert found["ok"] is True
        assert os.access(room.folder / "owner.token", os.R_OK)


@pytest.mark.parametrize(
    ("version", "mended"),
    [("3.40.1", False), ("3.44.5", False), ("3.44.6", True), ("3.45.0", False), ("3.50.6", False), ("3.50.7", True),
     ("3.51.2", False), ("3.51.3", True), ("3.52.0", True), ("4.0.0", True)],
)  # fmt: skip
def test_the_releases_of_sqlite_with_the_wal_reset_bug_are_known(version: str, mended: bool) -> None:
    assert has_wal_reset_fix(tuple(int(part) for part in version.split("."))) is mended
