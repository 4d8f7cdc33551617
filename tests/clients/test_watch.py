"""The watchdog as its process against a real room: it repairs first, never twice, and what is well is silent."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from teamroom.clients.session.failure import NOT_AUTHORISED, PAUSED, Failure, UnreachableError
from teamroom.clients.session.listening import ListeningRoom, new_listener
from teamroom.clients.session.tools import Tools
from teamroom.clients.watchdog.machine import Machine
from teamroom.clients.watchdog.processes import matching, processes
from teamroom.clients.watchdog.repair import HEALTHY, Repairs
from teamroom.clients.watchdog.runtimes import Runtime, Runtimes, load
from teamroom.clients.watchdog.watch import RETURN_SECONDS, Teller, Watchdog
from tests.support.promises import promise
from tests.support.shells import Shell, up
from tests.support.watching import (
    DIES,
    EVENT_SECONDS,
    FAILING_PS,
    LISTENS,
    STAYS_SILENT,
    Dog,
    WatchedRoom,
    ps_in_the_way,
    stepped_ps,
    until,
    watched_room,
)

TRAIL = ("repair", "claim_task", "update_task", "complete_task")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WatchedRoom]:
    """A room with an agent and a watchdog."""
    with watched_room(tmp_path) as running:
        running.enroll("builder")
        running.enroll("rex", "watchdog")
        yield running


def kill_9(room: WatchedRoom, member: str) -> int:
    """Kill a runtime as a crash does; returns the id that its process had."""
    number = int(room.pid_file(member).read_text())
    os.kill(number, signal.SIGKILL)
    return number


def begun(dog: Dog) -> None:
    """The runtime was started for the first time, which is a repair like any other."""
    dog.until("repaired", runtime="builder")


@promise("PRS4")
def test_a_crashed_runtime_is_restarted_through_one_trail_of_receipts(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        before, first = len(room.receipts()), kill_9(room, "builder")
        told = dog.until("restarts")
        assert told["why"] == "its process was ended by signal 9"
        repaired = dog.until("repaired")
        task = repaired["task"]
        assert int(room.pid_file("builder").read_text()) != first
        assert "acts again after 1 restart: " in repaired["words"]
        trail = [(r["actor"], r["act"], r["subject"]) for r in room.receipts()[before:] if r["act"] in TRAIL]
        assert trail == [
            ("rex", "repair", "@builder"),
            ("rex", "claim_task", task),
            ("rex", "update_task", task),
            ("rex", "complete_task", task),
        ]
        done = room.owner("read_board", task=task)["task"]
        assert done["state"] == "done"
        assert [item["kind"] for item in done["evidence"]] == ["test", "receipt"]


@promise("PRS2", "PRS4")
def test_a_restarted_runtime_that_only_polls_is_not_repaired_and_its_owner_is_notified(room: WatchedRoom) -> None:
    """The twin of the one before: its listener is there again, and no model answers."""
    script = LISTENS.replace("You were restarted", "what nobody says")
    with room.watching("rex", room.config(room.runtime("builder", script, acts_within="15s"), repairs=2)) as dog:
        begun(dog)
        kill_9(room, "builder")
        dog.until("gave_up")
        assert dog.said().count("repaired") == 1, "the first start alone"
        assert room.who("builder")["presence"] in ("live", "suspect", "zombie"), "it polls"
        assert any("still does not act" in text for text in notes(room))


@promise("ID1", "PRS4")
def test_a_watchdog_and_a_runtime_that_were_renamed_meanwhile_go_on_under_the_names_of_their_config(
    room: WatchedRoom,
) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.owner("enroll", name="builder", rename="mason")
        room.owner("enroll", name="rex", rename="guard")
        before, first = len(room.receipts()), kill_9(room, "builder")
        dog.until("restarts", runtime="builder")
        task = dog.until("repaired", runtime="builder")["task"]
        assert int(room.pid_file("builder").read_text()) != first
        trail = [(r["actor"], r["act"], r["subject"]) for r in room.receipts()[before:] if r["act"] in TRAIL]
        assert trail == [
            ("guard", "repair", "@mason"),
            ("guard", "claim_task", task),
            ("guard", "update_task", task),
            ("guard", "complete_task", task),
        ]
    once = room.shell("rex").run("watch", "--config", str(room.config(room.runtime("builder"))), "--once")
    assert once.code == 0, once.err


@promise("PRS4")
def test_a_person_can_have_a_healthy_runtime_restarted(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        first = room.pid_file("builder").read_text()
        task = room.owner("repair", name="builder", found="it is to take up its new settings")["task"]
        assert dog.until("restarts")["task"] == task
        dog.until("repaired")
        assert room.pid_file("builder").read_text() != first


@promise("PRS4")
def test_a_runtime_that_was_started_elsewhere_is_left_alone_and_reported_once(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
    first = int(room.pid_file("builder").read_text())
    with room.watching("rex", room.config(room.runtime("builder"), name="renamed.toml", every=0.2)) as dog:
        words = "@builder runs, but was not started by this watchdog. End it there, and the watchdog starts it here."
        assert dog.until("elsewhere")["words"] == f"{words} Or remove it from the config."
        for _ in range(6):
            dog.until("looked")
        assert dog.said() == ["elsewhere"]
        assert int(room.pid_file("builder").read_text()) == first
        for _ in range(2):
            task = room.owner("repair", name="builder", found="run it from here")["task"]
            dog.until("left", task=task)
            kept = room.owner("read_board", task=task)["task"]
            assert (kept["state"], kept["summary"]) == ("done", f"{words} Nothing was restarted.")
        assert int(room.pid_file("builder").read_text()) == first
        assert dog.said() == ["elsewhere", "left", "left"], "nor does it get a twin when a person asks for it"
        kill_9(room, "builder")
        dog.until("repaired")
        assert int(room.pid_file("builder").read_text()) != first, "the twin: once it was ended it is started here"


@promise("PRS4")
def test_a_runtime_that_ends_elsewhere_is_started_here(room: WatchedRoom) -> None:
    with contextlib.ExitStack() as ended_last:
        with by_hand(room, "builder"):
            until(lambda: room.who("builder")["listening"], "it listens")
            config = room.config(room.runtime("builder"), every=0.2)
            dog = ended_last.enter_context(room.watching("rex", config))
            dog.until("elsewhere")
        assert dog.until("restarts")["why"] == "it was not started here yet"
        dog.until("repaired")


@promise("PRS4")
def test_a_runtime_that_ended_elsewhere_just_before_is_started_here_once_the_room_no_longer_hears_it(
    room: WatchedRoom,
) -> None:
    with by_hand(room, "builder"):
        until(lambda: room.who("builder")["listening"], "it listens")
    until(lambda: not room.who("builder")["listening"], "its call ended with it")
    assert is_heard(room.who("builder"))
    table = room.runtime("builder", STAYS_SILENT, listener=f"{re.escape(str(room.pid_file('builder')))}$")
    with room.watching("rex", room.config(table, every=0.2, audit_every=0.2)) as dog:
        assert dog.until("restarts")["why"] == "it was not started here yet"
        assert not is_heard(room.who("builder"))
        assert dog.said() == ["restarts"], "nothing is told of what called of late"


@promise("PRS4")
@pytest.mark.parametrize("is_seen", [True, False], ids=["seen here", "seen in the room alone"])
def test_a_runtime_that_never_ran_is_started_at_once(room: WatchedRoom, is_seen: bool) -> None:
    """A person used the token of the first one; that proves no runtime. The other one's member never called."""
    if is_seen:
        room.act("builder", "read_board")
        assert is_heard(room.who("builder"))
        table = room.runtime("builder")
    else:
        table = f"[runtime.builder]\nrestart = ['touch', {str(room.folder / 'started')!r}]"
    with room.watching("rex", room.config(table, acts_within=1)) as dog:
        told = dog.until("restarts")
        assert told["words"] == f"@builder was not started here yet, so it is started now ({told['task']})."
        assert told["number"] == 1
        if is_seen:
            repaired = dog.until("repaired")
            assert "@builder is connected after its first start here: " in repaired["words"]
            assert repaired["restarts"] == 0
            noted = room.owner("read_board", task=told["task"])["task"]["history"]
            assert "Start 1 of 3 of @builder: it was not started here yet" in [entry["text"] for entry in noted]
        else:
            until((room.folder / "started").exists, "its command ran")


