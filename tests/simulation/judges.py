"""What became of a simulated room, read from its tables and from what really happened, not by the code under test."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from teamroom.server.settings import Settings
from tests.simulation.agents import Agent, Records
from tests.simulation.room import DAY, MINUTE, SimulatedRoom
from tests.simulation.wrong import Crashed, GatewayOnly

SLACK_SECONDS = MINUTE
"""The supervisor may come this much late: a machine that is busy."""

SETTLED_DAYS = 4.0
"""So long before the end a task must have been dropped to be judged: its reminders take a day and a half."""


@dataclass
class Cast:
    """A room whose days are over, and who lived in it."""

    room: SimulatedRoom
    agents: list[Agent]
    records: Records
    days: float
    disturbed: list[tuple[float, float]] = field(default_factory=list)
    """When the server slept, was away, or had its clock set, and until when nobody may be judged for it."""

    @property
    def settings(self) -> Settings:
        """What the room ran with."""
        return self.room.world.settings

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What lies in the database."""
        return self.room.world.look(sql)

    def was_disturbed(self, since: float, until: float) -> bool:
        """Whether the server itself was away at some moment of a span."""
        return any(begin < until and since < end for begin, end in self.disturbed)


@dataclass
class Share:
    """How many of how many."""

    hits: int = 0
    of: int = 0
    misses: list[str] = field(default_factory=list)

    def count(self, hit: bool, what: str = "") -> None:
        """One more, that is so or is not."""
        self.of += 1
        self.hits += hit
        if not hit:
            self.misses.append(what)

    def __add__(self, other: "Share") -> "Share":
        return Share(self.hits + other.hits, self.of + other.of, self.misses + other.misses)

    @property
    def value(self) -> float:
        """As a share of one; of nothing, all."""
        return self.hits / self.of if self.of else 1.0


def verdicts(cast: Cast) -> list[tuple[float, str, str]]:
    """What the room found about members, in order: when, whom, what."""
    found = cast.rows("select at, subject, detail from log where act = 'presence' order by seq")
    return [(at, subject[1:], json.loads(detail)["verdict"]) for at, subject, detail in found]


def zombies_in_time(cast: Cast) -> Share:
    """Agents without a mind that were named zombie within two intervals and the time of their challenges."""
    share = Share()
    settings = cast.settings
    interval = settings.live_interval_seconds
    allowed = interval * (settings.suspect_intervals + settings.challenge_misses * settings.challenge_intervals)
    found = verdicts(cast)
    hollow = {agent.name: agent.declared for agent in cast.agents if isinstance(agent, GatewayOnly)}
    for name, wrong, until in cast.records.spells:
        since = _waits_since(cast, name, wrong, hollow[name]) if name in hollow else None
        if since is None or since + 2 * allowed > min(until, cast.room.now):
            continue
        if cast.was_disturbed(wrong, since + 2 * allowed) or _is_paused(cast, name, wrong, since + 2 * allowed):
            continue
        named = [at for at, who, what in found if who == name and what == "zombie" and wrong < at < until]
        took = min(named, default=until) - since
        share.count(took <= allowed + SLACK_SECONDS, f"@{name} took {took / MINUTE:.0f} min on day {_day(cast, since)}")
    return share


def _waits_since(cast: Cast, name: str, wrong: float, declared: float) -> float | None:
    """Since when somebody waits for an agent that had gone wrong, and that may not be taken to be at work any more."""
    rows = cast.rows(f"select min(at) from wake where member = {cast.room.ids[name]} and at > {wrong} and sender <> 1")
    return None if rows[0][0] is None else max(float(rows[0][0]), wrong + declared)


def honest_zombies(cast: Cast) -> Share:
    """Days of honest agents, and on how many of them one was named zombie."""
    honest = {agent.name for agent in cast.agents if agent.honest}
    days = Share(of=round(len(honest) * cast.days))
    named = [(at, name) for at, name, what in verdicts(cast) if what == "zombie" and name in honest]
    wronged = [f"@{name} on day {_day(cast, at)}" for at, name in named]
    return Share(days.of - len(wronged), days.of, wronged)


def crashes_noticed(cast: Cast) -> Share:
    """Crashed listeners that were said to be gone within three of their intervals."""
    share = Share()
    allowed = cast.settings.gone_intervals * cast.settings.live_interval_seconds
    found = verdicts(cast)
    listeners = {agent.name for agent in cast.agents if isinstance(agent, Crashed)}
    for name, crashed, until in cast.records.spells:
        if name not in listeners or crashed + 2 * allowed > min(until, cast.room.now):
            continue
        if cast.was_disturbed(crashed, crashed + 2 * allowed) or _is_paused(cast, name, crashed, crashed + 2 * allowed):
            continue
        named = [at for at, who, what in found if who == name and what == "gone" and crashed < at < until]
        took = min(named, default=until) - crashed
        share.count(
            took <= allowed + SLACK_SECONDS, f"@{name} took {took / MINUTE:.0f} min on day {_day(cast, crashed)}"
        )
    return share


