"""Refused calls that an agent repeats: it is told more clearly and to wait longer, its owner once, and each is counted.

A refused call costs at most one small transaction, and one beyond the member's rate none: so the counts are kept in
memory, and written every few seconds and before somebody reads them. An answer is never delayed.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from teamroom.server.clock import Clock
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain
from teamroom.server.refusals import TYPING_ERRORS, Refusal
from teamroom.server.rules.repeats import TOLD_AT, TOLD_IN_ALL_AT, retry_seconds, say_repeated
from teamroom.server.rules.text import one_line
from teamroom.server.settings import FixedSettings
from teamroom.server.store.transaction import Writing

NOT_REPEATED = frozenset({"paused", "killed", "busy", "storage"})
"""Refusals after which the same call is right, only later."""

CALLS_KNOWN = 16
"""How many different refused calls of a member are remembered, the newest ones."""

TOLD_SECONDS = 86_400.0
"""An owner is told of an agent again after a day at the earliest."""

ROW_SECONDS, SHOWN_ROW_SECONDS = 60.0, 5.0
"""Refused calls of one act within a minute share a row; within seconds, if somebody was shown the row meanwhile.

So the number of rows does not follow how often somebody looks. If a call is refused within seconds of a look, the next
look counts the earlier calls of that row again.
"""

FORGOTTEN_AT_ONCE = 100
"""How many rows are forgotten at most when one begins."""

KEPT_SECONDS = 35 * 86_400.0
"""How long the counts are kept. No span of the morning report is longer."""

ACT = "repeated_refusals"

NUMBER = re.compile(r"\d+")
"""Numbers and times in the words of a refusal change while its reason stays the same."""

Key = tuple[str, ...]


@dataclass(slots=True)
class Times:
    """How often a call was refused, and when last."""

    times: int
    at: float


@dataclass(slots=True)
class Known:
    """What is known of one member's refused calls. `in_all`: all of them within the window."""

    calls: dict[Key, Times] = field(default_factory=dict)
    in_all: Times = field(default_factory=lambda: Times(0, -math.inf))
    told_at: float = -math.inf


@dataclass(slots=True)
class CountingRow:
    """A row that counts refused calls: since a time of the room's clock, and after an entry of the log."""

    since: float
    seq: int
    is_shown: bool = False

    def is_over(self, now: float) -> bool:
        """Whether the next calls are counted in another row."""
        return now - self.since >= (SHOWN_ROW_SECONDS if self.is_shown else ROW_SECONDS)


@dataclass(frozen=True, slots=True)
class Repetition:
    """What an agent's owner is told of: a refused call, and how often it was refused; or many different ones."""

    act: str
    code: str
    times: int