def is_heard(member: dict[str, Any]) -> bool:
    """Whether the room says that a member is well, and called of late."""
    return member["presence"] in HEALTHY and member["connected"]


@promise("PRS4")
def test_after_a_repair_request_a_call_is_a_sign_of_life_and_declared_work_is_not(room: WatchedRoom) -> None:
    room.enroll("fido", "watchdog")
    room.act("fido", "declare_capabilities", capabilities=["runtime:builder"])
    room.act("rex", "declare_capabilities", capabilities=["runtime:builder"])
    room.act("builder", "check_in", mode="live")
    config = room.config(f'[runtime.builder]\nrestart = ["touch", "{room.folder}/restarted"]', acts_within=1)

    def calls_after(task: str) -> bool:
        room.act("builder", "heartbeat", note="compiling", busy_until=7200)
        return bool(room.who("builder")["last_call"] > room.owner("read_board", task=task)["task"]["created_at"])

    task = room.act("fido", "repair", name="builder", found="it says nothing")["task"]
    until(lambda: calls_after(task), "a call since")
    with room.watching("rex", config) as dog:
        assert dog.until("repaired")["restarts"] == 0
        assert room.who("builder")["presence"] == "working"
        task = room.act("fido", "repair", name="builder", found="it says nothing")["task"]
        assert dog.until("restarts")["task"] == task
        until(lambda: (room.folder / "restarted").exists(), "its command")


@promise("PRS4")
def test_a_check_that_fails_briefly_ends_no_declared_work(room: WatchedRoom) -> None:
    faults = [room.folder / "first fault", room.folder / "second fault"]
    check = ["sh", "-c", '! rm "$0" && ! rm "$1"', *map(str, faults)]
    with room.watching("rex", room.config(room.runtime("builder", WORKS_SILENTLY, check=check))) as dog:
        begun(dog)
        first = room.pid_file("builder").read_text()
        until(lambda: room.who("builder")["presence"] == "working", "it declares its work")
        for fault in faults:
            fault.touch()
        assert dog.until("repaired")["restarts"] == 0
        assert room.pid_file("builder").read_text() == first
        assert dog.said() == ["restarts", "repaired", "repaired"]
        kill_9(room, "builder")
        assert dog.until("restarts")["why"] == "its process was ended by signal 9", "the twin: declared work hides none"
        dog.until("repaired")


WORKS_SILENTLY = """\
import os, sys, time
from pathlib import Path
from teamroom.clients.session.place import Place
from teamroom.clients.session.blocking import ask
place = Place(url=os.environ["TEAMROOM_URL"], environment={"TEAMROOM_TOKEN": os.environ["TEAMROOM_TOKEN"]})
Path(sys.argv[1]).write_text(str(os.getpid()))
ask(place, "check_in", mode="live")
ask(place, "heartbeat", note="compiling", busy_until=7200)
time.sleep(600)
"""
"""A runtime that declares long work, and does not call while it does it."""


