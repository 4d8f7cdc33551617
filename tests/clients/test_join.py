"""`teamroom join` and `teamroom leave`, through the real shell in a home of its own."""

import json
import os
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.harnesses import changes, files
from teamroom.clients.harnesses.catalogue import HARNESSES, WRITTEN
from teamroom.clients.harnesses.description import Harness, Machine, Seat
from teamroom.clients.harnesses.record import locked
from tests.support.promises import house, promise
from tests.support.shells import TEAMROOM, TOKEN, Done, Shell, Up, up

NUMBERS = count(1)

COMMENTED = {
    "json": '// mine\n{\n    "mine": [1, 2], // one\n    /* two */ "other": {"a": true},\n}\n',
    "toml": "# mine\nmine = [1, 2] # one\n\n[other] # two\na = true",
    "yaml": "# mine\nname: Mine # one\nversion: 2.0.0\nschema: v1\nother:\n    a: true # two\n",
    "": "",
}
"""A config of a person, in each syntax."""

LISTS = {
    "json": '{"permissions": {"allow": ["Read"]}, "hooks": {"Stop": [{"hooks": [{"type": "http", "url": "x"}]}]}}',
    "toml": '[[mcp_servers]]\nname = "mine" # mine\n',
    "yaml": "mcpServers:\n  - name: mine\n    command: x\n",
}


@dataclass(frozen=True)
class Desk:
    """A person at a terminal: a home, and a folder in it where a harness works."""

    shell: Shell
    home: Path
    folder: Path

    def join(self, *words: str) -> Done:
        return self.shell.now("join", *words)

    def leave(self, *words: str) -> Done:
        return self.shell.now("leave", *words)

    def members(self) -> int:
        return len(self.shell.now("roster", "--json").json["members"])

    def files(self) -> dict[str, tuple[int, bytes | str]]:
        """Everything in the home, except the record of joins: its mode, and its bytes or where it leads."""
        found = dict[str, tuple[int, bytes | str]]()
        for path in sorted(self.home.rglob("*")):
            name = str(path.relative_to(self.home))
            if not name.startswith(".local"):
                mode = stat.S_IMODE(path.lstat().st_mode)
                found[name] = (
                    mode,
                    os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "",
                )
        return found

    def configs(self, harness: Harness) -> list[Any]:
        """The files that a harness reads."""
        machine = Machine(self.folder, self.home, self.shell.environment)
        assert harness.files is not None
        return harness.files(Seat("x", machine, Path("/x"), "http://x", False, False, ("teamroom",)))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("opened") / "room", "--owner", "olga") as room:
        yield room


@pytest.fixture
def desk(opened: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder = tmp_path / "home" / f"work{next(NUMBERS)}"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return Desk(Shell(folder.parent, {"TEAMROOM_DATA": str(opened.folder)}), folder.parent, folder)


def keys(harnesses: tuple[Harness, ...]) -> list[str]:
    return [harness.key for harness in harnesses]


# ------------------------------------------------------------------ exactly what join wrote


@promise("WAK5")
@pytest.mark.parametrize("harness", WRITTEN, ids=keys(WRITTEN))
def test_each_harness_joins_an_empty_home_once_and_leaves_nothing(desk: Desk, harness: Harness) -> None:
    before = desk.files()
    joined = desk.join(harness.key, "--yes")
    assert joined.code == 0, joined.err
    written = desk.files()
    for config in desk.configs(harness):
        assert str(config.path.relative_to(desk.home)) in written
    again = desk.join(harness.key, "--yes")
    assert "Nothing changes." in again.out
    assert desk.files() == written
    left = desk.leave(harness.key)
    assert (left.code, "stays enrolled. Its token is revoked." in left.out) == (0, True), left.err
    assert desk.files() == before


@promise("WAK5")
@pytest.mark.parametrize("texts", [COMMENTED, LISTS], ids=["commented", "lists"])
@pytest.mark.parametrize("harness", WRITTEN, ids=keys(WRITTEN))
def test_a_persons_configs_keep_their_comments_and_are_as_before_byte_for_byte(
    desk: Desk, harness: Harness, texts: dict[str, str]
) -> None:
    for config in desk.configs(harness):
        if config.syntax:
            config.path.parent.mkdir(parents=True, exist_ok=True)
            is_list = config.syntax == "toml" and harness.key in ("codex", "gptme")  # their servers are no such list
            config.path.write_text(COMMENTED["toml"] if is_list else texts[config.syntax])
            config.path.chmod(0o640)
    before = desk.files()
    joined = desk.join(harness.key, "--yes")
    assert joined.code == 0, joined.err
    for config in desk.configs(harness):
        text = config.path.read_text()
        if config.syntax:
            assert "teamroom" in text.lower() or str(desk.folder) in text
        if config.syntax and texts is COMMENTED:
            assert all(comment in text for comment in ("mine", "one", "two"))
    assert desk.leave(harness.key).code == 0
    assert desk.files() == before


def settings_of(desk: Desk) -> Path:
    return desk.folder / ".claude" / "settings.local.json"


def change_settings(desk: Desk) -> dict[str, Any]:
    """Change a config as a harness and a person do: it is written again, with more in it."""
    path = settings_of(desk)
    value: dict[str, Any] = json.loads(path.read_text())
    value["permissions"]["allow"].append("Bash(ls)")
    value["hooks"]["Stop"][0]["hooks"].append({"type": "command", "command": "mine"})
    value["model"] = "opus"
    path.write_text(json.dumps(value, indent=4))
    return {
        "permissions": {"allow": ["Bash(ls)"]},
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]},
        "model": "opus",
    }


