"""Texts that a person writes in the shell: as words, on standard input, and in an editor on a terminal."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.to_thread
import pytest

from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import UnreachableError
from teamroom.clients.shell.writing import BEGINS, CUT
from teamroom.server.rules.text import TEXT_CHARACTERS
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom
from tests.support.shells import STEP_SECONDS, Done, Shell

pytestmark = house


@pytest.fixture
async def shell(room: RunningRoom) -> Shell:
    """The owner's shell next to a room in this process."""
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


@pytest.fixture
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Path]]]:
    """The files with texts that the shell kept, in a folder of their own."""
    folder = tmp_path / "drafts"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return lambda: sorted(folder.glob(f"{BEGINS}*"))


def editor(folder: Path, script: str) -> str:
    """A program that stands for an editor; `$1` is the file."""
    path = folder / "an editor.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return shlex.quote(str(path))


async def edited(shell: Shell, tmp_path: Path, script: str, *words: str) -> Done:
    """What a command does on a terminal whose editor is a script."""
    drafts = tmp_path / "drafts"
    drafts.mkdir(exist_ok=True)
    on_terminal = shell.with_(EDITOR=editor(tmp_path, script), TMPDIR=str(drafts), TERM="xterm")
    return await anyio.to_thread.run_sync(lambda: on_terminal.on_terminal(*words, columns=300))


def kept(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "drafts").glob(f"{BEGINS}*"))


def modes(tmp_path: Path) -> list[int]:
    return [file.stat().st_mode & 0o777 for file in kept(tmp_path)]


async def texts(room: RunningRoom) -> list[str]:
    owner = await room.owner()
    return [message["text"] for message in (await owner("read_messages"))["messages"]]


# ------------------------------------------------------------------ texts of options

OPTIONS: dict[str, tuple[str, ...]] = {
    "a note of a decision": ("decide", "D-1", "1", "--note"),
    "the reason of an authorisation": ("authorize", "builder", "deploy:staging", "--reason"),
    "the reason of a pause": ("pause", "builder", "--reason"),
    "a task's detail": ("task", "add", "one more", "--detail"),
    "a snooze's note": ("snooze", "T-1", "2h", "--note"),
    "why an offer is declined": ("handoff", "O-1", "decline"),
}


async def prepared(room: RunningRoom) -> None:
    """A decision that waits for the owner, a task of it, and an offer to it."""
    builder = (await room.enroll("builder"))[0]
    owner = await room.owner()
    await builder("request_decision", question="Deploy?", options=["now", "on monday"])
    await owner("create_task", title="mine", assign="olga")
    await owner("claim_task", task="T-1")
    await builder("create_task", title="theirs", assign="builder")
    await builder("claim_task", task="T-2")
    await builder("hand_off", task="T-2", fence=1, to="olga", note="the tests are red")


@pytest.mark.parametrize("kind", OPTIONS)
async def test_the_text_of_an_option_is_read_from_standard_input(room: RunningRoom, shell: Shell, kind: str) -> None:
    await prepared(room)
    done = await anyio.to_thread.run_sync(
        lambda: shell.run(*OPTIONS[kind], "-", stdin="because the\nsecond line says so\n")
    )
    assert done.code == 0, done.err
    assert "second line says so" in await everything(room), kind


@pytest.mark.parametrize("kind", OPTIONS)
async def test_the_text_of_an_option_is_written_in_the_editor_at_a_terminal(
    room: RunningRoom, shell: Shell, tmp_path: Path, kind: str
) -> None:
    await prepared(room)
    done = await edited(shell, tmp_path, 'echo "second line says so" > "$1"', *OPTIONS[kind], "-")
    assert done.code == 0, done.out
    assert "second line says so" in await everything(room), kind
    assert kept(tmp_path) == []


@pytest.mark.parametrize("kind", OPTIONS)
async def test_an_empty_text_of_an_option_changes_nothing(room: RunningRoom, shell: Shell, kind: str) -> None:
    await prepared(room)
    before = await everything(room)
    done = await anyio.to_thread.run_sync(lambda: shell.run(*OPTIONS[kind], "-", stdin=" \n"))
    assert (done.code, done.out) == (2, "")
    assert "Standard input is empty, so nothing was sent." in done.err
    assert await everything(room) == before


