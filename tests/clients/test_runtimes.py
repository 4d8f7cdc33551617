"""`runtimes.toml` is checked whole, and the machine does what it says and nothing else."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

import teamroom.clients.watchdog.processes
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.watchdog.machine import LOG_BYTES, Machine
from teamroom.clients.watchdog.processes import Started, matching, processes, run
from teamroom.clients.watchdog.repair import Before
from teamroom.clients.watchdog.runtimes import EXAMPLE, LINES, Runtime, Runtimes, load
from tests.support.promises import promise
from tests.support.shells import Shell
from tests.support.watching import FAILING_PS, ps_in_the_way, stepped_ps

pytestmark = promise("PRS4")

TOKEN = "tr_" + "0" * 64
STAYS = "import time; time.sleep(600)"
FORKS = """\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""
BOUND_SECONDS = 60.0

MADE: list[Machine] = []
"""Machines that a test made, whose children it ends."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a config; what was started from it is ended."""
    yield tmp_path
    while MADE:
        for child in MADE.pop().children.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def machine(folder: Path, surroundings: dict[str, str] | None = None, **runtime: Any) -> Machine:
    """A machine with one runtime, @builder."""
    found = Machine(
        Runtimes(
            state=folder / "runtimes.state",
            commands_within=2.0,
            runtime={"builder": Runtime(folder=folder, **runtime)},
        ),
        surroundings or dict(os.environ),
    )
    found.make_state_folder()
    MADE.append(found)
    return found


def python(script: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script, *words)


def lives(number: int) -> bool:
    found = processes().get(number)
    return found is not None and not found.is_dead


def until(is_so: Any) -> None:
    give_up_at = time.monotonic() + BOUND_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


# ------------------------------------------------------------------ the file


def wrong(folder: Path, text: str, environment: dict[str, str] | None = None) -> Failure:
    path = folder / "runtimes.toml"
    path.write_text(text)
    with pytest.raises(Failure) as raised:
        load(path, environment or {})
    assert raised.value.exit_code == USAGE
    return raised.value


def test_the_example_is_right_and_shows_every_key(folder: Path) -> None:
    path = folder / "runtimes.toml"
    path.write_text(EXAMPLE)
    found = load(path, {"BUILDER_TOKEN": "x"})
    assert list(found.runtime) == ["builder", "tester"]
    assert found.state == folder / "runtimes.state"
    assert set(LINES) == set(Runtimes.model_fields) | set(Runtime.model_fields)
    printed = Shell(folder).now("watch", "--example")
    assert (printed.code, printed.out) == (0, EXAMPLE)


@pytest.mark.parametrize("key", sorted(set(LINES) - {"runtime", "start", "restart"}))
def test_each_line_that_a_refusal_suggests_is_valid(folder: Path, key: str) -> None:
    path = folder / "runtimes.toml"
    own = key in Runtime.model_fields
    path.write_text(f'{"" if own else LINES[key]}\n[runtime.builder]\nstart = ["x"]\n{LINES[key] if own else ""}\n')
    load(path, {"BUILDER_TOKEN": "x"})


@pytest.mark.parametrize(
    ("text", "why", "fix"),
    [
        ('[runtime.b]\nrestrat = ["x"]', "runtime.b.restrat is not a known key", LINES["restart"]),
        ('evry = "3s"\n[runtime.b]\nstart = ["x"]', "evry is not a known key", LINES["every"]),
        ('[runtime.b]\nstart = ["x"]\nzzz = 0', "runtime.b.zzz is not a known key", "The keys are: start, restart"),
        ('[runtime.b]\nstart = "x y"', "a command must be a list of words", LINES["start"]),
        ("[runtime.b]\nport = 1", "give either start or restart", LINES["start"]),
        ('[runtime.b]\nstart = ["x"]\nrestart = ["x"]', "give either start or restart", LINES["start"]),
        ('[runtime.b]\nstart = ["x"]\nport = 0', "a port must be a number", LINES["port"]),
        ('[runtime.b]\nstart = ["x"]\nlistener = "("', "not a regular expression", LINES["listener"]),
        ('[runtime.b]\nstart = ["x"]\nenvironment = { A = "a b" }', "not its value", LINES["environment"]),
        ('[runtime."b c"]\nstart = ["x"]', "like its member", LINES["runtime"]),
        ('every = "soon"\n[runtime.b]\nstart = ["x"]', "write a span", LINES["every"]),
        ("", "runtime is missing", LINES["runtime"]),
        ("runtime = 3", "it must be a table", LINES["runtime"]),
        ("[runtime.b\n", "is not valid TOML", "Correct that line"),
    ],
)
def test_a_wrong_line_of_a_config_is_refused_with_a_correct_one(folder: Path, text: str, why: str, fix: str) -> None:
    failure = wrong(folder, text)
    assert why in failure.why
    assert fix in failure.fix