@promise("WAK5")
def test_from_a_file_that_changed_since_only_the_rooms_entries_are_removed(desk: Desk) -> None:
    settings_of(desk).parent.mkdir()
    settings_of(desk).write_text('{"old": 1}')
    assert desk.join("claude", "--yes").code == 0
    expected = change_settings(desk)
    assert desk.leave("claude").code == 0
    assert json.loads(settings_of(desk).read_text()) == {"old": 1, **expected}


@promise("WAK5")
def test_a_leave_that_restored_its_copy_would_lose_what_a_person_wrote(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: a leave that takes every file for unchanged."""
    settings_of(desk).parent.mkdir()
    settings_of(desk).write_text('{"old": 1}')
    monkeypatch.setattr(changes, "digest", lambda data: "the same")
    assert desk.join("claude", "--yes").code == 0
    change_settings(desk)
    assert desk.leave("claude").code == 0
    assert settings_of(desk).read_text() == '{"old": 1}'


@promise("WAK5")
def test_a_join_after_a_change_adds_what_is_missing_and_a_leave_then_keeps_the_change(desk: Desk) -> None:
    assert desk.join("claude", "--yes").code == 0
    path = settings_of(desk)
    path.write_text('{"model": "opus", // mine\n "hooks": {}}')
    again = desk.join("claude", "--yes")
    assert (again.code, "Nothing changes" in again.out) == (0, False)
    assert "mcp__teamroom" in path.read_text()
    assert desk.leave("claude").code == 0
    assert path.read_text() == '{"model": "opus" // mine\n }'


@promise("WAK5")
def test_what_a_person_wrote_before_is_never_removed(desk: Desk) -> None:
    path = settings_of(desk)
    path.parent.mkdir()
    path.write_text('{"permissions": {"allow": ["mcp__teamroom"]}}')
    assert desk.join("claude", "--yes").code == 0
    value = json.loads(path.read_text())
    assert value["permissions"]["allow"] == ["mcp__teamroom"]
    path.write_text(json.dumps(value))  # changed, so nothing is restored
    assert desk.leave("claude").code == 0
    assert json.loads(path.read_text()) == {"permissions": {"allow": ["mcp__teamroom"]}}


@promise("WAK5")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_folders_share_a_file_and_each_leaves_with_its_own_entries(
    desk: Desk, order: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = desk.home / f"other{next(NUMBERS)}"
    other.mkdir()
    own = desk.home / ".claude.json"
    own.write_text('{\n  "numStartups": 5 // five\n}')
    before, folders = desk.files(), (desk.folder, other)
    for folder in folders:
        monkeypatch.chdir(folder)
        assert desk.join("claude", "--yes").code == 0
    both = own.read_text()
    assert all(f'"{folder}"' in both for folder in folders)
    monkeypatch.chdir(folders[order[0]])
    assert desk.leave().code == 0
    assert [f'"{folder}"' in own.read_text() for folder in folders] == [order[0] == 1, order[0] == 0]
    assert stat.S_IMODE((desk.home / ".claude" / "settings.json").stat().st_mode) == 0o600, "it has the other's token"
    monkeypatch.chdir(folders[order[1]])
    assert desk.leave().code == 0
    assert desk.files() == before


@promise("WAK5")
def test_a_file_of_join_alone_that_somebody_changed_is_left_as_it_is(desk: Desk) -> None:
    assert desk.join("opencode", "--yes").code == 0
    plugin = desk.folder / ".opencode" / "plugin" / "teamroom.js"
    plugin.write_text(plugin.read_text() + "// mine\n")
    left = desk.leave("opencode")
    assert (left.code, "changed since, so it is left as it is" in left.err) == (1, True)
    assert plugin.read_text().endswith("// mine\n")
    plugin.unlink()
    assert desk.leave("opencode").code == 0


@promise("WAK5")
def test_a_link_to_an_own_file_is_written_where_it_leads_and_stays_a_link(desk: Desk) -> None:
    dotfiles = desk.home / "dotfiles"
    dotfiles.mkdir()
    target, link = dotfiles / "qwen.json", desk.home / ".qwen" / "settings.json"
    target.write_text('{"a": 1}')
    link.parent.mkdir()
    link.symlink_to(target)
    before = desk.files()
    joined = desk.join("qwen", "--yes")
    assert f"(a link to {target})" in joined.out
    assert (link.is_symlink(), "teamroom" in target.read_text()) == (True, True)
    assert desk.leave("qwen").code == 0
    assert desk.files() == before


@promise("WAK5")
@pytest.mark.parametrize("is_link", [True, False])
def test_a_file_of_another_user_is_refused(desk: Desk, is_link: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    target, path = desk.home / "theirs.json", desk.home / ".qwen" / "settings.json"
    path.parent.mkdir()
    (target if is_link else path).write_text("{}")
    if is_link:
        path.symlink_to(target)
    monkeypatch.setattr(files, "user_id", lambda: os.geteuid() + 1)
    refused = desk.join("qwen", "--yes")
    assert (refused.code, "belongs to another user" in refused.err) == (1, True)
    assert path.read_text() == "{}"


@promise("WAK5")
def test_a_write_that_fails_changes_nothing_and_a_leave_cleans_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.files()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", lambda *words, **more: fail() if "src_dir_fd" not in more else
                      os.rename(*words, **more))  # fmt: skip
        failed = desk.join("gemini", "--yes")
    assert (failed.code, "cannot be written (No space left on device)" in failed.err) == (1, True)
    assert not any(name.endswith((".json", ".toml")) for name in desk.files())
    assert desk.leave("gemini").code == 0
    assert desk.files() == before


# ------------------------------------------------------------------ bad configs


def fifo(path: Path) -> None:
    os.mkfifo(path)


SOMEBODYS = '{"mcpServers": {"teamroom": {"url": "x"}}}'

BAD = {
    "broken": (lambda path: path.write_text('{"a": '), "line 1 is not JSON"),
    "text": (lambda path: path.write_text("hello"), "is not JSON"),
    "a list": (lambda path: path.write_text("[1]"), "its top is not an object"),
    "oversized": (lambda path: path.write_text(f'{{"a": "{"x" * files.CONFIG_BYTES}"}}'), "is larger than"),
    "UTF-16": (lambda path: path.write_text("{}", encoding="utf-16"), "is not UTF-8"),
    "a folder": (lambda path: path.mkdir(), "is not a file"),
    "a pipe": (fifo, "is not a file"),
    "a server of somebody": (lambda path: path.write_text(SOMEBODYS), "join did not write"),
    "no object": (lambda path: path.write_text('{"mcpServers": []}'), "mcpServers is not an object"),
    "a link to nowhere": (lambda path: path.symlink_to("/nowhere/at/all"), "whose folder does not exist"),
}  # fmt: skip


@promise("WAK5")
@pytest.mark.parametrize("kind", BAD)
def test_a_config_that_cannot_be_changed_ends_in_a_clear_line_and_nothing_is_written(desk: Desk, kind: str) -> None:
    make, why = BAD[kind]
    path = desk.home / ".qwen" / "settings.json"
    path.parent.mkdir()
    make(path)
    before, members = desk.files(), desk.members()
    refused = desk.join("qwen", "--yes")
    assert refused.code == 1
    assert str(path) in refused.err
    assert why in refused.err
    assert "Traceback" not in refused.err
    assert desk.files() == before
    assert desk.members() == members, "nobody was enrolled for it"


@promise("WAK5")
def test_a_config_that_cannot_be_read_is_left_as_it_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opens = desk.home / ".qwen" / "settings.json", os.open
    path.parent.mkdir()
    path.write_text("{}")

    def refuse(name: Any, *words: Any, **more: Any) -> int:
        if name == path:  # as the system does; root may read every file
            raise PermissionError(13, "Permission denied")
        return opens(name, *words, **more)

    monkeypatch.setattr(files.os, "open", refuse)
    refused = desk.join("qwen", "--yes")
    assert (refused.code, "cannot be read (Permission denied)" in refused.err) == (1, True)


@promise("WAK5")
def test_of_several_harnesses_those_with_good_configs_join(desk: Desk) -> None:
    (desk.home / ".qwen").mkdir()
    (desk.home / ".qwen" / "settings.json").write_text("{")
    done = desk.join("qwen", "gemini", "--yes")
    assert (done.code, "is not JSON" in done.err, "Gemini CLI has joined" in done.out) == (1, True, True)


# ------------------------------------------------------------------ identity and secrets


@promise("ID1")
def test_one_identity_for_each_harness_and_folder_stays_after_a_leave(
    desk: Desk, opened: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"claude-{desk.folder.name}"
    assert f"@{name} (a new member)" in desk.join("claude", "--yes").out
    token = opened.folder / "members" / f"{name}.token"
    first = token.read_text()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    (member,) = desk.shell.now("roster", name, "--json").json["members"]
    assert (member["owner"], member["kind"]) == ("olga", "agent")
    assert f"@codex-{desk.folder.name}" in desk.join("codex", "--yes").out
    assert desk.leave("claude").code == 0
    assert not token.exists()
    rejoined = desk.join("claude", "--yes")
    assert f"as @{name}.\n" in rejoined.out
    assert token.read_text() != first
    (desk.home / "b").mkdir()
    monkeypatch.chdir(desk.home / "b")
    assert "@claude-b" in desk.join("claude", "--yes").out


@promise("ID1")
def test_a_name_that_a_member_has_is_never_taken(desk: Desk) -> None:
    name = f"claude-{desk.folder.name}"
    assert desk.shell.now("enroll", name).code == 0
    assert f"@{name}-2 (a new member)" in desk.join("claude", "--dry-run").out
    assert desk.shell.now("kill", name, "--reason", "x", "--yes").code == 0
    killed = desk.join("claude", "--as", name, "--yes")
    assert (killed.code, f"teamroom enroll {name} --revive" in killed.err) == (1, True)
    assert "is not a valid member name" in desk.join("claude", "--as", "a b", "--yes").err
    assert "several harnesses" in desk.join("claude", "codex", "--as", "x", "--yes").err


@promise("ID1")
def test_a_member_whose_token_is_saved_joins_with_it_and_keeps_it(desk: Desk, opened: Up) -> None:
    name = f"builder-{desk.folder.name}"
    assert desk.shell.now("enroll", name, "--save").code == 0
    token = opened.folder / "members" / f"{name}.token"
    before = token.read_text()
    assert desk.join("codex", "--as", name, "--yes").code == 0
    assert "Its token is still valid." in desk.leave("codex").out
    assert token.read_text() == before


@promise("SAF1")
@pytest.mark.parametrize("harness", WRITTEN, ids=keys(WRITTEN))
def test_a_token_is_only_in_private_files_outside_of_repositories_and_never_shown(desk: Desk, harness: Harness) -> None:
    subprocess.run(["git", "init", "-q", str(desk.folder)], check=True)
    done = desk.join(harness.key, "--yes")
    assert done.code == 0, done.err
    assert not TOKEN.search(done.out + done.err)
    for name, (mode, content) in desk.files().items():
        if isinstance(content, bytes) and TOKEN.search(content.decode()):
            assert (mode, name) == (0o600, ".claude/settings.json")
    record = desk.home / ".local" / "state" / "teamroom" / "joined.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert desk.leave("--all").code == 0


@promise("SAF1")
def test_settings_in_a_repository_get_no_token_and_the_hook_is_a_command(desk: Desk) -> None:
    subprocess.run(["git", "init", "-q", str(desk.home)], check=True)
    assert desk.join("claude", "--yes", "--unattended").code == 0
    assert not (desk.home / ".claude").exists()
    (hook,) = json.loads(settings_of(desk).read_text())["hooks"]["PreToolUse"]
    assert hook["hooks"][0]["command"].startswith(f"{TEAMROOM} gate --format claude --unattended --as claude-")


@promise("SAF7")
def test_an_agent_cannot_join_as_its_owner(desk: Desk) -> None:
    for variable in ("CLAUDECODE", "QWEN_CODE", "TEAMROOM_AGENT"):
        refused = desk.shell.with_(**{variable: "1"}).now("join", "claude", "--yes")
        assert (refused.code, "agent's session" in refused.err) == (3, True)
    assert desk.files() == {desk.folder.name: (0o755, "")}


# ------------------------------------------------------------------ what is written


@house
def test_attended_sessions_go_on_without_a_room_and_unattended_ones_are_blocked(desk: Desk) -> None:
    assert desk.join("claude", "codex", "vibe", "--yes", "--attended").code == 0
    ((gate,),) = [group["hooks"] for group in json.loads(settings_of(desk).read_text())["hooks"]["PreToolUse"]]
    assert gate["type"] == "command", "it refuses what waits for a person, and nothing else, while no room answers"
    assert " gate --format claude --as " in gate["command"]
    assert "--unattended" not in gate["command"]
    assert "--unattended" not in (desk.folder / ".codex" / "hooks.json").read_text()
    assert desk.join("claude", "codex", "vibe", "--yes", "--unattended").code == 0
    ((gate,),) = [group["hooks"] for group in json.loads(settings_of(desk).read_text())["hooks"]["PreToolUse"]]
    assert gate["url"].endswith("/hooks/claude")
    assert gate["onFailure"] == "block"
    assert " --format codex --unattended " in (desk.folder / ".codex" / "hooks.json").read_text()
    hooks = tomllib.loads((desk.home / ".vibe" / "hooks.toml").read_text())["hooks"]
    assert [(hook["type"], hook.get("strict")) for hook in hooks] == [
        ("pre_tool", True), ("post_tool", None), ("post_agent", None)
    ]  # fmt: skip
    assert not any("--once" in hook["command"] for hook in hooks), "no hook keeps a run from ending"
    assert "SessionStart" not in json.loads(settings_of(desk).read_text())["hooks"]
    assert "Nothing changes" in desk.join("claude", "--yes").out, "how it was joined is remembered"


@house
def test_join_says_where_nothing_stops_local_tools(desk: Desk) -> None:
    for key in ("cline", "continue", "nanocoder", "gptme"):
        assert "Nothing stops its local tools" in desk.join(key, "--yes").out
    assert "fails open" in desk.join("qwen", "--yes").out


@promise("WAK5")
@pytest.mark.parametrize("key", HARNESSES)
def test_print_and_dry_run_change_nothing(desk: Desk, key: str) -> None:
    members = desk.members()
    printed = desk.join(key, "--print")
    assert printed.code == 0, printed.err
    assert any(word in printed.out for word in ("connect", "/mcp"))
    assert f"({HARNESSES[key].how_tried})" in printed.out
    if not HARNESSES[key].is_chat:
        assert desk.join(key, "--dry-run").code == 0
    assert desk.files() == {desk.folder.name: (0o755, "")}
    assert desk.members() == members


@promise("WAK5")
def test_print_shows_each_file_with_its_hooks_as_a_join_writes_it(desk: Desk) -> None:
    for key, event in (("claude", "PreToolUse"), ("gemini", "BeforeTool"), ("vibe", "pre_tool")):
        printed = desk.join(key, "--unattended", "--as", "it", "--print")
        assert "gate --format" in printed.out or "/hooks/claude" in printed.out
        files = desk.join(key, "--unattended", "--as", "it", "--print", "--json").json["entries"][0]["files"]
        assert all(file["path"] in printed.out and file["text"] in printed.out for file in files)
        assert event in "".join(file["text"] for file in files)
        assert desk.join(key, "--unattended", "--as", "it", "--yes").code == 0
        for file in files:
            there = TOKEN.sub("tr_…", Path(file["path"]).read_text().strip())
            assert there == file["text"], "it is what a join writes"
        assert desk.leave(key).code == 0
    assert "it would be this" not in desk.join("langchain", "--print").out, "it has no files"


@promise("ID1")
def test_a_harness_never_joins_as_a_person_and_that_is_said_before_anything_is_shown(desk: Desk) -> None:
    for words in ((), ("--yes",), ("--dry-run",)):
        refused = desk.join("claude", "--as", "olga", *words)
        assert (refused.code, refused.out) == (2, "")
    assert "@olga is a person, and a harness joins as an agent." in refused.err
    assert "@builder (a new member)" in desk.join("claude", "--as", "builder", "--dry-run").out
    assert desk.files() == {desk.folder.name: (0o755, "")}


@promise("ID1")
def test_a_join_says_before_it_writes_that_the_harness_is_not_on_the_machine(desk: Desk, tmp_path: Path) -> None:
    words = ("qwen", "--dry-run")
    assert "There is no qwen on your PATH" in desk.join(*words).out
    program = tmp_path / "bin" / "qwen"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    installed = desk.shell.with_(PATH=f"{program.parent}:{desk.shell.environment['PATH']}")
    assert "on your PATH" not in installed.now("join", *words).out
    assert "on your PATH" not in desk.join("vscode", "--dry-run").out, "no command starts an editor for a wake"


@promise("ID1")
def test_a_client_that_join_cannot_write_gets_its_entry_and_a_member(desk: Desk, opened: Up) -> None:
    done = desk.join("langchain", "--yes")
    name = f"langchain-{desk.folder.name}"
    assert f"{opened.folder}/members/{name}.token" in done.out
    assert (opened.folder / "members" / f"{name}.token").exists()
    assert "not tried" in done.out
    assert desk.leave("langchain").code == 0
    assert "a person's client" in desk.join("goose", "--yes").err


# ------------------------------------------------------------------ the questions


@promise("CTL7")
def test_without_a_terminal_or_a_yes_nothing_is_written(desk: Desk) -> None:
    refused = desk.join("claude")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert "No harness was found" in desk.join("--yes").err
    (desk.home / ".codex").mkdir()
    assert "No harness works in this folder" in desk.join("--yes").err
    assert "is not a harness that join knows" in desk.join("emacs", "--yes").err
    assert "remove that by hand" in desk.leave().err


@promise("CTL7")
def test_a_person_answers_three_questions_and_only_the_harness_of_the_folder_is_preselected(desk: Desk) -> None:
    (desk.home / ".qwen").mkdir()
    (desk.folder / ".codex").mkdir()
    done = desk.shell.on_terminal("join", answer="\ny\ny", asked="Which join the room?", columns=120)
    assert done.code == 0, done.out
    assert "[codex]" in done.out
    assert [done.out.count(mark) for mark in ("Which join", "Does a person attend", "Write this?")] == [1, 1, 1]
    assert "Questions asked: 3." in done.out
    assert (desk.folder / ".codex" / "config.toml").exists()
    assert not (desk.home / ".qwen" / "settings.json").exists()


@promise("CTL7")
def test_a_no_writes_nothing(desk: Desk) -> None:
    done = desk.shell.on_terminal("join", "codex", "--attended", answer="n", asked="Write this?")
    assert (done.code, "Nothing was written" in done.out) == (1, True)
    assert desk.files() == {desk.folder.name: (0o755, "")}


@promise("CTL7")
def test_the_harness_that_runs_the_shell_is_the_preselected_one(desk: Desk, opened: Up) -> None:
    (desk.folder / ".codex").mkdir()
    owner = (opened.folder / "owner.token").read_text().strip()
    shell = desk.shell.with_(QWEN_CODE="1", TEAMROOM_TOKEN=owner)
    assert [one["harness"] for one in shell.now("join", "--dry-run", "--json").json["joined"]] == ["qwen"]


@promise("WAK5")
def test_one_join_runs_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(desk.home))
    with locked():
        refused = desk.join("claude", "--yes")
    assert (refused.code, "Another join or leave" in refused.err) == (1, True)


@promise("WAK5")
def test_a_leave_whose_record_is_lost_names_each_file_that_still_leads_to_the_room(desk: Desk) -> None:
    assert desk.join("codex", "--attended", "--yes").code == 0
    (desk.folder / "opencode.json").write_text('{"instructions": ["teamroom.md"]}')
    (record,) = desk.home.rglob("joined.json")
    record.unlink()
    for words in ((), ("codex",)):
        refused = desk.leave(*words)
        assert refused.code == 1
        for name in ("config.toml", "hooks.json"):
            assert str(desk.folder / ".codex" / name) in refused.err
        assert "opencode.json" not in refused.err, "it has no entry of the room"
        assert "revoke NAME --label join" in refused.err
    assert "remove that by hand" in desk.leave("gemini").err


@promise("WAK5")
def test_a_leave_without_the_room_removes_the_entries_and_says_that_the_token_is_valid(desk: Desk) -> None:
    before = desk.files()
    assert desk.join("claude", "--yes").code == 0
    left = desk.shell.now("leave", "--url", "http://127.0.0.1:9")
    assert (left.code, "still valid, because the room could not be asked" in left.out) == (1, True)
    assert desk.files() == before
