"""The shell against real rooms: what it prints, where it prints it, and the codes it ends with."""

import asyncio
import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
import typer.main
from rich.cells import cell_len

from teamroom.clients.session.spans import until
from teamroom.clients.session.terminal import plain, quoted, quoted_lines
from teamroom.clients.shell.main import app
from teamroom.clients.shell.run import without_tokens
from teamroom.clients.shell.tree import command_tree
from teamroom.clients.shell.wording import COMMANDS, with_commands
from teamroom.server.rules.joining import READ_TOKEN
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import ESCAPE, STEP_SECONDS, TEAMROOM, TOKEN, Shell, free_port, leaves, token_file, up

pytestmark = house

STEERING = "\x1b]0;owned\x07 \x1b[31mred \u202egnp.exe \u200b[bold]x[/bold] \r\x9b2J"


@pytest.fixture
async def shell(room: RunningRoom) -> Shell:
    """The owner's shell beside a room in this process."""
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


async def busy_board(room: RunningRoom) -> None:
    """A task in every state, one with a long title, one with words that look like markup."""
    builder, reviewer = await room.enroll("builder", "reviewer", mode="live")
    owner = await room.owner()
    for title in ("Fix it", "A title that is far longer than any terminal of eighty columns will ever have room for",
                  "Update [bold]docs[/bold]", "Deploy", "日本語のタイトルも揃う", "Wait"):  # fmt: skip
        await owner("create_task", title=title, priority=5 if title == "Deploy" else 0)
    await builder("claim_task", task="T-1")
    fence = (await builder("claim_task", task="T-2"))["fence"]
    await builder("update_task", task="T-2", fence=fence, status="blocked", blocked_on="@olga", note="the password")
    fence = (await reviewer("claim_task", task="T-3"))["fence"]
    evidence = [{"kind": "test", "ref": "pytest: 3 passed"}]
    await reviewer("complete_task", task="T-3", fence=fence, summary="done", evidence=evidence)
    fence = (await reviewer("claim_task", task="T-4"))["fence"]
    await reviewer("hand_off", task="T-4", fence=fence, to="builder", note="please")


# ------------------------------------------------------------------ the console script and a real `up`


def test_the_console_script_does_its_work_in_the_room_that_up_serves(tmp_path: Path) -> None:
    with up(tmp_path / "room", "--owner", "olga") as room:
        run = room.shell.run
        enrolled = run("enroll", "builder", "--kind", "agent", "--mode", "live", "--json").json
        assert enrolled["name"] == "builder"
        assert TOKEN.fullmatch(enrolled["token"])
        assert enrolled["url"] == f"{room.url}/mcp"
        assert run("verify", "--json").json["good"] is True
        kill = run("kill", "builder", "--reason", "enough", "--yes", "--json")
        assert kill.json["standing"] == "killed"
        assert kill.err == ""


async def test_each_reading_command_prints_one_json_value(room: RunningRoom, shell: Shell) -> None:
    await busy_board(room)
    board = (await shell.here("board", "--json")).json
    assert [task["task"] for task in board["tasks"]] == [f"T-{n}" for n in range(1, 7)]
    assert [t["task"] for t in (await shell.here("board", "--state", "open", "--json")).json["tasks"]] == ["T-5", "T-6"]
    assert [t["task"] for t in (await shell.here("board", "--query", "deploy", "--json")).json["tasks"]] == ["T-4"]
    assert (await shell.here("board", "T-2", "--json")).json["task"]["waiting_for"] == "@olga"
    assert len((await shell.here("roster", "--json")).json["members"]) == 3
    assert [m["name"] for m in (await shell.here("roster", "@builder", "--json")).json["members"]] == ["builder"]
    assert (await shell.here("roster", "--capability", "tool:docker", "--json")).json["members"] == []
    found = (await shell.here("receipts", "--act", "claim_task", "--actor", "builder", "--json")).json["receipts"]
    assert [receipt["subject"] for receipt in found] == ["T-1", "T-2"]


async def test_the_stream_is_read_from_its_end_or_after_a_number_in_order_and_once(
    room: RunningRoom, shell: Shell
) -> None:
    owner = await room.owner()
    for number in range(120):
        await owner("post_message", text=f"message {number}")
    whole = (await shell.here("stream", "--after", "0", "--limit", "1000", "--json")).json
    numbers = [entry["seq"] for entry in whole["entries"]]
    assert numbers == list(range(1, 123))
    assert [e["seq"] for e in (await shell.here("stream", "--limit", "3", "--json")).json["entries"]] == numbers[-3:]
    page = (await shell.here("stream", "--after", "10", "--limit", "2", "--json")).json
    assert ([e["seq"] for e in page["entries"]], page["cursor"]) == ([11, 12], 12)
    end = (await shell.here("stream", "--after", "122", "--json")).json
    assert end == {"entries": [], "cursor": 122}
    assert (await shell.here("stream", "--after", "120")).out.splitlines()[0].endswith("“message 118”")


