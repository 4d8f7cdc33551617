"""When a person is told outside the room, and how that reads: whatever the hour, the zone and the texts are."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from teamroom.server.acts.presence.presence import Wake
from teamroom.server.rules.letters import (
    BREAK,
    KINDS,
    LINES,
    SUSPECT,
    Day,
    LetterPlace,
    Notice,
    Step,
    digest,
    letter,
    line_of,
    step_of,
    trial,
)
from teamroom.server.rules.notices import (
    Kind,
    LetterSettings,
    held_until,
    kind_of,
    next_daily_time,
    next_time,
    quiet_until,
    retry_at,
)
from tests.support.promises import house, promise

pytestmark = house

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
NEW_YEAR = 1_798_761_600.0
"""2027-01-01T00:00:00Z"""

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana")
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
moments = st.floats(NEW_YEAR, NEW_YEAR + 366 * DAY)
settings_of = st.builds(
    lambda zone, begin, end, cap: LetterSettings(zone=zone, quiet=f"{begin}-{end}", per_hour=cap),
    st.sampled_from(ZONES),
    clocks,
    clocks,
    st.integers(1, 5),
)


def wall(at: float, settings: LetterSettings) -> str:
    zone = UTC if settings.zone == "UTC" else ZoneInfo(settings.zone)
    return datetime.fromtimestamp(at, zone).strftime("%H:%M")


def test_every_reason_of_a_wake_causes_a_notice_or_is_known_not_to() -> None:
    rings = {
        (reason, by_room, asks): kind
        for reason in ("mention", "assigned", "offer", "answer", "review", "reminder", "challenge", "control", "repair")
        for by_room in (False, True)
        for asks in (False, True)
        if (kind := kind_of(reason, by_room, asks)) is not None
    }
    work = {(r, room, asks) for r in ("assigned", "offer", "answer", "repair") for room in (0, 1) for asks in (0, 1)}
    assert {key for key, kind in rings.items() if kind == "review waiting"} == {
        ("review", room, asks) for room in (0, 1) for asks in (0, 1)
    }
    assert {key for key, kind in rings.items() if kind == "needs you"} == work | {
        ("mention", False, True),
        ("mention", True, True),
    }
    assert len(rings) == len(work) + 2 + 4
    assert {kind_of("alert", by_room, False) for by_room in (False, True)} == {"needs you", "stuck"}
    assert kind_of("alert", True, False) == "stuck"
    assert set(KINDS) == set(get_args(Kind))
    assert "reason" in Wake.__annotations__


# ------------------------------------------------------------------ when


@given(moments, clocks, st.sampled_from(ZONES))
def test_a_time_of_day_comes_next_within_a_day_and_never_now(now: float, clock: str, zone: str) -> None:
    settings = LetterSettings(zone=zone)
    at = next_time(now, clock, settings)
    assert now < at <= now + 25 * HOUR
    put_forward = wall(at - 1, settings) != (datetime.strptime(clock, "%H:%M") - timedelta(minutes=1)).strftime("%H:%M")
    assert wall(at, settings) == clock or put_forward


@pytest.mark.parametrize(
    ("now", "clock", "zone", "expected"),
    [
        ("2027-01-01T07:59:59+00:00", "08:00", "UTC", "2027-01-01T08:00:00+00:00"),
        ("2027-01-01T08:00:00+00:00", "08:00", "UTC", "2027-01-02T08:00:00+00:00"),
        ("2027-01-01T08:00:00+00:00", "08:00", "Europe/Berlin", "2027-01-02T07:00:00+00:00"),
        ("2027-03-28T00:30:00+00:00", "02:30", "Europe/Berlin", "2027-03-28T01:00:00+00:00"),
        ("2027-03-28T01:00:00+00:00", "02:30", "Europe/Berlin", "2027-03-29T00:30:00+00:00"),
        ("2027-10-31T00:10:00+00:00", "02:30", "Europe/Berlin", "2027-10-31T00:30:00+00:00"),
        ("2027-10-31T00:30:00+00:00", "02:30", "Europe/Berlin", "2027-10-31T01:30:00+00:00"),
    ],
)
def test_a_time_of_day_in_figures(now: str, clock: str, zone: str, expected: str) -> None:
    found = next_time(datetime.fromisoformat(now).timestamp(), clock, LetterSettings(zone=zone))
    assert found == datetime.fromisoformat(expected).timestamp()


def digests(clock: str, zone: str, following: Callable[[float, str, LetterSettings], float]) -> list[datetime]:
    """When the digests of a year go out, by the clock of a zone."""
    settings, at, found = LetterSettings(zone=zone), NEW_YEAR, []
    while at < NEW_YEAR + 365 * DAY:
        at = following(at, clock, settings)
        found.append(datetime.fromtimestamp(at, UTC if zone == "UTC" else ZoneInfo(zone)))
    return found


@settings(max_examples=15)
@given(clocks, st.sampled_from(ZONES))
@example("02:30", "Europe/Berlin")
@example("02:10", "Australia/Lord_Howe")
@example("00:30", "America/Havana")
@example("01:30", "America/St_Johns")
@example("00:00", "Asia/Beirut")
def test_each_day_has_one_digest_whether_its_clock_skips_the_time_or_shows_it_twice(clock: str, zone: str) -> None:
    found = digests(clock, zone, next_daily_time)
    days = [at.date() for at in found]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    shown = [at.strftime("%H:%M") for at in found]
    late = [time for time in shown if time != clock]
    assert len(late) <= 1
    assert all(time > clock for time in late), "a skipped time counts as reached once the clock has jumped over it"


def test_a_digest_at_every_time_that_the_clock_shows_would_come_twice_on_one_day() -> None:
    """The twin: where the clock is set back, the time comes twice."""
    days = [at.date() for at in digests("02:30", "Europe/Berlin", next_time)]
    assert len(days) - len(set(days)) == 1


@given(moments, settings_of)
def test_quiet_hours_are_quiet_to_their_end_and_not_longer(now: float, settings: LetterSettings) -> None:
    ends = quiet_until(now, settings)
    if ends is None:
        return
    assert now < ends <= now + 25 * HOUR
    assert quiet_until(ends, settings) is None or wall(ends, settings) != settings.quiet[6:]
    steps = range(int((ends - now) // (5 * MINUTE)))
    assert all(quiet_until(now + 5 * MINUTE * step, settings) is not None for step in steps)


@pytest.mark.parametrize(
    ("quiet", "clock", "ends"),
    [
        ("", "23:00", None),
        ("22:00-22:00", "22:00", None),
        ("22:00-07:00", "21:59", None),
        ("22:00-07:00", "22:00", 9 * HOUR),
        ("22:00-07:00", "06:59", MINUTE),
        ("22:00-07:00", "07:00", None),
        ("12:00-13:30", "11:59", None),
        ("12:00-13:30", "12:00", 1.5 * HOUR),
        ("12:00-13:30", "13:30", None),
    ],
)
def test_quiet_hours_in_figures(quiet: str, clock: str, ends: float | None) -> None:
    now = NEW_YEAR + int(clock[:2]) * HOUR + int(clock[3:]) * MINUTE
    found = quiet_until(now, LetterSettings(quiet=quiet))
    assert found == (None if ends is None else now + ends)


@promise("SAF3")
@given(st.lists(st.floats(1, 3 * HOUR), min_size=1, max_size=30), moments, settings_of)
def test_no_hour_has_more_letters_than_its_cap_and_no_quiet_hour_has_one(
    gaps: list[float], now: float, settings: LetterSettings
) -> None:
    letters: list[float] = []
    for gap in gaps:
        now += gap
        for _ in range(10):
            nth = letters[-settings.per_hour] if len(letters) >= settings.per_hour else None
            if (held := held_until(nth, now, settings)) is None:
                break
            assert held > now
            now = held
        else:
            pytest.fail("it is held for ever")
        letters.append(now)
    assert all(quiet_until(at, settings) is None for at in letters)
    cap = settings.per_hour
    assert all(late - early > HOUR - 1 for early, late in zip(letters, letters[cap:], strict=False))


def test_letters_are_held_until_the_right_time() -> None:
    settings = LetterSettings(quiet="00:00-02:00", per_hour=2)
    three = NEW_YEAR + 3 * HOUR
    assert held_until(None, three, settings) is None
    assert held_until(three - 600, three, settings) == three + 3000
    assert held_until(three - HOUR, three, settings) is None
    assert held_until(None, NEW_YEAR, settings) == NEW_YEAR + 2 * HOUR
    assert held_until(NEW_YEAR - 1200, NEW_YEAR - 600, settings) == NEW_YEAR + 2 * HOUR, "the cap ends in quiet hours"


def test_the_gap_between_tries_doubles_up_to_an_hour_and_then_they_end() -> None:
    settings = LetterSettings()
    gaps = [(retry_at(tries, 10, NEW_YEAR, settings) or 0) - NEW_YEAR for tries in range(1, 10)]
    assert gaps == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert retry_at(10, 10, NEW_YEAR, settings) is None
    quiet = LetterSettings(quiet="00:00-02:00")
    assert retry_at(1, 10, NEW_YEAR - 20, quiet) == NEW_YEAR + 2 * HOUR


# ------------------------------------------------------------------ how it reads


@promise("SAF2")
@given(
    st.sampled_from(["mention", "alert", "offer", "assigned", "review", "pause"]),
    st.text(min_size=1),
    st.sampled_from([None, "builder"]),
)
def test_a_text_of_a_member_cannot_close_its_quotation(reason: str, text: str, sender: str | None) -> None:
    text = " ".join(text.split())
    told = text if reason in ("mention", "alert", "offer") else f"@builder did T-1: {text}"
    if sender is None and reason in ("mention", "alert", "offer"):
        return
    line = line_of(reason, "T-1", sender, told, False)
    head, _, quotation = line.partition(": ")
    assert head.startswith("@builder")
    assert quotation.startswith("“")
    assert quotation.endswith("”")
    assert quotation[1:-1].count("“") == quotation[1:-1].count("”") == 0
    assert len(line.splitlines()) <= max(len(f"x{told}".splitlines()), 1)


steps = st.sampled_from([Step("a", "/tasks/T-1"), Step("b", "/messages/M-1")])


@promise("SAF3")
@given(
    st.lists(st.builds(Notice, st.sampled_from(KINDS), st.integers(1, 99), st.just("what"), steps),
             min_size=1, max_size=40),
    st.sampled_from(["", "https://room.example/team"]),
)  # fmt: skip
def test_a_letter_is_short_counts_every_matter_and_has_the_step_of_each(notices: list[Notice], page: str) -> None:
    found = letter(notices, LetterPlace("acme", page, "https://room.example"))
    lines = found.body.splitlines()
    assert found.title.startswith("[Teamroom acme] ")
    shown, more = notices[:LINES], notices[LINES:]
    is_shared = len({notice.step for notice in notices}) == 1
    steps = [notices[0].step] if is_shared else [notice.step for notice in shown]
    if more and not is_shared:
        steps.append(Step(f"teamroom stream --after {more[0].seq - 1}", "/"))
    words = [f"{page}{step.path}" if page else step.command for step in steps]
    assert [line.strip() for line in lines if line.strip() in set(words)] == words
    assert lines[-1] == "https://room.example"
    assert len(lines) == len(shown) + bool(more) + len(words) + 1
    assert sum(line == f"… and {len(more)} more" for line in lines) == bool(more)
    assert len([line for line in lines if line.endswith(": what")]) == len(shown)
    numbers = [
        part.partition(" (")[2].rstrip(")") or "1" for part in found.title.removeprefix("[Teamroom acme] ").split(", ")
    ]
    assert sum(map(int, numbers)) == len(notices)


@pytest.mark.parametrize(
    ("reason", "subject", "task", "command", "path"),
    [
        ("pause", "@builder", None, "teamroom resume builder --reason …", "/members/builder"),
        ("pause", "owner:olga", None, "teamroom resume owner:olga --reason …", "/members/olga"),
        ("pause", "room", None, "teamroom resume room --reason …", "/"),
        ("kill", "@builder", None, "teamroom enroll builder --revive", "/members/builder"),
        ("assigned", "T-3", "T-3", "teamroom claim T-3", "/tasks/T-3"),
        ("repair", "T-3", "T-3", "teamroom board T-3", "/tasks/T-3"),
        ("answer", "T-3", "T-3", "teamroom board T-3", "/tasks/T-3"),
        ("review", "T-3", "T-3", "teamroom review T-3 VERDICT …", "/tasks/T-3"),
        ("offer", "O-1", "T-3", "teamroom handoff O-1 ANSWER", "/tasks/T-3"),
        ("mention", "M-4", None, "teamroom reply M-4 …", "/messages/M-4"),
        ("alert", "M-4", "T-3", "teamroom reply M-4 …", "/messages/M-4"),
        ("alert", "@builder", None, "teamroom roster builder", "/members/builder"),
        (SUSPECT, "@builder", None, "teamroom roster builder", "/members/builder"),
    ],
)
def test_each_notice_has_the_command_that_settles_it_and_the_path_of_its_subject(
    reason: str, subject: str, task: str | None, command: str, path: str
) -> None:
    assert step_of(reason, subject, task, 7) == Step(command, path)


def test_a_decision_leads_to_its_answer_and_a_stuck_message_only_to_the_message() -> None:
    assert step_of("decision", "D-2", None, 7, "0123456789ab") == Step(
        "teamroom decide D-2 OPTION --digest 01234567", "/decisions/D-2"
    )
    assert step_of("alert", "M-4", None, 7, is_stuck=True) == Step("teamroom read M-4", "/messages/M-4")


@promise("SAF2")
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_a_name_of_any_characters_stays_one_part_of_one_link(name: str) -> None:
    link = LetterPlace(page="https://room.example.org/team").words_of(step_of("alert", f"@{name}", None, 7))
    assert re.fullmatch(r"https://room\.example\.org/team/members/[A-Za-z0-9._~%-]+", link)
    assert unquote(link.rpartition("/")[2]) == name


def test_letters_in_figures() -> None:
    assert line_of("alert", "@builder", "room", "@builder is gone: silent", True) == "@builder is gone: silent"
    assert line_of("alert", "M-1", "builder", "fire", False) == "@builder raised an alert in M-1: “fire”"
    assert line_of("offer", "O-1", "builder", "yours", False) == "@builder offers you O-1: “yours”"
    assert line_of("overdue", "T-1", None, "The lease is over: paint", False) == "The lease is over: “paint”"
    found = digest(Day(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), LetterPlace("acme", "", "https://room.example"))
    assert found.title == "[Teamroom acme] daily digest"
    assert found.body.splitlines() == [
        "who did this: 1 member, 2 acts, 3 completed",
        "who has it now: 4 claimed, 5 blocked, 6 in review, 7 open; 8 waiting for you",
        "who noticed it broke: 9 reports of stuck members, 10 letters not delivered",
        "who can stop it: stopped 11 times; 12 members paused now",
        "teamroom overnight",
        "https://room.example",
    ]
    assert trial("olga", LetterPlace("acme")).title == "[Teamroom acme] test"
    words = f"@{BREAK}olga sent this test letter. No action is needed."
    assert trial("olga", LetterPlace()).body == f"{words}\nteamroom letters"
    page = LetterPlace(page="https://room.example")
    assert trial("olga", page).body == f"{words}\nhttps://room.example/settings"
    assert digest(Day(*[0] * 12), page).body.splitlines()[-1] == "https://room.example/overnight"
    step = Step("x", "/tasks/T-1")
    two = [Notice("stuck", 4, "a", step), Notice("needs you", 5, "b", step), Notice("stuck", 6, "c", step)]
    assert letter(two, LetterPlace()).title == "[Teamroom] needs you, stuck (2)"
    assert letter(two, LetterPlace()).body == "stuck: a\nneeds you: b\nstuck: c\nx"
    assert line_of(SUSPECT, "@b", None, "@b is suspect: silent", False) == "@b is suspect: silent"
