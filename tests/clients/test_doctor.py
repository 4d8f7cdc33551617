"""`teamroom doctor --fix` mends what is safe, `--drill` proves the switch, and plain `doctor` changes nothing."""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from teamroom.clients.doctor import kill_drill
from teamroom.clients.doctor.machine import harnesses
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.settings import NOT_ABOVE, Settings, contradictions
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import ESCAPE, STEP_SECONDS, TOKEN, Done, Shell, up

pytestmark = house

FORGOTTEN_PROCESS = 2**22 + 1
"""Above what Linux gives to a process."""


def shell_of(room: RunningRoom, **variables: str) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url, **variables})


def lines(done: Done, about: str) -> list[dict[str, str]]:
    assert TOKEN.search(done.out + done.err) is None
    return [check for check in done.json["checks"] if check["about"] == about]


# ------------------------------------------------------------------ --fix


@pytest.mark.parametrize("fix", [[], ["--fix"]])
async def test_a_folder_that_others_can_use_is_made_private_and_reported(tmp_path: Path, fix: list[str]) -> None:
    async with running_room(tmp_path / "room") as room:
        (room.folder / "members").mkdir(0o755)
        loose = [room.folder / "owner.token", room.folder / "room.key", room.folder / "members" / "builder.token"]
        for path in loose:
            path.touch()
            path.chmod(0o644)
        room.folder.chmod(0o755)
        done = await shell_of(room).here("doctor", *fix, "--json")
        assert done.code == 0, "the act after it uses the owner's token, which is private now"
        mended = [line for line in lines(done, "folder") if line["level"] == "mended"]
        assert len(mended) == 5
        assert all(line["found"].endswith("It is private now.") for line in mended)
        assert {path.stat().st_mode & 0o777 for path in loose} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in (room.folder, room.folder / "members")} == {0o700}
        again = await shell_of(room).here("doctor", "--json")
        assert [line["level"] for line in lines(again, "folder")] == ["ok"]


async def test_the_permissions_of_the_target_of_a_link_are_not_changed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    elsewhere.chmod(0o644)
    async with running_room(tmp_path / "room") as room:
        (room.folder / "members").mkdir(0o700)
        (room.folder / "members" / "builder.token").symlink_to(elsewhere)
        [line] = lines(await shell_of(room).here("doctor", "--fix", "--json"), "folder")
        assert line["level"] == "problem"
        assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_the_address_that_a_crashed_server_left_is_removed(tmp_path: Path) -> None:
    with up(tmp_path / "room") as room:
        left = room.folder / "server.json"
        room.process.kill()
        room.process.wait(STEP_SECONDS)
        assert [line["level"] for line in lines(room.shell.now("doctor", "--json"), "folder")] == ["ok", "warning"]
        assert left.exists()
        found = lines(room.shell.now("doctor", "--fix", "--json"), "folder")
        assert [line["level"] for line in found] == ["ok", "mended"]
        assert not left.exists()


def test_the_address_of_a_server_that_runs_is_never_removed(tmp_path: Path) -> None:
    with up(tmp_path / "room") as room:
        announced = room.folder / "server.json"
        before = announced.read_text()
        assert [line["level"] for line in lines(room.shell.now("doctor", "--fix", "--json"), "folder")] == ["ok"]
        announced.write_text(json.dumps({**json.loads(before), "pid": FORGOTTEN_PROCESS}))
        [_, line] = lines(room.shell.now("doctor", "--fix", "--json"), "folder")
        assert line["level"] == "warning"
        assert "a server uses this folder" in line["found"]
        assert announced.exists()


# ------------------------------------------------------------------ --drill


