"""The rules by themselves: pure functions, held by properties rather than examples."""

from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.characters import forbidden_character
from teamroom.server.rules.leases import Lease, Pause, paused_seconds
from teamroom.server.rules.mentions import find_mentions
from teamroom.server.rules.presence import Facts, find_presence, make_forecast, parse_mode
from teamroom.server.rules.standing import StoredStanding, decide
from teamroom.server.rules.text import LINE_CHARACTERS, one_line
from teamroom.server.settings import Settings
from tests.support.promises import promise

SETTINGS = Settings()
times = st.integers(0, 10_000).map(float)
states = st.sampled_from(["active", "paused", "killed", "asleep", "", None])
settings_ = st.builds(StoredStanding, states, st.none() | times)


@st.composite
def pauses(draw: st.DrawFn) -> Pause:
    since = draw(times)
    until = draw(st.none() | times.map(lambda seconds: since + seconds))
    return Pause(draw(st.sampled_from(["member", "owner", "room"])), since, until)


def in_force(setting: StoredStanding, now: float) -> str | None:
    """The oracle: what a setting says, in as many words."""
    if setting.state not in ("active", "paused", "killed"):
        return None
    return (
        "active" if setting.state == "paused" and setting.until is not None and setting.until <= now else setting.state
    )


@promise("CTL1")
@given(settings_, settings_, settings_, times)
def test_an_agent_is_active_only_if_all_three_levels_are(
    own: StoredStanding, owner: StoredStanding, room: StoredStanding, now: float
) -> None:
    found = decide("agent", own, owner, room, now).state
    levels = [in_force(s, now) for s in (own, owner, room)]
    assert (found == "active") == (levels == ["active"] * 3)
    if levels[0] == "killed":
        assert found == "killed"


@promise("CTL1")
@given(settings_, settings_, settings_, times)
def test_people_are_stopped_only_by_their_own_standing(
    own: StoredStanding, owner: StoredStanding, room: StoredStanding, now: float
) -> None:
    assert decide("human", own, owner, room, now).state == in_force(own, now)


@promise("CTL8")
@given(settings_, settings_, settings_, times)
def test_a_missing_or_unreadable_standing_never_allows_an_act(
    own: StoredStanding, owner: StoredStanding, room: StoredStanding, now: float
) -> None:
    if None in [in_force(s, now) for s in (own, owner, room)]:
        assert decide("agent", own, owner, room, now).state != "active"


@promise("CTL5")
@given(st.lists(pauses(), max_size=6), times, times)
def test_overlapping_pauses_are_counted_once(found: list[Pause], start: float, length: float) -> None:
    now = start + length
    total = paused_seconds(found, start, now)
    seconds = [
        second
        for second in range(int(start), int(now))
        if any(p.since <= second and (p.until is None or p.until > second) for p in found)
    ]
    assert total == len(seconds)
    assert 0 <= total <= length


@promise("CTL5")
@given(st.lists(pauses(), max_size=6), times, times, times)
def test_a_lease_neither_gains_nor_loses_time_during_a_pause(
    found: list[Pause], start: float, one: float, two: float
) -> None:
    lease = Lease(start, 3600)
    earlier, later = start + min(one, two), start + max(one, two)
    assert lease.left(found, later) <= lease.left(found, earlier)
    covered = [Pause("room", start, None)]
    assert lease.left(covered, later) == 3600
    assert lease.stopped(found, later).left(found, later + 1000) == max(lease.left(found, later), 0)


@promise("CTL5")
@given(st.lists(pauses(), max_size=6), times, times)
def test_a_pause_of_owner_or_room_never_makes_a_task_overdue(found: list[Pause], start: float, length: float) -> None:
    others = [Pause(p.level, p.since, p.until) for p in found if p.level != "member"]
    covered = [*others, Pause("room", start, None)]
    assert Lease(start, 3600).overdue_seconds(covered, start + length, SETTINGS) < 0


@promise("QUI1")
@given(st.text(), st.integers(2, 200))
def test_one_line_is_one_line_and_fits(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert one_line(line, limit) == line


@promise("QUI1")
@given(st.text(max_size=400))
def test_a_line_of_the_stream_fits_in_140_characters(text: str) -> None:
    assert len(one_line(text)) <= LINE_CHARACTERS


@promise("QUI1")
@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,20}", fullmatch=True), max_size=5, unique_by=str.casefold))
def test_mentions_are_found_in_order_and_once(names: list[str]) -> None:
    text = ", ".join(f"@{name}" for name in names * 2) + " mail me@example.org"
    assert [mention.name for mention in find_mentions(text)] == names


@promise("SAF2")
@given(st.text(st.characters(categories=["Cc", "Cs"], exclude_characters="\n\r\t"), min_size=1))
def test_control_characters_are_never_accepted(text: str) -> None:
    assert forbidden_character(f"a{text}b") == 1


@promise("PRS1")
@given(st.text())
def test_a_mode_has_one_spelling(text: str) -> None:
    parsed = parse_mode(text)
    assert parsed is None or parse_mode(parsed) == parsed


facts = st.builds(
    Facts,
    st.sampled_from(["agent", "human"]),
    st.sampled_from(["live", "every:300", "every:86400", "on_demand", "manual"]),
    st.sampled_from(["active", "paused", "killed"]),
    st.none() | times,
    st.none() | times,
)


@promise("PRS1")
@given(facts, times)
def test_presence_always_has_a_verdict_with_a_reason(found: Facts, now: float) -> None:
    verdict = find_presence(found, now, SETTINGS)
    assert verdict.reason
    if found.standing != "active":
        assert verdict.state == found.standing


@promise("HND4")
@given(facts, st.lists(st.floats(0, 1e6), max_size=20), times)
def test_a_forecast_is_a_number_or_says_that_there_is_none(found: Facts, answered: list[float], now: float) -> None:
    expected = make_forecast(found, answered, now, SETTINGS)
    assert (expected.expected_seconds is None) == (expected.p90_seconds is None)
    if expected.expected_seconds is not None and expected.p90_seconds is not None:
        assert 0 <= expected.expected_seconds <= expected.p90_seconds
    if found.standing != "active":
        assert expected.expected_seconds is None
