"""The rules of quietness as properties: budgets, folding, the loop guard, joined wakes."""

from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.exchanges import Turn, step
from teamroom.server.rules.folding import (
    BEYOND,
    DIGEST_CHARACTERS,
    HELD,
    Cause,
    digest_line,
    join_wakes,
    notes_line,
    runs,
)
from teamroom.server.rules.text import LINE_CHARACTERS
from tests.support.promises import promise

WINDOW = 100.0
names = st.from_regex(r"[a-z][a-z0-9]{0,31}", fullmatch=True)

# ------------------------------------------------------------------ budgets


def spent(times: list[float], allowed: int, now: float) -> float:
    """What the room asks: how long until there is room, by when the N-th newest was spent."""
    return seconds_until_free(times[-allowed] if len(times) >= allowed else None, WINDOW, now)


@promise("QUI2")
@given(st.lists(st.floats(0, 40), max_size=60), st.integers(1, 8))
def test_no_window_exceeds_its_budget_and_none_refuses_too_early(steps: list[float], allowed: int) -> None:
    now, times = 0.0, list[float]()
    for seconds in steps:
        now += seconds
        within = [at for at in times if at + WINDOW > now]
        assert (spent(times, allowed, now) == 0) == (len(within) < allowed)
        if len(within) < allowed:
            times.append(now)


@promise("QUI2")
@given(st.floats(0, 1000), st.floats(0, 1000))
def test_a_wait_is_long_enough_and_never_longer_than_the_window(at: float, now: float) -> None:
    wait = seconds_until_free(at, WINDOW, now)
    assert 0 <= wait <= WINDOW
    if at <= now:
        assert seconds_until_free(at, WINDOW, now + wait) < 1e-6


# ------------------------------------------------------------------ the loop guard

events = st.lists(st.sampled_from([1, 2, "moved"]), max_size=120)


@promise("QUI3")
@given(events, st.integers(1, 6))
def test_two_agents_wake_each_other_for_a_limited_number_of_rounds(said: list[object], rounds: int) -> None:
    """The oracle counts by hand: turns since something moved; a turn lasts as long as one of the two speaks."""
    last: Turn | None = None
    turns: list[int] = []
    ends = 0
    for event in said:
        if event == "moved":
            last, turns, ends = None, [], 0
            continue
        assert isinstance(event, int)
        complete = len(turns) >= 2 * rounds
        if not turns or turns[-1] != event:
            turns.append(event)
        found = step(last, event, rounds)
        assert found.wakes == (not complete)
        ends += found.is_last
        assert ends == (len(turns) >= 2 * rounds)
        last = found.turn


# ------------------------------------------------------------------ folding

entries = st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=60)


@promise("QUI2")
@given(entries)
def test_folding_keeps_every_entry_once_and_in_order(found: list[tuple[int, bool]]) -> None:
    lines = runs(found, lambda entry: entry[1])
    assert [entry for line in lines for entry in line] == found
    shown = sum(not folded for _, folded in found)
    assert len(lines) <= 2 * shown + 1
    assert all(len(line) == 1 or all(folded for _, folded in line) for line in lines)


@promise("QUI2")
@given(st.lists(names, min_size=1, max_size=40))
def test_the_line_of_folded_notes_is_one_line_of_the_stream_with_their_number(authors: list[str]) -> None:
    line = notes_line(authors)
    assert len(line) <= LINE_CHARACTERS
    assert line.startswith(f"… and {len(authors)} more note")
    assert f"@{authors[0]}"[:20] in line


# ------------------------------------------------------------------ joined wakes

causes_ = st.lists(
    st.builds(
        Cause,
        st.integers(1, 40),
        st.sampled_from(["mention", "assigned", "alert"]),
        st.sampled_from(["M-1", "M-2", "T-1", "T-2", "O-1"]),
        st.sampled_from(["olga", "builder", "tester"]),
        st.text(max_size=20),
        st.sampled_from([0, 1]),
        st.floats(0, 10),
        st.sampled_from(["agent", "human"]),
    ),
    max_size=50,
).map(lambda found: sorted(found, key=lambda cause: cause.seq))


@promise("QUI4")
@given(causes_, st.integers(1, 12), st.floats(0, 10))
def test_every_wake_up_to_the_newest_number_shown_is_shown_exactly_once(
    causes: list[Cause], limit: int, paused_until: float
) -> None:
    found = join_wakes(causes, lambda at: at < paused_until, limit)
    newest = max((wake.newest.seq for wake in found), default=0)
    assert sorted(cause for wake in found for cause in wake.causes) == sorted(c for c in causes if c.seq <= newest)
    assert bool(found) == bool(causes)
    assert [wake.newest.seq for wake in found] == sorted(wake.newest.seq for wake in found)
    at_first = len({c[1:] for c in causes if c.seq == causes[0].seq})
    assert len(found) <= max(limit, at_first if causes else 0)


@promise("QUI4")
@given(causes_, st.floats(0, 10))
def test_joined_wakes_belong_together(causes: list[Cause], paused_until: float) -> None:
    for wake in join_wakes(causes, lambda at: at < paused_until, 50):
        if wake.digest == HELD:
            assert all(cause.at < paused_until for cause in wake.causes)
        elif wake.digest == BEYOND:
            assert len({cause.sender for cause in wake.causes}) == 1
            assert all(cause.folded for cause in wake.causes)
        else:
            assert len({(cause.reason, cause.subject) for cause in wake.causes}) == 1
        if wake.digest:
            line = digest_line(wake, "n" * 32)
            assert len(line) <= DIGEST_CHARACTERS
            assert str(len(wake.causes)) in line
            assert "In full: read_" in line
