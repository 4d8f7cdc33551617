"""What a person does from the shell: every command of messages and tasks, the inbox, and what follows the room."""

import asyncio
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
import typer.main

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import UnreachableError, refusal
from teamroom.clients.session.terminal import cell_len
from teamroom.clients.shell import exporting, following
from teamroom.clients.shell.main import app
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import TEAMROOM, Shell, leaves, token_file

pytestmark = house

STEERING = "\x1b]0;owned\x07\u202egnp.exe [bold]x[/bold] “closed”"


def shell_of(room: RunningRoom) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


@pytest.fixture
async def shell(room: RunningRoom) -> Shell:
    """The owner's shell next to a room in this process."""
    return shell_of(room)


@dataclass
class Team:
    """A room with two agents, the owner's shell, and the shell of each agent with its own token."""

    room: RunningRoom
    person: Shell
    agents: dict[str, Any]
    shells: dict[str, Shell]


@pytest.fixture
async def team(room: RunningRoom, tmp_path: Path) -> Team:
    agents = dict(zip(("builder", "tester"), await room.enroll("builder", "tester"), strict=True))
    person = shell_of(room)
    files = {name: str(token_file(tmp_path / f"{name}.token", room.tokens[name])) for name in agents}
    return Team(room, person, agents, {name: person.with_(TEAMROOM_TOKEN=room.tokens[name]) for name in files})


async def receipt_of(team: Team, number: int) -> dict[str, Any]:
    """The entry of the log with a number, with the name of its actor."""
    found = await team.person.here("receipts", "--after", str(number - 1), "--limit", "1", "--json")
    return dict(found.json["receipts"][0])


# ------------------------------------------------------------------ every command

PREPARED = (
    ("person", ("task", "add", "for the builder", "--assign", "builder")),  # T-1
    ("builder", ("claim", "T-1")),
    ("builder", ("done", "T-1", "it is done", "--evidence", "test:make test")),
    ("person", ("task", "add", "for the tester", "--assign", "tester")),  # T-2
    ("tester", ("claim", "T-2")),
    ("builder", ("ask", "olga", "which region?")),  # M-1
)
"""What each walk begins with."""

WALK: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str]] = {
    "post": (("@tester hello",), r"Posted M-2 \(receipt \d+\)\.", ("--to", "nobody-here", "x"), "not_found"),
    "ask": (("tester", "how far?"), r"Posted M-3 \(receipt \d+\)\.", ("nobody-here", "x"), "not_found"),
    "reply": (("m-1", "eu-west"), r"Posted M-4 \(receipt \d+\)\.", ("M-99", "x"), "not_found"),
    "read": (("m-1", "T-1"), r"> which region\?", ("M-99",), "not_found"),
    "inbox": ((), r"teamroom ", ("--seen", "999999"), "invalid"),
    "task add": (
        ("a new one",),
        r"Added T-3 \(receipt \d+\): “a new one”",
        ("x", "--assign", "nobody-here"),
        "not_found",
    ),
    "task edit": (("3", "--title", "better"), r"T-3 is open \(receipt \d+\)\.", ("T-99", "--title", "x"), "not_found"),
    "task assign": (("#3", "nobody"), r"T-3 is open \(receipt \d+\)\.", ("T-3", "nobody-here"), "not_found"),
    "claim": (("t-3",), r"You hold T-3 until .* \(receipt \d+\): “better”", ("T-2",), "taken"),
    "task note": (("3", "half done"), r"T-3 is claimed, .*\(receipt \d+\)\.", ("T-2", "x"), "stale_fence"),
    "task block": (("3", "@tester"), r"T-3 is blocked \(receipt \d+\)\.", ("T-2", "@builder"), "stale_fence"),
    "snooze": (("3", "2h"), r"T-3 is blocked \(receipt \d+\)\.", ("3", "90d"), "invalid"),
    "handoff": (("3", "tester", "go on"), r"Offered T-3 as O-1 .*\(receipt \d+\)\.", ("O-9", "accept"), "not_found"),
    "task release": (("3",), r"T-3 is open \(receipt \d+\)\.", ("3",), "conflict"),
    "done": (("4", "all of it"), r"T-4 is in review \(receipt \d+\)", ("2", "x"), "stale_fence"),
    "review": (
        ("1", "accept", "checked"),
        r"T-1 is accepted and done \(receipt \d+\)\.",
        ("2", "accept", "x"),
        "conflict",
    ),
    "task cancel": (("3",), r"T-3 is cancelled \(receipt \d+\)\.", ("3",), "conflict"),
    "export": ((), r'^{"line": "export"', ("--after", "99"), ""),
}
"""For each command: what succeeds and what it says, and what the room refuses with which code."""

