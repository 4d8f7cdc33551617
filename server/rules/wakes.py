"""Whether a member's wakes lead to acts: what is said of it, and when its owner is told. Pure functions."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

UNACTED = 3
"""A wake is no longer verified once so many of the newest, which a listener was given, have led to no act."""

LOST_RUNS = 3
"""An agent's owner is told once so many runs in a row made no call."""

LARGEST_EXIT_CODE = 2**32

NOT_VERIFIED = "wake not verified"

Fault = Literal["", "unseen", "unacted"]
"""What is wrong with a member's wakes: nothing; none was seen to lead to an act; or the newest led to none."""

FAULTS: dict[Fault, str] = {
    "": "",
    "unseen": f"{NOT_VERIFIED}: no wake through its listener has led to an act yet",
    "unacted": f"{NOT_VERIFIED}: its last {UNACTED} led to no act",
}


class Wakes(NamedTuple):
    """What is known of a member's wakes.

    `is_verified`: whether one of its newest listener has gone through all three steps; None if that listener has no
    name, so that it cannot say when it starts a harness. `unacted_seconds`: for how long its newest wakes have led to
    no act, without pauses; None if they do.
    """

    is_verified: bool | None = None
    unacted_seconds: float | None = None

    def find_fault(self, patience: float) -> Fault:
        """What is wrong, if an act may take as long as `patience`, in seconds."""
        if self.unacted_seconds is not None and self.unacted_seconds > patience:
            return "unacted"
        return "" if self.is_verified else "unseen"


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a listener's run ended: the exit code, negative for a signal, and whether the member called meanwhile."""

    code: int
    called: bool

    @property
    def is_lost(self) -> bool:
        """Whether it answered nothing."""
        return self.code != 0 or not self.called

    def words(self) -> str:
        """How it ended."""
        ended = f"exit code {self.code}" if self.code >= 0 else f"signal {-self.code}"
        return ended if self.called else f"{ended}, no call"


def better_listener(name: str) -> str:
    """The command that starts a listener which says what it sees of each wake."""
    return f"teamroom listen --as {name} -- COMMAND"


def say_unacted(name: str) -> str:
    """What an owner is told of an agent whose wakes lead to no act."""
    return f"@{name}: {UNACTED} wakes led to no act. Run: {better_listener(name)}; then: teamroom doctor --wake {name}"


def say_lost_runs(name: str, run: EndedRun) -> str:
    """What an owner is told of an agent whose runs make no call."""
    why = "no permission, no network or a crash" if not run.called else "its command fails"
    return f"@{name}: {LOST_RUNS} runs answered no wake ({run.words()}): {why}. See: teamroom doctor --wake {name}"


class Woken(Protocol):
    """A member of the roster: whether its wakes are verified, and when it answers, in words."""

    wake_verified: bool | None
    answers: str


def say_unverified(member: Woken) -> str:
    """That a member's wakes are not verified, unless its answers say so already; else nothing."""
    return f"; {NOT_VERIFIED}" if member.wake_verified is False and NOT_VERIFIED not in member.answers else ""


class Seen(Protocol):
    """What was seen of an addressee's wake, and when; None: not seen. `wakes`: whether the message woke it."""

    to: str
    wakes: bool
    held: str | None
    notified: str | None
    woken: str | None
    acted: str | None


def describe_steps(seen: Seen) -> str:
    """The steps of an addressee's wake with their times, or that they were not seen."""
    if not seen.wakes:
        return f"@{seen.to}: not woken by it"
    held = [f"held since {seen.held}"] if seen.held else []
    steps = {"notified": seen.notified, "woken": seen.woken, "acted": seen.acted}
    said = [f"{step} {at}" if at else f"{step}: not seen" for step, at in steps.items()]
    return f"@{seen.to}: {', '.join([*held, *said])}"
