"""Watchdogs for tests: the real `teamroom watch` in a process, a real room, and runtimes that are small scripts."""

import contextlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from teamroom.clients.session.blocking import ask
from teamroom.clients.session.place import Place
from tests.support.rooms import running_room
from tests.support.shells import TEAMROOM, Shell, Up

EVENT_SECONDS = 60.0
"""How long anything that is waited for may take on a busy machine."""

PACE_SECONDS = 0.1

LISTENS = """\
import os, sys
from pathlib import Path
from teamroom.clients.session.place import Place
from teamroom.clients.session.blocking import ask
place = Place(url=os.environ["TEAMROOM_URL"], environment={"TEAMROOM_TOKEN": os.environ["TEAMROOM_TOKEN"]})
Path(sys.argv[1]).write_text(str(os.getpid()))
after = ask(place, "check_in", mode="live")["cursor"]
while True:
    try:
        found = ask(place, "wait_for_wake", after=after, timeout_seconds=5)
        for wake in found["wakes"]:
            if "You were restarted" in wake["line"]:
                ask(place, "check_in")
                ask(place, "post_message", text="here", reply_to=wake["subject"])
        after = found["cursor"]
    except Exception:
        import time
        time.sleep(0.5)
"""
"""A runtime that listens, writes its process id into a file, and answers its watchdog: the fake of an agent."""

PS = """\
#!/bin/sh
if [ -e {flag} ]; then {instead}; fi
exec {ps} "$@"
"""

STEPPED_PS = """\
import re, subprocess, sys
from datetime import datetime, timedelta
shown = subprocess.run([sys.argv[1], *sys.argv[2:]], capture_output=True, text=True).stdout
def later(found):
    began = datetime.strptime(" ".join(found.group(0).split()), "%a %b %d %H:%M:%S %Y") + timedelta(hours=1)
    return began.strftime("%a %b %d %H:%M:%S %Y")
print(re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\\d+ \\d\\d:\\d\\d:\\d\\d \\d{4}", later, shown), end="")
"""
"""Shows what ps shows once the clock was set an hour ahead: every process began an hour later."""

FAILING_PS = "exit 1"

DIES = "import sys; sys.exit(3)"
STAYS_SILENT = "import time; time.sleep(600)"


