"""Whether each agent has exactly one live listener: what the room hears, beside what runs here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.private import write_private
from teamroom.clients.session.steady import SteadyRoom, Tell
from teamroom.clients.watchdog.machine import Machine
from teamroom.clients.watchdog.processes import Process
from teamroom.clients.watchdog.runtimes import Runtimes

LOOK_AGAIN_SECONDS = 3.0
"""What is not so is looked at once more after this: one listener may just be taking the place of another."""

PROCESSES_NAMED = 5

Who = Callable[[str], Any]


class Audit:
    """Counts listeners, and says once per change where there is not exactly one."""

    def __init__(self, room: SteadyRoom, who: Who, machine: Machine, config: Runtimes, tell: Tell) -> None:
        assert config.state is not None
        self._room, self._who, self._machine, self._config, self._tell = room, who, machine, config, tell
        self._file = config.state / "audit.json"
        self._unwritten: dict[str, str] | None = None

    async def round(self, busy: set[str]) -> int:
        """Look at every runtime that is not being repaired; returns how many have not exactly one listener.

        While nothing is to be counted, say in a pause, what was told stays known. Raises the first Failure or OSError
        of a runtime once the others were looked at, too.
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
        """In short what is wrong with a runtime's listeners, "" where nothing is, None where nothing is to be counted.

        What is new is told to its owner.
        """
        seen = await self._count(name)
        if seen is None or seen[1] in ("", known):
            return None if seen is None else seen[1]
        await anyio.sleep(LOOK_AGAIN_SECONDS)
        again = await self._count(name)
        if again is None or again[1] != seen[1]:
            return known
        owner, kind, words = again
        await self._room.call("post_message", text=words, to=[owner], kind="note")
        self._tell("listeners", words, runtime=name, found=kind)
        return kind

    async def _count(self, name: str) -> tuple[str, str, str] | None:
        """The owner, what is wrong in short ("" where nothing is) and in words; None where nothing is to be counted."""
        member = await self._who(name)
        if member is None or member["standing"] != "active":
            return None
        here = await anyio.to_thread.run_sync(self._machine.listeners, name)
        stays = member["mode"] == "live"
        if here is None and not stays:
            return None
        if here == [] and member["connected"] and not member["listening"]:
            return None  # it called of late, and may have ended since
        heard = bool(member["listening"] or member["connected"]) or not stays
        kind, words = _judged(name, here, heard)
        return member["owner"], kind, words

    def _remember(self, found: dict[str, str], known: dict[str, str]) -> None:
        """Remember what was told, here where the file cannot be written, so that nothing is told twice."""
        if found != known or self._unwritten is not None:
            self._unwritten = found
            write_private(self._file, json.dumps(found))
            self._unwritten = None

    def _known(self) -> dict[str, str]:
        if self._unwritten is not None:
            return self._unwritten
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(name): str(kind) for name, kind in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    @property
    def file(self) -> Path:
        """Where it is remembered what was told."""
        return self._file


def _judged(name: str, here: list[Process] | None, heard: bool) -> tuple[str, str]:
    """What is wrong, in short and in words; two empty texts where there is exactly one listener.

    The member is named without @, so that it is not woken by what is said of it.
    """
    if here is not None and len(here) > 1:
        ids = ", ".join(str(one.id) for one in here[:PROCESSES_NAMED])
        return f"{len(here)} here", f"{len(here)} listeners of {name} run here, of which one should: processes {ids}."
    if here is not None and not here:
        room = "though the room hears one from elsewhere" if heard else "and the room hears none"
        return f"none here, heard: {heard}", f"No listener of {name} runs here, {room}."
    if not heard:
        where = "" if here is None else f", though process {here[0].id} looks like one"
        return "unheard", f"The room hears no listener of {name}{where}."
    return "", ""
