"""`teamroom listen --once`: waits for one wake inside a hook of a harness, and wakes the harness by how it ends.

The harness runs it in the background, or at the end of a turn, and it ends with the harness. A newer one takes its
place without a word. What it gave to its harness is kept in a private file: if the harness made no call to the room
after it, it gets the same wakes again, a few times.
"""

import json
import os
import re
import select
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import anyio
import anyio.abc

from teamroom.clients.listener.batch import wake_line
from teamroom.clients.listener.listen import FAILED_SECONDS, PARENT_SECONDS
from teamroom.clients.session.failure import WAKES, Failure, ungrouped
from teamroom.clients.session.lineage import MARK, parent_of, words_above
from teamroom.clients.session.listening import STALE_CURSOR, WAIT_SECONDS, ListeningRoom, new_listener, root_of
from teamroom.clients.session.place import (
    MEMBERS,
    TOKEN_FOLDERS,
    TOKENS,
    Place,
    check_kind,
    check_member,
    member_token,
    naming_caller,
)
from teamroom.clients.session.protocol import WOKE
from teamroom.clients.session.whereabouts import Whereabouts
from teamroom.server.private import NotPrivateError, make_private_folder, read_private, write_private
from teamroom.server.rules.hooks import PHASES

EVENT_SECONDS, EVENT_BYTES = 1.0, 65_536
"""How long a harness may take to name its event, and how much of it is read."""

TRIES = 3
"""How often a harness is given the same wakes if it makes no call to the room."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the hook ends: what it prints, and its exit code."""

    output: str = ""
    error: str = ""
    code: int = 0


def _by_exit_code(line: str) -> Ending:
    return Ending(error=line, code=WAKES)


def _by_decision(decision: str) -> Callable[[str], Ending]:
    return lambda line: Ending(json.dumps({"decision": decision, "reason": line}))


WAYS: Mapping[str, Callable[[str], Ending]] = {
    "claude": _by_exit_code,
    "codex": _by_decision("block"),
    "gemini": _by_decision("deny"),
    "qwen": _by_decision("block"),
    "vibe": _by_decision("deny"),
}
"""How a hook of each harness gives its model a line: in the background, or at the end of a turn."""


ONE_SHOT: Mapping[str, frozenset[str]] = {
    "codex": frozenset({"exec", "e"}),
    **dict.fromkeys(("gemini", "qwen", "vibe"), frozenset({"-p", "--prompt"})),
}
"""Words of the command of a harness that ends after one turn."""

ABOVE = 2
"""How many processes above a hook can be its harness: there may be a shell between them."""

ENTRY, SDK = "CLAUDE_CODE_ENTRYPOINT", "sdk"
"""How Claude Code says that a program runs it for one turn."""


def is_to_end(harness: str, environment: Mapping[str, str]) -> bool:
    """Whether a session ends with its turn, or another listener started it: a hook that waits would only keep it."""
    if MARK in environment or environment.get(ENTRY, "").startswith(SDK):
        return True
    return not ONE_SHOT.get(harness, frozenset()).isdisjoint(words_above(ABOVE))


@dataclass(frozen=True, slots=True)
class Given:
    """What the harness was given last: wakes up to `cursor`, how often, and what the room said of its calls then."""

    cursor: int = 0
    times: int = 0
    calls: str | None = None
    root: str = ""
    """What the ids of this harness's listeners have in common."""


def listen_once(place: Place, name: str, harness: str) -> int:
    """Wait for one wake of a member and give it to the harness; returns the exit code. Raises Failure."""
    if is_to_end(harness, place.environment):
        return 0
    with naming_caller(place, name):
        hook = HookListener(place, name, WAYS[harness], is_end_of_turn(read_event()), harness)
        ending = anyio.run(hook.run)
    sys.stdout.write(ending.output)
    sys.stderr.write(ending.error)
    return ending.code


