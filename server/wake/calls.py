"""How often members called: so that a listener can tell whether its run did (WAK2).

A listener gets the count with each of its own calls, in the metadata of the result. Its own calls do not count, and
neither does one that a stop refused. The counts are kept in memory: after a restart of the server they begin again,
under another mark.
"""

from collections import Counter

CALLS = "teamroom/calls"
"""The key of a result's `_meta` for a listener: the mark of this server's start, a colon, and the count."""

STOPPED = frozenset({"paused", "killed"})
"""Refusals of calls that do not count: their member could not answer anything."""


class Calls:
    """Counts the calls of each member that are not its listener's. Event loops of several threads share it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._count: Counter[int] = Counter()

    def note(self, member: int, refused: str | None = None) -> None:
        """Note a call, and the code with which it was refused if it was."""
        if refused not in STOPPED:
            self._count[member] += 1

    def said(self, member: int) -> dict[str, str]:
        """The metadata for a listener of a member."""
        return {CALLS: f"{self._mark}:{self._count[member]}"}
