"""A member's presence, and the forecast of its next reply: pure functions of recorded facts."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal, NamedTuple

from teamroom.server.rules.runs import Run
from teamroom.server.rules.spans import duration
from teamroom.server.rules.wakes import FAULTS, Fault, Wakes
from teamroom.server.settings import FixedSettings

PresenceState = Literal["live", "working", "asleep", "overdue", "suspect", "zombie", "gone", "paused", "killed"]

UNCHALLENGED: frozenset[str] = frozenset({"watchdog", "observer"})
"""Roles of programs, which are watched for silence but never challenged."""

UNKNOWN = Wakes()
"""What is known of the wakes of a member without a listener."""

LISTENS = "listens"
"""How the reason of a presence begins if a call or stream of the member is open."""

PROMPTS = "its harness waits at a prompt"
"""How the reason of a presence begins if its harness waits for a permission, or for its person."""

LONGEST_PROMPT_SECONDS = 12 * 3600.0
"""After this long, a prompt excuses nothing any longer: the harness may be gone without a word."""

SHORTEST_EPISODE_SECONDS = 30
LONGEST_EPISODE_SECONDS = 86_400


class Facts(NamedTuple):
    """What the store knows about a member.

    `connected_at`: when it was last known to listen. `watched_from`: since when the room has been awake without a gap;
    silence before that does not count. `trouble`: the supervisor's suspicion. `busy_until`: when declared work ends.
    `works_on_task`: whether that is on a task that the member holds. `noted_at`: its newest note about such a task.
    `notes_count_until`: from then on, neither excuses it. `run`: its newest run under a listener.
    """

    kind: str
    mode: str
    standing: str
    last_call_at: float | None
    busy_until: float | None
    connected_at: float | None = None
    watched_from: float = 0.0
    trouble: str | None = None
    trouble_reason: str = ""
    works_on_task: bool = False
    noted_at: float | None = None
    notes_count_until: float = math.inf
    run: Run | None = None
    tokens_until: float | None = None
    """When the last of its tokens ends or ended; None: one has no end."""
    listens: bool = False
    """Whether a listener of it waits for its wakes now."""
    gate_at: float | None = None
    """When its harness last asked whether a tool of its own may run."""
    prompt_since: float | None = None
    """Since when its harness waits at a prompt: for a permission, or for its person."""

    @property
    def last_seen_at(self) -> float | None:
        """The last sign of a connection; None if there never was one."""
        signs = [at for at in (self.last_call_at, self.connected_at) if at is not None]
        return max(signs, default=None)

    def is_connected(self, now: float, interval: float, settings: FixedSettings) -> bool:
        """Whether the last sign of a connection is at most `connected_intervals` intervals old."""
        seen = self.last_seen_at
        return seen is not None and now - seen <= settings.connected_intervals * interval

    def is_at_prompt(self, now: float) -> bool:
        """Whether its harness waits at a prompt: it cannot work, and nothing is wrong with it (WAK4)."""
        return self.prompt_since is not None and now - self.prompt_since < LONGEST_PROMPT_SECONDS

    def gate_counts_until(self, settings: FixedSettings) -> float:
        """Until when the newest use of a tool of its own counts as work; 0.0 if none was seen."""
        interval = interval_seconds(self.mode, settings) or settings.live_interval_seconds
        return 0.0 if self.gate_at is None else self.gate_at + interval

    def run_counts_until(self, now: float, settings: FixedSettings) -> float | None:
        """Until when the run that is on counts as work if nothing more is heard of it; None without a run."""
        if self.run is None or not self.run.is_on(now, settings):
            return None
        return self.run.counts_until(self.watched_from, settings)


class Presence(NamedTuple):
    """A member's presence with the reason for it."""

    state: PresenceState
    reason: str


class Forecast(NamedTuple):
    """When a member will act on something: the median and the 90th percentile, in seconds; None: no estimate.

    `answers` says it in words; `note` says the presence too. Not `is_measured`: when it looks next by its schedule.
    """

    expected_seconds: float | None
    p90_seconds: float | None
    note: str
    answers: str = ""
    is_measured: bool = True


