"""What broke in a span, which member noticed, and the outcome."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind
from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.facts.ids import message_name, number_of, task_name
from teamroom.server.facts.reports import show_report
from teamroom.server.facts.task import ROOM_MEMBER, task_now
from teamroom.server.refusals import TYPING_ERRORS
from teamroom.server.rules.hooks import describe_waiting
from teamroom.server.rules.presence import LONGEST_PROMPT_SECONDS
from teamroom.server.rules.runtimes import ALIVE_SECONDS, say_two_hosts
from teamroom.server.rules.text import REDACTED, inline, one_line, quote_entry, quote_line, state_in_words
from teamroom.server.store.rows.log import ReceiptRow
from teamroom.server.store.rows.overnight import (
    AlertRow,
    AtPrompt,
    RefusalCount,
    RefusedCalls,
    SentBack,
    SubjectCount,
    SuspectedMember,
)
from teamroom.server.store.rows.runtimes import DoubledRow
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading

ROOM_NAME = "room"
"""The member named for what the supervisor noticed."""

MISTYPED = {code: f'%"code":"{code}"%' for code in sorted(TYPING_ERRORS)}
"""Patterns of the detail of a refusal for what a caller mistyped. Quotes in a text are escaped, so none matches."""

AT_A_PROMPT = '%"verdict":"at a prompt"%'
"""A pattern of the detail of an entry that tells of a harness at a prompt."""

ALERTS_LOOKED_AT = 1000
"""How many of the newest alerts are searched for those that nobody has answered."""

ENDED_BY_A_KILL: frozenset[str] = frozenset({"suspect", "zombie", "gone"})
"""Suspicions whose end the log does not record."""

Became = Callable[[Reading, ReceiptRow], tuple[bool, str]]
"""Returns whether the problem in a log entry is over, and the outcome in words."""

BrokenKind = Literal[
    "restore",
    "presence",
    "at_prompt",
    "two_hosts",
    "undelivered",
    "duty",
    "overdue",
    "alert",
    "escalation",
    "exchange",
    "sent_back",
    "recovered",
    "waited",
    "expired",
    "refused",
]


class Broken(BaseModel):
    """Something that broke, or may have: `line`: its log line; `by`: the member that noticed it.

    `times`: how often in the span; `over`: whether it is repaired or past; `became`: the outcome.
    """

    kind: BrokenKind
    subject: str
    line: str
    by: str
    at: str
    times: int = 1
    over: bool = False
    became: str = ""


def list_broken(tx: Reading, since: float, after: int) -> list[Kind[Broken]]:
    """What broke since a time and a number, and what is still broken from before; the worst kinds first.

    An alert from before that nobody has answered is still shown.
    """
    alerts = {"after": after, "looked_at": ALERTS_LOOKED_AT}
    refused, failing = _refused(tx, since, after), tx.number("count_failing")
    prompts = {
        "since": tx.now - LONGEST_PROMPT_SECONDS,
        "upto": tx.now - tx.settings.live_interval_seconds,
    }
    noted: dict[str, Any] = {"room": ROOM_MEMBER, "after": after, "prompt": AT_A_PROMPT}
    alive = {"alive": tx.now - ALIVE_SECONDS}
    return [
        _acts(tx, "restore", "restore", after, _is_over),
        Kind("presence", tx.number("count_troubled"), lambda limit: _troubled(tx, limit)),
        Kind("at_prompt", tx.number("count_at_prompts", **prompts), lambda limit: _at_prompts(tx, prompts, limit)),
        Kind("two_hosts", tx.number("count_on_two_hosts", **alive), lambda limit: _on_two_hosts(tx, alive, limit)),
        _acts(tx, "undelivered", "notify", after, _nothing, outcome="failed"),
        Kind("duty", int(failing > 0), lambda limit: [_failing(tx, failing)]),
        _acts(tx, "overdue", "overdue", after, _lease_now),
        Kind("alert", tx.number("count_alerts", **alerts), lambda limit: _alerts(tx, alerts, limit)),
        _acts(tx, "escalation", "escalate", after, _nothing),
        _acts(tx, "exchange", "stop_exchange", after, _nothing),
        Kind("sent_back", tx.number("count_sent_back", after=after), lambda limit: _sent_back(tx, after, limit)),
        Kind("recovered", tx.number("count_recovered", **noted), lambda limit: _recovered(tx, noted, limit)),
        Kind("waited", tx.number("count_waited_at_prompts", **noted), lambda limit: _waited(tx, noted, limit)),
        _acts(tx, "expired", "expire_offer", after, _is_over),
        Kind("refused", len(refused), lambda limit: refused[:limit]),
    ]


def _acts(tx: Reading, kind: BrokenKind, act: str, after: int, became_of: Became, outcome: str = "ok") -> Kind[Broken]:
    """The subjects of one of the room's acts, each once with its newest entry."""
    about = {"act": act, "room": ROOM_MEMBER, "outcome": outcome, "after": after}

    def first(limit: int) -> list[Broken]:
        return [_entry(tx, kind, row, became_of) for row in tx.all(SubjectCount, "newest_of_act", **about, limit=limit)]

    return Kind(kind, tx.number("count_of_act", **about), first)