ONLY_PEOPLES = {"review": "not_allowed", "export": "not_allowed"}
"""What an agent is refused that does the same: a review that another member was asked for, and the whole log."""

OTHER_FILES = frozenset({"decide", "authorize"})
"""Commands that tests of their own walk."""


@promise("LOG2")
async def test_every_command_works_for_a_person_leaves_its_receipt_and_is_refused_in_words(team: Team) -> None:
    for who, words in PREPARED:
        done = await (team.person if who == "person" else team.shells[who]).here(*words)
        assert done.code == 0, (words, done.err)
    for name, (good, says, bad, code) in WALK.items():
        if name == "done":
            await team.person.here("task", "add", "another", "--json")
            await team.person.here("claim", "4")
        done = await team.person.here(*name.split(), *good)
        assert done.code == 0, (name, done.err)
        assert re.search(says, done.out), (name, done.out)
        for receipt in re.findall(r"receipt (\d+)", done.out):
            entry = await receipt_of(team, int(receipt))
            assert (entry["actor"], entry["outcome"]) == ("olga", "ok"), name
        refused = await team.person.here(*name.split(), *bad)
        if not code:
            assert (refused.code, "before 99" in refused.err) == (2, True), name
            continue
        assert (refused.code, refused.out) == (1, ""), (name, refused)
        assert refused.err.startswith(f"Refused ({code}): "), (name, refused.err)
        assert "\nFix: " in refused.err, name
        assert "You called as @olga" in refused.err, name
        assert (await team.person.here(*name.split(), *bad, "--json")).json["code"] == code, name


async def test_each_command_is_the_agents_own_act_with_its_token(team: Team) -> None:
    builder, tester = team.shells["builder"], team.shells["tester"]
    for who, words in PREPARED:
        await (team.person if who == "person" else team.shells[who]).here(*words)
    for shell, actor, words in (
        (builder, "builder", ("post", "a note")),
        (builder, "builder", ("ask", "tester", "ready?")),
        (tester, "tester", ("reply", "M-3", "yes")),
        (tester, "tester", ("task", "add", "mine")),
        (tester, "tester", ("task", "edit", "T-3", "--priority", "5")),
        (tester, "tester", ("task", "note", "T-2", "half done")),
        (tester, "tester", ("handoff", "T-2", "builder", "go on")),
        (builder, "builder", ("handoff", "O-1", "accept")),
        (builder, "builder", ("task", "release", "T-2")),
        (builder, "builder", ("claim", "T-3")),
    ):
        done = await shell.here(*words, "--json")
        assert done.code == 0, (words, done.err)
        assert (await receipt_of(team, done.json["receipt"]))["actor"] == actor, words
    for name, code in ONLY_PEOPLES.items():
        refused = await builder.here(*name.split(), *WALK[name][0])
        assert refused.code in (1, 3), name
        assert f"Refused ({'self_review' if name == 'review' else code})" in refused.err, name
    assert (await builder.here("inbox")).code == 0
    assert "mine" in (await tester.here("read", "T-3")).out


def test_every_command_that_speaks_is_walked() -> None:
    group: Any = typer.main.get_command(app)
    sections = {name: str(getattr(command, "rich_help_panel", "")) for name, command in group.commands.items()}
    speaking = {name for name in leaves(group) if sections[name.split()[0]] in ("Messages", "Work")} - OTHER_FILES
    assert speaking - {"board", "import"} | {"export"} == set(WALK)