def parse_mode(mode: str) -> str | None:
    """A mode in its canonical spelling (`live`, `every:SECONDS`, `on_demand`, `manual`); None if it is invalid."""
    if mode in ("live", "on_demand", "manual"):
        return mode
    seconds = mode.removeprefix("every:")
    if seconds == mode or not seconds.isascii() or not seconds.isdigit() or len(seconds) > 6:
        return None
    in_bounds = SHORTEST_EPISODE_SECONDS <= int(seconds) <= LONGEST_EPISODE_SECONDS
    return f"every:{int(seconds)}" if in_bounds else None


def interval_seconds(mode: str, settings: FixedSettings) -> float | None:
    """How often a member is expected to call, in seconds; None if somebody else wakes it."""
    if mode == "live":
        return settings.live_interval_seconds
    return float(mode[len("every:") :]) if mode.startswith("every:") else None


def next_wake_at(facts: Facts, settings: FixedSettings) -> float | None:
    """When a member in mode `every:SECONDS` is expected next; None in any other mode, or if it never called."""
    if not facts.mode.startswith("every:") or facts.last_call_at is None:
        return None
    return facts.last_call_at + (interval_seconds(facts.mode, settings) or 0.0)


def declared_until(progress_at: float, busy_until: float, missed: Iterable[tuple[float, float]]) -> float:
    """When declared work ends, given the spans in which the member could not report: pauses, and sleeps of the room.

    Work in progress when such a span begins gets its full declared time again when the span ends.
    """
    span = busy_until - progress_at
    for since, until in sorted(missed):
        if since < busy_until:
            busy_until = max(busy_until, until + span)
    return busy_until


def find_presence(facts: Facts, now: float, settings: FixedSettings) -> Presence:
    """Return a member's presence and the reason for it."""
    if facts.standing == "killed":
        return Presence("killed", "killed; only an owner can revive it")
    if facts.standing == "paused":
        return Presence("paused", "paused; its wakes are held")
    if has_ended(facts, now, settings):
        return Presence("gone", describe_tokenless(facts, now))
    counts_until = facts.run_counts_until(now, settings)
    if facts.run is not None and counts_until is not None and counts_until > now:
        return Presence("working", _describe_run(facts.run, now, settings))
    if facts.prompt_since is not None and facts.is_at_prompt(now):
        return Presence("asleep", f"{PROMPTS} for {duration(max(now - facts.prompt_since, 0.0))}")
    if facts.gate_at is not None and facts.gate_counts_until(settings) > now:
        return Presence("working", f"used a tool of its own {duration(max(now - facts.gate_at, 0.0))} ago")
    if facts.trouble == "zombie" or facts.trouble == "suspect":
        return Presence(facts.trouble, facts.trouble_reason)  # type: ignore[arg-type]
    if facts.busy_until is not None and facts.busy_until > now:
        return Presence("working", f"declared work for another {duration(facts.busy_until - now)}")
    interval = interval_seconds(facts.mode, settings)
    if facts.last_call_at is None:
        return Presence("gone" if interval else "asleep", "has never called")
    silent = max(now - facts.last_call_at, 0.0)
    if silent <= settings.live_interval_seconds:
        return Presence("live", f"called {duration(silent)} ago")
    if facts.connected_at is not None and now - facts.connected_at <= settings.live_interval_seconds:
        return Presence("live", f"{LISTENS}; called {duration(silent)} ago")
    if interval is None:
        return Presence("asleep", f"called {duration(silent)} ago; {_opens(facts)}")
    unseen = max(now - max(facts.last_seen_at or 0.0, facts.watched_from, facts.busy_until or 0.0), 0.0)
    if unseen <= interval:
        return Presence("asleep", f"wakes every {duration(interval)}, next in {duration(interval - unseen)}")
    if unseen <= settings.gone_intervals * interval:
        return Presence("overdue", f"expected {duration(unseen - interval)} ago")
    return Presence("gone", f"silent for {duration(silent)}")


