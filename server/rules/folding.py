"""Folding: what is shown in one line with a count. The log stays complete, and cursors stay exact."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from teamroom.server.rules.text import cite, one_line, shorten

T = TypeVar("T")

NAMES_SHOWN = 3
SUBJECTS_SHOWN = 12
DIGEST_CHARACTERS = 300


def runs(entries: Sequence[T], is_folded: Callable[[T], bool]) -> list[list[T]]:
    """Group entries into lines: each entry alone, but adjacent folded entries together.

    The order never changes. So a reader that continues after the last number of a line misses nothing, and sees
    nothing twice.
    """
    lines: list[list[T]] = []
    for entry in entries:
        if lines and is_folded(entry) and is_folded(lines[-1][0]):
            lines[-1].append(entry)
        else:
            lines.append([entry])
    return lines


def notes_line(authors: Sequence[str]) -> str:
    """The line shown for folded notes. `authors` names the author of each note, in order."""
    by_author = {name: authors.count(name) for name in dict.fromkeys(authors)}
    names = [f"@{name}" + (f" ({count})" if len(by_author) > 1 else "") for name, count in by_author.items()]
    whose = ", ".join(names[:NAMES_SHOWN]) + (" and others" if len(names) > NAMES_SHOWN else "")
    return one_line(f"… and {len(authors)} more note{'s' if len(authors) > 1 else ''} of {whose}")


class Cause(NamedTuple):
    """A wake as it was recorded. `folded`: its sender had used up its share of the member's wakes.

    `kind` is the sender's: a wake from a person can be part of a digest, but ends a wait at once.
    """

    seq: int
    reason: str
    subject: str
    sender: str
    line: str
    folded: int
    at: float
    kind: str


class WaitingWake(NamedTuple):
    """A wake that a member has not acknowledged. `asks`: it is an ask, which waits for an answer."""

    reason: str
    subject: str
    sender: str
    asks: bool


class ShownWake(NamedTuple):
    """A wake as a member sees it: a single one, equal ones joined under the newest line, or a digest."""

    causes: list[Cause]
    digest: str = ""

    @property
    def newest(self) -> Cause:
        """The newest cause. It gives the wake its number and, except in a digest, its line."""
        return self.causes[-1]


HELD, BEYOND = "held", "beyond"
"""The kinds of digest: wakes that came while the member was paused, and wakes that one sender sent beyond its share."""


def join_wakes(causes: Sequence[Cause], was_paused: Callable[[float], bool] | None, limit: int) -> list[ShownWake]:
    """The wakes that a member is shown, by number, at most `limit`; causes with the very first number always fit.

    Equal wakes are joined. Wakes that came during a pause form one digest; those that a sender sent beyond its share
    form another. Every cause up to the newest number shown is in exactly one of them.
    """
    groups: dict[tuple[str, ...], list[Cause]] = {}
    for cause in causes:
        key = _group(cause, was_paused)
        if key in groups:
            groups[key].append(cause)
        elif len(groups) < limit or cause.seq == causes[0].seq:
            groups[key] = [cause]
        else:
            cut_off = cause.seq
            groups = {key: kept for key, group in groups.items() if (kept := [c for c in group if c.seq < cut_off])}
            break
    found = [ShownWake(group, key[0] if len(group) > 1 else "") for key, group in groups.items()]
    found.sort(key=lambda wake: wake.causes[-1].seq)
    return found


def _group(cause: Cause, was_paused: Callable[[float], bool] | None) -> tuple[str, ...]:
    if was_paused is not None and was_paused(cause.at):
        return (HELD,)
    if cause.folded:
        return (BEYOND, cause.sender)
    return ("", cause.reason, cause.subject)


def digest_line(wake: ShownWake, member: str) -> str:
    """The line of a digest: how many wakes, what they are about, and the call that shows them in full."""
    held, count = wake.digest == HELD, len(wake.causes)
    what = f"{count} wakes arrived while you were paused" if held else f"{count} more from @{wake.newest.sender}"
    subjects = {cause.subject: cause for cause in wake.causes}
    about: dict[str, list[str]] = {}
    for cause in islice(subjects.values(), SUBJECTS_SHOWN):
        kind = f"{cause.reason} from @{cause.sender}" if held else cause.reason
        about.setdefault(kind, []).append(cite(cause.subject))
    listed = "; ".join(f"{kind} {', '.join(named)}" for kind, named in about.items())
    more = f" and {len(subjects) - SUBJECTS_SHOWN} others" if len(subjects) > SUBJECTS_SHOWN else ""
    messages = any(subject.startswith("M-") for subject in subjects)
    where = f"read_messages mentions {member}, after {wake.causes[0].seq - 1}" if messages else "read_board"
    room = DIGEST_CHARACTERS - len(what) - len(more) - len(where) - len(": . In full: ")
    return f"{what}: {shorten(listed, room)}{more}. In full: {where}"
