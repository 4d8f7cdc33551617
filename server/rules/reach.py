"""What a stop reaches besides an agent's calls to the room, in words."""

from dataclasses import dataclass
from typing import Literal

from teamroom.server.rules.spans import duration

FAILS_OPEN = frozenset({"qwen"})
"""The harnesses that use a tool although the room could not be asked, and that cannot be told otherwise."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the room knows of an agent's own machine.

    `harness`: the format of the hooks that it sent. `gate_seconds`: how long ago it asked before it used a tool of its
    own; None if it never did. `has_run`: whether a listener runs it now.
    """

    harness: str
    gate_seconds: float | None
    has_run: bool

    def in_words(self, stop: Literal["paused", "killed"]) -> str:
        """What a stop of this agent reaches and what it does not."""
        reached, missed = ["its calls to the room"], []
        if self.gate_seconds is None:
            missed.append("its own tools (its harness never asked the room before it used one)")
        else:
            open_ = ", and continues while it cannot reach the room" if self.harness in FAILS_OPEN else ""
            reached.append(f"its own tools ({self.harness} asked {duration(self.gate_seconds)} ago{open_})")
        if not self.has_run:
            missed.append("its process (no listener runs it)")
        elif stop == "killed":
            reached.append("its process, which its listener ends")
        else:
            missed.append("its process (it waits under its listener)")
        rest = f" Does not reach {' or '.join(missed)}." if missed else ""
        return f"Reaches {_joined(reached)}.{rest}"


def describe_reach_of(agents: int, gates: int, runs: int) -> str:
    """What a pause of several agents reaches; "" without agents."""
    if not agents:
        return ""
    return (
        f"Reaches the calls to the room of {agents} agent{'s' if agents > 1 else ''}, and the own tools of {gates} "
        f"whose harness asks the room first. {runs} of them run under a listener."
    )


def _joined(parts: list[str]) -> str:
    """The parts in a list; the last one follows an `and`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