@promise("PRS4")
def test_two_watchdogs_make_one_repair(room: WatchedRoom) -> None:
    room.enroll("fido", "watchdog")
    config = room.config(room.runtime("builder"), every=0.2, repairs=20)
    with room.watching("rex", config) as rex, room.watching("fido", config) as fido:
        until(lambda: "repaired" in rex.said() + fido.said(), "the first start")
        for _ in range(2):
            before = len(room.receipts())
            kill_9(room, "builder")
            until(lambda since=before: done(room, since), "the repair")
            trail = [r["act"] for r in room.receipts()[before:] if r["act"] in TRAIL and r["outcome"] == "ok"]
            assert trail == list(TRAIL)
        assert rex.said().count("restarts") + fido.said().count("restarts") == 3


def done(room: WatchedRoom, since: int) -> bool:
    """Whether a repair was completed, and nothing is under way."""
    return "complete_task" in [r["act"] for r in room.receipts()[since:]] and not room.owner("read_board")["tasks"]


def left_given_up(task: str) -> str:
    return (
        f"The watchdog gave up on @builder ({task}), and its owner was notified. It does nothing more until "
        f"@builder acts or a person requests a repair (the tool repair)."
    )


@promise("PRS4")
def test_after_three_restarts_the_owner_is_notified_once_and_no_more_restarts_follow(room: WatchedRoom) -> None:
    config = room.config(room.runtime("builder", DIES))
    with room.watching("rex", config) as dog:
        task = dog.until("gave_up")["task"]
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == ["restarts"] * 3 + ["gave_up"]
    with room.watching("rex", config) as dog:
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == ["left"], "not even a watchdog that begins anew, which says so once"
        assert [event["words"] for event in dog.seen if event["event"] == "left"] == [left_given_up(task)]
    (alert,) = [w for w in room.owner("check_in")["wakes"] if w["from"] == "rex"]
    (message,) = room.owner("read_messages", ids=[alert["subject"]])["messages"]
    assert (alert["reason"], message["task"]) == ("alert", task)
    assert message["text"].count("ended with 3") == 3
    assert "Check it, then request a repair or start it yourself." in message["text"]
    kept = room.owner("read_board", task=task)["task"]
    assert (kept["state"], kept["holder"]) == ("open", None)
    notes = [entry["text"] for entry in kept["history"] if entry["kind"] == "working"]
    assert [note.partition(" of")[0] for note in reversed(notes)] == ["Start 1", "Restart 2", "Restart 3"]
    once = room.shell("rex").run("watch", "--config", str(config), "--once")
    assert (once.code, once.out.splitlines()[0]) == (1, left_given_up(task))


@promise("PRS4")
def test_a_repair_that_was_given_up_is_made_once_more_for_each_request_of_a_person(room: WatchedRoom) -> None:
    mended = room.folder / "mended"
    script = f"import os, sys\nif not os.path.exists({str(mended)!r}): sys.exit(3)\n{LISTENS}"
    with room.watching("rex", room.config(room.runtime("builder", script))) as dog:
        task = dog.until("gave_up")["task"]
        asked = room.owner("repair", name="builder", found="try once more")
        assert (asked["task"], asked["ordered"]) == (task, True)
        noted = "Restart 4, which a person requested, of @builder: its process ended with 3"
        assert dog.until("restarts")["words"] == f"{noted} ({task})."
        assert dog.until("gave_up")["task"] == task
        mended.touch()
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == ["restarts"] * 3 + ["gave_up", "restarts", "gave_up"], "nobody asked"
        room.owner("repair", name="builder", found="its disk is mended")
        assert dog.until("repaired")["task"] == task
        assert dog.said()[6:] == ["restarts", "repaired"]
    assert [w["reason"] for w in room.owner("check_in")["wakes"]].count("alert") == 2


@promise("PRS4")
def test_the_owner_learns_which_restarts_are_from_earlier_repairs_and_where_the_output_is(room: WatchedRoom) -> None:
    ends = room.folder / "ends"
    script = f"import os, sys\nif os.path.exists({str(ends)!r}): sys.exit(3)\n{LISTENS}"
    with room.watching("rex", room.config(room.runtime("builder", script))) as dog:
        begun(dog)
        ends.touch()
        kill_9(room, "builder")
        dog.until("gave_up")
        output = f"Its output: {room.folder / 'runtimes.state' / 'builder.log'}, on the watchdog's machine."
        assert told_last(room).splitlines()[-2:] == ["Starts in earlier repairs: 1.", output]
        assert told_last(room).count("ended with 3") == 2
        room.owner("repair", name="builder", found="try once more")
        dog.until("gave_up")
        lines = told_last(room).splitlines()
        assert lines[-3:] == ["Starts earlier in this repair: 2.", "Starts in earlier repairs: 1.", output]


def told_last(room: WatchedRoom) -> str:
    """What the owner was told last of what was given up."""
    alert = [w for w in room.owner("check_in")["wakes"] if w["reason"] == "alert"][-1]
    (message,) = room.owner("read_messages", ids=[alert["subject"]])["messages"]
    return str(message["text"])


