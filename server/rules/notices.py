"""What a person is notified of outside the room, and when: pure functions.

Four kinds of notice and a daily digest leave the room. Notices that need no action stay inside, and so does what the
person sees in the inbox anyway.
"""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.settings import FixedSettings

Kind = Literal["needs you", "stuck", "stopped", "review waiting"]

HOUR_SECONDS = 3_600.0

RETRY_SECONDS, RETRY_LONGEST_SECONDS = 30.0, 3_600.0
"""After how long what failed is tried again: twice as long each time, up to an hour."""

WORK: frozenset[str] = frozenset({"assigned", "offer", "answer", "repair"})


def kind_of(reason: str, by_room: bool, asks: bool) -> Kind | None:
    """Which kind of notice a person's wake is; None: it waits in the inbox and rings nowhere.

    - `mention` needs the person where it `asks`, which a question does; a note or a report that names it does not.
    - `alert` of a member needs it; one of the room says that a member is a zombie, gone, overdue, or stuck.
    - `assigned`, `offer`, `answer` and `repair` put work into its hands. Whether an answer did, and whether the work
      is still its own, is looked at when the letter is written.
    - `review` waits for its judgement.
    - `reminder` rings nowhere, because what it is about rang when it came. `control` says what others did, and
      `challenge` is for programs.
    """
    if reason == "review":
        return "review waiting"
    if reason == "alert":
        return "stuck" if by_room else "needs you"
    return "needs you" if reason in WORK or (reason == "mention" and asks) else None


def held_until(nth_newest_at: float | None, now: float, settings: FixedSettings) -> float | None:
    """Until when a letter to a person waits, for its hourly cap and the quiet hours; None: it goes now.

    `nth_newest_at` is when the oldest of the newest `notify_per_hour` letters was written, None while there are fewer.
    """
    at = now + seconds_until_free(nth_newest_at, HOUR_SECONDS, now)
    at = quiet_until(at, settings) or at
    return at if at > now else None


def retry_at(tries: int, now: float, settings: FixedSettings) -> float | None:
    """When a letter is tried again after so many tries, never in the quiet hours; None: it is given up."""
    if tries >= settings.notify_tries:
        return None
    at = now + min(RETRY_SECONDS * 2.0 ** (tries - 1), RETRY_LONGEST_SECONDS)
    return quiet_until(at, settings) or at


def quiet_until(now: float, settings: FixedSettings) -> float | None:
    """When the quiet hours end that lie around a time, if they do."""
    begin, dash, end = settings.notify_quiet.partition("-")
    if not dash or begin == end:
        return None
    clock = datetime.fromtimestamp(now, _zone(settings)).strftime("%H:%M")
    is_quiet = begin <= clock < end if begin < end else clock >= begin or clock < end
    return next_time(now, end, settings) if is_quiet else None


def next_time(now: float, clock: str, settings: FixedSettings) -> float:
    """When a clock on the wall, in the settings' zone, shows `HH:MM` next; always later than now.

    Where the clocks are put forward over it, it is as long after midnight as on other days; where they are put back,
    it comes twice.
    """
    zone, at = _zone(settings), time.fromisoformat(clock)
    today = datetime.fromtimestamp(now, zone).date()
    days = (today, today + timedelta(days=1))
    moments = (datetime.combine(day, at.replace(fold=fold), zone).timestamp() for day in days for fold in (0, 1))
    return min(moment for moment in moments if moment > now)


def _zone(settings: FixedSettings) -> tzinfo:
    return UTC if settings.notify_zone == "UTC" else ZoneInfo(settings.notify_zone)
