"""Counts the listeners of each agent, in the room and on this machine. There should be exactly one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.room import Room
from teamroom.clients.session.session import Tell
from teamroom.clients.watchdog.machine import Machine
from teamroom.clients.watchdog.processes import Process
from teamroom.clients.watchdog.runtimes import Runtimes
from teamroom.server.private import NotPrivateError, read_private, write_private

LOOK_AGAIN_SECONDS = 3.0
"""A wrong count is checked again after this, as one listener may just be superseding another."""

PROCESSES_NAMED = 5

Who = Callable[[str], Any]


class Audit:
    """Counts listeners, and reports each change to a wrong count once."""

    def __init__(self, room: Room, who: Who, machine: Machine, config: Runtimes, tell: Tell) -> None:
        assert config.state is not None
        self._room, self._who, self._machine, self._config, self._tell = room, who, machine, config, tell
        self._file = config.state / "audit.json"
        self._unwritten: dict[str, str] | None = None

    async def round(self, busy: set[str]) -> int:
        """Count the listeners of every runtime that is not being repaired; returns how many counts are wrong.

        If a count is not possible, for example in a pause, the last report stays known. After all runtimes are
        checked, it raises the first Failure or OSError.
        """
        known, found, wrong = self._known(), dict[str, str](), 0
        errors: list[Failure | OSError] = []
        for name in self._config.runtime:
            kind = known.get(name)
            if name not in busy:
                try:
                    counted = await self._wrong(name, kind)
                except (Failure, OSError) as error:
                    errors.append(error)
                else:
                    kind = kind if counted is None else counted
                    wrong += bool(counted)
            if kind:
                found[name] = kind
        try:
            self._remember(found, known)
        except OSError as error:
            errors.append(error)
        if errors:
            raise errors[0]
        return wrong

    async def _wrong(self, name: str, known: str | None) -> str | None:
        """Return in short what is wrong with a runtime's listeners: "" for nothing, None if they cannot be counted.

        A change is reported to the owner.
        """
        seen = await self._count(name)
        if seen is None or seen[1] in ("", known):
            return None if seen is None else seen[1]
        await anyio.sleep(LOOK_AGAIN_SECONDS)
        again = await self._count(name)
        if again is None or again[1] != seen[1]:
            return known
        owner, kind, words = again
        await self._room.post_message(text=words, to=[owner], kind="note")
        self._tell("listeners", words, runtime=name, found=kind)
        return kind

    async def _count(self, name: str) -> tuple[str, str, str] | None:
        """Return the owner and what is wrong, in short and in words; None if listeners cannot be counted."""
        member = await self._who(name)
        if member is None or member["standing"] != "active":
            return None
        here = await anyio.to_thread.run_sync(self._machine.listeners, name)
        stays = member["mode"] == "live"
        if here is None and not stays:
            return None
        if here == [] and member["connected"] and not member["listening"]:
            return None  # it called recently, and may have ended since
        listens = bool(member["listening"] or member["connected"]) or not stays
        kind, words = _judged(name, here, listens)
        return member["owner"], kind, words

    def _remember(self, found: dict[str, str], known: dict[str, str]) -> None:
        """Remember the reports, in memory if the file cannot be written, so that none is repeated."""
        if found != known or self._unwritten is not None:
            self._unwritten = found
            write_private(self._file, json.dumps(found))
            self._unwritten = None

    def _known(self) -> dict[str, str]:
        if self._unwritten is not None:
            return self._unwritten
        try:
            found = json.loads(read_private(self._file))
            return {str(name): str(kind) for name, kind in found.items()}
        except NotPrivateError:
            raise
        except (OSError, ValueError, AttributeError):
            return {}

    @property
    def file(self) -> Path:
        """The file that remembers the reports."""
        return self._file


def _judged(name: str, here: list[Process] | None, listens: bool) -> tuple[str, str]:
    """Return what is wrong, in short and in words; two empty texts for exactly one listener.

    The words name the member without @, so that they do not wake it.
    """
    if here is not None and len(here) > 1:
        ids = ", ".join(str(one.id) for one in here[:PROCESSES_NAMED])
        return f"{len(here)} here", f"{len(here)} listeners of {name} run here instead of one: processes {ids}."
    if here is not None and not here:
        room = "though the room sees one from elsewhere" if listens else "and the room sees none"
        return f"none here, heard: {listens}", f"No listener of {name} runs here, {room}."
    if not listens:
        where = "" if here is None else f", though process {here[0].id} looks like one"
        return "unheard", f"The room sees no listener of {name}{where}."
    return "", ""
