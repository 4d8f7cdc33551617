"""What the supervisor makes of a member: each bound exactly, and what can never happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.presence import (
    Assessment,
    Challenge,
    Facts,
    assess,
    find_presence,
)
from teamroom.server.settings import Settings
from tests.support.promises import promise

pytestmark = promise("PRS3")

SETTINGS = Settings()
CHALLENGE_INTERVALS, CONNECTED_INTERVALS = 1.5, 1.5
SUSPECT_INTERVALS, OVERDUE_INTERVALS, MISSES = 2, 3, 2
NOW, INTERVAL = 1_000_000.0, 600.0
BEATING = Facts("agent", "every:600", "active", NOW - 10, None)
WORKING = BEATING._replace(works_on_task=True)

ago = st.floats(0, 50 * INTERVAL)
maybe_ago = st.none() | ago


def judged(
    facts: Facts = BEATING,
    connected: float | None = 100 * INTERVAL,
    unanswered: float | None = None,
    asked: float | None = None,
    misses: int = 0,
) -> Assessment | None:
    """The judgement now, with every time as seconds ago."""
    return assess(
        facts,
        None if connected is None else NOW - connected,
        None if unanswered is None else NOW - unanswered,
        None if asked is None else Challenge(NOW - asked, misses),
        NOW,
        SETTINGS,
    )


def finding(*args: object, **given: object) -> str | None:
    found = judged(*args, **given)  # type: ignore[arg-type]
    assert found is not None
    return found.finding


def test_a_member_is_suspect_once_a_wake_has_waited_two_intervals() -> None:
    bound = SUSPECT_INTERVALS * INTERVAL
    assert finding(unanswered=bound) == "suspect"
    before = judged(unanswered=bound - 1)
    assert before is not None
    assert (before.finding, before.next_at) == (None, NOW + 1)
    suspect = judged(unanswered=bound)
    assert suspect is not None
    assert (suspect.ask, suspect.misses, suspect.next_at) == (True, 0, NOW + CHALLENGE_INTERVALS * INTERVAL)


@pytest.mark.parametrize("misses", range(MISSES))
def test_a_challenge_is_missed_from_its_deadline_on_and_two_misses_make_a_zombie(misses: int) -> None:
    deadline = CHALLENGE_INTERVALS * INTERVAL
    waiting = judged(unanswered=9_999, asked=deadline - 1, misses=misses)
    assert waiting is not None
    assert (waiting.finding, waiting.misses, waiting.ask, waiting.next_at) == ("suspect", misses, False, NOW + 1)
    missed = judged(unanswered=9_999, asked=deadline, misses=misses)
    assert missed is not None
    assert missed.misses == misses + 1
    assert missed.finding == ("zombie" if misses + 1 >= MISSES else "suspect")
    assert missed.ask == (misses + 1 < MISSES)


WAIT = CHALLENGE_INTERVALS * INTERVAL
GONE_AT = NOW - 10 + OVERDUE_INTERVALS * INTERVAL


@pytest.mark.parametrize(
    ("connected", "asked", "misses", "expected"),
    [
        (9_999, 1, MISSES, Assessment("zombie", "before", GONE_AT, MISSES)),
        (9_999, WAIT - 1, 1, Assessment("suspect", "before", NOW + 1, 1)),
        (WAIT - 1, WAIT, 1, Assessment("suspect", "before", NOW + WAIT, 1, again=True)),
        (WAIT, WAIT, 0, Assessment("suspect", "connected, but a challenge went unanswered", NOW + WAIT, 1, ask=True)),
        (WAIT, WAIT, 1, Assessment("zombie", "connected, but 2 challenges went unanswered", GONE_AT, MISSES)),
    ],
)
def test_a_challenged_member_is_judged_by_its_answers(
    connected: float, asked: float, misses: int, expected: Assessment
) -> None:
    suspect = BEATING._replace(trouble="suspect", trouble_reason="before")
    assert judged(suspect, connected, unanswered=9_999, asked=asked, misses=misses) == expected


def test_a_member_that_is_not_connected_cannot_miss_a_challenge() -> None:
    deadline = CHALLENGE_INTERVALS * INTERVAL
    away = BEATING._replace(last_call_at=NOW - CONNECTED_INTERVALS * INTERVAL - 1)
    later = judged(away, unanswered=9_999, asked=deadline)
    assert later is not None
    assert (later.finding, later.misses, later.again) == ("suspect", 0, True)
    back = judged(connected=deadline - 1, unanswered=9_999, asked=deadline)
    assert back is not None
    assert back.again, "it was not there when it was asked"
    late = BEATING._replace(last_call_at=NOW - CONNECTED_INTERVALS * INTERVAL)
    there = judged(late, unanswered=9_999, asked=deadline)
    assert there is not None
    assert there.misses == 1


def test_a_member_is_gone_after_three_intervals_of_silence() -> None:
    bound = OVERDUE_INTERVALS * INTERVAL
    assert finding(BEATING._replace(last_call_at=NOW - bound)) == "gone"
    before = judged(BEATING._replace(last_call_at=NOW - bound + 1))
    assert before is not None
    assert (before.finding, before.next_at) == (None, NOW + 1)
    assert finding(BEATING._replace(last_call_at=NOW - bound, connected_at=NOW - 1)) is None


@promise("PRS6")
def test_time_that_the_room_did_not_watch_does_not_count_as_silence() -> None:
    woke = BEATING._replace(watched_from=NOW - INTERVAL, last_call_at=NOW - 90 * INTERVAL)
    assert finding(woke, unanswered=80 * INTERVAL) is None
    assert find_presence(woke, NOW, SETTINGS).state == "asleep"
    long_ago = woke._replace(watched_from=NOW - OVERDUE_INTERVALS * INTERVAL)
    assert finding(long_ago) == "gone"
    fresh = BEATING._replace(watched_from=NOW - SUSPECT_INTERVALS * INTERVAL + 1)
    assert finding(fresh, unanswered=90 * INTERVAL) is None
    assert finding(fresh._replace(watched_from=fresh.watched_from - 1), unanswered=90 * INTERVAL) == "suspect"
    again = judged(BEATING._replace(watched_from=NOW - 1), unanswered=9_999, asked=CHALLENGE_INTERVALS * INTERVAL)
    assert again is not None
    assert again.again


@pytest.mark.parametrize(
    ("facts", "unanswered", "expected"),
    [
        (BEATING, None, Assessment(None, "", GONE_AT)),
        (BEATING, 700.0, Assessment(None, "", NOW + 500)),
        (BEATING._replace(last_call_at=NOW - 950), 1200.0, Assessment(None, "", NOW + 850)),
        (BEATING, 1200.0, Assessment("suspect", "connected, but a wake has waited 20 min", NOW + WAIT, ask=True)),
        (BEATING._replace(standing="paused"), 9_999.0, Assessment(None, "", NOW + INTERVAL)),
        (WORKING._replace(busy_until=NOW + 100), 9_999.0, Assessment(None, "", NOW + 100)),
        (WORKING._replace(busy_until=NOW + 9_999), 9_999.0, Assessment(None, "", NOW + 1800)),
        (WORKING._replace(last_call_at=NOW - 1800, busy_until=NOW + 1), None, Assessment(None, "", NOW + 1)),
        (BEATING._replace(last_call_at=NOW - 1800), 9_999.0, Assessment("gone", "silent for 30 min", NOW + INTERVAL)),
        (BEATING._replace(mode="live"), None, Assessment(None, "", NOW - 10 + 900)),
    ],
)
def test_a_member_without_a_challenge_is_judged_by_silence_and_waiting_wakes(
    facts: Facts, unanswered: float | None, expected: Assessment
) -> None:
    assert judged(facts, unanswered=unanswered) == expected


def test_members_with_declared_work_a_pause_or_no_interval_are_not_judged() -> None:
    busy = WORKING._replace(busy_until=NOW + 100)
    assert finding(busy, unanswered=90 * INTERVAL, asked=90 * INTERVAL) is None
    assert finding(busy._replace(busy_until=NOW), unanswered=90 * INTERVAL) == "suspect"
    assert finding(BEATING._replace(standing="paused", last_call_at=0.0), unanswered=90 * INTERVAL) is None
    for facts in (
        BEATING._replace(mode="on_demand"),
        BEATING._replace(mode="manual"),
        BEATING._replace(standing="killed"),
        BEATING._replace(last_call_at=None),
    ):
        assert judged(facts, unanswered=90 * INTERVAL) is None


@given(last=ago, connected=maybe_ago, unanswered=maybe_ago, asked=maybe_ago, misses=st.integers(0, 2), watched=ago)
def test_a_judgement_looks_again_later_and_a_zombie_was_connected_and_asked_twice(
    last: float, connected: float | None, unanswered: float | None, asked: float | None, misses: int, watched: float
) -> None:
    facts = BEATING._replace(last_call_at=NOW - last, watched_from=NOW - watched)
    found = judged(facts, connected, unanswered, asked, misses)
    assert found is not None
    assert found.next_at > NOW
    if found.finding == "zombie":
        assert asked is not None
        assert found.misses >= MISSES
        assert min(last, watched) < OVERDUE_INTERVALS * INTERVAL
    if found.ask:
        assert found.finding == "suspect"
        assert facts.is_connected(NOW, INTERVAL, SETTINGS)
    if found.finding == "gone":
        assert min(last, watched) >= OVERDUE_INTERVALS * INTERVAL - 0.001


def test_each_bound_of_a_judgement_is_a_setting() -> None:
    settings = Settings(suspect_intervals=5, challenge_intervals=4, challenge_misses=1, gone_intervals=9)
    suspect = assess(BEATING, 0, NOW - 5 * INTERVAL, None, NOW, settings)
    assert suspect is not None
    assert (suspect.finding, suspect.next_at) == ("suspect", NOW + 4 * INTERVAL)
    assert assess(BEATING, 0, NOW - 5 * INTERVAL + 1, None, NOW, settings).finding is None  # type: ignore[union-attr]
    missed = assess(BEATING, 0, NOW - 9_999, Challenge(NOW - 4 * INTERVAL, 0), NOW, settings)
    assert missed is not None
    assert (missed.finding, missed.reason) == ("zombie", "connected, but a challenge went unanswered")
    silent = BEATING._replace(last_call_at=NOW - 9 * INTERVAL)
    assert assess(silent, 0, None, None, NOW, settings).finding == "gone"  # type: ignore[union-attr]
    assert find_presence(BEATING._replace(last_call_at=NOW - 8 * INTERVAL), NOW, settings).state == "overdue"


def test_an_idle_connection_is_closed_after_the_time_in_the_settings() -> None:
    silent = BEATING._replace(last_call_at=NOW - 2 * INTERVAL)
    assert not silent.is_connected(NOW, INTERVAL, Settings())
    assert silent.is_connected(NOW, INTERVAL, Settings(connected_intervals=2))