def _entry(tx: Reading, kind: BrokenKind, row: SubjectCount, became_of: Became) -> Broken:
    entry = tx.only(ReceiptRow, "receipt", seq=row.seq)
    over, became = became_of(tx, entry)
    return Broken(
        kind=kind,
        subject=row.subject,
        line=quote_entry(entry.act, entry.summary or REDACTED),
        by=entry.actor,
        at=rfc3339(entry.at),
        times=row.times,
        over=over,
        became=became,
    )


def _nothing(tx: Reading, entry: ReceiptRow) -> tuple[bool, str]:
    return False, ""


def _is_over(tx: Reading, entry: ReceiptRow) -> tuple[bool, str]:
    return True, ""


def _lease_now(tx: Reading, entry: ReceiptRow) -> tuple[bool, str]:
    """Whether an expired lease is over as a problem, and the task's state now."""
    row = tx.only(TaskRow, "task", id=number_of(entry.subject))
    task = task_now(tx, row)
    over = task.overdue_seconds(tx.now, tx.settings) <= 0
    holder = f" by @{row.holder_name}" if task.holder is not None and task.state in ("claimed", "blocked") else ""
    return over, f"now {state_in_words(task.state)}{holder}" if over else "still overdue"


def _failing(tx: Reading, duties: int) -> Broken:
    what = "1 duty" if duties == 1 else f"{duties} duties"
    line = f"{what} of the room failed and will be retried; the server's log says why"
    return Broken(kind="duty", subject="room", line=line, by=ROOM_NAME, at=rfc3339(tx.wall), times=duties)


# ------------------------------------------------------------------ suspicions


def _troubled(tx: Reading, limit: int) -> list[Broken]:
    return [
        Broken(
            kind="presence",
            subject=f"@{row.name}",
            line=one_line(f"@{row.name} is {row.verdict}: {row.reason}"),
            by=ROOM_NAME,
            at=tx.shown(row.since),
            became="" if row.repair is None else _repair(tx, row.repair),
        )
        for row in tx.all(SuspectedMember, "troubled", limit=limit)
    ]


def _at_prompts(tx: Reading, prompts: dict[str, float], limit: int) -> list[Broken]:
    """The harnesses that wait at a prompt, the longest wait first."""
    return [
        Broken(
            kind="at_prompt",
            subject=f"@{row.name}",
            line=describe_waiting(row.phase, show_report(row.tool)),
            by=ROOM_NAME,
            at=tx.shown(row.since),
        )
        for row in tx.all(AtPrompt, "at_prompts", **prompts, limit=limit)
    ]


def _on_two_hosts(tx: Reading, alive: dict[str, float], limit: int) -> list[Broken]:
    return [
        Broken(
            kind="two_hosts",
            subject=f"@{row.name}",
            line=one_line(say_two_hosts(row.name, show_report(row.first_host), show_report(row.second_host))),
            by=ROOM_NAME,
            at=tx.shown(row.since),
        )
        for row in tx.all(DoubledRow, "on_two_hosts", **alive, limit=limit)
    ]


def _waited(tx: Reading, noted: dict[str, Any], limit: int) -> list[Broken]:
    """The harnesses that waited at a prompt and went on."""
    rows = tx.all(SubjectCount, "waited_at_prompts", **noted, limit=limit)
    return [_entry(tx, "waited", row, _is_over) for row in rows]