def describe_connection(reason: str, facts: Facts) -> str:
    """The reason of a presence: a stream that is no listener proves a connection, nothing more (PRS2)."""
    return reason if facts.listens else reason.replace(f"{LISTENS}; ", "connected; ")


def has_ended(facts: Facts, now: float, settings: FixedSettings) -> bool:
    """Whether a member can no longer act, so that nothing new is given to it: killed, or long without a valid token."""
    if facts.standing == "killed":
        return True
    return facts.tokens_until is not None and now >= facts.tokens_until + settings.tokenless_seconds


def is_tokenless(facts: Facts, now: float) -> bool:
    """Whether a member has no valid token now."""
    return facts.tokens_until is not None and now >= facts.tokens_until


def describe_tokenless(facts: Facts, now: float) -> str:
    """Since when a member has no valid token, in words."""
    return f"has had no valid token for {duration(max(now - (facts.tokens_until or now), 0.0))}"


class Challenge(NamedTuple):
    """A challenge that is open: when it was sent, and how many before it went unanswered."""

    asked_at: float
    misses: int


class Assessment(NamedTuple):
    """What the supervisor concludes about a member.

    `finding`: a suspicion that begins or continues; None if there is none. `ask`: challenge the member now. `again`:
    the open challenge starts again now, because the member could not see it. `next_at`: when to check again.
    """

    finding: Literal["suspect", "zombie", "gone"] | None
    reason: str
    next_at: float
    misses: int = 0
    ask: bool = False
    again: bool = False


def assess(
    facts: Facts,
    connected_since: float | None,
    unanswered_since: float | None,
    challenge: Challenge | None,
    now: float,
    settings: FixedSettings,
) -> Assessment | None:
    """Assess an agent that has an interval; None: there is nothing to watch until it calls.

    A silent agent is gone; silence counts from the end of declared work. A connected agent is suspect if a wake waits
    too long, or if its run stands still too long. It is then challenged. After `challenge_misses` unanswered challenges
    it is a zombie. A run that counts as work excuses it, and so does a tool of its own that it used within the
    interval, and declared work on its own task. Time while the room slept, or the member could not see the wake, does
    not count.
    """
    interval = interval_seconds(facts.mode, settings)
    if interval is None or facts.standing == "killed" or facts.last_seen_at is None:
        return None
    if facts.standing == "paused":
        return Assessment(None, "", now + interval)
    to_be_gone = settings.gone_intervals * interval
    gone_at = max(facts.last_seen_at, facts.watched_from, facts.busy_until or 0.0) + to_be_gone
    if now >= gone_at:
        return Assessment("gone", f"silent for {duration(now - facts.last_seen_at)}", now + interval)
    gone_at = min(gone_at, now + to_be_gone)  # declared work may end sooner than declared
    run_until = facts.run_counts_until(now, settings)
    excused_until = max(_declared_work_until(facts), run_until or 0.0, facts.gate_counts_until(settings))
    if excused_until > now:
        return Assessment(None, "", min(excused_until, gone_at))
    if facts.prompt_since is not None and facts.is_at_prompt(now):
        return Assessment(None, "", min(facts.prompt_since + LONGEST_PROMPT_SECONDS, gone_at))
    since = max(connected_since or 0.0, facts.watched_from)
    if challenge is not None:
        asked_during_run = _end_of_run_that_was_on(facts, challenge.asked_at)
        return _judge_challenged(facts, max(since, asked_during_run), challenge, interval, gone_at, now, settings)
    to_answer = now + settings.challenge_intervals * interval
    if run_until is not None and facts.run is not None:
        reason = f"connected, but its run has not moved for {duration(now - facts.run.moved_at)}"
        return Assessment("suspect", reason, to_answer, ask=True)
    if unanswered_since is None:
        return Assessment(None, "", gone_at)
    to_answer_wake = settings.suspect_intervals * interval
    noted_until = min((facts.noted_at or 0.0) + to_answer_wake, facts.notes_count_until)
    seen_since = max(unanswered_since, since, _end_of_run_that_was_on(facts, unanswered_since))
    suspect_at = max(seen_since + to_answer_wake, noted_until)
    if now < suspect_at:
        return Assessment(None, "", min(suspect_at, gone_at))
    if not facts.is_connected(now, interval, settings):
        return Assessment(None, "", gone_at)
    reason = f"connected, but a wake has waited {duration(now - unanswered_since)}"
    return Assessment("suspect", reason, to_answer, ask=True)