class HookListener:
    """A listener that gives its harness one batch of wakes."""

    def __init__(
        self, place: Place, name: str, way: Callable[[str], Ending], ends_turn: bool, harness: str = ""
    ) -> None:
        """`ends_turn`: the harness has had a turn, which it began with what it was given last."""
        self._place, self._name, self._way, self._ends_turn = place, name, way, ends_turn
        self._file = place.folder / MEMBERS / f"{name}.given"
        self._given = self._read()
        listener = new_listener(self._given.root)
        self._root = root_of(listener)
        token, where = partial(member_token, place, name), Whereabouts(harness)
        self._room = ListeningRoom(lambda: place.endpoint, token, listener, where=where, tell=_silent)
        self._ending = Ending()

    async def run(self) -> Ending:
        """Wait; returns how to end."""
        with ungrouped():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_harness_ends, tasks)
                self._ending = await self._listen()
                tasks.cancel_scope.cancel()
        return self._ending

    async def _listen(self) -> Ending:
        given = self._given
        after = given.cursor if given.cursor and await self._room.has_called(given.calls) else None
        me = await self._room.me()  # which counts as a call of the member
        check_member(self._name, me, "Listen")
        self._name = str(me["name"])
        check_kind(self._place, me)
        if me["mode"] != "live":
            await self._room.call("check_in", mode="live")
        seconds = 0.0  # the first wait only makes this the live listener
        while True:
            try:
                waited = await self._room.wait(after, seconds)
            except Failure as failure:
                if failure.body.get("code") not in STALE_CURSOR:
                    raise
                after, given = None, Given()
                continue
            if waited["superseded"]:
                return Ending()
            if seconds == 0.0 and given.cursor and self._ends_turn:
                self._room.say(WOKE, given.cursor)
                await self._room.beat()
            seconds = WAIT_SECONDS
            if waited["wakes"] and (ending := await self._give(waited, given, is_again=after is None)) is not None:
                return ending
            after = None if after is None else waited["cursor"]

    async def _give(self, waited: Mapping[str, Any], given: Given, is_again: bool) -> Ending | None:
        """Give wakes to the harness; None if it got the same ones too often."""
        cursor = int(waited["cursor"])
        times = given.times if is_again and cursor <= given.cursor else 0
        if times >= TRIES:
            return None
        if times:
            await anyio.sleep(FAILED_SECONDS[0] * 2 ** (times - 1))
        if not self._write(Given(cursor, times + 1, self._room.calls, self._root)):
            await self._room.wait(cursor, 0)  # acknowledges: without the file, they would be given again and again
        return self._way(wake_line(self._name, waited["wakes"]))

    # -------------------------------------------------------------- what it gave before

    def _read(self) -> Given:
        try:
            found = json.loads(read_private(self._file, TOKEN_FOLDERS))
            return Given(int(found["cursor"]), int(found["times"]), found["calls"], _checked(str(found["root"])))
        except (OSError, NotPrivateError, ValueError, KeyError, TypeError):
            return Given()

    def _write(self, given: Given) -> bool:
        """Keep what was given; returns whether that could be written."""
        try:
            make_private_folder(self._file.parent, TOKENS)
            write_private(self._file, json.dumps(asdict(given)) + "\n", TOKEN_FOLDERS)
        except (OSError, NotPrivateError):
            return False
        return True


def _checked(root: str) -> str:
    """The common part of the ids, if it is one."""
    return root if re.fullmatch(r"[0-9a-f]{8}", root) else ""


def read_event() -> str:
    """Read the event that the harness names on standard input; "" if it names none within a second."""
    if sys.stdin is None or sys.stdin.isatty() or not select.select([sys.stdin], [], [], EVENT_SECONDS)[0]:
        return ""
    try:
        return str(json.loads(os.read(sys.stdin.fileno(), EVENT_BYTES))["hook_event_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_end_of_turn(event: str) -> bool:
    """Whether a harness runs a hook because its turn has ended."""
    return PHASES.get(event.lower()) == "idle" and not event.lower().startswith("session")


async def _until_harness_ends(tasks: anyio.abc.TaskGroup) -> None:
    """End with the harness: with the process that started this one, or the one above that, if a shell is between."""
    parents = above()
    while True:
        if above() != parents:
            break
        await anyio.sleep(PARENT_SECONDS)
    tasks.cancel_scope.cancel()


def above() -> tuple[int, int | None]:
    """The process above this one, and the one above that."""
    parent = os.getppid()
    return parent, parent_of(parent)


def _silent(event: str, words: str, /, **facts: Any) -> None:
    """Whatever a hook prints is shown to a model."""
