"""The hooks that a join writes: the gate before a local tool, reports, and the listener that wakes a session.

Every command of a hook is made here.
"""

import shlex
from collections.abc import Iterable
from typing import Any

from teamroom.clients.harnesses.description import Seat
from teamroom.clients.harnesses.entries import Item

GATE_SECONDS = 5
WAIT_SECONDS = 86_400
"""How long a hook may wait for a wake: a day."""

MILLISECONDS = 1000

UNATTENDED = "Unattended, it gets no such hook: its listener starts a run for each wake."
STAYS = (
    "Unattended, it gets no such hook: its listener keeps it running (`--adapter {}`), or starts a run for each wake."
)
"""The same of a harness that has a driver."""


def gate_command(seat: Seat, format_: str) -> str:
    """Return the command that asks the room before a local tool. Unattended, it refuses if no room answers."""
    unattended = ("--unattended",) if seat.is_unattended else ()
    return shlex.join([*seat.program, "gate", "--format", format_, *unattended, *seat.who])


def wake_hooks(seat: Seat, *hooks: Item) -> tuple[Item, ...]:
    """Return the hooks that wait for wakes; none for an unattended session.

    Its listener starts a run for each wake, and in such a run a hook that waits would keep the run from ending.
    """
    return () if seat.is_unattended else hooks


def wake_command(seat: Seat, format_: str) -> str:
    """Return the command that waits for one wake and hands it to the session."""
    name, *place = seat.who[1:]
    return shlex.join([*seat.program, "listen", "--as", name, "--once", "--format", format_, *place])


def command_hook(event: str, command: str, timeout: int = GATE_SECONDS, matcher: str = "", **more: Any) -> Item:
    """Return a hook in the shape that Claude Code has, and several harnesses after it."""
    handler = {"type": "command", "command": command, **more, "timeout": timeout}
    group = {"matcher": matcher, "hooks": [handler]} if matcher else {"hooks": [handler]}
    return Item(("hooks", event), group, command)


def report_hooks(seat: Seat, format_: str, events: Iterable[str], timeout: int = GATE_SECONDS) -> tuple[Item, ...]:
    """Return the hooks that tell the room what a harness is doing. The room's answer to them is always empty."""
    return tuple(command_hook(event, gate_command(seat, format_), timeout) for event in events)


def http_gate(seat: Seat, variable: str) -> Item:
    """Return Claude Code's own call of the room before a tool, with the token in a variable.

    Only an unattended session may be blocked because no room answers.
    """
    fails = {"onFailure": "block"} if seat.is_unattended else {}
    return _http_hook(seat, variable, "PreToolUse", {"matcher": "*"}, fails)


def http_report(seat: Seat, variable: str, event: str) -> Item:
    """Return Claude Code's own call that tells the room what it is doing. The answer is always empty."""
    return _http_hook(seat, variable, event, {}, {})


def _http_hook(seat: Seat, variable: str, event: str, group: dict[str, Any], fails: dict[str, Any]) -> Item:
    url = f"{seat.url}/hooks/claude"
    handler = {
        "type": "http",
        "url": url,
        "timeout": GATE_SECONDS,
        **fails,
        "headers": {"Authorization": f"Bearer ${variable}"},
        "allowedEnvVars": [variable],
    }
    return Item(("hooks", event), {**group, "hooks": [handler]}, url)