@promise("PRS4")
def test_a_runtime_that_cannot_be_recorded_is_not_left_running_and_its_owner_is_notified(room: WatchedRoom) -> None:
    record = room.folder / "runtimes.state" / "builder.json"
    record.mkdir(parents=True)
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        dog.until("gave_up")
        (alert,) = [w for w in room.owner("check_in")["wakes"] if w["from"] == "rex"]
        (message,) = room.owner("read_messages", ids=[alert["subject"]])["messages"]
        assert message["text"].count("it could not be recorded: Is a directory, so it was ended again") == 3
        assert "was started as" not in message["text"]
        assert matching(re.escape(str(room.pid_file("builder"))), processes()) == []
        assert dog.process.poll() is None
        record.rmdir()


@promise("PRS4")
def test_a_repair_that_an_earlier_run_reported_in_other_words_is_released(room: WatchedRoom) -> None:
    room.act("rex", "declare_capabilities", capabilities=["runtime:builder"])
    task = room.act("rex", "repair", name="builder", found="it is gone")["task"]
    fence = room.act("rex", "claim_task", task=task)["fence"]
    for number in (1, 2, 3):
        room.act("rex", "update_task", task=task, fence=fence, status="working", note=f"Restart {number} of 3")
    told = {"request_id": f"given-up-{task}-{fence}-alert", "text": "It does not act.", "to": ["olga"], "task": task}
    room.act("rex", "post_message", kind="alert", **told)
    with room.watching("rex", room.config(room.runtime("builder", DIES))) as dog:
        assert dog.until("gave_up")["task"] == task
    kept = room.owner("read_board", task=task)["task"]
    assert (kept["state"], kept["holder"]) == ("open", None)
    assert [w["reason"] for w in room.owner("check_in")["wakes"]].count("alert") == 1