async def everything(room: RunningRoom) -> str:
    """All entries of the log and all tasks in full, as JSON."""
    owner = await room.owner()
    entries = (await owner("read_receipts", after=0, limit=100))["receipts"]
    board = (await owner("read_board", state="all"))["tasks"]
    return json.dumps([entries, [await owner("read_board", task=one["task"]) for one in board]])


# ------------------------------------------------------------------ words and standard input


async def test_words_standard_input_and_quoted_lines_arrive_as_they_were_written(
    room: RunningRoom, shell: Shell
) -> None:
    await room.enroll("builder")
    assert (await shell.here("post", "three", "plain", "words")).code == 0
    assert (await shell.here("post", 'it\'s "quoted" $HOME `id`\nsecond  line')).code == 0

    def piped() -> Done:
        return shell.run("post", "-", "--to", "builder", stdin="# a heading\n\n  indented\n\n")

    assert (await anyio.to_thread.run_sync(piped)).code == 0
    assert await texts(room) == [
        "three plain words",
        'it\'s "quoted" $HOME `id`\nsecond  line',
        "# a heading\n\n  indented",
    ]


@pytest.mark.parametrize(
    ("stdin", "why"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "not text in UTF-8"), (b"x" * 1_000_001, "more than")],
    ids=["empty", "blank", "bytes", "endless"],
)
async def test_standard_input_without_a_text_is_refused_and_posts_nothing(
    room: RunningRoom, shell: Shell, stdin: bytes, why: str
) -> None:
    def piped() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [shell.teamroom, "post", "-"], env=shell.environment, input=stdin, capture_output=True,
            timeout=STEP_SECONDS, check=False,
        )  # fmt: skip

    done = await anyio.to_thread.run_sync(piped)
    assert (done.returncode, why in done.stderr.decode()) == (2, True)
    assert await texts(room) == []


async def test_without_a_terminal_or_a_text_the_command_that_gives_one_is_named(shell: Shell) -> None:
    done = await shell.here("post", "--to", "builder")
    assert done.code == 2
    assert "run" not in done.err
    assert "teamroom post --to builder - < FILE" in done.err
    assert (await shell.here("post", " ", "")).code == 2
    assert (await shell.here("done", "T-1", "")).code == 2


@promise("SAF3")
async def test_a_text_that_is_too_long_is_refused_with_how_to_send_it(room: RunningRoom, shell: Shell) -> None:
    done = await shell.here("post", "x" * (2 * TEXT_CHARACTERS + 1))
    assert done.code == 1
    assert "It has 32,001 characters, and the limit is 16,000." in done.err
    assert "send it in 3 parts, each as a reply" in done.err
    assert (await shell.here("post", "x" * TEXT_CHARACTERS)).code == 0, "the twin: the longest text"
    assert len(await texts(room)) == 1


# ------------------------------------------------------------------ the editor


async def test_what_is_saved_in_the_editor_is_posted_without_what_is_below_the_line(
    room: RunningRoom, shell: Shell, tmp_path: Path
) -> None:
    await room.enroll("builder")
    replace = '{ printf "# done\\n\\nall of it\\n"; cat "$1"; } > "$1.x"; mv "$1.x" "$1"'
    script = f'grep -q "to @builder" "$1" || exit 9; {replace}'
    done = await edited(shell, tmp_path, script, "post", "--to", "builder")
    assert done.code == 0, done.out
    assert await texts(room) == ["# done\n\nall of it"]
    assert kept(tmp_path) == []


async def test_an_answer_is_written_above_the_message_that_it_answers(
    room: RunningRoom, shell: Shell, tmp_path: Path
) -> None:
    (builder,) = await room.enroll("builder")
    await builder("post_message", text=f"Which region?\n{CUT}\nand why", kind="ask", to=["olga"])
    done = await edited(shell, tmp_path, f'cp "$1" {tmp_path}/seen; echo eu-west > "$1"', "reply", "m-1")
    assert done.code == 0, done.out
    seen = (tmp_path / "seen").read_text()
    assert seen.index(CUT) < seen.index("@builder wrote:\n> Which region?\n")
    assert (await texts(room))[-1] == "eu-west"


