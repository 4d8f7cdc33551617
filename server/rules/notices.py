"""What a person is notified of outside the room, and when: pure functions.

Four kinds of notice and a daily digest leave the room. Notices that need no action stay inside, and so does what the
person sees in the inbox anyway.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import chain
from typing import Literal
from zoneinfo import ZoneInfo

from teamroom.server.rules.budgets import seconds_until_free

Kind = Literal["needs you", "stuck", "stopped", "review waiting"]

HOUR_SECONDS = 3_600.0

RETRY_SECONDS, RETRY_LONGEST_SECONDS = 30.0, 3_600.0
"""The first and the longest wait before a failed delivery is retried. The wait doubles with each retry."""


@dataclass(frozen=True, slots=True)
class LetterSettings:
    """What applies to the letters of one person.

    `quiet`: hours without letters, such as 22:00-07:00, "" for none. `per_hour`: the most letters in an hour. `zone`:
    the time zone of the quiet hours and the digest. `digest_time`: when the digest comes, "" for none. `suspects`:
    whether the person is told that an agent is suspect.
    """

    quiet: str = ""
    per_hour: int = 6
    zone: str = "UTC"
    digest_time: str = ""
    suspects: bool = False


WORK: frozenset[str] = frozenset({"assigned", "offer", "answer", "repair", "decision"})


def kind_of(reason: str, by_room: bool, asks: bool) -> Kind | None:
    """The kind of notice that a person's wake causes; None: the wake only waits in the inbox.

    - `mention` causes one only if it `asks`, as an ask does. A note or a report that names the person does not.
    - `alert` from a member needs the person. One from the room says that a member is a zombie, gone, overdue or stuck.
    - `assigned`, `offer`, `answer`, `repair` and `decision` can give the person work. Whether an answer did, and
      whether the person still has the work, is checked when the letter is written.
    - `review` waits for the person's verdict.
    - `reminder` causes none, because its subject already caused one. Neither does `control`, which says what others
      did, nor `challenge`, which is for programs.
    """
    if reason == "review":
        return "review waiting"
    if reason == "alert":
        return "stuck" if by_room else "needs you"
    return "needs you" if reason in WORK or (reason == "mention" and asks) else None


def held_until(nth_newest_at: float | None, now: float, settings: LetterSettings, ahead: float = 0.0) -> float | None:
    """Until when the hourly cap and the quiet hours delay a letter to a person; None: it goes now.

    `nth_newest_at` is when the oldest of the newest `per_hour` letters was written, None if there are fewer.
    `ahead`: by how many seconds the wall clock, which the quiet hours follow, is ahead of these times.
    """
    at = now + seconds_until_free(nth_newest_at, HOUR_SECONDS, now)
    at = quiet_until(at, settings, ahead) or at
    return at if at > now else None


def retry_at(tries: int, most: int, now: float, settings: LetterSettings, ahead: float = 0.0) -> float | None:
    """When a letter is retried after this many tries of at most so many; None: it has failed.

    It is never retried in the quiet hours. `ahead`: by how many seconds the wall clock, which the quiet hours follow,
    is ahead of these times.
    """
    if tries >= most:
        return None
    at = now + min(RETRY_SECONDS * 2.0 ** (tries - 1), RETRY_LONGEST_SECONDS)
    return quiet_until(at, settings, ahead) or at


def quiet_until(now: float, settings: LetterSettings, ahead: float = 0.0) -> float | None:
    """When the quiet hours around a time end; None outside them.

    `ahead`: by how many seconds the wall clock is ahead of both times.
    """
    begin, dash, end = settings.quiet.partition("-")
    if not dash or begin == end:
        return None
    clock = datetime.fromtimestamp(now + ahead, _zone(settings)).strftime("%H:%M")
    is_quiet = begin <= clock < end if begin < end else clock >= begin or clock < end
    return next_time(now, end, settings, ahead) if is_quiet else None


def next_time(now: float, clock: str, settings: LetterSettings, ahead: float = 0.0) -> float:
    """When the clock in the person's zone next reaches `HH:MM`; always later than now.

    `ahead`: by how many seconds the wall clock is ahead of both times. A clock change can skip that time, and the clock
    then reaches it as it jumps. Where the change repeats that time, the clock reaches it twice.
    """
    return _next_of(chain.from_iterable(_moments(now + ahead, clock, settings)), now, ahead)


def next_daily_time(now: float, clock: str, settings: LetterSettings, ahead: float = 0.0) -> float:
    """The same, but once a day: where a clock change repeats `HH:MM`, only the first time counts."""
    return _next_of((day[0] for day in _moments(now + ahead, clock, settings)), now, ahead)


def _next_of(moments: Iterable[float], now: float, ahead: float) -> float:
    return min(moment - ahead for moment in moments if moment - ahead > now)


def _moments(wall: float, clock: str, settings: LetterSettings) -> list[list[float]]:
    """When the clock reaches `HH:MM` today and tomorrow, in seconds of the wall clock: a list for each day."""
    zone, at = _zone(settings), time.fromisoformat(clock)
    today = datetime.fromtimestamp(wall, zone).date()
    return [_moments_of(datetime.combine(day, at, zone)) for day in (today, today + timedelta(days=1))]


def _moments_of(at: datetime) -> list[float]:
    """When the clock of its zone shows a date and time: once, twice, or, where it jumps over it, as it jumps."""
    first, second = at.timestamp(), at.replace(fold=1).timestamp()
    if second < first:  # the offsets before and after the jump put what is skipped on either side of it
        return [_jump_between(int(second), int(first), at.tzinfo)]
    return [first] if first == second else [first, second]


def _jump_between(before: int, after: int, zone: tzinfo | None) -> float:
    """The second at which the clock of a zone jumps, found by halving."""
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return float(after)


def _zone(settings: LetterSettings) -> tzinfo:
    return UTC if settings.zone == "UTC" else ZoneInfo(settings.zone)