@dataclass
class Dog:
    """A watchdog at work."""

    process: subprocess.Popen[str]
    events: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def until(self, event: str, seconds: float = EVENT_SECONDS, **facts: Any) -> dict[str, Any]:
        """Wait until it says an event with these facts."""
        give_up_at = time.monotonic() + seconds
        while True:
            try:
                found = self.events.get(timeout=max(give_up_at - time.monotonic(), 0.01))
            except queue.Empty:
                ended = self.process.poll()
                raise AssertionError(f"no {event} within {seconds:.0f} s (ended: {ended}): {self.seen}") from None
            self.seen.append(found)
            if found["event"] == event and facts.items() <= found.items():
                return found

    def said(self) -> list[str]:
        """The events that it said so far, but the quiet ones of a healthy round."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.seen.append(self.events.get_nowait())
        return [event["event"] for event in self.seen if event["event"] not in ("looked", "watches")]

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(EVENT_SECONDS)


@dataclass(frozen=True)
class Served:
    """A room that this process serves from a thread."""

    folder: Path
    url: str
    stop: Callable[[], None]


@dataclass
class WatchedRoom:
    """A real room, with tokens and configs for its watchdogs."""

    folder: Path
    running: Up | Served
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the room answers."""
        return self.running.url

    def owner(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool as the room's owner."""
        return ask(Place(self.running.folder, self.url, environment={}), tool, **arguments)

    def act(self, member: str, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool as a member."""
        return ask(Place(url=self.url, environment={"TEAMROOM_TOKEN": self.tokens[member]}), tool, **arguments)

    def enroll(self, name: str, role: str = "member", mode: str = "live") -> str:
        """Bring a member in; returns its token."""
        self.tokens[name] = self.owner("enroll", name=name, role=role, mode=mode)["token"]
        return self.tokens[name]

    def receipts(self, **wanted: Any) -> list[dict[str, Any]]:
        """The log, as far as it is asked for."""
        found: list[dict[str, Any]] = []
        after = 0
        while page := self.owner("read_receipts", after=after, limit=100, **wanted)["receipts"]:
            found += page
            after = page[-1]["seq"]
        return found

    def acts(self, *names: str) -> list[tuple[str, str, str]]:
        """Who did which of these acts on what, in order, all that were carried out."""
        return [
            (r["actor"], r["act"], r["subject"]) for r in self.receipts() if r["act"] in names and r["outcome"] == "ok"
        ]

    def who(self, name: str) -> dict[str, Any]:
        """What the room says of a member."""
        member: dict[str, Any] = self.owner("who", name=name)["members"][0]
        return member

    def config(self, *tables: str, name: str = "runtimes.toml", **top: Any) -> Path:
        """A config of these tables, with a short pace."""
        settings = {"every": 0.5, "audit_every": 600, "acts_within": 30, **top}
        path = self.folder / name
        path.write_text("\n".join([*(f"{key} = {json.dumps(value)}" for key, value in settings.items()), *tables]))
        return path

    def runtime(self, member: str, script: str = LISTENS, **more: Any) -> str:
        """A table for a runtime whose member is played by a script."""
        command = [sys.executable, "-c", script, str(self.pid_file(member))]
        given = {"start": command, "environment": {"TEAMROOM_TOKEN": f"TOKEN_OF_{member.upper()}"}, **more}
        return f"[runtime.{member}]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in given.items())

    def pid_file(self, member: str) -> Path:
        """Where a runtime of a test writes its process id."""
        return self.folder / f"{member}.pid"

    def watching(self, name: str, config: Path, *words: str) -> contextlib.AbstractContextManager[Dog]:
        """A watchdog at work until the block ends."""
        return dog_at_work(config, self.shell(name).environment, "--verbose", *words)

    def shell(self, name: str) -> Shell:
        """The shell as a watchdog's environment makes it: its own token, and those of the runtimes."""
        runtimes = {f"TOKEN_OF_{member.upper()}": token for member, token in self.tokens.items()}
        return Shell(self.folder, {"TEAMROOM_URL": self.url, "TEAMROOM_TOKEN": self.tokens[name], **runtimes})

    def end_runtimes(self) -> None:
        """End what watchdogs left running, each by the id that they remembered."""
        for record in self.folder.glob("*.state/*.json"):
            with contextlib.suppress(ValueError, KeyError, OSError):
                os.killpg(json.loads(record.read_text())["id"], signal.SIGKILL)


@contextlib.contextmanager
def watched_room(folder: Path, **settings: float) -> Iterator[WatchedRoom]:
    """A room with its supervisor, served from a thread; its members are judged soon."""
    soon = {"live_interval_seconds": 10.0, "presence_write_seconds": 0.0, **settings}
    with contextlib.ExitStack() as serving:
        portal = serving.enter_context(start_blocking_portal("asyncio", {"use_uvloop": True}))
        opened = running_room(folder / "room", supervised=True, **soon)
        running = serving.enter_context(portal.wrap_async_context_manager(opened))
        room = WatchedRoom(folder, Served(running.folder, running.url, serving.close))
        try:
            yield room
        finally:
            room.end_runtimes()


@contextlib.contextmanager
def dog_at_work(config: Path, environment: Mapping[str, str], *words: str) -> Iterator[Dog]:
    """A watchdog in its process until the block ends; what it started runs on."""
    command = [TEAMROOM, "watch", "--config", str(config), "--json", *words]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        dog = Dog(process)
        reader = Thread(target=_read, args=(process, dog), daemon=True)
        reader.start()
        try:
            yield dog
        finally:
            if process.poll() is None:
                dog.stop()
            reader.join(EVENT_SECONDS)


def ps_in_the_way(folder: Path, patch: pytest.MonkeyPatch, instead: str) -> Path:
    """Put a ps in the way of the real one; it does something else while the returned file exists."""
    real, bin_folder, flag = shutil.which("ps"), folder / "bin", folder / "ps is another"
    assert real is not None
    bin_folder.mkdir()
    fake = bin_folder / "ps"
    fake.write_text(PS.format(flag=shlex.quote(str(flag)), instead=instead, ps=real))
    fake.chmod(0o755)
    patch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    return flag


def stepped_ps(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Put a ps in the way that shows a clock set an hour ahead while the returned file exists."""
    script = folder / "stepped.py"
    script.write_text(STEPPED_PS)
    words = shlex.join([sys.executable, str(script), str(shutil.which("ps"))])
    return ps_in_the_way(folder, patch, f'{words} "$@"; exit 0')


def until(is_so: Any, what: str, seconds: float = EVENT_SECONDS) -> None:
    """Wait until something is so."""
    give_up_at = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() >= give_up_at:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(PACE_SECONDS)


def _read(process: subprocess.Popen[str], dog: Dog) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        dog.events.put(json.loads(line))


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)