def _declared_work_until(facts: Facts) -> float:
    """Until when declared work excuses a member; 0.0 if it does not."""
    if facts.busy_until is None or not facts.works_on_task:
        return 0.0
    return min(facts.busy_until, facts.notes_count_until)


def _end_of_run_that_was_on(facts: Facts, at: float) -> float:
    """When the run ended that was on at a time; 0.0 if none was. What came during a run can be seen after it."""
    run = facts.run
    return run.ended_at if run is not None and run.ended_at is not None and run.since <= at <= run.ended_at else 0.0


def _judge_challenged(
    facts: Facts,
    since: float,
    challenge: Challenge,
    interval: float,
    gone_at: float,
    now: float,
    settings: FixedSettings,
) -> Assessment:
    asked_at, misses = challenge.asked_at, challenge.misses
    to_answer = settings.challenge_intervals * interval
    if misses >= settings.challenge_misses:
        return Assessment("zombie", facts.trouble_reason, gone_at, misses)
    deadline = asked_at + to_answer
    if now < deadline:
        return Assessment("suspect", facts.trouble_reason, min(deadline, gone_at), misses)
    if since > asked_at or not facts.is_connected(now, interval, settings):
        later = now + to_answer
        return Assessment("suspect", facts.trouble_reason, min(later, gone_at), misses, again=True)
    if misses + 1 >= settings.challenge_misses:
        return Assessment("zombie", f"connected, but {_challenges(misses + 1)} unanswered", gone_at, misses + 1)
    reason = f"connected, but {_challenges(misses + 1)} unanswered"
    return Assessment("suspect", reason, now + to_answer, misses + 1, ask=True)


def _challenges(count: int) -> str:
    return "a challenge went" if count == 1 else f"{count} challenges went"


def patience_seconds(answered: Sequence[float], settings: FixedSettings) -> float:
    """How long a wake may wait for an act before it counts as one that led to none."""
    usual = ninetieth(answered) if len(answered) >= settings.forecast_answers else 0.0
    return usual + settings.live_interval_seconds


def find_wake_fault(
    facts: Facts, wakes: Wakes, answered: Sequence[float], now: float, settings: FixedSettings
) -> Fault:
    """What is wrong with an agent's wakes (WAK1). While a run counts as work, it may still act on them."""
    works = (facts.run_counts_until(now, settings) or 0.0) > now
    return wakes.find_fault(math.inf if works else patience_seconds(answered, settings))


