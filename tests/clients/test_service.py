"""`teamroom service`: the file is what systemd or launchd reads, for a folder with any name, and only its own."""

import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from teamroom.clients.local import service as services
from teamroom.server.logs import LOG
from tests.support.promises import house
from tests.support.shells import STEP_SECONDS, TEAMROOM, Shell

pytestmark = house

FOLDERS = ("room", "a room", "100% of %h", 'with "quotes"', "it's $HOME", "back\\slash\\", "<&>", "日本語", "tab\there")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def read_by_systemd(text: str) -> list[str]:
    """The words of a unit's command, read as systemd's manual says."""
    (line,) = re.findall("^ExecStart=(.*)$", text, flags=re.MULTILINE)
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    assert line == " ".join(f'"{word}"' for word in words), "there is nothing outside of quotes"
    assert not re.search(r"(?<!%)(?:%%)*%(?!%)", line), "a specifier is left"
    words = [re.sub(r'\\(["\\]|x[0-9a-f]{2})', unescaped, word) for word in words]
    return [words[0].replace("%%", "%"), *(word.replace("%%", "%").replace("$$", "$") for word in words[1:])]


def unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1][1:], 16)) if found[1].startswith("x") else found[1]


@pytest.mark.parametrize("name", FOLDERS)
def test_each_file_starts_the_room_of_exactly_this_folder(name: str, tmp_path: Path, shell: Shell) -> None:
    folder = tmp_path / name
    unit = shell.now("service", "install", "--for", "systemd", "--data", str(folder), "--json").json
    text = Path(unit["file"]).read_text()
    assert Path(unit["file"]).parent == tmp_path / ".config" / "systemd" / "user"
    program, *rest = read_by_systemd(text)
    assert (Path(program).is_absolute(), rest) == (True, ["up", "--data", str(folder)])
    assert unit["next"][:2] == [
        "systemctl --user daemon-reload", f"systemctl --user enable --now {Path(unit['file']).name}"
    ]  # fmt: skip
    assert not [line for line in text.splitlines() if line.endswith("\\")], "it goes on in the next line"

    agent = shell.now("service", "install", "--for", "launchd", "--data", str(folder), "--json").json
    if name.isprintable():
        facts = plistlib.loads(Path(agent["file"]).read_bytes())
        assert facts["ProgramArguments"] == [program, "up", "--data", str(folder)]
        assert facts["StandardErrorPath"] == str(folder / LOG)
        assert facts["Label"] == Path(agent["file"]).stem
        assert agent["next"][-1].startswith("launchctl bootstrap gui/$(id -u) ")
    if (analyze := shutil.which("systemd-analyze")) is not None:
        verified = subprocess.run(
            [analyze, "verify", "--user", unit["file"]], capture_output=True, text=True, timeout=STEP_SECONDS,
            env={**shell.environment, "XDG_RUNTIME_DIR": str(tmp_path)}, check=False,
        )  # fmt: skip
        assert (verified.returncode, verified.stderr) == (0, "")


def test_it_is_written_once_replaced_when_it_differs_and_removed(tmp_path: Path, shell: Shell) -> None:
    words = ("--for", "systemd", "--data", str(tmp_path / "a room"))
    first = shell.now("service", "install", *words)
    assert ("was written" in first.out, "loginctl enable-linger" in first.out) == (True, True)
    (unit,) = (tmp_path / ".config" / "systemd" / "user").iterdir()
    assert "is up to date" in shell.now("service", "install", *words).out
    unit.write_text(unit.read_text().replace("RestartSec=5", "RestartSec=50"))
    assert "was written" in shell.now("service", "install", *words).out
    wants = unit.parent / "default.target.wants"
    wants.mkdir()
    (wants / unit.name).symlink_to(unit)
    assert f"systemctl --user stop {unit.name}" in shell.now("service", "uninstall", *words).out
    assert (unit.exists(), list(wants.iterdir())) == (False, [])
    assert "Nothing was removed" in shell.now("service", "uninstall", *words).out
    unit.write_text("[Service]\nExecStart=/bin/mine\n")
    for action in ("install", "uninstall"):
        refused = shell.now("service", action, *words)
        assert (refused.code, "was not written by this command" in refused.err) == (1, True)
    assert "/bin/mine" in unit.read_text()


def test_two_rooms_have_two_services(tmp_path: Path, shell: Shell) -> None:
    files = {
        shell.now("service", "install", "--for", "systemd", "--data", str(tmp_path / one / "room"), "--json").json[
            "file"
        ]
        for one in ("a", "b")
    }
    assert len(files) == 2


def test_what_the_service_would_not_know_of_this_terminal_is_named(tmp_path: Path, shell: Shell) -> None:
    done = shell.with_(TEAMROOM_PORT="9000").now(
        "service", "install", "--for", "systemd", "--data", str(tmp_path / "r")
    )
    assert "does not have TEAMROOM_PORT of this terminal: set port in room.toml" in done.out


@pytest.mark.skipif(sys.platform == "darwin", reason="every Mac has launchd")
def test_a_machine_without_either_is_told_what_to_do_instead(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BOOTED", tmp_path / "nowhere")
    done = shell.with_(PATH=str(tmp_path)).now("service", "install", "--data", str(tmp_path / "room"))
    assert done.code == 1
    assert "neither systemd nor launchd" in done.err
    assert "teamroom up --detach" in done.err
    assert os.listdir(tmp_path) == []
    assert os.access(TEAMROOM, os.X_OK)
