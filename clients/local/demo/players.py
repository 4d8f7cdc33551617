"""The members of a demo. Each calls the room's endpoint with its own token, as any program would."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.failure import Failure

RACE_SECONDS = 20.0
"""How long the racers may take to get ready."""

PAUSES = 10
"""How often one call is made again because its member was paused."""


class OffScriptError(Failure):
    """The room answered something else than the story needs."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The demo's story went wrong: {what}.", "Run it again. If it fails again, report it.")


Patience = Callable[["Player", dict[str, Any]], None]
"""Waits until a member whose call was refused, because it is paused, has been resumed. Gets the refusal."""


class Player:
    """One member, and how far it has read.

    With `patience`, a call that is refused because the visitor paused the member is made again once it is resumed.
    """

    def __init__(self, name: str, room: BlockingRoom, patience: Patience | None = None) -> None:
        self.name, self._room, self.patience = name, room, patience
        self._cursor: int | None = None

    def __call__(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool; returns its structured reply. Raises Failure, also for a refusal."""
        for _ in range(PAUSES):
            try:
                return self._room.call(tool, **arguments)
            except Failure as failure:
                if self.patience is None or failure.body.get("code") != "paused":
                    raise
                self.patience(self, failure.body)
        raise OffScriptError(f"@{self.name} was paused {PAUSES} times")

    def read(self, uri: str) -> dict[str, Any]:
        """Read a resource; returns its JSON. Raises Failure."""
        return self._room.read(uri)

    def check_in(self, mode: str | None = None) -> dict[str, Any]:
        """Acknowledge what was read so far; returns what is new."""
        found = self("check_in", mode=mode, after=self._cursor)
        self._cursor = found["cursor"]
        return found

    def refused(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Make a call that the room must refuse; returns the refusal. Raises OffScriptError if it is carried out."""
        try:
            self(tool, **arguments)
        except Failure as failure:
            return refusal_in(failure)
        raise OffScriptError(f"@{self.name} called {tool}, and was not refused")

    def attempt(self, tool: str, /, **arguments: Any) -> dict[str, Any] | None:
        """Make a call once, also while paused; returns the refusal, or None if it was carried out. Raises Failure."""
        try:
            self._room.call(tool, **arguments)
        except Failure as failure:
            return refusal_in(failure)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._room.close()


def refusal_in(failure: Failure) -> dict[str, Any]:
    """The room's refusal in a failure. Raises the failure if it is none."""
    if "code" not in failure.body:
        raise failure
    return failure.body


Race = Callable[[Sequence[Player], Callable[[Player], dict[str, Any]]], dict[str, dict[str, Any]]]
"""Has several players make a call each; returns each one's reply or refusal, by name."""


def race(players: Sequence[Player], call: Callable[[Player], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Have several players call at one moment; returns each one's reply or refusal, by name."""
    start = Barrier(len(players), timeout=RACE_SECONDS)

    def run(player: Player) -> dict[str, Any]:
        start.wait()
        try:
            return call(player)
        except Failure as failure:
            return refusal_in(failure)

    with ThreadPoolExecutor(len(players)) as threads:
        return dict(zip((player.name for player in players), threads.map(run, players), strict=True))