@pytest.mark.parametrize(
    ("script", "code", "why"),
    [
        (":", 1, "The text is empty, so nothing was sent."),
        ('echo > "$1"', 1, "The text is empty, so nothing was sent."),
        ('echo half > "$1"; exit 3', 1, "The editor ended with code 3, so nothing was sent. Your text is in "),
        ("kill -INT $$", 130, "Nothing was sent."),
        ('echo half > "$1"; kill -INT $PPID; exit 130', 130, "Nothing was sent."),
    ],
    ids=["untouched", "emptied", "failed", "interrupted", "ctrl-c"],
)
async def test_an_editor_that_is_left_without_a_text_or_interrupted_sends_nothing(
    room: RunningRoom, shell: Shell, tmp_path: Path, script: str, code: int, why: str
) -> None:
    done = await edited(shell, tmp_path, script, "post")
    assert (done.code, why in done.out) == (code, True), done.out
    assert await texts(room) == []
    assert [file.read_text() for file in kept(tmp_path)] == (["half\n"] if "half" in script else [])


async def test_ctrl_c_in_the_editor_is_for_the_editor_alone(room: RunningRoom, shell: Shell, tmp_path: Path) -> None:
    done = await edited(shell, tmp_path, 'trap : INT; kill -INT $PPID; kill -INT $$; echo still here > "$1"', "post")
    assert done.code == 0, done.out
    assert await texts(room) == ["still here"]


async def test_what_was_written_is_kept_if_the_room_refuses_it_and_the_command_sends_it(
    room: RunningRoom, shell: Shell, tmp_path: Path
) -> None:
    await room.enroll("builder")
    done = await edited(shell, tmp_path, "printf 'two\\nlines\\n' > \"$1\"", "post", "--to", "bulider")
    (file,) = kept(tmp_path)
    assert (done.code, modes(tmp_path)) == (1, [0o600])
    command = f"teamroom post --to builder - < {file}"
    assert command in done.out
    pasted = command.replace("teamroom", shell.teamroom, 1)

    def paste() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", pasted], env=shell.environment, capture_output=True, text=True, timeout=STEP_SECONDS,
            check=False,
        )  # fmt: skip

    assert (await anyio.to_thread.run_sync(paste)).returncode == 0
    assert await texts(room) == ["two\nlines"]


async def test_no_editor_opens_in_an_agents_session(room: RunningRoom, shell: Shell, tmp_path: Path) -> None:
    token = room.folder / "owner.token"
    done = await edited(
        shell.with_(CLAUDECODE="1"), tmp_path, f"touch {tmp_path}/opened", "post", "--token-file", str(token)
    )
    assert done.code == 2
    assert "opened" not in os.listdir(tmp_path)


# ------------------------------------------------------------------ lost answers


@promise("LOG4")
async def test_a_post_whose_answer_is_lost_is_repeated_by_the_printed_command_and_posted_once(
    room: RunningRoom, shell: Shell, drafts: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Connection.post

    def lose(self: Connection, body: bytes, headers: object) -> object:
        answer = sent(self, body, headers)  # type: ignore[arg-type]
        if b"post_message" in body:
            raise UnreachableError("http://room", "TimeoutError")
        return answer

    for text in ("it's late", "two\nlines"):
        monkeypatch.setattr(Connection, "post", lose)
        lost = await shell.here("post", text, "--kind", "alert")
        monkeypatch.setattr(Connection, "post", sent)
        assert (lost.code, "so that it happens once, run: teamroom post" in lost.err) == (1, True), lost.err
        command = lost.err.partition(", run: ")[2].partition("\n")[0]
        words, _, file = command.partition(" < ")
        if file:
            assert [(str(one), one.read_text()) for one in drafts()] == [(file, text)]
            words = words.removesuffix(" -") + f" {shlex.quote(text)}"
        again = await shell.here(*shlex.split(words)[1:])
        assert "the same call did it at" in again.out
    assert await texts(room) == ["it's late", "two\nlines"]