def test_a_secret_in_the_file_is_refused_and_not_repeated(folder: Path) -> None:
    text = f'[runtime.b]\nstart = ["x"]\nenvironment = {{ TEAMROOM_TOKEN = "{TOKEN}" }}'
    failure = wrong(folder, text)
    assert TOKEN not in failure.text()
    assert "environment" in failure.fix
    unset = wrong(folder, text.replace(TOKEN, "BUILDER_TOKEN"))
    assert "BUILDER_TOKEN, which is not set" in unset.why


def test_a_check_starts_nothing_and_shows_what_would_be_done(folder: Path) -> None:
    (folder / "runtimes.toml").write_text(f"[runtime.builder]\nstart = {json.dumps(list(python(STAYS)))}\nport = 1\n")
    done = Shell(folder).now("watch", "--check", "--json", "--config", str(folder / "runtimes.toml"))
    (line,) = done.json["runtimes"]
    assert (done.code, line["now"]) == (0, "unhealthy, it was not started here yet")
    assert line["seen_by"] == "its process, port 1"
    shown = Shell(folder).now("watch", "--check", "--config", str(folder / "runtimes.toml"))
    assert f"\n  output: {folder / 'runtimes.state' / 'builder.log'}\n" in shown.out
    assert not list(folder.glob("*.state/*.json"))
    (folder / "runtimes.toml").write_text('[runtime.builder]\nrestart = ["no-such-command"]\n')
    done = Shell(folder).now("watch", "--check", "--config", str(folder / "runtimes.toml"))
    assert (done.code, "there is no command no-such-command" in done.out) == (1, True)
    assert "output:" not in done.out, "what restarts by itself writes where it likes"


# ------------------------------------------------------------------ the machine


async def test_a_runtime_gets_only_its_own_token(folder: Path) -> None:
    given = {"PATH": os.environ["PATH"], "TEAMROOM_TOKEN": "the watchdog's", "MINE": "mine", "HARMLESS": "yes"}
    out = folder / "out"
    script = f"import json, os; open({str(out)!r}, 'w').write(json.dumps(dict(os.environ)))"
    await machine(folder, given, restart=python(script), environment={"TEAMROOM_TOKEN": "MINE"}).start("builder")
    found = json.loads(out.read_text())
    assert found["TEAMROOM_TOKEN"] == "mine"
    assert "MINE" not in found
    assert found["HARMLESS"] == "yes"


def test_a_renamed_variable_reaches_only_its_own_runtime(folder: Path) -> None:
    surroundings = {"PATH": "/bin", "HOME": "/root", "BUILDERS": "b", "TESTERS": "t", "KEY_1": "k", "SPARE": TOKEN}
    builder = {"TEAMROOM_TOKEN": "BUILDERS", "PATH": "PATH", "HOME": "HOME", "API_KEY": "KEY_1", "SPARE": "SPARE"}
    given = {"builder": builder, "tester": {"TEAMROOM_TOKEN": "TESTERS"}}
    runtimes = {name: Runtime(start=("true",), environment=one) for name, one in given.items()}
    both = Machine(Runtimes(state=folder, runtime=runtimes), surroundings)
    common = {"PATH": "/bin", "HOME": "/root"}
    own = {"TEAMROOM_TOKEN": "b", "API_KEY": "k", "SPARE": TOKEN, "TEAMROOM_AGENT": "builder"}
    assert both.environment("builder") == {**common, **own}
    assert both.environment("tester") == {**common, "TEAMROOM_TOKEN": "t", "TEAMROOM_AGENT": "tester"}


async def test_ending_a_process_ends_its_group_even_if_the_leader_is_gone(folder: Path) -> None:
    child_file = folder / "child"
    dog = machine(folder, start=python(FORKS, str(child_file)))
    for leader_dies_first in (False, True):
        child_file.unlink(missing_ok=True)
        await dog.start("builder")
        await anyio.to_thread.run_sync(until, lambda: child_file.exists() and child_file.read_text())
        child, leader = int(child_file.read_text()), json.loads((folder / "runtimes.state/builder.json").read_text())
        if leader_dies_first:
            os.kill(leader["id"], signal.SIGKILL)
            await anyio.to_thread.run_sync(until, lambda number=leader["id"]: not lives(number))
            assert (await dog.look("builder")).found == "its process was ended by signal 9"
            assert lives(child)
        await dog.end("builder")
        assert not lives(leader["id"])
        assert not lives(child)


