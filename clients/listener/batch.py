"""The wakes that a member gets in one turn, and what is said of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teamroom.clients.session.terminal import plain
from teamroom.server.rules.text import cite, quote_wake

LINE_BYTES = 4096
"""The longest line about wakes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The wakes that a member gets in one turn, up to a cursor.

    `variables`: what the harness is started with, so that it acts as the member.
    """

    member: str
    cursor: int
    wakes: list[dict[str, Any]]
    variables: Mapping[str, str]

    @property
    def line(self) -> str:
        """One line for the member's model about what woke it."""
        return wake_line(self.member, self.wakes)

    @property
    def message(self) -> bytes:
        """The whole batch as JSON."""
        found = {"member": self.member, "cursor": self.cursor, "line": self.line, "wakes": self.wakes}
        return json.dumps(found).encode()


def what_woke(wakes: list[dict[str, Any]]) -> str:
    """Return in words what woke a member, without texts of others."""
    if not wakes:
        return "Work waits in the room"
    first, more = wakes[-1], f", and {len(wakes) - 1} more" if len(wakes) > 1 else ""
    return plain(f"Woken by {first['reason']} {cite(first['subject'])} from @{first['from']}{more}")


def wake_line(name: str, wakes: list[dict[str, Any]]) -> str:
    """Return one line of at most LINE_BYTES for the member's model about what woke it. Texts of others are quoted."""
    if not wakes:
        return f"You are @{name} in the room. Work waits for you there. Call check_in first."
    first = wakes[-1]
    more = f", and {len(wakes) - 1} more" if len(wakes) > 1 else ""
    text = quote_wake(first["reason"], first["from"], first["line"])
    what = f"{first['reason']} {cite(first['subject'])} from @{first['from']}: {text}{more}"
    line = plain(f"You are @{name} in the room. You were woken: {what}. Call check_in first.")
    return line.encode("utf-8", "backslashreplace")[:LINE_BYTES].decode("utf-8", "ignore")