@pytest.mark.parametrize("written", ["T-1", "t-1", "#1", "1"])
async def test_an_id_is_read_however_it_is_written(team: Team, written: str) -> None:
    await team.person.here("task", "add", "one")
    for words in (("task", "edit", written, "--priority", "3"), ("claim", written), ("task", "release", written)):
        assert (await team.person.here(*words)).code == 0, words
    for word in ("M1", "x", "T-", "-"):
        assert (await team.person.here("claim", "--", word)).code == 2, word


async def test_a_bare_number_that_may_be_two_things_is_answered_with_both_commands(team: Team) -> None:
    done = await team.person.here("read", "7")
    assert done.code == 2
    assert "run `teamroom read M-7`. For the task, run `teamroom read T-7`." in done.err


@promise("LOG4")
async def test_an_act_on_a_held_task_whose_answer_is_lost_is_repeated_with_its_fence(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    await team.agents["tester"]("create_task", title="one")
    holder, send = team.shells["builder"], Connection.post
    await holder.here("claim", "1")
    asked = list[bytes]()

    def lose(self: Connection, body: bytes, headers: Any) -> Any:
        answer = send(self, body, headers)
        if b"tools/call" in body and b"update_task" in body:
            asked.append(body)
            raise UnreachableError("http://room", "TimeoutError")
        return answer

    monkeypatch.setattr(Connection, "post", lose)
    lost = await holder.here("task", "release", "1", "--note", "not mine")
    monkeypatch.setattr(Connection, "post", send)
    assert len(asked) == 2, "it is repeated once"
    command = lost.err.partition(", run: ")[2].partition("\n")[0]
    assert " --fence 1 " in command
    again = await holder.here(*shlex.split(command)[1:])
    assert (again.code, "the same call did it at" in again.out) == (0, True), again.err
    history = (await team.agents["tester"]("read_board", task="T-1"))["task"]["history"]
    assert [entry["kind"] for entry in history].count("released") == 1


async def test_a_refusal_for_a_mistyped_name_has_the_command_that_can_be_pasted(team: Team) -> None:
    for words in (
        ("post", "it's late", "--to", "tester,bulider"),
        ("task", "add", "a b", "--assign", "@Bulider", "--need", "repo:a/b c"),
        ("ask", "bulider", "--", "--why"),
    ):
        refused = await team.person.here(*words)
        assert refused.code == 1, words
        command = refused.err.partition("If you mean @builder, run: ")[2].partition("\n")[0]
        if words[0] == "task":
            await team.agents["builder"]("declare_capabilities", capabilities=["repo:a/b c"])
        done = await team.person.here(*shlex.split(command)[1:])
        assert done.code == 0, (command, done.err)


async def test_fixes_of_refusals_name_the_shells_commands(team: Team) -> None:
    for words in (("task", "add", "one"), ("claim", "1"), ("handoff", "1", "builder", "x")):
        await team.person.here(*words)
    again = await team.person.here("handoff", "1", "builder", "x")
    assert "Fix: Withdraw it first: `teamroom handoff O-1 withdraw`." in again.err
    assert (await team.person.here("handoff", "O-1", "withdraw")).code == 0
    await team.person.here("task", "cancel", "1")
    gone = await team.person.here("task", "edit", "1", "--title", "x")
    assert "Create a new task: `teamroom task add`." in gone.err


CORRECTED = (
    ("snooze 1 90d", "snooze T-1 604800s"),
    ("task block 1 2592000", "task block T-1 604800"),
    ("task block 1 30d", "task block T-1 604800"),
    ("task block 1 lunch", "task block --note lunch T-1 86400"),
    ("authorize builder deploy:x --until 900d", "authorize --until 86400s builder deploy:x"),
    ("rules olga Bash", "rules owner:olga Bash"),
)
"""What the room refuses for the value of one argument, and the command that it would carry out."""


async def test_a_refusal_for_one_value_has_the_command_with_another_which_the_room_carries_out(team: Team) -> None:
    for words in (("task", "add", "one"), ("claim", "1")):
        await team.person.here(*words)
    for wrong, right in CORRECTED:
        refused = await team.person.here(*wrong.split())
        assert f": `teamroom {right}`" in refused.err, (wrong, refused.err)
        done = await team.person.here(*right.split())
        assert done.code == 0, (right, done.err)


async def test_a_doctors_finding_about_a_wake_names_the_shells_commands(team: Team) -> None:
    found = await team.person.here("doctor", "--wake", "nosuch")
    assert "Run `teamroom roster` without a name to see all members." in found.out


async def test_a_snooze_says_until_when_the_reminders_are_held_back(team: Team) -> None:
    await team.person.here("task", "add", "one")
    done = await team.person.here("snooze", "1", "2h")
    assert re.search(r"^Its reminders are held back until 20\d\d-", done.out, flags=re.MULTILINE)
    noted = await team.person.here("task", "edit", "1", "--priority", "high")
    assert "held back" not in noted.out


@pytest.mark.parametrize("words", [("rules", "builder", ""), ("authorize", "", "deploy:x"), ("decide", "xyz", "1")])
async def test_what_cannot_be_a_call_is_said_by_the_shell_itself(team: Team, words: tuple[str, ...]) -> None:
    refused = await team.person.here(*words)
    assert refused.code == 2
    assert "require_approval" not in refused.err


async def test_a_proof_that_is_missing_is_named_with_the_option_that_gives_it(team: Team, tmp_path: Path) -> None:
    plan = tmp_path / "my plan.md"
    await anyio.Path(plan).write_text("all of it\n")
    await team.person.here("task", "add", "one")
    fence = (await team.agents["builder"]("claim_task", task="T-1"))["fence"]
    digest = (await anyio.to_thread.run_sync(lambda: subprocess.run(["sha256sum", plan], capture_output=True))).stdout
    artifacts = [{"kind": "file", "ref": str(plan), "sha256": digest.split()[0].decode()}]
    offer = {"task": "T-1", "fence": fence, "to": "olga", "note": "take it", "artifacts": artifacts}
    await team.agents["builder"]("hand_off", **offer)
    assert f"handoff O-1 accept --proof {shlex.quote(f'{plan}=HASH')}" in (await team.person.here("inbox")).out
    refused = await team.person.here("handoff", "O-1", "accept")
    (command,) = re.findall(r"in place of HASH: `teamroom (.*?)`", refused.err)
    done = await team.person.here(*shlex.split(command.replace("HASH", digest.split()[0].decode())))
    assert (done.code, "O-1 is accepted, and T-1 is yours" in done.out) == (0, True), done.err


# ------------------------------------------------------------------ the inbox


async def test_the_inbox_numbers_what_waits_asks_first_and_each_command_settles_it(team: Team) -> None:
    for who, words in PREPARED[:-1]:
        await (team.person if who == "person" else team.shells[who]).here(*words)
    builder, tester = team.agents["builder"], team.agents["tester"]
    await builder("post_message", text="hello @olga")  # M-1
    await builder("post_message", text="which region?", kind="ask", to=["olga"])  # M-2
    await tester("hand_off", task="T-2", fence=1, to="olga", note="take it")
    shown = (await team.person.here("inbox")).out
    assert [line.split()[:2] for line in shown.splitlines() if line[:3].strip().isdecimal()] == [
        ["1", "M-2"],
        ["2", "T-1"],
        ["3", "O-1"],
        ["4", "M-1"],
    ]
    reply = (await team.person.here("inbox", "--json")).json
    assert [one["message"] for one in reply["asks"]] == ["M-2"]
    commands = re.findall(r"^ {5}teamroom (.*)$", shown, flags=re.MULTILINE)
    for command in commands:
        if not command.startswith(("read", "handoff O-1 decline", "review T-1 send-back")):
            assert (await team.person.here(*shlex.split(command))).code == 0, command
    left = (await team.person.here("inbox")).out
    assert re.findall(r"^ +\d+ +(\S+)", left, flags=re.MULTILINE) == ["T-2"], "only the task that is the person's now"
    seen = re.findall(r"teamroom (inbox --seen \d+)", left)[0]
    assert (await team.person.here(*seen.split())).out == f"News up to {seen.split()[-1]} is marked as seen.\n"
    assert "To mark the news" not in (await team.person.here("inbox")).out


@promise("DEC5")
async def test_a_decision_waits_in_the_inbox_until_the_person_decides(team: Team) -> None:
    builder = team.agents["builder"]
    await builder("request_decision", question="May I drop the old table?", options=["drop it", "keep it"])
    shown = (await team.person.here("inbox")).out
    assert "to decide 1\n" in shown
    assert "1  D-1  @builder asks you to decide until " in shown
    assert "news 1" not in shown
    read = (await team.person.here("read", "d-1")).out
    assert "“May I drop the old table?”" in read
    assert (await team.person.here("read", "D-1", "--json")).json["decisions"][0]["options"] == ["drop it", "keep it"]
    first, second = re.findall(r"^ {5}teamroom (decide .*)$", shown, flags=re.MULTILINE)
    assert (await team.person.here(*shlex.split(second))).code == 0
    assert "to decide" not in (await team.person.here("inbox")).out
    assert (await team.person.here(*shlex.split(first))).code != 0
    (wake,) = (await builder("check_in"))["wakes"]
    assert "keep it" in wake["line"]


async def test_an_empty_inbox_says_so(team: Team) -> None:
    assert (await team.person.here("inbox")).out == "Nothing waits for you.\n"


@promise("PRS3")
async def test_an_owner_finds_suspects_among_its_own_agents_in_the_inbox(room: RunningRoom, shell: Shell) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    await hollow("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    for _ in range(11):
        await hollow("heartbeat")
        await room.later(60.0)
    (one,) = (await shell.here("inbox", "--json")).json["suspects"]
    assert (one["name"], one["presence"]) == ("hollow", "suspect")
    shown = (await shell.here("inbox")).out
    assert "agents that need you 1\n" in shown
    assert "teamroom pause hollow --reason 'WHY'" in shown
    await shell.here("pause", "hollow")
    assert (await shell.here("inbox", "--json")).json["suspects"] == [], "its owner has stopped it"


@promise("SAF2")
async def test_texts_of_others_are_quoted_and_escaped_at_every_width(team: Team) -> None:
    builder = team.agents["builder"]
    await builder("post_message", text=f"hello @olga {STEERING}")
    await builder("post_message", text=f"which? {STEERING}", kind="ask", to=["olga"])
    await builder("create_task", title="do [bold]x[/bold] “closed”", detail=STEERING, assign="olga")
    for columns in (40, 60, 80):
        for words in (("inbox",), ("read", "M-1", "M-2"), ("read", "T-1"), ("claim", "T-1")):
            lines = await team.person.screen(*words, columns=columns)
            text = "\n".join(lines)
            assert "\x07" not in text
            assert "\u202e" not in text
            assert "“closed”" not in text.replace("> ", "") or words[0] != "inbox"
            own = [line for line in lines if "teamroom " not in line]
            assert max(map(cell_len, own)) <= columns, (words, columns)
            commands = [line for line in lines if line.startswith("     teamroom ")]
            assert all(line.count("'") % 2 == 0 for line in commands), "a command is never broken over lines"


# ------------------------------------------------------------------ following


async def started(shell: Shell, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        TEAMROOM, *words, env=shell.environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), BOUND_SECONDS)).decode().rstrip("\n")


