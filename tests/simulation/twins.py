"""Faults to build into the room, each of which a judge must find."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from teamroom.server.acts.presence import trouble
from teamroom.server.acts.reminders import reminders
from teamroom.server.facts.timers import Timer
from teamroom.server.rules import presence
from teamroom.server.rules.reminders import Circumstances
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.supervisor import duties


@contextlib.contextmanager
def no_snooze() -> Iterator[None]:
    """Reminders look neither at snoozes nor at pauses."""
    circumstances = reminders.circumstances

    def blind(tx: Reading, row: Any, found: Any) -> Circumstances:
        return replace(circumstances(tx, row, found), snoozed_until=None, standing="active")

    with patch.object(reminders, "circumstances", blind):
        yield


@contextlib.contextmanager
def no_cap() -> Iterator[None]:
    """Reminders come every half hour for ever, and nobody is told."""
    decide = reminders.decide

    def tireless(owed: Any, circumstances: Any, cap: int, now: float, settings: Any) -> Any:
        return decide(owed, circumstances, 10**9, now, settings.model_copy(update={"remind_longest_seconds": 1800.0}))

    with patch.object(reminders, "decide", tireless):
        yield


@contextlib.contextmanager
def beats_are_progress() -> Iterator[None]:
    """Whoever beats is taken to be at work."""

    def nobody_waits(tx: Reading, row: Any) -> float | None:
        return None

    with patch.object(trouble, "unanswered_since", nobody_waits):
        yield


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """A wake must be answered at once, and a challenge too."""
    assess = trouble.assess
    hasty = {"suspect_intervals": 0.2, "challenge_intervals": 0.2}

    def assessed(*arguments: Any) -> Any:
        *facts, settings = arguments
        return assess(*facts, settings.model_copy(update=hasty))

    with patch.object(trouble, "assess", assessed):
        yield


@contextlib.contextmanager
def nobody_watches() -> Iterator[None]:
    """Nobody looks whether members are there."""

    def asleep(tx: Writing, timer: Timer) -> None:
        tx.run("postpone", **timer.key, at=tx.now + 86_400)

    with patch.dict(duties.DUTIES, {"presence": asleep}):
        yield


@contextlib.contextmanager
def hopeful() -> Iterator[None]:
    """The forecast's slow case is its usual one."""
    with patch.object(presence, "ninetieth", lambda answered: sorted(answered)[len(answered) // 2]):
        yield


TWINS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "no_snooze": no_snooze,
    "no_cap": no_cap,
    "beats_are_progress": beats_are_progress,
    "impatient": impatient,
    "nobody_watches": nobody_watches,
    "hopeful": hopeful,
}