def reminders_in_order(cast: Cast) -> Share:
    """Slots, and how many broke a rule: above the cap, twice, while paused or snoozed, or after it had moved."""
    share = Share()
    names = {number: name for name, number in cast.room.ids.items()}
    ledger = cast.rows("select rule, subject, member, since, slot, at, outcome from reminder order by rowid")
    counted, seen = Counter[tuple[Any, ...]](), set[tuple[Any, ...]]()
    moved = _moves(cast)
    said = Counter(cast.rows("select subject, at from log where act = 'remind'"))
    for rule, subject, member, since, slot, at, outcome in ledger:
        key, name = (rule, subject, member, since), names[member]
        what = f"{rule} {subject} of @{name}, slot {slot} at {_day(cast, at)}"
        wrong = "a slot twice" if (*key, slot) in seen else ""
        seen.add((*key, slot))
        if outcome == "sent":
            counted[key] += 1
            wrong = wrong or _wrongly_sent(cast, rule, subject, name, since, at, moved)
            if counted[key] > (1 if rule == "offer" else cast.settings.reminders_per_task):
                wrong = wrong or "above the cap"
        share.count(not wrong, f"{what}: {wrong}")
    for (subject, at), times in said.items():
        if times > 1 and not subject.startswith("@"):
            share.count(False, f"{subject} was reminded {times} times at {_day(cast, at)}")
    return share


def _wrongly_sent(
    cast: Cast, rule: str, subject: int, name: str, since: float, at: float, moved: dict[str, list[float]]
) -> str:
    """What spoke against a reminder that was sent."""
    # Times before and after a step of the clock do not compare.
    if _is_paused(cast, name, at, at) and not cast.was_disturbed(at, at):
        return "sent while paused"
    if rule == "task" and not cast.was_disturbed(since, at):
        task = f"T-{subject}"
        snoozed = [until for named, begin, until in cast.records.snoozes if named == task and begin < at]
        if snoozed and snoozed[-1] > at:
            return "sent while snoozed"
        times = moved.get(task, [])
        if any(since + 0.01 < time < at - 0.01 for time in times[bisect_left(times, since) :]):
            return "sent though it had moved"
    return ""


def _moves(cast: Cast) -> dict[str, list[float]]:
    """When each task moved: whatever its holder or somebody else did to it."""
    moves: dict[str, list[float]] = {}
    acts = "('claim_task', 'update_task', 'heartbeat', 'complete_task', 'hand_off', 'answer_hand_off', 'review_task')"
    for subject, detail, at in cast.rows(
        f"select subject, detail, at from log where act in {acts} and outcome = 'ok' order by seq"
    ):
        task = subject if subject.startswith("T-") else json.loads(detail).get("task")
        if task is not None:
            moves.setdefault(task, []).append(at)
    return moves


def dropped_tasks_end(cast: Cast) -> Share:
    """Of the forgotten tasks, the share that was taken up again, or of which the owner was told."""
    share = Share()
    moved = _moves(cast)
    told = set(cast.rows("select subject from log where act in ('escalate', 'overdue')"))
    ended = dict(cast.rows("select 'T-' || id, state from task"))
    for task, (name, at) in cast.records.dropped.items():
        if at > cast.room.now - SETTLED_DAYS * DAY:
            continue
        up = any(time > at + 1 for time in moved.get(task, [])) or ended[task] in ("done", "cancelled")
        share.count(up or (task,) in told, f"{task} of @{name}, forgotten on day {_day(cast, at)}: {ended[task]}")
    return share


def forecasts_kept(cast: Cast) -> Share:
    """Wakes that were seen within the 90th percentile that the room had forecast for the act after it."""
    share = Share()
    for name, posted, within in cast.records.forecasts:
        looks = cast.records.seen.get(name, [])
        later = looks[bisect_left(looks, (posted, 0.0)) :]
        if posted + max(2 * within, DAY) < cast.room.now and not cast.was_disturbed(posted, posted + 2 * within):
            took = later[0][0] - posted if later else cast.room.now - posted
            share.count(took <= within, f"@{name} took {took / MINUTE:.0f} of {within / MINUTE:.0f} min")
    return share


def lines_of_the_room(cast: Cast) -> float:
    """Lines that the room itself wrote into the stream, for each agent and day."""
    ((lines,),) = cast.rows("select count(*) from log where actor = 1")
    return float(lines) / (len(cast.agents) * cast.days)


def _is_paused(cast: Cast, name: str, since: float, until: float) -> bool:
    member = cast.room.ids[name]
    rows = cast.rows(
        f"select 1 from pause where ((scope = 'member' and target = {member}) or scope <> 'member') "
        f"and since < {until} and coalesce(until, 1e12) > {since}"
    )
    return bool(rows)


def _day(cast: Cast, at: float) -> str:
    return f"{cast.days - (cast.room.now - at) / DAY:.2f}"


@dataclass(frozen=True)
class Figure:
    """A figure of the table: how it is judged, and what it should be."""

    name: str
    target: str
    judge: Callable[[Cast], Share]
    holds: Callable[[Share], bool]
    teams: tuple[str, ...] = ("mixed",)
    """Of which teams."""


def _all(share: Share) -> bool:
    return share.hits == share.of


FIGURES = (
    Figure("agents without a mind named zombie in time", ">= 99 %", zombies_in_time, lambda s: s.value >= 0.99),
    Figure("days of honest agents on which none was named zombie", "all", honest_zombies, _all),
    Figure("crashed listeners noticed within 3 intervals", "all", crashes_noticed, _all),
    Figure("slots of reminders that keep the rules", "all", reminders_in_order, _all, teams=("mixed", "forgetful")),
    Figure("forgotten tasks that end taken up or told", "all", dropped_tasks_end, _all, teams=("mixed", "forgetful")),
    Figure("wakes seen within the forecast's 90th percentile", "85 %", forecasts_kept, lambda s: s.value >= 0.85),
)
