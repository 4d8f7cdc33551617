"""Which listener of a member is the newest: when each one began, and until when it counts as present."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from teamroom.server.clock import Clock, RoomClock
from teamroom.server.facts.ids import LARGEST_NUMBER
from teamroom.server.refusals import Refusal
from teamroom.server.rules.runs import RunReport
from teamroom.server.rules.wakes import LARGEST_EXIT_CODE, EndedRun

LISTENER = "teamroom/listener"
"""The key of `_meta` under which a listener gives its name with each call."""

LISTENER_FORM = re.compile(r"[0-9]{13}-[0-9a-z]{1,16}")
"""A listener's name: when it began, as a Unix time in milliseconds, and a suffix. Names sort by age."""

RUN = "teamroom/run"
"""The key of `_meta` under which a listener reports the run that is on, with the fields of `RunReport`."""

WOKE = "teamroom/woke"
"""The key of `_meta` under which a listener says up to which number its wakes were handed to a harness that started."""

RUN_ENDED = "teamroom/run-ended"
"""The key of `_meta` under which a listener says how its last run ended, with the fields of `EndedRun`."""

LISTENERS_KEYS = frozenset({LISTENER, RUN, WOKE, RUN_ENDED})
"""The keys of `_meta` that only listeners send."""

PRESENT_SECONDS = 25.0
"""A listener that does not wait counts as present this long after its last call. It beats more than twice as often."""

LISTENERS_KNOWN = 16
"""The room remembers when this many of a member's listeners began, and which of them it superseded."""

MILLISECONDS = 1000


def meta_of(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `_meta` of a message; {} if it has none."""
    meta = (params or {}).get("_meta")
    return meta if isinstance(meta, dict) else {}


def listener_name(meta: dict[str, Any]) -> str | None:
    """The name that a listener gives itself in the `_meta` of a call. Raises Refusal `invalid`."""
    value = meta.get(LISTENER)
    if value is None:
        return None
    if not isinstance(value, str) or not LISTENER_FORM.fullmatch(value):
        raise Refusal(
            "invalid",
            f"_meta {LISTENER} is not a time of 13 digits, a dash, and 1 to 16 lowercase letters or digits.",
            "Send the Unix time in milliseconds at which your listener began, a dash, and a suffix of your choice.",
        )
    return value


def run_report(meta: dict[str, Any]) -> RunReport | None:
    """The run that a listener reports in the `_meta` of a call; None if it reports none. Raises Refusal `invalid`."""
    value = meta.get(RUN)
    if value is None:
        return None
    report = _as_report(value)
    if report is None or not report.is_possible:
        raise Refusal(
            "invalid",
            f"_meta {RUN} is not how long ago a run began and last moved.",
            f'Send spans in seconds, the first at least the second: "{RUN}": '
            '{"began_seconds_ago": 2100, "moved_seconds_ago": 3}.',
        )
    if listener_name(meta) is None:
        raise Refusal(
            "invalid",
            f"_meta {RUN} comes without {LISTENER}: only a member's live listener reports its run.",
            f"Send {LISTENER} too.",
        )
    return report


def woke_cursor(meta: dict[str, Any]) -> int | None:
    """Up to which number a listener's wakes were handed to a harness that started. Raises Refusal `invalid`."""
    value = meta.get(WOKE)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_NUMBER:
        raise Refusal("invalid", f"_meta {WOKE} is no number of the log.", "Send the cursor that came with the wakes.")
    _require_listener(meta, WOKE)
    return value


def ended_run(meta: dict[str, Any]) -> EndedRun | None:
    """How a listener's last run ended. Raises Refusal `invalid`."""
    value = meta.get(RUN_ENDED)
    if value is None:
        return None
    code, called = (value.get("code"), value.get("called")) if isinstance(value, dict) else (None, None)
    is_code = isinstance(code, int) and not isinstance(code, bool) and abs(code) <= LARGEST_EXIT_CODE
    if not isinstance(code, int) or not is_code or not isinstance(called, bool) or len(value) != 2:
        raise Refusal(
            "invalid",
            f"_meta {RUN_ENDED} is no exit code, and whether the member called.",
            f'Send "{RUN_ENDED}": {{"code": 0, "called": false}}; a signal is a negative code.',
        )
    _require_listener(meta, RUN_ENDED)
    return EndedRun(code, called)


def _require_listener(meta: dict[str, Any], key: str) -> None:
    if listener_name(meta) is None:
        raise Refusal(
            "invalid",
            f"_meta {key} comes without {LISTENER}: only a member's live listener says what became of its wakes.",
            f"Send {LISTENER} too.",
        )


def _as_report(value: Any) -> RunReport | None:
    names = tuple(field.name for field in fields(RunReport))
    if not isinstance(value, dict) or set(value) != set(names):
        return None
    spans = [value[name] for name in names]
    if any(isinstance(span, bool) or not isinstance(span, int | float) for span in spans):
        return None
    return RunReport(*map(float, spans))


@dataclass(slots=True)
class Newest:
    """The newest named listener of a member, and until when it counts as present without a waiting call."""

    name: str
    began: float
    until: float


class Ages:
    """When the named listeners of each member began, and which is the newest."""

    def __init__(self, clock: Clock, steady: Clock) -> None:
        self._clock, self._steady = clock, steady
        self._wall = clock.wall if isinstance(clock, RoomClock) else clock
        self._newest: dict[int, Newest] = {}
        self.began: dict[int, dict[str, float]] = defaultdict(dict)
        """When each known listener of a member began, by name; at most `LISTENERS_KNOWN` of a member."""

    def note_call(self, member: int, name: str, waits: str | None = None) -> bool:
        """Note a call of a named listener; returns False if a listener that began later is present.

        `waits`: the name of the member's live listener, while it waits.
        """
        if self.is_older(member, name, waits):
            return False
        self._newest[member] = Newest(name, self._began_at(member, name), self._steady() + PRESENT_SECONDS)
        return True

    def is_older(self, member: int, name: str, waits: str | None = None) -> bool:
        """Whether a listener that began later than the named one is present. `waits`: as for `note_call`."""
        newest = self._newest.get(member)
        if newest is None or (self._began_at(member, name), name) >= (newest.began, newest.name):
            return False
        return self._steady() < newest.until or waits == newest.name

    def note_end(self, member: int, name: str | None, is_answered: bool) -> None:
        """Note that a listener stopped waiting. If it was answered, it stays present for a while; else it is gone."""
        newest = self._newest.get(member)
        if newest is not None and newest.name == name:
            newest.until = self._steady() + (PRESENT_SECONDS if is_answered else 0)

    def began_at(self, member: int, name: str | None) -> float:
        """When a listener began, in room time; now for one without a name."""
        ago = 0.0 if name is None else self._steady() - self._began_at(member, name)
        return self._clock() - ago

    def _began_at(self, member: int, name: str) -> float:
        """When a listener began, by the steady clock: at the time in its name, or at its first call if that is earlier.

        Later clock steps do not change it.
        """
        known = self.began[member]
        if name not in known:
            named_at = int(name.partition("-")[0]) / MILLISECONDS
            known[name] = self._steady() - max(0.0, self._wall() - named_at)
            if len(known) > LISTENERS_KNOWN:
                del known[next(iter(known))]
        return known[name]