async def ended(process: asyncio.subprocess.Process, number: int = signal.SIGINT) -> tuple[int | None, str]:
    process.send_signal(number)
    _, err = await asyncio.wait_for(process.communicate(), BOUND_SECONDS)
    return process.returncode, err.decode()


async def test_in_a_pipe_a_followed_board_shows_each_change_once(team: Team) -> None:
    await team.person.here("task", "add", "one")
    process = await started(team.person, "board", "--follow")
    assert await line_of(process) == "T-1  open  “one”"
    await team.agents["builder"]("claim_task", task="T-1")
    assert await line_of(process) == "T-1  claimed  @builder  “one”"
    await team.agents["builder"]("post_message", text="no change of a task")
    await team.person.here("task", "cancel", "1")
    assert await line_of(process) == "T-1  cancelled  “one”", "what leaves the board is said once"
    await team.person.here("task", "add", "two")
    assert await line_of(process) == "T-2  open  “two”"
    assert await ended(process) == (130, "")


async def test_in_a_pipe_a_followed_night_shows_each_thing_once_and_the_reader_may_leave(team: Team) -> None:
    process = await started(team.person, "overnight", "--follow", "--json")
    await team.agents["builder"]("post_message", text="which region?", kind="ask", to=["olga"])
    first = json.loads(await line_of(process))
    assert (first["section"], first["kind"], first["subject"]) == ("waits", "ask", "M-1")
    await team.agents["builder"]("create_task", title="x", assign="builder")
    await team.agents["builder"]("claim_task", task="T-1")
    assert json.loads(await line_of(process))["section"] == "has"
    assert (await ended(process, signal.SIGTERM))[0] == 130