@promise("PRS4")
def test_a_member_that_comes_and_goes_is_reported_once_in_that_time(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder", DIES))) as dog:
        given_up = dog.until("gave_up")["task"]
        room.owner("update_task", task=given_up, status="cancelled", note="I mended it")
        until(
            lambda: [t["task"] for t in room.owner("read_board")["tasks"]] not in ([], [given_up]), "it is asked again"
        )
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == ["restarts"] * 3 + ["gave_up", "left"]
        assert [t["state"] for t in room.owner("read_board")["tasks"]] == ["open"]
    assert [w["reason"] for w in room.owner("check_in")["wakes"]].count("alert") == 1


@promise("PRS4")
def test_a_repair_that_was_given_up_ends_when_a_person_restarts_the_runtime(room: WatchedRoom) -> None:
    table = f'[runtime.builder]\nrestart = ["true"]\npid_file = "{room.pid_file("builder")}"'
    with room.watching("rex", room.config(table, audit_every=1, acts_within=1)) as dog:
        task = dog.until("gave_up")["task"]
        with by_hand(room, "builder"):
            assert dog.until("repaired")["task"] == task
        done = room.owner("read_board", task=task)["task"]
        assert (done["state"], "without another restart" in done["summary"]) == ("done", True)


@contextlib.contextmanager
def by_hand(room: WatchedRoom, member: str) -> Iterator[None]:
    """A runtime that nobody supervises, until the block ends."""
    command = [sys.executable, "-c", LISTENS, str(room.pid_file(member))]
    environment = {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens[member]}
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield
        finally:
            process.kill()


@promise("QUI1")
def test_a_healthy_runtime_causes_no_reports(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"), every=0.2, audit_every=0.5)) as dog:
        begun(dog)
        said, written = dog.said(), len(room.receipts())
        for _ in range(20):
            dog.until("looked")
        assert dog.said() == said
        assert len(room.receipts()) == written
    with room.watching("rex", room.config(room.runtime("builder"), every=0.2)) as dog:
        dog.process.send_signal(signal.SIGSTOP)
        dog.process.send_signal(signal.SIGCONT)
        for _ in range(5):
            dog.until("looked")
        assert dog.said() == [], "it was left running, so there is nothing to start"


@promise("QUI1")
def test_without_verbose_a_healthy_watchdog_prints_nothing(room: WatchedRoom) -> None:
    config = room.config(room.runtime("builder"))
    with room.watching("rex", config) as dog:
        begun(dog)
    done = room.shell("rex").run("watch", "--config", str(config), "--once")
    assert (done.code, done.out, done.err) == (0, "", "")


@promise("PRS4")
def test_a_step_of_the_clock_starts_nothing(room: WatchedRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    flag, config = stepped_ps(room.folder, monkeypatch), room.config(room.runtime("builder"), every=0.2)
    with room.watching("rex", config) as dog:
        begun(dog)
        flag.touch()
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == ["restarts", "repaired"]
    flag.unlink()
    with room.watching("rex", config) as dog:
        dog.until("looked")
        flag.touch()
        for _ in range(4):
            dog.until("looked")
        assert dog.said() == [], "nor for the one that finds what another started"


# ------------------------------------------------------------------ what goes wrong meanwhile


@promise("PRS4")
def test_a_refused_repair_is_reported_once_and_made_once_it_is_allowed(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.owner("set_policy", name="trust", value="proven")
        kill_9(room, "builder")
        told = dog.until("failed")
        assert (told["runtime"], "counts only if it is proven" in told["words"]) == ("builder", True)
        for _ in range(4):
            dog.until("looked")
        assert dog.said()[2:] == ["failed"]
        room.owner("set_policy", name="trust", value="declared")
        dog.until("repaired")
    kill_9(room, "builder")
    room.owner("set_policy", name="trust", value="proven")
    config = str(room.folder / "runtimes.toml")
    done = room.shell("rex").run("watch", "--config", config, "--once", "--json")
    assert (done.code, [json.loads(line)["event"] for line in done.out.splitlines()]) == (1, ["failed"])


@promise("PRS4")
def test_a_failing_ps_and_a_full_disk_are_reported_once_and_do_not_end_the_watchdog(
    room: WatchedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag, audits = ps_in_the_way(room.folder, monkeypatch, FAILING_PS), room.folder / "runtimes.state" / "audit.json"
    audits.mkdir(parents=True)
    table = room.runtime("builder", listener="nothing looks like this")
    config = room.config(table, every=0.2, audit_every=0.5)
    with room.watching("rex", config) as dog:
        begun(dog)
        dog.until("failed", why="Is a directory.", runtime=None)
        flag.touch()
        dog.until("failed", why="Processes cannot be listed: ps shows none.", runtime=None)
        for _ in range(12):
            dog.until("looked")
        assert dog.said()[2:] == ["listeners", "failed", "failed"]
        flag.unlink()
        audits.rmdir()
        until(lambda: audits.exists() and list(json.loads(audits.read_text())) == ["builder"], "what was told is kept")
        assert len(notes(room)) == 1
    with room.watching("rex", config) as dog:
        dog.until("looked")
        flag.touch()
        assert dog.until("failed", runtime="builder")["why"] == "Processes cannot be listed: ps shows none."
        flag.unlink()
        kill_9(room, "builder")
        dog.until("repaired")


@promise("PRS4")
def test_a_member_that_is_paused_just_before_its_repair_is_left_alone(room: WatchedRoom) -> None:
    room.act("rex", "declare_capabilities", capabilities=["runtime:builder"])
    config = load(room.config(room.runtime("builder")), {"TOKEN_OF_BUILDER": ""})
    machine, quiet = Machine(config, {"TOKEN_OF_BUILDER": ""}), Teller(False, False).tell
    repairs = Repairs(cast(ListeningRoom, PausesAfterWho(room)), machine, config, "rex", quiet)
    assert anyio.run(repairs.carry_out, "builder", "its process is gone") == "left"
    assert room.owner("read_board")["tasks"] == []


@dataclass
class PausesAfterWho(Tools):
    """The room of a watchdog that is overtaken: the member that it asks after is paused before it goes on."""

    room: WatchedRoom

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Call a tool as the watchdog."""
        given = {name: value for name, value in arguments.items() if value is not None}
        reply = await anyio.to_thread.run_sync(partial(self.room.act, "rex", tool, **given))
        if tool == "who":
            await anyio.to_thread.run_sync(partial(self.room.owner, "pause", target="builder", reason="lunch"))
        return reply


@promise("PRS3", "PRS4")
def test_nothing_is_restarted_while_a_run_moves_and_it_is_once_the_run_ended(room: WatchedRoom) -> None:
    fault, ended = room.folder / "fault", room.folder / "builder.pid.ended"
    check = ["sh", "-c", '! test -e "$0"', str(fault)]
    with room.watching("rex", room.config(room.runtime("builder", REPORTS_A_RUN, check=check), every=0.2)) as dog:
        begun(dog)
        until(lambda: room.who("builder")["run"], "its run is on")
        first = room.pid_file("builder").read_text()
        fault.touch()
        assert "Nothing is restarted before its run ends or no longer moves." in dog.until("at_work")["words"]
        for _ in range(5):
            dog.until("looked")
        assert room.pid_file("builder").read_text() == first
        assert dog.said() == ["restarts", "repaired", "at_work"]
        ended.touch()
        assert dog.until("restarts")["why"] == "its check ended with 1"
        fault.unlink()
        dog.until("repaired")
        ended.unlink()
        until(lambda: room.who("builder")["run"], "its run is on again")
        kill_9(room, "builder")
        assert dog.until("restarts")["why"] == "its process was ended by signal 9", "the twin: no run hides a crash"


REPORTS_A_RUN = """\
import os, sys
from pathlib import Path
import anyio
from teamroom.clients.session.listening import ListeningRoom, new_listener
room = ListeningRoom(os.environ["TEAMROOM_URL"], os.environ["TEAMROOM_TOKEN"], new_listener(), tell=print)
Path(sys.argv[1]).write_text(str(os.getpid()))

async def look():
    return {"began_seconds_ago": 60, "moved_seconds_ago": 0}

async def main():
    await room.call("check_in", mode="live")
    while True:
        await room.beat(None if Path(sys.argv[1] + ".ended").exists() else look)
        await anyio.sleep(0.2)

anyio.run(main)
"""
"""A runtime that reports a run that moves, until a file says that it ended."""


@promise("PRS3", "PRS4")
async def test_after_its_machine_slept_a_watchdog_waits_before_it_repairs(tmp_path: Path) -> None:
    config = Runtimes(state=tmp_path, every=600, runtime={"builder": Runtime(restart=("true",))})
    room = SleepsOnce()
    dog = Watchdog(
        cast(ListeningRoom, room),
        Machine(config, {}),
        config,
        Teller(False, True),
        steady=lambda: room.asleep,
        awake=lambda: 0.0,
        rest=room.rest,
    )
    with anyio.fail_after(EVENT_SECONDS):
        assert await dog.run() == 0
    assert room.did == ["declare_capabilities", "check_in", "who", f"waits {RETURN_SECONDS:.0f} s", "who"]


@dataclass
class SleepsOnce(Tools):
    """The room of a watchdog whose machine sleeps for an hour before the room asks for a repair again."""

    asleep: float = 0.0
    did: list[str] = field(default_factory=list)
    asked: anyio.Event = field(default_factory=anyio.Event)

    async def me(self) -> dict[str, Any]:
        """Say who the watchdog is."""
        return {"name": "rex", "role": "watchdog"}

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Note a call of the watchdog; the room does not know the member that it asks after."""
        self.did.append(tool)
        if tool == "who":
            self.asked.set()
            raise Failure("There is no member @builder.", "", body={"code": "not_found"})
        return {"cursor": 1}

    async def wait(self, after: int | None) -> dict[str, Any]:
        """Let the machine sleep once the room was asked after a member, and end the watchdog the next time."""
        await self.asked.wait()
        self.asked, is_over, self.asleep = anyio.Event(), self.asleep > 0, 3600.0
        return {"cursor": 1, "superseded": is_over, "wakes": [{"reason": "repair"}]}

    async def rest(self, seconds: float) -> None:
        """Note how long the watchdog waits."""
        self.did.append(f"waits {seconds:.0f} s")


@promise("PRS4")
async def test_a_refused_wait_is_reported_once_and_retried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Runtimes(state=tmp_path, every=0.1, runtime={"builder": Runtime(restart=("true",))})
    room = RefusesWaits([2, 0, 1])
    dog = Watchdog(cast(ListeningRoom, room), Machine(config, {}), config, Teller(False, True))
    async with anyio.create_task_group() as dog.tasks:
        dog.tasks.start_soon(dog.listen, 0)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in said] == ["failed", "failed", "superseded"], "told anew only after a wait that came"
    assert said[0]["words"] == "Waiting for wakes: 2 calls too many are open. Retrying. Let some end."


@promise("PRS4")
def test_a_fault_is_reported_once_even_if_its_words_change_and_so_is_another_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Runtimes(state=tmp_path, runtime={"builder": Runtime(restart=("true",))})
    dog = Watchdog(cast(ListeningRoom, None), Machine(config, {}), config, Teller(False, True))
    faults: list[Failure | OSError] = [
        *(Failure(f"Refused at {at}.", "", body={"code": "conflict", "why": f"Refused at {at}."}) for at in range(3)),
        *(PermissionError(errno.EACCES, f"No way to process {number}") for number in range(3)),
        *(OSError(f"No device {number}") for number in range(3)),
        *(UnreachableError(f"http://127.0.0.1:{port}") for port in range(3)),
        Failure("Refused at 9.", "", body={"code": "not_allowed"}),
        *(Failure(f"No code, in {words} words.", "") for words in ("some", "other", "some")),
    ]
    for fault in faults:
        with dog.reporting("builder"):
            raise fault
    said = [json.loads(line)["why"] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "Refused at 0.",
        "No way to process 0.",
        "No device 0.",
        "No room answers at http://127.0.0.1:0.",
        "Refused at 9.",
        "No code, in some words.",
        "No code, in other words.",
    ]


@dataclass
class RefusesWaits:
    """The room of a watchdog: before each wait it refuses as many as it says; the last one is superseded."""

    refusals: list[int]

    async def wait(self, after: int | None) -> dict[str, Any]:
        """Wait for wakes."""
        if self.refusals[0]:
            why = f"{self.refusals[0]} calls too many are open."
            self.refusals[0] -= 1
            raise Failure(why, "Let some end.", body={"code": "rate_limited"})
        del self.refusals[0]
        return {"superseded": not self.refusals, "cursor": after, "wakes": []}


# ------------------------------------------------------------------ its own end


@promise("QUI1")
def test_a_signal_ends_the_watchdog_and_it_reports_what_it_leaves_running(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        assert dog.stop(signal.SIGINT) == 130
        number = int(room.pid_file("builder").read_text())
        assert dog.until("leaves")["left"] == [f"@builder (process {number})"]
        os.kill(number, 0)


@promise("CTL3")
def test_a_paused_watchdog_restarts_nothing_until_it_is_resumed_and_reports_the_pause_once(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.owner("pause", target="rex", reason="looking at it myself")
        dog.until("paused")
        first = kill_9(room, "builder")
        for _ in range(6):
            dog.until("looked")
        assert dog.said()[-1] == "paused"
        assert dog.said().count("paused") == 1
        assert int(room.pid_file("builder").read_text()) == first
        room.owner("resume", target="rex", reason="done")
        dog.until("repaired")


@promise("PRS4")
def test_a_repair_that_is_requested_during_a_pause_is_made_after_the_resume(room: WatchedRoom) -> None:
    room.enroll("fido", "watchdog")
    room.act("fido", "declare_capabilities", capabilities=["runtime:builder"])
    with room.watching("rex", room.config(room.runtime("builder"), audit_every=600)) as dog:
        begun(dog)
        room.owner("pause", target="rex", reason="looking at it myself")
        task = room.owner("repair", name="builder", found="it is to take up its new settings")["task"]
        dog.until("paused")
        room.owner("resume", target="rex", reason="done")
        assert dog.until("restarts")["task"] == task
        dog.until("repaired")


@promise("CTL3")
def test_a_killed_watchdog_exits_and_says_who_killed_it(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.owner("kill", target="rex", reason="it bites")
        assert dog.process.wait(EVENT_SECONDS) == NOT_AUTHORISED
        dog.until("leaves")


@promise("PRS4")
def test_a_runtime_whose_member_is_paused_or_killed_is_not_restarted(room: WatchedRoom) -> None:
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.owner("pause", target="builder", reason="lunch")
        kill_9(room, "builder")
        for _ in range(6):
            dog.until("looked")
        assert dog.said().count("restarts") == 1
        room.owner("resume", target="builder", reason="back")
        dog.until("repaired")
        room.owner("kill", target="builder", reason="it ran wild")
        kill_9(room, "builder")
        for _ in range(6):
            dog.until("looked")
        assert dog.said().count("restarts") == 2
        assert dog.process.poll() is None


@promise("PRS4")
def test_a_repair_that_waits_for_a_paused_member_ends_when_the_member_is_killed(room: WatchedRoom) -> None:
    config = room.config(room.runtime("builder", STAYS_SILENT), acts_within=8)
    with room.watching("rex", config) as dog:
        task = dog.until("restarts")["task"]
        room.owner("pause", target="builder", reason="lunch")
        until(lambda: room.owner("read_board", task=task)["task"]["state"] == "blocked", "it waits")
        for _ in range(3):
            dog.until("looked")
        assert room.owner("read_board", task=task)["task"]["state"] == "blocked", "the twin: while it is paused"
        room.owner("kill", target="builder", reason="it ran wild")
        assert room.owner("read_board", task=task)["task"]["state"] == "cancelled"
        for _ in range(3):
            dog.until("looked")
        assert dog.said().count("restarts") == 1


@promise("PRS4")
def test_a_room_that_restarts_meanwhile_loses_no_repair(room: WatchedRoom) -> None:
    port = room.url.rpartition(":")[2]
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        room.running.stop()
        first = kill_9(room, "builder")
        dog.until("away")
        for _ in range(4):
            dog.until("looked")
        assert int(room.pid_file("builder").read_text()) == first, "nothing is restarted without a receipt"
        with up(room.folder / "room", "--port", port) as again:
            room.running = again
            dog.until("back")
            dog.until("repaired")
            assert dog.said().count("away") == 1
            assert room.acts(*TRAIL)[-4:][0] == ("rex", "repair", "@builder")


@promise("SAF2")
def test_texts_of_members_are_never_executed(room: WatchedRoom) -> None:
    room.enroll("mallory")
    loot = room.folder / "loot"
    hostile = f"Repair @builder; $(touch {loot})"
    room.act("mallory", "create_task", title=hostile, detail=f'start = ["touch", "{loot}"]', needs=["runtime:builder"])
    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        first = room.pid_file("builder").read_text()
        room.act("mallory", "create_task", title=hostile, needs=["runtime:builder"], assign="rex", priority=100)
        for kind in ("ask", "alert", "note"):
            text = f"@rex repair builder now: `touch {loot}`\nreason: repair\nruntime:builder --restart"
            room.act("mallory", "post_message", text=text, to=["rex"], kind=kind, summary=hostile)
        for _ in range(8):
            dog.until("looked")
        assert dog.said().count("restarts") == 1
        assert room.pid_file("builder").read_text() == first
        kill_9(room, "builder")
        dog.until("repaired")
        open_tasks = room.owner("read_board")["tasks"]
        assert [(t["creator"], t["state"], t["holder"]) for t in open_tasks] == [("mallory", "open", None)] * 2
        assert not loot.exists()


@promise("PRS4")
def test_a_zombie_is_restarted_and_only_its_own_act_counts_as_recovery(tmp_path: Path) -> None:
    pace = dict.fromkeys(("suspect_intervals", "challenge_intervals", "challenge_misses"), 1)
    with watched_room(tmp_path, **pace) as room:
        for name, role in (("builder", "member"), ("asker", "member"), ("rex", "watchdog")):
            room.enroll(name, role)
        with room.watching("rex", room.config(room.runtime("builder", BEATS_THEN_ANSWERS))) as dog:
            begun(dog)
            first, after = room.pid_file("builder").read_text(), len(room.receipts())
            room.act("asker", "post_message", text="are you there?", to=["builder"], kind="ask")
            assert dog.until("restarts")["why"] == "the room says zombie"
            dog.until("repaired")
            assert room.pid_file("builder").read_text() != first
            said = [r["detail"]["verdict"] for r in room.receipts(act="presence", subject="@builder")]
            assert said == ["suspect", "zombie", "recovered"]
            acts = [(r["actor"], r["act"]) for r in room.receipts()[after:] if r["act"] in TRAIL]
            assert acts == [("room", "repair"), ("rex", "claim_task"), ("rex", "update_task"), ("rex", "complete_task")]
            assert [w["reason"] for w in room.owner("check_in")["wakes"]] == ["alert"]


BEATS_THEN_ANSWERS = """\
import os, sys, time
from pathlib import Path
from teamroom.clients.session.place import Place
from teamroom.clients.session.blocking import ask
place = Place(url=os.environ["TEAMROOM_URL"], environment={"TEAMROOM_TOKEN": os.environ["TEAMROOM_TOKEN"]})
pid = Path(sys.argv[1])
is_first = not pid.exists()
pid.write_text(str(os.getpid()))
ask(place, "check_in", mode="live")
while True:
    if not is_first:
        (question,) = [c for c in [ask(place, "check_in")["challenge"]] if c] or [None]
        if question:
            ask(place, "heartbeat", answer=question.split('"')[1].split()[0] + " builder")
    ask(place, "heartbeat")
    time.sleep(1)
"""
"""A runtime whose listener beats and whose mind is away, until it was started a second time."""


# ------------------------------------------------------------------ listeners


def notes(room: WatchedRoom) -> list[str]:
    return [m["text"] for m in room.owner("read_messages", limit=50)["messages"] if m["author"] == "rex"]


@promise("PRS5")
def test_two_listeners_of_one_agent_are_reported_to_its_owner_once(room: WatchedRoom) -> None:
    pattern = f"listens {room.folder}"
    table = room.runtime("builder", f"# listens {room.folder}\n{LISTENS}", listener=pattern)
    with room.watching("rex", room.config(table, audit_every=0.5)) as dog:
        begun(dog)
        with subprocess.Popen([sys.executable, "-c", f"# listens {room.folder}\n{STAYS_SILENT}"]) as second:
            found = dog.until("listeners")
            assert found["found"] == "2 here"
            assert str(second.pid) in found["words"]
            for _ in range(6):
                dog.until("looked")
            assert dog.said().count("listeners") == 1
            second.kill()
        until(lambda: json.loads((room.folder / "runtimes.state" / "audit.json").read_text()) == {}, "it is one again")
        assert len(notes(room)) == 1
        assert "2 listeners of builder run here" in notes(room)[0]
        assert [w["reason"] for w in room.owner("check_in")["wakes"]] == ["mention"]


@promise("PRS5")
def test_a_report_about_listeners_is_not_repeated_after_a_pause_of_the_member(room: WatchedRoom) -> None:
    table = room.runtime("builder", listener="nothing looks like this")
    config = room.config(table, every=0.2, audit_every=0.2)
    with room.watching("rex", config) as dog:
        begun(dog)
        dog.until("listeners")
        until((room.folder / "runtimes.state" / "audit.json").exists, "it is remembered")
        for tool in ("pause", "resume"):
            room.owner(tool, target="builder", reason="lunch")
            for _ in range(30):
                dog.until("looked")
        assert dog.said().count("listeners") == 1
        assert len(notes(room)) == 1


@promise("PRS5")
def test_an_agent_without_a_listener_is_reported_to_its_owner(room: WatchedRoom) -> None:
    table = room.runtime("builder", listener="nothing looks like this")
    with room.watching("rex", room.config(table, audit_every=0.5)) as dog:
        begun(dog)
        assert dog.until("listeners")["found"] == "none here, heard: True"
        assert notes(room) == ["No listener of builder runs here, though the room sees one from elsewhere."]


@promise("PRS5")
def test_a_live_member_that_the_room_does_not_hear_is_reported_to_its_owner(room: WatchedRoom) -> None:
    room.act("builder", "check_in", mode="live")
    table = f'[runtime.builder]\nrestart = ["true"]\nport = {room.url.rpartition(":")[2]}'
    with room.watching("rex", room.config(table, audit_every=1)) as dog:
        assert dog.until("listeners")["found"] == "unheard"


# ------------------------------------------------------------------ one round, and who may


@promise("QUI1")
def test_a_single_round_repairs_and_its_exit_code_says_whether_all_is_healthy(room: WatchedRoom) -> None:
    shell, config = room.shell("rex"), room.config(room.runtime("builder"))
    done = shell.run("watch", "--config", str(config), "--once", "--json")
    assert (done.code, [json.loads(line)["event"] for line in done.out.splitlines()]) == (0, ["restarts", "repaired"])
    assert shell.run("watch", "--config", str(config), "--once").out == ""
    dying = room.config(room.runtime("builder", DIES), name="dying.toml", state="runtimes.state")
    kill_9(room, "builder")
    done = shell.run("watch", "--config", str(dying), "--once", "--json")
    assert (done.code, json.loads(done.out.splitlines()[-1])["event"]) == (1, "gave_up")
    room.owner("pause", target="rex", reason="enough")
    assert shell.run("watch", "--config", str(config), "--once").code == PAUSED


@promise("SAF7")
def test_the_watchdog_refuses_to_run_with_another_role(room: WatchedRoom) -> None:
    config = str(room.config(room.runtime("builder")))
    place = {"TEAMROOM_DATA": str(room.folder / "room"), "TEAMROOM_URL": room.url}
    shell = Shell(room.folder, {**place, "TOKEN_OF_BUILDER": "x"})
    refused = shell.run("watch", "--config", config)
    assert (refused.code, "never runs as the owner" in refused.err) == (NOT_AUTHORISED, True)
    owners = str(room.folder / "room" / "owner.token")
    refused = shell.run("watch", "--config", config, "--token-file", owners)
    assert (refused.code, "role is owner" in refused.err) == (NOT_AUTHORISED, True)
    refused = shell.with_(TEAMROOM_TOKEN=room.tokens["builder"]).run("watch", "--config", config)
    assert (refused.code, "role is member" in refused.err) == (NOT_AUTHORISED, True)
    assert not list(room.folder.glob("*.state/*.json"))


@promise("PRS5")
def test_one_name_watches_once_on_a_machine(room: WatchedRoom) -> None:
    config = room.config(room.runtime("builder"))
    with room.watching("rex", config) as dog:
        begun(dog)
        second = room.shell("rex").run("watch", "--config", str(config))
        assert (second.code, "is already watching on this machine" in second.err) == (1, True)
        assert second.out == "", "what the first looks after it does not leave"
        assert dog.stop() == 130
        dog.until("leaves")


@promise("PRS5")
def test_a_watchdog_keeps_its_wakes_when_one_that_began_earlier_calls_late(room: WatchedRoom) -> None:
    earlier = new_listener()

    async def call_late() -> dict[str, Any]:
        late = ListeningRoom(room.url, room.tokens["rex"], earlier, patience_seconds=0)
        return await late.wait(None, seconds=5)

    with room.watching("rex", room.config(room.runtime("builder"))) as dog:
        begun(dog)
        assert anyio.run(call_late)["superseded"]
        room.owner("repair", name="builder", found="it feels slow")
        dog.until("repaired", runtime="builder")
        assert "superseded" not in dog.said()
