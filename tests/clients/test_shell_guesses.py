"""Words that people guess, mistyped words, help, the version, completion, and commands that can be pasted."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
import typer.main

from teamroom import __version__
from teamroom.clients.session.program import FOLDERS_COMMANDS, NO_ROOMS_COMMANDS, named_options, pasteable
from teamroom.clients.shell.guesses import GUESSES, find_guess
from teamroom.clients.shell.help import SCRIPTS
from teamroom.clients.shell.main import app
from teamroom.clients.shell.tasks import OUTSIDE, SUBCOMMANDS
from tests.support.promises import house
from tests.support.rooms import RunningRoom
from tests.support.shells import STEP_SECONDS, TEAMROOM, Shell

pytestmark = house

GROUP: Any = typer.main.get_command(app)
COMMANDS: tuple[str, ...] = tuple(GROUP.commands)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def shown(text: str) -> list[str]:
    """The commands that an error lists."""
    return re.findall(r"^  teamroom ([a-z-]+)", text, flags=re.MULTILINE)


def is_help_of(command: str, text: str) -> bool:
    """Whether a text is the help of a command, whatever this process is called."""
    return re.match(rf"Usage: .+ {command} \[OPTIONS\]", text) is not None


# ------------------------------------------------------------------ guesses and mistypes


@pytest.mark.parametrize("word", GUESSES)
def test_each_guess_runs_a_command_or_lists_commands_or_names_a_tool(word: str, shell: Shell) -> None:
    guess = find_guess(word, COMMANDS)
    assert guess is not None
    if word in COMMANDS:  # a command of the shell comes first
        return
    done = shell.now(word, "--help")
    if guess.runs == ("--version",):
        assert (done.code, done.out) == (0, f"teamroom {__version__}\n")
    elif guess.runs:
        assert done.code == 0
        assert is_help_of(guess.runs[0], done.out)
        assert f"`teamroom {shlex.join(guess.runs)}`" in done.err
    else:
        assert done.code == 2
        assert set(shown(done.err)) <= set(COMMANDS)
        assert shown(done.err) or guess.tool in done.err
        assert shown(done.err) or guess.tool


def test_the_words_of_other_tools_lead_somewhere(shell: Shell) -> None:
    assert is_help_of("up", shell.now("start", "-h").out)
    stopped = shell.now("stop", "builder")
    assert shown(stopped.err) == ["pause", "pause", "kill", "down"]
    assert "  teamroom pause builder " in stopped.err, "with the name that was given"
    assert is_help_of("roster", shell.now("who", "-h").out)
    assert is_help_of("board", shell.now("tasks", "-h").out)
    assert is_help_of("stream", shell.now("TAIL", "-h").out)
    assert is_help_of("post", shell.now("say", "-h").out)
    assert shown(shell.now("new").err) == ["enroll", "task"]
    assert "  teamroom review t-3 accept " in shell.now("approve", "t-3").err
    for words, meant in SUBCOMMANDS.items():
        assert is_help_of(f"task {meant}", shell.now("task", words, "--help").out), words
    for word, meant in OUTSIDE.items():
        assert f"You may mean: teamroom {meant} 'a b'" in shell.now("task", word, "a b").err, word
    assert "You may mean: teamroom read t-3" in shell.now("task", "t-3").err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_command_is_answered_with_the_same_line_and_the_nearest_command(name: str, shell: Shell) -> None:
    mistypes = {name[1:], name[:-1], name[1] + name[0] + name[2:], name + name[-1]}
    for word in mistypes - {*COMMANDS, *GUESSES, "u", "p", "pu"}:
        done = shell.now(word, "a b", "--json")
        assert done.code == 2
        assert f"teamroom {name} 'a b' --json" in done.err, word
    assert shell.now(name.upper(), "--help").code == 0


def test_a_word_that_nobody_knows_is_answered_with_the_help(shell: Shell) -> None:
    done = shell.now("xyzzy")
    assert (done.code, "run: teamroom help" in done.err) == (2, True)


# ------------------------------------------------------------------ help, the version, completion


def test_help_and_version_are_there_in_each_way_that_people_ask(shell: Shell) -> None:
    assert {shell.now(*words).out for words in (("help",), ("--help",), ("-h",))} == {shell.now("help").out}
    assert {shell.now(word).out for word in ("--version", "-V", "version")} == {f"teamroom {__version__}\n"}
    for name in COMMANDS:
        assert shell.now("help", name).out == shell.now(name, "--help").out
    assert shell.now("help", "who").out == shell.now("roster", "--help").out
    assert shell.now("help", "bord").code == 2
    assert shell.now("help", "task", "add").out == shell.now("task", "add", "--help").out
    assert shell.now("task", "help").out == shell.now("task", "--help").out


def candidates(shell: Shell, *words: str) -> list[str]:
    done = shell.now("completion", "bash", "--", *words)
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


async def test_commands_options_values_and_members_are_completed(room: RunningRoom) -> None:
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    await room.enroll("builder", "tester")

    async def found(*words: str) -> list[str]:
        done = await shell.here("completion", "bash", "--", *words)
        assert (done.code, done.err) == (0, "")
        return done.out.splitlines()

    assert set(await found("")) >= set(COMMANDS)
    assert await found("pau") == ["pause"]
    assert await found("pause", "b") == ["builder"]
    assert await found("pause", "--reason", "x", "") == ["builder", "olga", "tester", "room"]
    assert await found("pause", "builder", "--re") == ["--reason"]
    assert await found("listen", "--as", "t") == ["tester"]
    assert await found("enroll", "") == [], "a new member has a new name"
    assert await found("enroll", "x", "--role", "o") == ["owner", "operator", "observer"]
    assert await found("completion", "") == list(SCRIPTS)
    assert await found("nothing", "") == []


def test_a_room_that_does_not_answer_completes_no_members_and_says_nothing(shell: Shell, tmp_path: Path) -> None:
    assert candidates(shell.with_(TEAMROOM_DATA=str(tmp_path / "none")), "pause", "b") == []


IN_SHELL = {
    "bash": 'eval "$(teamroom completion bash)"; COMP_WORDS=(teamroom bo); COMP_CWORD=1; _teamroom; echo "$COMPREPLY"',
    "zsh": 'autoload -U compinit; compinit -u; eval "$(teamroom completion zsh)"; whence -w _teamroom',
    "fish": "teamroom completion fish | source; complete -C 'teamroom bo'",
}


@pytest.mark.parametrize(("name", "script"), IN_SHELL.items(), ids=IN_SHELL)
def test_each_script_works_in_its_shell(name: str, script: str, shell: Shell) -> None:
    if (program := shutil.which(name)) is None:
        pytest.skip(f"there is no {name}")
    path = f"{Path(TEAMROOM).parent}:{shell.environment['PATH']}"
    done = subprocess.run(
        [program, "-c", script], env={**shell.environment, "PATH": path}, capture_output=True, text=True,
        timeout=STEP_SECONDS, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split()[0] in ("board", "_teamroom:")


# ------------------------------------------------------------------ printed commands


def test_a_printed_command_gets_the_options_that_named_the_room_and_that_it_takes() -> None:
    options = named_options(["board", "--data=/a b", "--url", "http://x", "T-1", "--", "--data", "/other"])
    assert options == {"--data": "/a b", "--url": "http://x"}
    assert pasteable("Run `teamroom roster`.", options) == "Run `teamroom roster --data '/a b' --url http://x`."
    assert pasteable("Rotate it: teamroom enroll x --rotate. Or not.", options) == (
        "Rotate it: teamroom enroll x --rotate --data '/a b' --url http://x. Or not."
    )
    assert pasteable("run: teamroom kill x --reason 'a. b' --yes", {"--url": "u"}).endswith("'a. b' --yes --url u")
    assert pasteable("Run `teamroom up --data /c`.", options) == "Run `teamroom up --data /c`."
    assert pasteable("`teamroom board --help` and `teamroom`", options) == "`teamroom board --help` and `teamroom`"
    commands = {name: one for name, one in GROUP.commands.items() if not hasattr(one, "commands")}
    for name, one in {**commands, **GROUP.commands["task"].commands}.items():
        taken = {option for parameter in one.params for option in parameter.opts} & {"--data", "--url", "--token-file"}
        expected = set() if name in NO_ROOMS_COMMANDS else {"--data"} if name in FOLDERS_COMMANDS else None
        assert taken == (expected if expected is not None else {"--data", "--url", "--token-file"}), name


async def test_what_is_printed_runs_as_it_is_pasted_although_the_program_is_not_on_the_path(
    room: RunningRoom, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, {"PATH": "/usr/bin:/bin"})
    words = ("enroll", "builder", "--save", "--data", str(room.folder), "--url", room.url)
    assert (await shell.process(*words)).code == 0
    saved = room.folder / "members" / "builder.token"
    before = saved.read_text()
    again = await shell.process(*words)
    assert (again.code, f"Use the token that is saved in {saved}" in again.err) == (1, True)
    (command,) = re.findall(r"Rotate it: `(.+?)`", again.err)

    def paste() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], env=shell.environment, capture_output=True, text=True, timeout=STEP_SECONDS
        )

    done = await anyio.to_thread.run_sync(paste)
    assert done.returncode == 0, done.stderr
    assert saved.read_text() != before
