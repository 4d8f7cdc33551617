"""The health of each part of the room: who sees it, what readiness says of it, and how a dead part is named."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from teamroom.server import health as parts_of
from teamroom.server import watching
from teamroom.server.health import BACKUPS, DISK, LETTERS, LOOP, NEEDED, PARTS, SEAL, STORE, SUPERVISOR, WRITER, Health
from teamroom.server.notify import deliver
from teamroom.server.record import backups
from teamroom.server.supervisor import loop as supervisor
from teamroom.server.watching import LOOK_SECONDS, Watcher
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell

pytestmark = promise("LOG5")

Hang = Callable[[RunningRoom, pytest.MonkeyPatch], None]


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# ------------------------------------------------------------------ what signs of life mean


def test_a_part_is_named_once_when_it_is_silent_and_again_only_long_after_it_worked() -> None:
    clock = Clock()
    health = Health(now=clock)
    health.alive(SUPERVISOR)
    assert health.bad() == {}, "what never ran is not dead"
    clock.now += parts_of.SILENT_SECONDS
    assert health.news() == []
    clock.now += 1
    assert [part.name for part in health.news()] == [SUPERVISOR]
    health.note_named(SUPERVISOR)
    assert health.news() == []
    assert health.bad() == {SUPERVISOR: "silent"}
    for _ in range(3):  # it comes and goes
        health.alive(SUPERVISOR)
        assert health.news() == []
        clock.now += parts_of.SILENT_SECONDS + 1
        assert health.news() == []
    health.alive(SUPERVISOR)
    clock.now += parts_of.AGAIN_SECONDS
    health.alive(SUPERVISOR)
    assert health.news() == []
    clock.now += parts_of.SILENT_SECONDS + 1
    assert [part.name for part in health.news()] == [SUPERVISOR]


def test_a_part_that_fails_is_named_after_it_failed_for_a_while() -> None:
    clock = Clock()
    health = Health(now=clock)
    health.alive(SEAL, fault="it cannot be written: full")
    assert (health.bad(), health.is_ready(), health.news()) == ({SEAL: "failed"}, False, [])
    clock.now += parts_of.FAILED_SECONDS
    health.alive(SEAL, fault="it cannot be written: full")
    [part] = health.news()
    assert parts_of.sentence(part) == "The room's seal fails: it cannot be written: full"
    health.alive(SEAL)
    assert (health.bad(), health.is_ready(), health.news()) == ({}, True, [])


def test_a_dead_part_is_named_within_a_minute_and_a_server_that_stood_still_blames_none() -> None:
    signs = max(supervisor.LOOK_UP_SECONDS, deliver.LOOK_UP_SECONDS, LOOK_SECONDS, watching.BEAT_SECONDS)
    assert signs < parts_of.SILENT_SECONDS, "a part that works gives signs of life often enough"
    assert parts_of.SILENT_SECONDS + 2 * LOOK_SECONDS + parts_of.FAILED_SECONDS <= 60
    clock = Clock()
    health = Health(now=clock)
    health.alive(LETTERS)
    clock.now += 3600
    health.forgive()
    assert health.bad() == {}


# ------------------------------------------------------------------ a room whose parts hang


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningRoom]:
    """A room with all its parts at work, which are quick, and a clock of their silence that only the test moves."""
    monkeypatch.setattr(watching, "BEAT_SECONDS", 0.02)
    async with running_room(tmp_path / "room", supervised=True, seal_seconds=0.1) as running:
        running.room.health.now = Clock()
        yield running


async def after_silence(room: RunningRoom, watcher: Watcher) -> dict[str, str]:
    """Let a minute pass, in which every part that can gives signs of life; returns the parts that are bad then."""
    clock = room.room.health.now
    assert isinstance(clock, Clock)
    await signs_of_life(room, watcher)
    for _ in range(2):
        clock.now += 30
        await signs_of_life(room, watcher)
    return room.room.health.bad()


async def signs_of_life(room: RunningRoom, watcher: Watcher) -> None:
    """Have each part give a sign of life, as far as it can."""
    for _ in range(10):
        room.room.supervisor.nudge(0.0)
        room.room.deliverer.nudge()
        watcher.look()
        await asyncio.sleep(0.02)


def never(room: RunningRoom, name: str) -> Callable[..., Any]:
    async def wait(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    return wait


def blocked(*_: Any) -> Any:
    RELEASED.wait(BOUND_SECONDS)
    raise OSError(5, "Input/output error")


RELEASED = threading.Event()

HANGS: dict[str, Hang] = {
    SUPERVISOR: lambda room, patch: patch.setattr(room.room.supervisor, "tick", never(room, "tick")),
    LETTERS: lambda room, patch: patch.setattr(room.room.deliverer, "tick", never(room, "tick")),
    SEAL: lambda room, patch: patch.setattr(room.room, "seal", blocked),
    BACKUPS: lambda room, patch: patch.setattr(backups, "backups", blocked),
    LOOP: lambda room, patch: patch.setattr(watching, "BEAT_SECONDS", 3600.0),
    DISK: lambda room, patch: patch.setattr(shutil, "disk_usage", blocked),
    STORE: lambda room, patch: None,
    WRITER: lambda room, patch: None,
}
"""How each part is made to hang. The store and the writer hang for the watcher alone, so that the room can be asked."""


class Stuck:
    """A store one method of which never answers."""

    def __init__(self, room: RunningRoom, method: str) -> None:
        self._room, self._method = room, method

    def __getattr__(self, name: str) -> Any:
        return never(self._room, name) if name == self._method else getattr(self._room.room.store, name)


@pytest.mark.parametrize("part", [*PARTS, ""])
async def test_a_part_that_hangs_is_named_once_and_its_twin_that_works_is_not(
    room: RunningRoom, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`part` empty: the twin, in which nothing hangs."""
    store: Any = Stuck(room, {STORE: "look_up", WRITER: "write"}.get(part, ""))
    watcher = Watcher(room.folder, room.room.health, store, room.room.door)
    (agent,) = await room.enroll("builder")
    watcher.look()
    await asyncio.sleep(0.3)
    RELEASED.clear()
    try:
        if part:
            with monkeypatch.context() as patch:
                if part in (STORE, WRITER):
                    room.room.health.alive(part)  # it answered until now
                HANGS[part](room, patch)
                await asyncio.sleep(0.15)
                bad = await after_silence(room, watcher)
                ready = await room.raw("GET", "/readyz")
                shown = json.loads((await agent.client.read_resource("teamroom://health")).contents[1].text)  # type: ignore[union-attr]
                shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
                checked = (await shell.here("doctor")).out
        else:
            bad, ready = await after_silence(room, watcher), await room.raw("GET", "/readyz")
        watcher.look()
        await asyncio.sleep(0.1)
        watcher.look()
    finally:
        RELEASED.set()
    named = [entry for entry in room.entries() if entry["act"] == "health"]
    if not part:
        assert (bad, named, ready.json()) == ({}, [], {"ok": True})
        return
    assert bad == {part: "silent"}
    assert [entry["summary"].split(" has given")[0] for entry in named] == [f"The room's {part}"]
    assert (ready.status_code, ready.json()["parts"]) == (503 if part in NEEDED else 200, {part: "silent"})
    assert [p["part"] for p in shown["parts"]] == list(PARTS)
    assert [p["part"] for p in shown["parts"] if p["state"] == "silent"] == [part]
    assert f"{part}: silent, last sign of life" in " ".join(checked.split()) or part == BACKUPS