async def test_a_process_that_reuses_the_id_of_another_is_never_ended(folder: Path) -> None:
    dog = machine(folder, start=python(STAYS))
    with subprocess.Popen(python(STAYS), start_new_session=True) as stranger:  # noqa: ASYNC220
        known = Started.of(processes()[stranger.pid], processes())
        record = folder / "runtimes.state" / "builder.json"
        for other in (replace(known, began=known.began - 60), replace(known, life="of before the machine began anew")):
            record.write_text(json.dumps(asdict(other)))
            assert (await dog.look("builder")).found == "its process is gone"
            await dog.end("builder")
            assert lives(stranger.pid)
        for nonsense in ("", "{}", *(f'{{"id": {id_}, "began": 1, "life": ""}}' for id_ in ('"x"', 0, 1)), "[]"):
            record.write_text(nonsense)
            await dog.end("builder")
            assert (await dog.look("builder")).is_well is False
        assert known.is_among(processes()), "the twin: its own is known"
        stranger.kill()


async def test_a_later_watchdog_knows_what_an_earlier_one_started(folder: Path) -> None:
    await machine(folder, start=python(STAYS)).start("builder")
    later = machine(folder, start=python(STAYS))
    assert (await later.look("builder")).is_well is True
    assert len(later.left_running()) == 1
    await later.end("builder")
    assert later.left_running() == []


async def test_a_watchdog_knows_what_an_earlier_version_started(folder: Path) -> None:
    await machine(folder, start=python(STAYS)).start("builder")
    record = folder / "runtimes.state" / "builder.json"
    number = json.loads(record.read_text())["id"]
    began = processes()[number].began
    later = machine(folder, start=python(STAYS))
    record.write_text(json.dumps({"id": number, "began": began - 60}))
    assert (await later.look("builder")).found == "its process is gone", "the twin: another had its number"
    record.write_text(json.dumps({"id": number, "began": began}))
    assert (await later.look("builder")).is_well is True
    assert len(later.left_running()) == 1
    await later.end("builder")
    assert not lives(number)


async def test_a_step_of_the_clock_hides_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine(folder, start=python(STAYS))
    flag = stepped_ps(folder, monkeypatch)
    await first.start("builder")
    flag.touch()
    later = machine(folder, start=python(STAYS))
    assert (await later.look("builder")).is_well is True
    monkeypatch.setattr(teamroom.clients.watchdog.processes, "BOOT_ID", folder / "none")
    assert (await later.look("builder")).found == "its process is gone", "the twin: by the clock alone it is hidden"
    assert (await first.look("builder")).is_well is True, "a child is known without a clock"
    assert len(first.left_running()) == 1
    number = json.loads((folder / "runtimes.state/builder.json").read_text())["id"]
    await first.end("builder")
    assert not lives(number)


async def test_a_process_that_cannot_be_recorded_is_ended_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dog = machine(folder, start=python(FORKS, str(folder / "child")))
    record, flag = folder / "runtimes.state" / "builder.json", ps_in_the_way(folder, monkeypatch, FAILING_PS)
    for why in ("Is a directory", "Processes cannot be listed: ps shows none"):
        if why == "Is a directory":
            record.mkdir()
        else:
            record.rmdir()
            flag.touch()
        assert await dog.start("builder") == f"it could not be recorded: {why}, so it was ended again"
        assert dog.has_ended("builder") == "was ended by signal 9"
        assert dog.children["builder"].poll() == -signal.SIGKILL
        assert (await dog.look("builder")).found == "its process was ended by signal 9"
    flag.unlink()
    assert dog.left_running() == []
    assert "was started as" in await dog.start("builder"), "the twin: what can be remembered runs on"
    assert len(dog.left_running()) == 1


async def test_a_record_and_a_log_that_are_links_are_refused(folder: Path) -> None:
    """A record says which process is ended, and output that follows a link is appended to somebody's file."""
    dog = machine(folder, start=python(STAYS))
    elsewhere, state = folder / "elsewhere", folder / "runtimes.state"
    elsewhere.write_text(json.dumps(asdict(Started(os.getpid(), 0.0, ""))))
    before = elsewhere.read_text()
    (state / "builder.json").symlink_to(elsewhere)
    with pytest.raises(Failure, match=r"builder\.json is a symbolic link"):
        await dog.look("builder")
    (state / "builder.json").unlink()
    (state / "builder.log").symlink_to(elsewhere)
    assert "builder.log is a symbolic link" in await dog.start("builder")
    assert elsewhere.read_text() == before
    (state / "builder.log").unlink()
    assert "was started as" in await dog.start("builder"), "the twin: with its own files it starts"
    assert (state / "builder.log").stat().st_mode & 0o777 == 0o600


async def test_a_child_process_whose_record_was_removed_is_found_and_ended(folder: Path) -> None:
    dog = machine(folder, start=python(STAYS))
    await dog.start("builder")
    (folder / "runtimes.state" / "builder.json").unlink()
    assert (await dog.look("builder")).is_well is True
    child = dog.children["builder"]
    await dog.end("builder")
    assert child.poll() is not None
    assert (await dog.look("builder")).found == "it was not started here yet"


