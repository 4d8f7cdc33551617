"""Sends the tasks of a file to the room, one act for each, as fast as the room allows."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from teamroom.clients.importing.item import Found, Item
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.progress import Report
from teamroom.server.rules.text import cite

LATER = frozenset({"rate_limited", "busy"})
"""Refusals after which the same call is right, only later."""

ITS_OWN = frozenset({"invalid", "too_large", "conflict"})
"""Refusals that concern one task, so that the next one may be taken."""

WAITS = 100
LONGEST_WAIT_SECONDS = 120.0
"""How often one call waits until the room takes it, and for how long at most."""

GO_ON = "Then run the same command again. It goes on where it stopped, and imports nothing twice."


class Called(Protocol):
    """A room that is called."""

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool. Raises Failure."""
        ...


@dataclass(slots=True)
class Kept:
    """A task that somebody has changed here, so that it stays, and in what it differs from the file."""

    task: str
    item: Item
    differs: Sequence[str]


@dataclass(slots=True)
class Sent:
    """What an import did: how many tasks it created, changed and found unchanged, and which ones it left as they are.

    `at`: how many tasks of the file were sent.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)
    at: int = 0


def send(room: Called, found: Found, report: Report, pause: Callable[[float], None]) -> Sent:
    """Import the tasks of a file. What the room refuses of a single task is added to what was found broken.

    Raises Failure if the room refuses to go on, and KeyboardInterrupt; what was imported stays.
    """
    sent, total = Sent(), len(found.items)
    for item in found.items:
        report(sent.at, total)
        try:
            _send(room, item, found, sent, pause)
        except Failure as failure:
            if failure.body.get("code") not in ITS_OWN:
                raise _stopped(failure, sent, total) from None
            found.broken.append(f"{item.name}: {failure.why}")
        sent.at += 1
    report(total, total)
    return sent


def _send(room: Called, item: Item, found: Found, sent: Sent, pause: Callable[[float], None]) -> None:
    """Import one task; without its dependencies, if the room refuses it with them. Raises Failure."""
    arguments = item.arguments()
    try:
        reply = _call(room, arguments, pause)
    except Failure as failure:
        if not item.needs or failure.body.get("code") not in ITS_OWN:
            raise
        reply = _call(room, arguments | {"depends_on": None}, pause)
        found.in_part.append(f"{item.name}: its dependencies are not imported. {failure.why}")
    sent.outcomes[reply["outcome"]] += 1
    if reply["outcome"] == "kept":
        sent.kept.append(Kept(reply["task"], item, reply["differs"]))
    for place in reply["missing"]:
        other = cite(item.needs[place])
        found.in_part.append(f"{item.name}: it waits for {other}, which is neither in the file nor here")


def _call(room: Called, arguments: dict[str, Any], pause: Callable[[float], None]) -> dict[str, Any]:
    """Call the room, as soon as it takes the call. Raises Failure."""
    for _ in range(WAITS - 1):
        try:
            return room.call("import_task", **arguments)
        except Failure as failure:
            seconds = _seconds(failure)
            if failure.body.get("code") not in LATER or seconds > LONGEST_WAIT_SECONDS:
                raise
            pause(seconds)
    return room.call("import_task", **arguments)


def _seconds(failure: Failure) -> float:
    given = failure.body.get("retry_after_seconds")
    return float(given) if isinstance(given, int | float) and math.isfinite(given) and given > 0 else 1.0


def _stopped(failure: Failure, sent: Sent, total: int) -> Failure:
    """The failure that stopped an import, with how far it came and how to go on."""
    why = f"{failure.why} The import stopped after {sent.at:,} of {total:,} tasks."
    fix = f"{failure.fix} {GO_ON}"
    facts = {"why": why, "fix": fix, "imported": sent.at, "tasks": total}
    return Failure(why, fix, failure.exit_code, {**failure.body, **facts})