async def test_a_drill_shows_that_a_kill_takes_effect_and_leaves_only_one_killed_member(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        for _ in range(2):
            done = await shell_of(room).here("doctor", "--drill", "--json")
            [line] = lines(done, "drill")
            assert line["level"] == "ok", line
            assert "its next call was refused as killed" in line["found"]
        members = (await (await room.owner())("who"))["members"]
        assert [m["standing"] for m in members if m["name"] == kill_drill.NAME] == ["killed"]
        summaries = [entry["summary"] for entry in room.entries()]
        assert sum(kill_drill.REASON in summary for summary in summaries) == 2, "the receipts say that it was a drill"


async def test_without_drill_nobody_is_enrolled_or_killed(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await shell_of(room).here("doctor", "--fix")
        assert {entry["act"] for entry in room.entries()} <= {"open", "enroll", "heartbeat"}
        assert len((await (await room.owner())("who"))["members"]) == 1


async def test_a_member_that_bears_the_drills_name_is_not_killed(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        [bystander] = await room.enroll(kill_drill.NAME)
        [line] = lines(await shell_of(room).here("doctor", "--drill", "--json"), "drill")
        assert line["level"] == "problem"
        assert f"teamroom kill {kill_drill.NAME}" in line["fix"]
        await bystander("heartbeat")


async def test_a_kill_without_effect_fails_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the drill finds a door that lets a killed member's token in."""
    async with running_room(tmp_path / "room") as room:
        owner = await room.room.door.identify(room.owner_token)

        async def lets_in(self: Door, token: str) -> Caller:
            return owner

        monkeypatch.setattr(Door, "identify", lets_in)
        monkeypatch.setattr(kill_drill, "enroll", lambda place: _enrolled(place))
        [line] = lines(await shell_of(room).here("doctor", "--drill", "--json"), "drill")
        assert line["level"] == "problem"
        assert "was not refused as killed" in line["found"]


def _enrolled(room: Any) -> str:
    return str((room.call("enroll", name=kill_drill.NAME))["token"])


# ------------------------------------------------------------------ what else it looks at


async def test_the_newest_backup_is_shown_with_its_age_and_a_changed_one_is_a_problem(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = shell_of(room)
        [line] = lines(await shell.here("doctor", "--json"), "backups")
        assert (line["level"], line["fix"]) == ("warning", f"To create one, run: teamroom backup --data {room.folder}")
        assert (await shell.here("backup")).code == 0
        [line] = lines(await shell.here("doctor", "--json"), "backups")
        assert line["level"] == "ok"
        [found] = (room.folder / "backups").glob("*.json")
        values = json.loads(found.read_text())
        found.write_text(json.dumps({**values, "at": time.time() - 30 * 86_400}))
        [line] = lines(await shell.here("doctor", "--json"), "backups")
        assert (line["level"], "30 d ago" in line["found"]) == ("warning", True)
        assert "not signed with this room's key" in line["found"]
        with contextlib.closing(sqlite3.connect(found.with_suffix(".db"))) as copy:
            copy.execute("create table somebody_was_here (x)")
        [line] = lines(await shell.here("doctor", "--json"), "backups")
        assert line["level"] == "problem"


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[str]:
    """A process that runs under a harness's name."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    command = [str(tmp_path / "goose"), "60"]
    with subprocess.Popen(command, executable=sleep) as process:
        yield "goose"
        process.kill()


@promise("SAF7")
async def test_a_harness_that_runs_as_the_owners_user_is_named(tmp_path: Path, harness: str) -> None:
    async with running_room(tmp_path / "room") as room:
        [line] = lines(await shell_of(room).here("doctor", "--json"), "agents")
        assert line["level"] == "warning"
        assert harness in line["found"]


def test_a_harness_is_known_by_its_own_name_or_by_the_script_that_an_interpreter_runs() -> None:
    commands = [["/usr/bin/claude", "-p"], ["node", "/opt/bin/gemini.js"], ["claude"], ["vim", "codex"], [""], []]
    assert harnesses(commands) == {"claude": 2, "gemini": 1}


async def test_settings_that_contradict_each_other_are_named_with_both_values(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        done = await shell_of(room, TEAMROOM_LEASE_SECONDS="7200", TEAMROOM_LEASE_MAX_SECONDS="3600").here(
            "doctor", "--json"
        )
        [warned, _] = lines(done, "settings")
        assert warned["level"] == "warning"
        assert warned["found"] == "lease_seconds (7200) is above lease_max_seconds (3600)."


def test_the_defaults_do_not_contradict_each_other() -> None:
    assert contradictions(Settings()) == []


@given(st.sampled_from(NOT_ABOVE), st.floats(0, 1e6), st.floats(0, 1e6))
def test_two_settings_contradict_each_other_exactly_when_the_first_exceeds_the_second(
    pair: tuple[str, str], first: float, second: float
) -> None:
    low, high = pair
    equal = {name: 1 for names in NOT_ABOVE for name in names}
    settings = Settings().model_copy(update={**equal, low: 1 + first, high: 1 + first + second})
    assert not any(low in said and high in said for said in contradictions(settings))
    settings = Settings().model_copy(update={**equal, low: 2 + first + second, high: 1 + second})
    assert any(said.startswith(low) and high in said for said in contradictions(settings))


def test_the_report_fits_into_a_terminal_of_80_columns(tmp_path: Path) -> None:
    with up(tmp_path / "room") as room:
        shown = room.shell.on_terminal("doctor", "--drill", columns=80)
        assert shown.code == 0, shown.out
        shown_lines = ESCAPE.sub("", shown.out).splitlines()
        assert any("drill" in line for line in shown_lines)
        assert max(map(cell_len, shown_lines)) <= 80


def test_every_command_in_a_finding_names_the_room_that_was_looked_at(tmp_path: Path) -> None:
    with up(tmp_path / "room") as room:
        done = room.shell.run("doctor", "--data", str(tmp_path / "room"))
        commands = re.findall("`(.+?)`", " ".join(done.out.split()))
        assert any("teamroom backup" in command for command in commands), done.out
        assert [command for command in commands if not command.endswith(f" --data {tmp_path / 'room'}")] == []