async def test_a_followed_stream_shows_each_new_entry_on_one_line(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()

    process = await asyncio.create_subprocess_exec(
        TEAMROOM, "stream", "--follow", "--after", "2", "--json",
        env=shell.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for number in range(2):
            await owner("post_message", text=f"message {number}")
            entry = json.loads(await asyncio.wait_for(process.stdout.readline(), BOUND_SECONDS))
            assert entry["line"].endswith(f"“message {number}”")
    finally:
        process.terminate()
        await process.communicate()


async def test_a_followed_stream_shows_folded_notes_together(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(room.room.settings.notes_per_hour):
        after = (await builder("post_message", text=f"note {number}"))["receipt"]
    process = await asyncio.create_subprocess_exec(
        TEAMROOM, "stream", "--follow", "--after", str(after), "--json",
        env=shell.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for number in range(3):
            await builder("post_message", text=f"folded {number}")
        await asyncio.sleep(2.5)  # the follower reads on meanwhile, and shows nothing yet
        await builder("post_message", text="folded too")
        await owner("post_message", text="stop it")
        lines = [json.loads(await asyncio.wait_for(process.stdout.readline(), BOUND_SECONDS)) for _ in range(2)]
        assert [line["line"] for line in lines] == ["… and 4 more notes of @builder", "@olga note: “stop it”"]
    finally:
        process.terminate()
        await process.communicate()


# ------------------------------------------------------------------ members and the switch


@promise("ID4")
async def test_a_token_is_shown_once_with_the_lines_that_join(room: RunningRoom, shell: Shell) -> None:
    done = await shell.here("enroll", "builder")
    [token] = TOKEN.findall(done.out)
    assert f"\n  {token}\n" in done.out
    assert f"\n  {READ_TOKEN}\n" in done.out
    assert f"codex mcp add teamroom --url {room.url}/mcp" in done.out
    assert TOKEN.search(done.err) is None
    mine = shell.with_(TEAMROOM_TOKEN=token)
    assert (await mine.here("board")).code == 0
    again = await shell.here("enroll", "builder", "--rotate", "--json")
    assert again.json["token"] != token
    assert (await mine.here("board")).code == 3


def typed_into_bash(folder: Path, *lines: str) -> tuple[str, str]:
    """What an interactive shell printed, and the history that it kept, of lines that a person typed."""
    history = folder / "history"
    subprocess.run(
        ["bash", "--norc", "--noprofile", "-i"], input="\n".join([*lines, "exit", ""]), text=True, timeout=STEP_SECONDS,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "HISTFILE": str(history), "SHOWN": str(folder / "shown")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return (folder / "shown").read_text(), history.read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
async def test_the_lines_that_enroll_prints_leave_no_token_in_the_shells_history(
    room: RunningRoom, shell: Shell, tmp_path: Path
) -> None:
    token, read_line = (line.strip() for line in (await shell.here("enroll", "builder")).out.splitlines()[2:7:4])
    show = 'printenv TEAMROOM_TOKEN > "$SHOWN"'
    shown, history = typed_into_bash(tmp_path, read_line, token, show)
    assert shown.strip() == token
    assert read_line in history
    assert token not in history
    shown, history = typed_into_bash(tmp_path, f"export TEAMROOM_TOKEN={token}", show)
    assert token in history, "the twin: typed as a command, it stays there"

    saved = (await shell.here("enroll", "builder", "--rotate", "--save")).out
    read_line = saved.splitlines()[-1].partition(": ")[2]
    shown, history = typed_into_bash(tmp_path, read_line, show)
    assert shown == (room.folder / "members" / "builder.token").read_text()
    assert shown.strip() not in history


@promise("ID4")
async def test_a_saved_token_is_in_a_private_file_and_is_not_printed(room: RunningRoom, shell: Shell) -> None:
    for words in ((), ("--rotate", "--json")):
        done = await shell.here("enroll", "builder", "--save", *words)
        path = room.folder / "members" / "builder.token"
        assert TOKEN.search(done.out + done.err) is None
        assert str(path) in done.out
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (await shell.here("board", "--token-file", str(path))).code == 0


@promise("ID4")
async def test_a_token_that_cannot_be_saved_is_not_issued(room: RunningRoom, shell: Shell) -> None:
    (room.folder / "members").write_text("in the way")
    before = len(room.entries())
    done = await shell.here("enroll", "builder", "--save")
    assert done.code == 1
    assert len(room.entries()) == before


async def test_the_options_of_enroll_reach_the_room(room: RunningRoom, shell: Shell) -> None:
    await shell.here("enroll", "hugo", "--kind", "human", "--role", "operator")
    words = ("--owner", "hugo", "--mode", "every:600", "--label", "night", "--expires", "30d", "--json")
    assert (await shell.here("enroll", "builder", *words)).json["label"] == "night"
    [builder] = (await shell.here("roster", "builder", "--json")).json["members"]
    assert (builder["owner"], builder["mode"]) == ("hugo", "every:600")
    room.time.forward(30 * 86_400 + 1)
    revoked = await shell.here("revoke", "builder", "--label", "night")
    assert revoked.code == 1, "the token is over"


@pytest.mark.parametrize("span", ["", "soon", "-1", "0", "1y", "1e3", "١٢"])
async def test_a_malformed_span_is_refused_as_a_usage_error(shell: Shell, span: str) -> None:
    assert (await shell.here("pause", "room", "--reason", "x", f"--for={span}")).code == 2


async def test_a_pause_stops_a_member_and_a_resume_lets_it_act_again(room: RunningRoom, shell: Shell) -> None:
    [builder] = await room.enroll("builder")
    assert "builder is paused until " in (await shell.here("pause", "builder", "--reason", "x", "--for", "2h")).out
    mine = shell.with_(TEAMROOM_TOKEN=room.tokens["builder"])
    paused = await mine.here("board")
    assert paused.code == 4
    assert paused.err.startswith("Refused (paused): You are paused by @olga")
    assert "\nFix: Stop working and wait." in paused.err
    assert "builder is active" in (await shell.here("resume", "builder", "--reason", "go on")).out
    assert (await builder("check_in"))["standing"] == "active"


@promise("CTL7")
async def test_kill_without_a_terminal_needs_yes_and_does_nothing_without(room: RunningRoom, shell: Shell) -> None:
    [builder] = await room.enroll("builder")
    before = len(room.entries())
    asked = await shell.process("kill", "builder", "--reason", "enough")
    assert asked.code == 2
    assert "--yes" in asked.err
    assert len(room.entries()) == before
    assert (await builder("heartbeat"))["standing"] == "active"
    assert (await shell.process("kill", "builder", "--reason", "enough", "--yes")).code == 0
    dead = await shell.with_(TEAMROOM_TOKEN=room.tokens["builder"]).here("board", "--json")
    assert dead.code == 3
    assert dead.json["code"] == "killed"


@promise("CTL7")
async def test_kill_on_a_terminal_names_the_member_and_asks(room: RunningRoom, shell: Shell) -> None:
    [builder] = await room.enroll("builder")

    async def kill(answer: str) -> tuple[int, str]:
        done = await asyncio.to_thread(
            shell.on_terminal, "kill", "builder", "--reason", "enough", answer=answer, asked="Kill @builder?"
        )
        return done.code, " ".join(done.out.split())

    code, shown = await kill("n")
    assert code == 1
    assert "@builder (agent of @olga, member) will be killed: its tokens are revoked" in shown
    assert "was not killed" in shown
    assert (await builder("heartbeat"))["standing"] == "active"
    code, shown = await kill("y")
    assert (code, "builder is killed" in shown) == (0, True)


# ------------------------------------------------------------------ refusals and exit codes


async def test_a_refusal_is_printed_on_standard_error_and_with_an_option_as_json(shell: Shell) -> None:
    done = await shell.here("board", "T-99")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "Refused (not_found): There is no task T-99 in this room.\nFix: Run `teamroom board` to see the tasks.\n"
        "You called as @olga, with the token from the room's folder "
        f"({shell.variables['TEAMROOM_DATA']}/owner.token).\n"
    )
    as_json = await shell.here("board", "T-99", "--json")
    assert as_json.json["code"] == "not_found"
    assert as_json.json["fix"] == "Call read_board to see the tasks.", "a program reads what the room said"
    assert as_json.err == done.err


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("pause", "nobody", "--reason", "x"), "Run `teamroom roster` without a name to see all members."),
        (("roster", "nobody"), "Run `teamroom roster` without a name to see all members."),
        (("redact", "M-99", "--reason", "x"), "Run `teamroom stream` or `teamroom board` to see the ids."),
        (("redact", "99999", "--reason", "x"), "Run `teamroom receipts` to see the numbers of entries."),
        (("plant", "repo:acme/api", "--remove"), "Run `teamroom plant` to see what is planted."),
        (("kill", "room", "--reason", "x", "--yes"), "Run `teamroom pause` with target room instead."),
        (("board", "--state", "lost"), "Run `teamroom board --help` to see its options."),
    ],
)
async def test_the_fix_of_a_refusal_names_commands_of_the_shell(shell: Shell, words: tuple[str, ...], fix: str) -> None:
    done = await shell.here(*words)
    assert done.err.partition("\nFix: ")[2].partition("\nYou called as @olga, with the token from ")[0] == fix


@pytest.mark.parametrize(
    "fix",
    [
        "Call again once it is resumed.",
        "Enroll it: teamroom enroll who --kind human",
        "Ask @read_board, who pauses it; it reaches repo:read_board and tool:who-is.",
        "Ask whoever takes it to call declare_capabilities first.",
    ],
)
def test_words_that_name_no_command_of_the_shell_stay_as_they_are(fix: str) -> None:
    assert with_commands(fix) == fix


async def test_receipts_of_an_unknown_member_are_refused_and_those_of_an_idle_one_are_empty(
    room: RunningRoom, shell: Shell
) -> None:
    await room.enroll("quiet")
    mistyped = await shell.here("receipts", "--actor", "quite")
    assert (mistyped.code, mistyped.out) == (1, "")
    assert mistyped.err == (
        "Refused (not_found): There is no member “@quite” in this room.\n"
        "Fix: Call again with @quiet if you mean that member. "
        "Run `teamroom roster` without a name to see all members.\n"
        f"You called as @olga, with the token from the room's folder ({room.folder / 'owner.token'}).\n"
    )
    quiet = await shell.here("receipts", "--actor", "@quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    owner = (await shell.here("receipts", "--actor", "@olga", "--json")).json["receipts"]
    assert owner
    assert {entry["actor"] for entry in owner} == {"olga"}
    itself = await shell.here("receipts", "--actor", "room")
    assert (itself.code, itself.err) == (0, ""), "the room acts, too"


async def test_every_command_that_a_fix_names_is_one_of_the_shell_and_every_tool_one_of_the_room(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    tools = {tool.name for tool in (await owner.client.list_tools()).tools}
    commands = {*leaves(typer.main.get_command(app))}
    assert set(COMMANDS.values()) <= commands
    assert {tool for tool in COMMANDS if "://" not in tool} <= tools


def described(command: Any) -> Any:
    """What a command is, with its subcommands in order."""
    fixed = type(command), command.name, command.help, getattr(command, "rich_help_panel", None), command.hidden
    parameters = [(one.name, one.opts, one.required, one.default, one.metavar) for one in command.params]
    inner = {name: described(one) for name, one in getattr(command, "commands", {}).items()}
    return fixed, parameters, list(inner.items())


def test_the_tree_of_commands_is_typers_and_a_command_line_builds_only_its_own_command() -> None:
    assert described(command_tree(app)) == described(typer.main.get_command(app))
    for line in (["roster", "--help"], ["task", "add", "--help"]):
        tree = command_tree(app)
        with pytest.raises(SystemExit):
            tree(line)
        assert list(tree.commands.built) == line[:1]


def bad_options(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Each command with each of its options that takes a number or a word of a list, and a value that it does not take.

    Numbers have a longest and a shortest one.
    """
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from bad_options(command, *path, name)
            continue
        for one in command.params:
            kind = one.type_descriptor.annotation
            if one.param_type_name != "option" or not (kind in (int, float) or get_origin(kind) is Literal):
                continue
            ends = [] if one.min is None else [f"{one.min - 1}"]
            ends += [] if one.max is None else [f"{one.max + 1}"]
            for value in ("abc", *ends):
                yield (*path, name, f"{one.opts[0]}={value}")


@pytest.mark.parametrize("words", list(bad_options(typer.main.get_command(app))), ids=" ".join)
def test_a_bad_value_of_an_option_is_refused_in_words_that_are_not_a_librarys(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path)}).now(*words)
    assert done.code == 2
    assert "Invalid value" in done.err
    for foreign in ("Input should", "Value error", "unable to parse", "Traceback"):
        assert foreign not in done.err


async def test_the_exit_code_says_why_a_command_failed(room: RunningRoom, shell: Shell, tmp_path: Path) -> None:
    await room.enroll("builder")
    nowhere = f"http://127.0.0.1:{free_port()}"
    wrong = token_file(tmp_path / "wrong", "tr_" + "0" * 64)
    agent = shell.with_(TEAMROOM_TOKEN=room.tokens["builder"])
    cases: list[tuple[Shell, tuple[str, ...], int, str]] = [
        (shell, ("roster",), 0, ""),
        (shell, ("pause", "nobody", "--reason", "x"), 1, "Refused (not_found)"),
        (shell, ("board", "--state", "lost"), 1, "Refused (invalid)"),
        (shell, ("board", "--url", nowhere), 1, f"No room answers at {nowhere}/mcp."),
        (shell, ("no-such-command",), 2, ""),
        (shell, ("kill", "builder"), 2, "--reason"),
        (shell, ("stream", "--limit", "0"), 2, ""),
        (shell, ("board", "--url", "file:///etc/passwd"), 2, "is not the address of a room"),
        (shell, ("enroll", "builder", "--rotate", "--revive"), 2, ""),
        (shell, ("board", "--token-file", str(wrong)), 3, "Refused (not_allowed)"),
        (agent, ("enroll", "another"), 3, "Refused (not_allowed)"),
        (agent, ("receipts",), 3, "Refused (not_allowed)"),
    ]
    for who, words, code, said in cases:
        done = await who.here(*words)
        assert (words, done.code) == (words, code)
        assert said in done.err
        assert "Traceback" not in done.err
        assert TOKEN.search(done.out + done.err) is None


async def test_a_server_that_is_not_a_room_is_reported_in_words(tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        shell = Shell(tmp_path, {"TEAMROOM_TOKEN": "tr_" + "0" * 64, "TEAMROOM_URL": url})
        done = await shell.here("board")
    assert done.code == 1
    assert "Fix: " in done.err
    assert "internal error" not in done.err


def test_a_token_in_an_unexpected_error_is_replaced() -> None:
    token = "tr_" + "ab" * 32
    assert token not in without_tokens(f"header Bearer {token}, {token}")
    assert without_tokens("no token here") == "no token here"


# ------------------------------------------------------------------ how it looks


async def test_output_in_a_pipe_is_aligned_and_has_no_colours(room: RunningRoom, shell: Shell) -> None:
    await busy_board(room)
    wishing = shell.with_(FORCE_COLOR="1", CLICOLOR_FORCE="1", TERM="xterm-256color", COLUMNS="40")
    board = (await wishing.process("board")).out
    assert ESCAPE.search(board) is None
    lines = board.splitlines()
    assert len(lines) == 6
    assert lines[1].split()[:5] == ["T-2", "blocked", "@builder", "live,", "no"]
    assert lines[1].endswith("“A title that is far longer than any terminal of eighty columns will ever have room for”")
    assert lines[2].endswith("“Update [bold]docs[/bold]”")
    where = {
        cell_len(line[: line.index(title)]) for line, title in zip(lines, ("Fix", "A title", "Update"), strict=False)
    }
    assert len(where) == 1, "the titles do not stand under each other"
    for command in (("roster",), ("stream",), ("receipts",), ("board", "T-2"), ("--help",), ("board", "--nonsense")):
        done = await wishing.here(*command)
        assert ESCAPE.search(done.out + done.err) is None


async def test_on_a_terminal_the_board_has_colours_and_every_task_one_line_of_eighty_columns(
    room: RunningRoom, shell: Shell
) -> None:
    await busy_board(room)

    def shown(**variables: str) -> str:
        return shell.with_(**variables).on_terminal("board").out

    coloured = await asyncio.to_thread(shown)
    assert "\x1b[31m" in coloured
    lines = ESCAPE.sub("", coloured).splitlines()
    assert max(cell_len(line) for line in lines) <= 80
    for number in range(1, 7):
        assert sum(line.startswith(f"T-{number} ") for line in lines) == 1
    sections = ("blocked 1", "offered 1", "in review 1", "claimed 1", "open 2")
    assert [line.strip() for line in lines if line.strip() in sections] == list(sections)
    assert "Update [bold]docs[/bold]" in coloured
    assert "▇" in lines[0]
    without = await asyncio.to_thread(lambda: shown(NO_COLOR="1"))
    assert ESCAPE.search(without) is None
    assert "T-1" in without


async def test_the_reminders_of_a_task_are_shown_in_the_words_that_agents_read(room: RunningRoom, shell: Shell) -> None:
    (holder,) = await room.enroll("holder", mode="live")
    owner = await room.owner()
    await holder("create_task", title="paint")
    await holder("claim_task", task="T-1")
    assert "reminder" not in (await shell.here("board", "T-1")).out, "the twin: nothing was due yet"
    await owner("pause", target="holder", reason="lunch")
    for _ in range(3):
        await room.later(1800)
    _, words, _ = await owner.said("read_board", task="T-1")
    lines = words.partition("Reminders:\n")[2].partition("\nHistory:")[0].splitlines()
    assert lines, words
    assert all(line.endswith("of @holder: silent, the member is paused") for line in lines), words
    shown = (await shell.here("board", "T-1")).out.splitlines()
    assert [f"- {line.split(maxsplit=1)[1]}" for line in shown if line.startswith("  reminder ")] == lines


@promise("SAF2")
async def test_texts_of_members_are_shown_as_text_in_every_view(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    await owner("create_task", title="[red]x[/red] [link=file:///etc]y[/link] :bomb:", detail="[bold]\n  two\n\ttabs")
    await owner("post_message", text="[blink]look[/blink]")
    views = (("board",), ("board", "T-1"), ("stream",), ("receipts",))
    piped = [await shell.here(*words) for words in views]
    shown = await asyncio.gather(*(asyncio.to_thread(shell.on_terminal, *words) for words in views))
    for done in (*piped, *shown):
        assert "[red]x[/red]" in ESCAPE.sub("", done.out)
        assert "\x1b[5m" not in done.out
        assert "\x1b]8" not in done.out
    assert all(":bomb:" in done.out for done in (*piped[:2], *shown[:2]))


@promise("SAF2")
def test_characters_that_control_a_terminal_are_printed_as_escapes() -> None:
    shown = plain(STEERING)
    assert all(character.isprintable() for character in shown)
    assert "\\x1b]0;owned\\x07" in shown
    assert "\\u202e" in shown
    assert "[bold]x[/bold]" in shown
    assert plain("a\nb\tc") == "a b c"
    assert plain("Müller 日本 \ud800") == "Müller 日本 \\ud800"
    assert quoted_lines("a\n  b\x1b[2J\n") == ["> a", ">   b\\x1b[2J", "> "]
    assert (quoted("a”\x1b b"), quoted("")) == ('“a"\\x1b b”', "")


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (61, "1 min"), (3600, "60 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_spans_are_written_in_few_words(seconds: float, words: str) -> None:
    assert until("1970-01-01T00:00:00Z", now=-seconds) == words


async def test_a_reader_that_leaves_a_pipe_early_causes_no_traceback(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    for number in range(30):
        await owner("create_task", title=f"task {number} " + "x" * 180)
    process = await asyncio.create_subprocess_exec(
        TEAMROOM, "board", env=shell.environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=16,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    transport: Any = process.stdout._transport  # type: ignore[attr-defined]
    transport.close()
    words = await asyncio.wait_for(process.stderr.read(), BOUND_SECONDS)
    await process.wait()
    assert b"Traceback" not in words


async def test_help_names_every_command(shell: Shell) -> None:
    done = await shell.here("--help")
    assert done.code == 0
    for command in ("up", "enroll", "revoke", "pause", "resume", "kill", "board", "stream", "roster", "receipts",
                    "verify", "doctor", "connect"):  # fmt: skip
        assert f"\n  {command} " in done.out
    assert not [line for line in done.out.splitlines() if line.startswith("  ") and line.endswith("...")]


async def test_help_names_arguments_without_the_types_of_python(shell: Shell) -> None:
    done = await shell.here("attest", "--help")
    assert "attest [OPTIONS] NAME CAPABILITY…" in done.out
    assert "[OPTIONS] [TASK]" in (await shell.here("board", "--help")).out
    assert "<" not in done.out


async def test_the_shell_finds_the_room_by_its_settings_as_a_last_resort(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder)})
        with contextlib.suppress(FileNotFoundError):
            (room.folder / "server.json").unlink()
        assert "No room answers at http://127.0.0.1:1/mcp" in (await shell.with_(TEAMROOM_PORT="1").here("board")).err
        (room.folder / "room.toml").write_text(f"port = {room.room.settings.port}\n")
        assert (await shell.here("board")).code == 0
        assert (await shell.here("board", "--url", f"{room.url}/mcp/")).code == 0