def _recovered(tx: Reading, noted: dict[str, Any], limit: int) -> list[Broken]:
    found = []
    for row in tx.all(SubjectCount, "recovered", **noted, limit=limit):
        entry = tx.only(ReceiptRow, "receipt", seq=row.seq)
        verdict = json.loads(entry.detail).get("verdict") if entry.detail else None
        repair = tx.value(str, "newest_repair", subject=row.subject, after=noted["after"])
        asked = None if repair is None else json.loads(repair)["task"]
        was_killed = verdict in ENDED_BY_A_KILL
        found.append(
            Broken(
                kind="recovered",
                subject=row.subject,
                line=quote_entry(entry.act, entry.summary or REDACTED),
                by=ROOM_NAME,
                at=rfc3339(entry.at),
                times=row.times,
                over=was_killed or verdict == "recovered",
                became="it was killed" if was_killed else "" if asked is None else _repair(tx, number_of(asked)),
            )
        )
    return found


def _repair(tx: Reading, task: int) -> str:
    """The outcome of a repair, in words."""
    row = tx.only(TaskRow, "task", id=task)
    if row.completed_by is not None:
        return f"repaired by @{row.completer_name} ({task_name(task)})"
    if row.holder is not None:
        return f"@{row.holder_name} repairs it ({task_name(task)})"
    return f"its repair is {state_in_words(row.state)} ({task_name(task)})"


# ------------------------------------------------------------------ what members noticed


def _alerts(tx: Reading, about: dict[str, int], limit: int) -> list[Broken]:
    """The alerts, those that nobody has answered first; each line is the alert's own text."""
    return [
        Broken(
            kind="alert",
            subject=message_name(row.id),
            line=REDACTED if row.summary in ("", REDACTED) else inline(row.summary),
            by=row.author,
            at=rfc3339(row.at),
            over=row.answered_by is not None,
            became="" if row.answered_by is None else f"@{row.answered_by} answered",
        )
        for row in tx.all(AlertRow, "alerts", **about, limit=limit)
    ]


def _sent_back(tx: Reading, after: int, limit: int) -> list[Broken]:
    found = []
    for row in tx.all(SentBack, "sent_back", after=after, limit=limit):
        state = tx.only(TaskRow, "task", id=row.task).state
        found.append(
            Broken(
                kind="sent_back",
                subject=task_name(row.task),
                line=quote_line(row.summary or REDACTED),
                by=row.reviewer,
                at=rfc3339(row.at),
                over=state in ("done", "cancelled"),
                became=f"now {state_in_words(state)}, after @{row.completer} had completed it",
            )
        )
    return found


@dataclass(slots=True)
class RefusedActs:
    """The refused calls of one member: how many of each act, and when the last one was."""

    calls: dict[str, int] = field(default_factory=dict)
    at: float = 0.0

    def add(self, act: str, calls: int, at: float) -> None:
        """Note that at least so many calls of an act were refused."""
        self.calls[act] = max(calls, self.calls.get(act, 0))
        self.at = max(at, self.at)


def _refused(tx: Reading, since: float, after: int) -> Sequence[Broken]:
    """How many calls of each member were refused, most first: all of them, also those that left no entry.

    The log has fewer, but it has those from before the room counted, and after a crash of the server.
    """
    members: dict[str, RefusedActs] = defaultdict(RefusedActs)
    for row in tx.all(RefusedCalls, "refused_calls_by_member", since=since, after=after):
        members[row.name].add(row.act, row.calls, tx.date_of(row.at))
    for entry in tx.all(RefusalCount, "refusals_by_member", after=after, **MISTYPED):
        members[entry.name].add(entry.act, entry.entries, entry.at)
    found = [
        Broken(
            kind="refused",
            subject=f"@{name}",
            line=_refusals(name, acts.calls),
            by=ROOM_NAME,
            at=rfc3339(WallTime(acts.at)),
            times=sum(acts.calls.values()),
        )
        for name, acts in members.items()
    ]
    return sorted(found, key=lambda broken: (-broken.times, broken.subject))


def _refusals(name: str, calls: dict[str, int]) -> str:
    acts = ", ".join(f"{act} ({times})" for act, times in sorted(calls.items(), key=lambda act: (-act[1], act[0])))
    return one_line(f"@{name} was refused: {acts}")
