"""Times as people read them: on a terminal in the reader's zone, which is named once; in a pipe in UTC, as replies are.

Programs read `--json`, whose times are RFC 3339 in UTC.
"""

import os
import re
from dataclasses import dataclass
from datetime import datetime

from teamroom.clients.session.terminal import Styled, is_terminal, print_line

ZONES = "zoneinfo/"
"""What the name of a zone follows in the path of its file."""

TIME = re.compile(r"(?<![\w:./-])\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""A time in the words of the room. In the name of something, such as `report:2026-…`, it is left as it is."""

QUOTED = re.compile("(“[^”]*”)")
"""A member's text in the words of the room, which is shown as it is."""


@dataclass(slots=True)
class Zone:
    """Whether this process showed a time in the reader's zone, and whether it named the zone."""

    is_shown: bool = False
    is_named: bool = False


ZONE = Zone()


def day_and_time(at: str) -> str:
    """Return the month, day, hour and minute of a time of a reply: in the reader's zone, in a pipe in UTC."""
    return _local(at).strftime("%m-%d %H:%M") if is_terminal() else at[5:16].replace("T", " ")


def date_and_time(at: str) -> str:
    """Return a time of a reply with its year: in the reader's zone, in a pipe as it is."""
    return _local(at).strftime("%Y-%m-%d %H:%M") if is_terminal() and TIME.fullmatch(at) else at


def with_local_times(words: str, on_terminal: bool | None = None) -> str:
    """Return words of the room with its times in the reader's zone; as they are in a pipe, and in what they quote."""
    if not (is_terminal() if on_terminal is None else on_terminal) or not TIME.search(words):
        return words
    parts = QUOTED.split(words)
    parts[::2] = [TIME.sub(_in_words, part) for part in parts[::2]]
    return "".join(parts)


def zone() -> str:
    """Return the abbreviation of the reader's zone now, such as MST; in a pipe UTC. The zone is named with that."""
    ZONE.is_named = True
    if not is_terminal():
        return "UTC"
    now = datetime.now().astimezone()
    name = now.tzname() or ""
    return name if name.isalpha() else f"UTC{_offset(now)}"


def name_zone() -> str | None:
    """Return the line that names the reader's zone; None if no time was shown, or the zone was named already."""
    if ZONE.is_named or not ZONE.is_shown:
        return None
    ZONE.is_named = True
    now = datetime.now().astimezone()
    place, short = _place(), now.tzname() or ""
    if (short, _offset(now)) == ("UTC", ""):
        return "Times are in UTC."
    names = [name for name in (place, short if short.isalpha() else "", f"UTC{_offset(now)}") if name]
    more = f" ({', '.join(names[1:])})" if names[1:] else ""
    return f"Times are in {names[0]}{more}."


def print_zone() -> None:
    """Print the line that names the reader's zone, if it is not named yet."""
    if (line := name_zone()) is not None:
        print_line(Styled(line, style="dim"))


def _in_words(found: re.Match[str]) -> str:
    try:
        return _local(found[0]).strftime("%Y-%m-%d %H:%M")
    except ValueError:  # it only looks like a time
        return found[0]


def _local(at: str) -> datetime:
    time = datetime.fromisoformat(at).astimezone()
    ZONE.is_shown = True
    return time


def _offset(now: datetime) -> str:
    """The offset of a time from UTC, such as -7 or +5:30; empty for none."""
    seconds = (now.utcoffset() or now - now).total_seconds()
    hours, minutes = divmod(round(abs(seconds) / 60), 60)
    return "" if not seconds else f"{'-' if seconds < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}"


def _place() -> str:
    """The name of the reader's zone, such as America/Denver; empty if the system does not tell."""
    named = os.environ.get("TZ")
    if named is not None:
        path = named.removeprefix(":")
        return path.partition(ZONES)[2] or (path if "/" in path and not path.startswith("/") else "")
    try:
        return os.readlink("/etc/localtime").partition(ZONES)[2]
    except OSError:
        return ""
