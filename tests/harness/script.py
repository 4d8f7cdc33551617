"""What a scripted model says: a list of steps, each a function of what the model has seen so far."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

THOUGHT_SECONDS = 120.0
"""How long a model thinks at most before its script counts as broken."""


class ScriptError(Exception):
    """The conversation did not go as the script expects."""


@dataclass(frozen=True)
class UseTool:
    """A call of one of the room's tools."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class RunCommand:
    """A command for the harness's own shell tool."""

    command: str


@dataclass(frozen=True)
class Say:
    """The text that ends a turn."""

    text: str


Turn = UseTool | RunCommand | Say

Seen = Sequence[str]
"""The results of a script's calls so far, as the harness showed them to its model."""

Step = Callable[[Seen], Turn]


def use(name: str, **arguments: Any) -> Step:
    """A call whose arguments are known before the conversation."""
    return lambda seen: UseTool(name, arguments)


def next_turn(steps: Sequence[Step], seen: Seen) -> Turn:
    """What the model says now: the step after as many as it has seen the results of."""
    return steps[len(seen)](seen) if len(seen) < len(steps) else Say("That is all.")


def read(pattern: str, text: str) -> str:
    """What the first group of a pattern matches in a text that a model saw."""
    match = re.search(pattern, text)
    if match is None:
        raise ScriptError(f"the model looked for {pattern} and saw only:\n{text}")
    return match[1]


@dataclass(frozen=True)
class Thought:
    """A thought before a step that lasts until the test ends it: the room can change meanwhile."""

    _begun: Event = field(default_factory=Event)
    _ended: Event = field(default_factory=Event)

    def before(self, step: Step) -> Step:
        """The same step, with this thought before it."""

        def think(seen: Seen) -> Turn:
            self._begun.set()
            if not self._ended.wait(THOUGHT_SECONDS):
                raise ScriptError(f"nobody ended a thought within {THOUGHT_SECONDS:.0f} s")
            return step(seen)

        return think

    def wait(self) -> None:
        """Wait until the model has got to this thought."""
        if not self._begun.wait(THOUGHT_SECONDS):
            raise ScriptError(f"the model did not get to its thought within {THOUGHT_SECONDS:.0f} s")

    def end(self) -> None:
        """Let the model go on."""
        self._ended.set()