async def test_a_port_a_pid_file_and_a_check_each_report_what_is_wrong(folder: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert (await machine(folder, restart=("true",), port=port).look("builder")).is_well is True
    assert (await machine(folder, restart=("true",), port=port).look("builder")).found == (
        f"nothing listens on port {port}"
    )
    pid_file = folder / "builder.pid"
    by_file = machine(folder, restart=("true",), pid_file=pid_file)
    assert (await by_file.look("builder")).found == "its pid file names no process"
    pid_file.write_text(f"{os.getpid()}\n")
    assert (await by_file.look("builder")).is_well is True
    for command, found in ((("false",), "its check ended with 1"), (("true",), "")):
        assert (await machine(folder, restart=("true",), check=command).look("builder")).found == found
    assert (await machine(folder, restart=("true",)).look("builder")).is_well is None


async def test_commands_are_bounded_in_time_and_output_and_no_shell_reads_them(folder: Path) -> None:
    began = time.monotonic()
    slow = machine(folder, restart=python(FORKS, str(folder / "child")))
    assert await slow.start("builder") == "its restart command took longer than 2 s"
    assert time.monotonic() - began < BOUND_SECONDS
    assert not lives(int((folder / "child").read_text()))
    loot = folder / "loot"
    await machine(folder, restart=("echo", f"; touch {loot}", "$(touch loot)")).start("builder")
    assert not loot.exists()
    missing = machine(folder, restart=("no-such-command",))
    assert await missing.start("builder") == "its command could not be run (No such file or directory)"
    log = missing.log("builder")
    os.truncate(log, LOG_BYTES + 1)
    await missing.look("builder")
    assert log.stat().st_size == 0


async def test_a_command_does_not_break_the_pipe_of_a_process_that_it_leaves_behind(folder: Path) -> None:
    done = folder / "done"
    stays = f"import time; time.sleep(0.5); print('x', flush=True); open({str(done)!r}, 'w').write('wrote')"
    leaves = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {stays!r}]); os._exit(0)"
    assert await run(python(leaves), folder, dict(os.environ), folder / "log", 10) == 0
    assert not done.exists(), "the command is not waited for by its output"
    await anyio.to_thread.run_sync(until, lambda: done.exists() and done.read_text() == "wrote")


def test_processes_are_found_by_their_command_lines_and_one_with_its_parent_counts_once() -> None:
    mark = f"marked {time.monotonic()}"
    script = f"# {mark}\nimport subprocess, sys; subprocess.run([sys.executable, '-c', '# {mark}\\n{STAYS}'])"
    with subprocess.Popen(python(script), start_new_session=True) as first:
        until(lambda: sum(mark in one.command for one in processes().values()) == 2)
        assert [one.id for one in matching(mark, processes())] == [first.pid]
        with subprocess.Popen(python(f"# {mark}\n{STAYS}")) as second:
            until(lambda: len(matching(mark, processes())) == 2)
            second.kill()
        os.killpg(first.pid, signal.SIGKILL)


# ------------------------------------------------------------------ what counts as a sign


@pytest.mark.parametrize(
    ("now", "is_sign"),
    [
        ({}, False),
        ({"last_call": "2026-11-27T10:00:01Z"}, True),
        ({"last_progress": "2026-11-27T10:00:01Z"}, True),
        ({"listening": True}, True),
        ({"last_act": "2026-11-27T10:00:01Z", "wake_waits_since": "2026-11-27T09:59:00Z"}, True),
        ({"last_call": "2026-11-27T10:00:01Z", "wake_waits_since": "2026-11-27T09:59:00Z"}, False),
        ({"listening": True, "wake_waits_since": "2026-11-27T09:59:00Z"}, False),
        ({"presence": "zombie", "last_call": "2026-11-27T10:00:01Z", "listening": True}, False),
        ({"presence": "suspect", "last_call": "2026-11-27T10:00:01Z"}, False),
        ({"presence": "gone", "last_call": "2026-11-27T10:00:01Z"}, False),
        ({"last_call": None}, False),
    ],
)
def test_acts_after_the_restart_are_a_sign_and_calls_only_while_nothing_waits(
    now: dict[str, Any], is_sign: bool
) -> None:
    known = Before("2026-11-27T10:00:00Z", "", "", False)
    member = {
        "presence": "live",
        "last_call": "2026-11-27T10:00:00Z",
        "listening": False,
        **dict.fromkeys(("last_progress", "last_act", "wake_waits_since")),
    }
    assert (known.sign({**member, **now}) is not None) is is_sign