def make_forecast(
    facts: Facts,
    answered: Sequence[float],
    now: float,
    settings: FixedSettings,
    waited: float = 0.0,
    wakes: Wakes = UNKNOWN,
) -> Forecast:
    """When a member is expected to act on something that is sent now. It is never better than the evidence (PRS2).

    `answered`: how long its newest wakes waited for an act of it, in seconds. `waited`: how long its oldest wake has
    waited without one. There is an estimate only for a member that something wakes, after `forecast_answers` acts. A
    listener that says when it starts a harness must have been seen to make the member act.
    """
    found = find_presence(facts, now, settings)
    if found.state in ("paused", "killed", "gone", "zombie"):
        return Forecast(None, None, found.reason, "no estimate")
    if is_tokenless(facts, now):
        return Forecast(None, None, describe_tokenless(facts, now), "no estimate")
    if not is_woken(facts, now, settings):
        words = NO_LISTENER if interval_seconds(facts.mode, settings) is None or facts.mode == "live" else NOT_KEPT
        return Forecast(None, None, f"{describe_connection(found.reason, facts)}; {words}", words)
    fault = find_wake_fault(facts, wakes, answered, now, settings) if facts.listens else ""
    if fault == "unacted" or (fault and wakes.is_verified is False):
        words = f"no estimate: {FAULTS[fault]}"
        return Forecast(None, None, f"{found.reason}; {words}", words)
    if len(answered) < settings.forecast_answers and _is_scheduled(facts):
        return _next_look(facts, found, now, settings, waited)
    if len(answered) < settings.forecast_answers:
        words = f"no estimate: it has acted on {len(answered)} wake{'s' if len(answered) != 1 else ''} so far"
        return Forecast(None, None, f"{found.reason}; {words}", words)
    middle, slow = median(answered), ninetieth(answered)
    usual = f"in {duration(middle)}, nine times out of ten within {duration(slow)}"
    if waited > slow + settings.live_interval_seconds:
        words = f"no estimate: a wake has waited {duration(waited)}, although it usually answers {usual}"
        return Forecast(None, None, f"{found.reason}; {words}", words)
    words = f"usually answers {usual}"
    return Forecast(round(middle, 1), round(slow, 1), f"{found.reason}; {words}", words)


def _is_scheduled(facts: Facts) -> bool:
    return facts.mode.startswith("every:") and facts.last_call_at is not None


def _next_look(facts: Facts, found: Presence, now: float, settings: FixedSettings, waited: float) -> Forecast:
    """When a member that keeps a schedule looks next. That is no answer, and nothing once a wake has waited long."""
    interval = interval_seconds(facts.mode, settings) or 0.0
    if waited > settings.suspect_intervals * interval:
        words = f"no estimate: a wake has waited {duration(waited)}"
        return Forecast(None, None, f"{found.reason}; {words}", words)
    left = max(interval - max(now - (facts.last_call_at or now), 0.0), 0.0)
    words = f"looks in about {duration(left)}; no estimate of its answer yet"
    return Forecast(left, left + interval, f"{found.reason}; {words}", words, is_measured=False)


NO_LISTENER = "no listener: it answers when its owner opens it"
NOT_KEPT = "no estimate: nothing calls at its interval"


def is_woken(facts: Facts, now: float, settings: FixedSettings) -> bool:
    """Whether something wakes a member: itself if it is a person, a listener, a run of one, or a schedule it keeps."""
    if facts.kind != "agent" or facts.listens:
        return True
    if facts.run is not None and facts.run.is_on(now, settings):
        return True
    interval = interval_seconds(facts.mode, settings)
    is_scheduled = interval is not None and facts.mode != "live" and facts.last_call_at is not None
    return is_scheduled and facts.is_connected(now, interval or 0.0, settings)


def may_be_woken(kind: str, mode: str, listens: bool, has_run: bool) -> bool:
    """Whether `is_woken` can hold for a member of which only this is known: a look that costs next to nothing."""
    return kind != "agent" or listens or has_run or mode.startswith("every:")


def is_mode_supported(facts: Facts, now: float, settings: FixedSettings) -> bool:
    """Whether something keeps the mode that an agent declared: `live` needs a listener, `every:SECONDS` calls."""
    return interval_seconds(facts.mode, settings) is None or is_woken(facts, now, settings)


def ninetieth(answered: Sequence[float]) -> float:
    """The time within which nine of ten answers come, by a rank that also holds for the next answer."""
    rank = math.ceil(0.9 * (len(answered) + 1))
    return sorted(answered)[min(rank, len(answered)) - 1]


def _describe_run(run: Run, now: float, settings: FixedSettings) -> str:
    still = max(now - run.moved_at, 0.0)
    is_moving = still <= settings.live_interval_seconds
    moved = f"moved {duration(still)} ago" if is_moving else f"has not moved for {duration(still)}"
    return f"its run began {duration(max(now - run.since, 0.0))} ago and {moved}"


def _opens(facts: Facts) -> str:
    return "runs when its owner starts it" if facts.mode == "manual" else "wakes on demand"