class RefusedCalls:
    """The refused calls of all members since they were written last, and what each agent repeats."""

    def __init__(self, settings: FixedSettings, steady: Clock) -> None:
        self._settings, self._steady = settings, steady
        self._unwritten: Counter[tuple[int, str]] = Counter()
        self._known: dict[int, Known] = {}
        self._news: list[tuple[Caller, Repetition]] = []
        self.rows: dict[tuple[int, str], CountingRow] = {}
        """The row that counts the calls of a member and an act now."""

    def note(self, caller: Caller, act: str, refusal: Refusal) -> bool:
        """Count a refused call, and say in the refusal that it is repeated; returns whether its owner is to be told.

        What a person mistypes is not counted: the counts are about agents that go wrong.
        """
        if caller.kind == "human" and refusal.code in TYPING_ERRORS:
            return False
        self._unwritten[caller.member, act] += 1
        if caller.kind != "agent" or refusal.code in NOT_REPEATED:
            return False
        known = self._known.setdefault(caller.member, Known())
        of_act = self._once_more(known.calls, (act,))
        same = self._once_more(known.calls, (act, refusal.code, refusal.subject, NUMBER.sub("0", refusal.why)))
        known.in_all = self._next(known.in_all)
        times = of_act if refusal.code == "rate_limited" else same
        _say(refusal, times)
        is_loop = times >= TOLD_AT or known.in_all.times >= TOLD_IN_ALL_AT
        if not is_loop or self._steady() - known.told_at < TOLD_SECONDS:
            return False
        known.told_at = self._steady()
        self._news.append((caller, Repetition(act, refusal.code, max(times, known.in_all.times))))
        return True

    def take_news(self) -> list[tuple[Caller, Repetition]]:
        """What owners are to be told; from now on, they count as told."""
        taken, self._news = self._news, []
        return taken

    def forget(self, caller: Caller, act: str) -> None:
        """Note that a call of an act was carried out: its member does not only repeat what is refused."""
        if (known := self._known.get(caller.member)) is not None:
            known.calls.pop((act,), None)

    def take(self) -> Counter[tuple[int, str]]:
        """The counts that are not written yet; from now on, they count as written."""
        taken, self._unwritten = self._unwritten, Counter()
        return taken

    def put_back(self, taken: Counter[tuple[int, str]]) -> None:
        """Keep counts that could not be written."""
        self._unwritten.update(taken)

    def note_shown(self) -> None:
        """Note that somebody was shown all counts: what comes now is counted in other rows, or soon is."""
        for row in list(self.rows.values()):  # the writer's thread adds rows
            row.is_shown = True

    def _once_more(self, calls: dict[Key, Times], key: Key) -> int:
        calls[key] = self._next(calls.pop(key, Times(0, -math.inf)))
        if len(calls) > CALLS_KNOWN:
            del calls[next(iter(calls))]
        return calls[key].times

    def _next(self, last: Times) -> Times:
        now = self._steady()
        is_recent = now - last.at < self._settings.refusal_window_seconds
        return Times(last.times + 1 if is_recent else 1, now)


def _say(refusal: Refusal, times: int) -> None:
    """Say in a refusal that the call was refused before, and how long to wait before it is made again."""
    if times < 2:
        return
    given = refusal.needs.get("retry_after_seconds")
    wait = max(retry_seconds(times), math.ceil(given) if isinstance(given, int | float) else 0)
    refusal.needs["retry_after_seconds"] = wait
    refusal.why, refusal.fix = say_repeated(refusal.code, refusal.why, refusal.fix, times, wait)


def write_counts(tx: Writing, taken: Counter[tuple[int, str]], rows: dict[tuple[int, str], CountingRow]) -> None:
    """Add refused calls to the rows that count them, and forget old rows when one begins."""
    for (member, act), calls in taken.items():
        row = rows.get((member, act))
        if row is None or row.is_over(tx.now):
            for key in [key for key, other in rows.items() if other.is_over(tx.now)]:
                del rows[key]
            row = rows[member, act] = CountingRow(tx.now, tx.head.seq)
            tx.run("forget_refused_calls", before=tx.now - KEPT_SECONDS, others=FORGOTTEN_AT_ONCE - 1)
        tx.run("add_refused_calls", member=member, act=act, since=row.since, seq=row.seq, now=tx.now, calls=calls)


def tell_owner(tx: Writing, caller: Caller, found: Repetition) -> None:
    """Tell an agent's owner, and the stream, that it repeats what is refused; once a day, also across restarts."""
    subject = f"@{caller.name}"
    last = tx.value(float, "newest_of_room", act=ACT, room=chain.ROOM_MEMBER, subject=subject)
    if last is not None and tx.now - last < TOLD_SECONDS:
        return
    line = one_line(f"{subject} was refused {found.times} times and tries again, last {found.act} ({found.code})")
    detail = {"act": found.act, "code": found.code, "times": found.times}
    chain.append(tx, chain.ROOM_AUTHOR, act=ACT, subject=subject, summary=line, detail=detail)
    wake_members(tx, [caller.owner], reason="alert", subject=subject, sender=chain.ROOM_MEMBER, line=line)