async def test_a_followed_board_waits_for_a_room_that_restarts(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        port, shell = room.room.settings.port, shell_of(room)
        await shell.here("task", "add", "one")
        process = await started(shell, "board", "--follow")
        assert await line_of(process) == "T-1  open  “one”"
    assert process.stderr is not None
    said = (await asyncio.wait_for(process.stderr.readline(), BOUND_SECONDS)).decode()
    assert "Waiting until it answers." in said
    async with running_room(tmp_path / "room", port=port) as room:
        await shell_of(room).here("task", "add", "two")
        assert await line_of(process) == "T-2  open  “two”", "and the first task is not shown again"
        assert await ended(process) == (130, "")


async def test_what_cannot_be_read_is_refused_at_once_and_a_room_that_never_answered_is_not_waited_for(
    team: Team,
) -> None:
    assert (await team.person.here("board", "T-99", "--follow")).code == 1
    nowhere = team.person.with_(TEAMROOM_URL="http://127.0.0.1:1")
    assert (await nowhere.here("board", "--follow")).code == 1


class Clock:
    """The time of what follows: the third wait is ended by Ctrl-C, and each wait is long."""

    def __init__(self) -> None:
        self.waits = 0

    def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits == 3:
            raise KeyboardInterrupt

    def monotonic(self) -> float:
        return 1000.0 * self.waits

    def strftime(self, form: str) -> str:
        return "12:34:56"


@pytest.mark.parametrize(("words", "title"), [("board", "open 30"), ("overnight", "waits for a person")])
async def test_on_a_terminal_a_view_is_drawn_in_place_and_leaves_the_screen_as_it_was(
    team: Team, monkeypatch: pytest.MonkeyPatch, words: str, title: str
) -> None:
    for number in range(30):
        await team.agents["builder"]("create_task", title=f"task {number}")
    monkeypatch.setattr(following, "time", Clock())
    lines = await team.person.with_(LINES="12").screen(words, "--follow", columns=40)
    text = "\n".join(lines)
    assert "as of 12:34:56 UTC; Ctrl-C ends it" in text.replace("…", "")[:200] or "as of" in text
    assert title in text
    assert re.search(r"… \d+ more lines; make the terminal", text)
    assert max(map(cell_len, lines)) <= 40
    assert len(lines) <= 3 * 12


async def test_the_screen_is_left_in_order_although_a_refusal_ends_the_view(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ENTER", "<enter>")
    monkeypatch.setattr(following, "LEAVE", "<leave>")
    lines = await team.person.screen("board", "T-99", "--follow", columns=60)
    text = "\n".join(lines)
    assert text.startswith("<enter><leave>")
    assert "Refused (not_found)" in text


# ------------------------------------------------------------------ export


def _modes(folder: Path) -> list[int]:
    return [file.stat().st_mode & 0o777 for file in folder.glob("*.jsonl*")]


async def _lines_of(file: Path) -> list[str]:
    return (await anyio.Path(file).read_text()).splitlines()


async def test_an_export_has_every_task_and_entry_once_and_its_end(team: Team, tmp_path: Path) -> None:
    for number in range(60):
        await team.agents["builder"]("create_task", title=f"task {number}")
    for number in range(60):
        await team.agents["builder"]("post_message", text=f"note {number}", kind="note")
    file = tmp_path / "room.jsonl"
    done = await team.person.here("export", str(file))
    assert (done.code, done.out) == (0, "")
    lines = [json.loads(line) for line in await _lines_of(file)]
    assert lines[0] == {"line": "export", "form": 1, "version": lines[0]["version"], "parts": ["board", "log"]}
    assert [line["task"] for line in lines if line["line"] == "task"] == [f"T-{n}" for n in range(1, 61)]
    end = lines[-1]
    assert [line["seq"] for line in lines if line["line"] == "entry"] == list(range(1, end["upto"] + 1))
    assert end == {
        "line": "end",
        "tasks": 60,
        "entries": end["upto"],
        "after": 0,
        "from": end["upto"],
        "upto": end["upto"],
    }
    assert _modes(tmp_path) == [0o600]
    again = await team.person.here("export", str(file))
    assert (again.code, "--force" in again.err) == (2, True)
    piped = await team.person.here("export", "--only", "log", "--after", str(end["upto"] - 2))
    assert [json.loads(line)["line"] for line in piped.out.splitlines()] == ["export", "entry", "entry", "end"]


@promise("LOG1")
async def test_entries_that_come_during_an_export_are_left_out_and_it_says_so(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    await team.person.here("task", "add", "one")
    call, numbers = BlockingRoom.call, itertools.count()

    def busy(self: BlockingRoom, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Have something happen in the room before each read."""
        call(self, "post_message", text=f"meanwhile {next(numbers)}")
        return call(self, tool, request_id, **arguments)

    monkeypatch.setattr(BlockingRoom, "call", busy)
    done = await team.person.here("export")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert "The room was never still" in done.err
    seqs, end = [line["seq"] for line in lines if line["line"] == "entry"], lines[-1]
    assert seqs == list(range(1, end["upto"] + 1))
    assert end["from"] < end["upto"] < team.room.entries()[-1]["seq"]


@promise("LOG1")
async def test_the_tasks_and_the_log_of_an_export_are_those_of_one_moment(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    await team.person.here("task", "add", "one")
    await team.person.here("task", "add", "two")
    call, passes = BlockingRoom.call, list[int]()

    def busy(self: BlockingRoom, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Claim the first task after it was read, and edit it in the next pass."""
        found = call(self, tool, request_id, **arguments)
        if tool == "read_board" and arguments.get("task") == "T-1":
            passes.append(1)
            if len(passes) == 1:
                call(self, "claim_task", task="T-1")
            if len(passes) == 2:
                call(self, "update_task", task="T-1", changes={"title": "three"})
        return found

    monkeypatch.setattr(BlockingRoom, "call", busy)
    done = await team.person.here("export")
    lines = [json.loads(line) for line in done.out.splitlines()]
    tasks = {line["task"]: line for line in lines if line["line"] == "task"}
    assert (len(passes), done.err) == (3, "")
    assert (tasks["T-1"]["state"], tasks["T-1"]["title"], tasks["T-2"]["state"]) == ("claimed", "three", "open")
    entries, end = [line for line in lines if line["line"] == "entry"], lines[-1]
    assert (end["from"], end["upto"], entries[-1]["seq"]) == (end["upto"],) * 3
    assert [entry["act"] for entry in entries][-2:] == ["claim_task", "update_task"]


async def test_an_export_that_fails_leaves_no_file_and_one_that_is_refused_for_a_while_goes_on(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, waited = BlockingRoom.call, list[float]()

    def fail(self: BlockingRoom, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        if tool == "read_board":
            raise KeyboardInterrupt
        return call(self, tool, request_id, **arguments)

    monkeypatch.setattr(BlockingRoom, "call", fail)
    before = sorted(os.listdir(tmp_path))
    assert (await team.person.here("export", str(tmp_path / "room.jsonl"))).code == 130
    assert sorted(os.listdir(tmp_path)) == before

    def limit(self: BlockingRoom, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        if len(waited) < 3:
            raise refusal({"code": "rate_limited", "why": "too many", "fix": "wait", "retry_after_seconds": 2})
        return call(self, tool, request_id, **arguments)

    class Waits:
        def sleep(self, seconds: float) -> None:
            waited.append(seconds)

    monkeypatch.setattr(BlockingRoom, "call", limit)
    monkeypatch.setattr(exporting, "time", Waits())
    assert (await team.person.here("export")).code == 0
    assert waited == [2.0, 2.0, 2.0]


# ------------------------------------------------------------------ completion


async def test_ids_subcommands_and_their_values_are_completed(team: Team) -> None:
    await team.person.here("task", "add", "one")
    await team.person.here("task", "add", "two")
    await team.agents["builder"]("claim_task", task="T-1")
    await team.agents["builder"]("hand_off", task="T-1", fence=1, to="olga", note="x")
    await team.person.here("post", "hello")
    await team.agents["builder"]("request_decision", question="Deploy?", options=["now", "on monday"])

    async def found(*words: str) -> list[str]:
        done = await team.person.here("completion", "bash", "--", *words)
        assert (done.code, done.err) == (0, "")
        return done.out.splitlines()

    assert await found("task", "as") == ["assign"]
    assert await found("task", "assign", "T-") == ["T-1", "T-2"]
    assert await found("task", "assign", "T-1", "b") == ["builder"]
    assert await found("claim", "") == ["T-2"], "what can be claimed"
    assert await found("reply", "") == ["M-1"]
    assert set(await found("read", "")) == {"T-1", "T-2", "M-1", "O-1", "D-1"}
    assert await found("decide", "") == ["D-1"]
    assert await found("decide", "D-1", "") == ["1", "2"]
    assert await found("handoff", "O") == ["O-1"]
    assert await found("handoff", "O-1", "") == ["accept", "decline"]
    assert await found("handoff", "T-1", "t") == ["tester"]
    assert await found("review", "T-1", "") == ["accept", "send-back"]
    assert await found("authorize", "--revoke", "") == []
    for scope in ("deploy:staging", "deploy:production"):
        assert (await team.person.here("authorize", "builder", scope)).code == 0
    assert (await team.person.here("authorize", "--revoke", "A-1")).code == 0
    assert await found("authorize", "--revoke", "") == ["A-2"]
    assert await found("post", "--to", "b") == ["builder"]
    assert await found("post", "--kind", "") == ["note", "report", "ask", "alert"]
    assert await found("enroll", "x", "--kind", "") == ["agent", "human"]
    done = await team.person.here("completion", "fish", "--", "claim", "")
    assert done.out == "T-2\ttwo\n"


@pytest.mark.parametrize(("program", "file"), [("/bin/bash", ".bashrc"), ("/usr/bin/zsh", ".zshrc"),
                                               ("fish", ".config/fish/completions/teamroom.fish")])  # fmt: skip
def test_completion_is_turned_on_by_one_line_that_is_added_once(tmp_path: Path, program: str, file: str) -> None:
    shell = Shell(tmp_path, {"SHELL": program})
    if program.endswith("bash"):
        (tmp_path / file).write_text("alias x=y")
    first, second = shell.now("--install-completion"), shell.now("--install-completion")
    assert (first.code, second.code) == (0, 0), first.err
    lines = (tmp_path / file).read_text().splitlines()
    assert sum("teamroom completion" in line for line in lines) == 1
    assert "turns completion on already" in second.out
    assert lines[-1] in first.out
    assert len(lines) == 1 or lines[0] == "alias x=y"


def test_an_unknown_shell_is_told_how_to_turn_completion_on(tmp_path: Path) -> None:
    done = Shell(tmp_path, {"SHELL": "/bin/tcsh"}).now("--install-completion")
    assert (done.code, "teamroom completion bash" in done.err) == (2, True)
