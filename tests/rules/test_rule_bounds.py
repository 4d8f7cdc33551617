"""Each rule at its bounds, in figures: beside the properties, so that no small change of a rule goes unnoticed."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.clock import Gap
from teamroom.server.facts.owed import RULES
from teamroom.server.rules.characters import forbidden_character
from teamroom.server.rules.exchanges import Step, Turn, step
from teamroom.server.rules.folding import (
    BEYOND,
    DIGEST_CHARACTERS,
    HELD,
    Cause,
    ShownWake,
    digest_line,
    join_wakes,
    notes_line,
)
from teamroom.server.rules.leases import Lease, Pause, lease_seconds, offer_seconds, paused_seconds
from teamroom.server.rules.mentions import MENTIONS, Mention, find_mentions
from teamroom.server.rules.names import find_reserved_word, make_skeleton, normalize_name
from teamroom.server.rules.presence import (
    NO_LISTENER,
    NOT_KEPT,
    Facts,
    declared_until,
    duration,
    find_presence,
    interval_seconds,
    is_mode_supported,
    is_woken,
    make_forecast,
    may_be_woken,
    next_wake_at,
    ninetieth,
    parse_mode,
)
from teamroom.server.rules.proofs import (
    RENEW_SECONDS,
    answer,
    answer_command,
    command,
    how_to_check,
    is_probe_due,
    plant_command,
)
from teamroom.server.rules.reminders import (
    Circumstances,
    Decision,
    Owed,
    fills_the_day,
    first_seconds,
    slot_time,
    slots_passed,
)
from teamroom.server.rules.reminders import decide as decide_slot
from teamroom.server.rules.reviews import Candidate, choose, is_lost
from teamroom.server.rules.routing import Reach
from teamroom.server.rules.runs import Run
from teamroom.server.rules.search import parse_search
from teamroom.server.rules.standing import Standing, StoredStanding, decide
from teamroom.server.rules.text import (
    backtick,
    cite,
    count_fitting,
    inline,
    one_line,
    shorten,
)
from teamroom.server.settings import Settings
from tests.support.promises import house, promise

pytestmark = house

SETTINGS = Settings()
NOW = 100_000.0


# ------------------------------------------------------------------ standing


@pytest.mark.parametrize(
    ("own", "owner", "room", "expected"),
    [
        (("active", None), ("active", None), ("active", None), Standing("active", "member")),
        (("paused", None), ("active", None), ("active", None), Standing("paused", "member")),
        (("paused", None), ("paused", None), ("paused", None), Standing("paused", "member")),
        (("active", None), ("paused", None), ("active", None), Standing("paused", "owner")),
        (("active", None), ("paused", None), ("paused", None), Standing("paused", "room")),
        (("killed", None), ("paused", None), (None, None), Standing("killed", "member")),
        ((None, None), ("active", None), ("active", None), Standing(None, "member")),
        (("active", None), (None, None), ("active", None), Standing(None, "owner")),
        (("active", None), ("active", None), ("killed", None), Standing(None, "room")),
        (("active", None), ("killed", None), ("paused", None), Standing("paused", "room")),
        (("paused", NOW), ("active", None), ("active", None), Standing("active", "member")),
        (("paused", NOW + 1), ("active", None), ("active", None), Standing("paused", "member")),
        (("killed", NOW - 1), ("active", None), ("active", None), Standing("killed", "member")),
    ],
)
def test_the_most_restrictive_level_is_named(
    own: tuple[str | None, float | None],
    owner: tuple[str | None, float | None],
    room: tuple[str | None, float | None],
    expected: Standing,
) -> None:
    assert decide("agent", StoredStanding(*own), StoredStanding(*owner), StoredStanding(*room), NOW) == expected
    alone = decide("human", StoredStanding(*own), StoredStanding(*owner), StoredStanding(*room), NOW)
    assert alone == Standing(StoredStanding(*own).in_force(NOW), "member")


# ------------------------------------------------------------------ leases


@pytest.mark.parametrize(
    ("kind", "mode", "seconds"),
    [
        ("agent", "live", 3600),
        ("agent", "on_demand", 3600),
        ("agent", "every:1200", 3600),
        ("agent", "every:1201", 3603),
        ("agent", "every:28800", 86_400),
        ("agent", "every:28801", 86_400),
        ("agent", "manual", 86_400),
        ("human", "live", 86_400),
    ],
)
def test_how_long_a_lease_is(kind: str, mode: str, seconds: float) -> None:
    assert lease_seconds(kind, mode, SETTINGS, SETTINGS) == seconds


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [
        ("on_demand", 900),
        ("manual", 900),
        ("live", 900),
        ("every:300", 900),
        ("every:301", 903),
        ("every:86400", 259_200),
    ],
)
def test_how_long_an_offer_waits(mode: str, seconds: float) -> None:
    assert offer_seconds(mode, SETTINGS, SETTINGS) == seconds


def test_members_without_an_interval_get_the_shortest_lease_and_offer() -> None:
    short = Settings(lease_seconds=60, lease_intervals=100, offer_seconds=60, offer_intervals=100)
    assert (lease_seconds("agent", "on_demand", short, short), offer_seconds("on_demand", short, short)) == (60, 60)


def test_a_pause_includes_its_first_moment_and_excludes_its_end() -> None:
    pause = Pause("member", 10, 20)
    assert [pause.covers(now) for now in (9, 10, 19, 20, 21)] == [False, True, True, False, False]
    assert [Pause("room", 10, None).covers(now) for now in (9, 10, 1e9)] == [False, True, True]


def test_the_remaining_time_of_a_lease_is_right() -> None:
    assert Lease(100, 50).left([], 110) == 40
    assert Lease(100, 50).left([Pause("owner", 105, 108)], 110) == 43
    assert Lease(100, 50).left([Pause("owner", 90, 108)], 110) == 48
    assert Lease(100, 50).left([Pause("owner", 105, None)], 200) == 45
    assert Lease(None, 50).left([Pause("owner", 105, None)], 200) == 50
    assert Lease(100, 50).stopped([], 110) == Lease(None, 40)
    assert Lease(100, 50).stopped([], 200) == Lease(None, 0.0)
    assert Lease(None, 50).stopped([], 200) == Lease(None, 50)


def test_a_lease_is_overdue_at_the_right_time() -> None:
    assert Lease(100, 50).overdue_seconds([], 110, SETTINGS) == -40
    assert Lease(100, 50).overdue_seconds([], 160, SETTINGS) == 10
    assert Lease(None, 50).overdue_seconds([], 1e9, SETTINGS) == -50
    assert Lease(None, 50).overdue_seconds([Pause("member", 0, None)], 1e9, SETTINGS) == -50
    paused = [Pause("member", 100, None)]
    assert Lease(100, 5000).overdue_seconds(paused, 3700, SETTINGS) == 0
    assert Lease(100, 5000).overdue_seconds(paused, 3710, SETTINGS) == 10
    assert Lease(100, 5000).overdue_seconds([Pause("member", 100, 3710)], 3710, SETTINGS) == -5000
    assert Lease(100, 5000).overdue_seconds([Pause("owner", 100, None)], 9000, SETTINGS) == -5000
    two = [Pause("owner", 100, None), Pause("member", 200, None)]
    assert Lease(100, 5000).overdue_seconds(two, 3810, SETTINGS) == 10
    assert Lease(100, 50).overdue_seconds([Pause("member", 200, None)], 201, SETTINGS) == 50


def test_pauses_that_overlap_count_once() -> None:
    pauses = [Pause("room", 30, 40), Pause("member", 10, 20), Pause("owner", 15, 25)]
    assert paused_seconds(pauses, 0, 100) == 25
    assert paused_seconds(pauses, 12, 35) == 18
    assert paused_seconds([Pause("room", 10, None), Pause("member", 20, 30)], 0, 50) == 40
    assert paused_seconds([Pause("room", 10, 10)], 0, 50) == 0
    assert paused_seconds([], 0, 50) == 0
    assert paused_seconds([Pause("room", 10, 40), Pause("owner", 12, 20), Pause("member", 30, 50)], 0, 100) == 40


# ------------------------------------------------------------------ presence


@pytest.mark.parametrize(
    ("mode", "parsed"),
    [
        ("live", "live"),
        ("on_demand", "on_demand"),
        ("manual", "manual"),
        ("every:30", "every:30"),
        ("every:0030", "every:30"),
        ("every:29", None),
        ("every:86400", "every:86400"),
        ("every:86401", None),
        ("every:000300", "every:300"),
        ("every:0000300", None),
        ("every:", None),
        ("every", None),
        ("every:3 0", None),
        ("every:\u0663\u0660\u0660", None),
        ("each:300", None),
        ("LIVE", None),
    ],
)
def test_the_modes_are_parsed(mode: str, parsed: str | None) -> None:
    assert parse_mode(mode) == parsed


def test_how_often_each_mode_looks() -> None:
    assert [interval_seconds(mode, SETTINGS) for mode in ("live", "every:60", "on_demand", "manual")] == [
        300.0,
        60.0,
        None,
        None,
    ]


def facts(
    mode: str = "live", silent: float | None = None, *, standing: str = "active", busy: float | None = None
) -> Facts:
    last = None if silent is None else NOW - silent
    return Facts("agent", mode, standing, last, None if busy is None else NOW + busy)


VERDICTS = [
    (facts(standing="killed", silent=1), "killed", "killed; only an owner can revive it"),
    (facts(standing="paused", silent=1, busy=100), "paused", "paused; its wakes are held"),
    (facts(busy=7200), "working", "declared work for another 2 h"),
    (facts(busy=0), "gone", "has never called"),
    (facts("manual"), "asleep", "has never called"),
    (facts("every:600"), "gone", "has never called"),
    (facts(silent=300), "live", "called 5 min ago"),
    (facts(silent=-50), "live", "called 0 s ago"),
    (facts("manual", 301), "asleep", "called 5 min ago; runs when its owner starts it"),
    (facts("on_demand", 301), "asleep", "called 5 min ago; wakes on demand"),
    (facts("every:600", 600), "asleep", "wakes every 10 min, next in 0 s"),
    (facts("every:600", 540), "asleep", "wakes every 10 min, next in 1 min"),
    (facts("every:600", 660), "overdue", "expected 1 min ago"),
    (facts("every:600", 1800), "overdue", "expected 20 min ago"),
    (facts("every:600", 1801), "gone", "silent for 30 min"),
    (facts(silent=301), "overdue", "expected 1 s ago"),
    (facts(silent=10)._replace(trouble="suspect", trouble_reason="it waits"), "suspect", "it waits"),
    (facts(silent=10)._replace(trouble="zombie", trouble_reason="it slept"), "zombie", "it slept"),
    (facts(silent=10)._replace(trouble="gone", trouble_reason="silent"), "live", "called 10 s ago"),
    (facts(silent=600)._replace(connected_at=NOW - 300), "live", "listens; called 10 min ago"),
    (facts(silent=600)._replace(connected_at=NOW - 301), "overdue", "expected 1 s ago"),
    (facts("every:30", 1000)._replace(watched_from=NOW), "asleep", "wakes every 30 s, next in 30 s"),
]


@pytest.mark.parametrize(("found", "verdict", "reason"), VERDICTS)
def test_each_presence_has_its_reason(found: Facts, verdict: str, reason: str) -> None:
    assert (find_presence(found, NOW, SETTINGS).state, find_presence(found, NOW, SETTINGS).reason) == (verdict, reason)


@promise("PRS6")
@pytest.mark.parametrize(
    ("missed", "until"),
    [
        ([], 40),
        ([(39, 50)], 90),
        ([(40, 50)], 40),
        ([(0, 1)], 41),
        ([(-20, -10)], 40),
        ([(10, 20), (59, 60)], 100),
        ([(10, 20), (60, 61)], 60),
        ([(70, 80), (35, 50), (10, 20)], 120),
        ([(10, 30), (15, 20)], 70),
        ([(30, -90)], 40),
    ],
)
def test_declared_work_is_extended_after_each_pause_or_sleep_that_interrupted_it(
    missed: list[Gap], until: float
) -> None:
    assert declared_until(0, 40, missed) == until


@pytest.mark.parametrize(
    ("found", "at"),
    [
        (facts("every:600", 100), NOW + 500),
        (facts("every:600"), None),
        (facts("live", 100), None),
        (facts("manual", 100), None),
        (facts("on_demand", 100), None),
    ],
)
def test_a_member_that_polls_is_expected_an_interval_after_its_call(found: Facts, at: float | None) -> None:
    assert next_wake_at(found, SETTINGS) == at


def test_spans_are_written_in_one_unit() -> None:
    said = {
        0: "0 s",
        59: "59 s",
        60: "1 min",
        3599: "60 min",
        3600: "1 h",
        86_399: "24 h",
        86_400: "1 d",
        200_000: "2 d",
    }
    assert {seconds: duration(seconds) for seconds in said} == said


# ------------------------------------------------------------------ proofs and reviews


def test_how_each_thing_is_checked() -> None:
    assert command("file", "a b") == "sha256sum -- 'a b'"
    assert command("commit", "main") == "git rev-parse --verify --end-of-options 'main^{tree}'"
    assert command("link", "x") is None
    assert how_to_check("test", "pytest -q: 3 passed: all") == "pytest -q"
    assert how_to_check("receipt", "7") == "read teamroom://receipts/7"
    assert how_to_check("file", "a") == "sha256sum -- a"
    assert how_to_check("link", "a") is None
    assert plant_command("repo:a b") == "teamroom plant 'repo:a b'"


def test_how_a_probe_is_answered() -> None:
    assert answer("n", "bot", "v") == hashlib.sha256(b"n:bot:v").hexdigest()
    assert answer_command("n", "bot", "cat f") == "printf %s:%s:%s n bot $(cat f) | sha256sum"
    assert answer_command("n", "bot", "") == "printf %s:%s:%s n bot VALUE | sha256sum"


def test_a_probe_is_due_at_the_right_time() -> None:
    week = 7 * 86_400
    assert is_probe_due(None, week, NOW)
    assert is_probe_due(NOW + RENEW_SECONDS, week, NOW)
    assert not is_probe_due(NOW + RENEW_SECONDS + 1, week, NOW)
    assert is_probe_due(NOW + 50, 100, NOW)
    assert not is_probe_due(NOW + 51, 100, NOW)


def candidate(member: int, **known: object) -> Candidate:
    plain = {"other_owner": False, "held_it": False, "is_agent": True, "state": "live", "last_call_at": 1.0}
    return Candidate(member, **{**plain, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate(2, other_owner=True, held_it=True), candidate(1)),
        (candidate(2, state="suspect"), candidate(1, held_it=True)),
        (candidate(2, is_agent=False), candidate(1, state="asleep")),
        (candidate(2, state="asleep"), candidate(1, state="overdue")),
        (candidate(2, state="overdue"), candidate(1, state="suspect")),
        (candidate(2), candidate(1, is_agent=False, last_call_at=9.0)),
        (candidate(2, last_call_at=2.0), candidate(1)),
        (candidate(1), candidate(2)),
        (candidate(2, state="working"), candidate(1, state="zombie")),
    ],
)
def test_the_first_reviewer_is_chosen_by_the_rule(better: Candidate, worse: Candidate) -> None:
    assert choose([better, worse]) == choose([worse, better]) == better
    assert choose([candidate(1, state=v) for v in ("zombie", "gone", "paused", "killed")]) is None
    assert choose([]) is None


def test_an_unavailable_reviewer_loses_the_review() -> None:
    verdicts = ("live", "working", "asleep", "overdue", "suspect", "zombie", "gone", "paused", "killed")
    assert [v for v in verdicts if is_lost(v, named=True)] == ["gone", "killed"]
    assert [v for v in verdicts if is_lost(v, named=False)] == ["zombie", "gone", "paused", "killed"]


# ------------------------------------------------------------------ texts, names, characters


def test_a_text_on_one_line() -> None:
    assert one_line(" a\n\tb  c ") == "a b c"
    assert one_line("x" * 141) == "x" * 139 + "…"
    assert shorten("abcd", 4) == "abcd"
    assert shorten("abcde", 4) == "abc…"
    assert shorten("ab cde", 4) == "ab…"
    assert shorten("ab\u200dcde", 4) == "ab…"


def test_a_text_of_a_member_is_quoted_inside_a_line() -> None:
    assert inline(' a “b”\n"c" ') == '“a "b" "c"”'
    assert cite("repo:acme/api") == "repo:acme/api"
    assert cite("a b") == "“a b”"
    assert cite("ä") == "“ä”"
    assert cite("") == "“”"
    assert backtick("ls") == "`ls`"
    assert backtick("echo `ls` ``x``") == "``` echo `ls` ``x`` ```"
    assert backtick("`ls` x") == "`` `ls` x ``"
    assert backtick("x `ls`") == "`` x `ls` ``"


def test_how_many_fit_into_a_page() -> None:
    assert count_fitting([], 10) == 0
    assert count_fitting([50], 10) == 1
    assert count_fitting([5, 5, 1], 10) == 2
    assert count_fitting([5, 6, 1], 10) == 1
    assert count_fitting([0, 0, 0], 0) == 3


def test_mentioned_names_are_found() -> None:
    found = find_mentions("@a, @b-c. and @a; mail x@y.z /@no @Z9_")
    assert [mention.spellings for mention in found] == [("a",), ("b-c",), ("Z9_", "Z9")]
    assert find_mentions("@" + "x" * 40) == [Mention("x" * 32 + "…")]
    assert len(find_mentions(" ".join(f"@n{i}" for i in range(100)))) == MENTIONS
    assert find_mentions("@1.2, @v1") == [Mention("1.2", is_doubtful=True), Mention("v1")]


def test_names_that_are_drawn_alike_have_one_skeleton() -> None:
    assert (normalize_name("Bob.W"), make_skeleton("I10-Ww_m.x")) == ("bob.w", "llo-vvvv-rn-x")
    assert [find_reserved_word(name) for name in ("ROOM", "roorn", "bob", "0wner", "al1", "ali")] == [
        "room",
        "room",
        None,
        "owner",
        "all",
        None,
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("plain", None),
        ("é", None),
        ("ab\x00c\x00", 2),
        ("é\x7f", 1),
        ("\u200d\U0001f600", 0),
        ("\U0001f600\u200d\U0001f600", None),
        ("\U0001f600\u200dx", 1),
        ("x\u200d\U0001f600", 1),
        ("\U0001f600\ufe0f\u200d\U0001f600", None),
        ("\u0627\u200c\u0628", None),
        ("\u0627\u0640\u200c", 2),
        ("\u4e00\u200c", 1),
        ("9\ufe0f", None),
        ("\u203c\ufe0f", None),
        ("\u3030\ufe0f", None),
        ("é\ufe0f", 1),
        ("\u1820\u180b", None),
        ("\u18aa\u180b", None),
        ("\u181f\u180b", 1),
        ("\u18ab\u180b", 1),
        ("\u4e00\ufe00", None),
        ("\u4e00\ufe0d", None),
        ("é\ufe00", 1),
        ("\u4e00\U000e01ef", None),
        ("\u4e00\U000e0100\U000e0100", 2),
        ("\u4e00\U000e00ff", 1),
        ("\u4e00\u200b", 1),
        ("\u200e\u05d0", None),
        ("\u200e\u05d0\u200f", None),
        ("\u200f\u200f\u05d0", 1),
        ("\u05d0\u061c\u05d0\u200e\u05d0\u200f", None),
        ("\x1b\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 0),
        ("\u1820\u00ad", 1),
        ("\u1820\u180f", None),
        ("\n\ufe00", 1),
        ("\U0001faff\ufe0f", None),
        ("\ua800\u200d", None),
        ("\ufefc\u200c", None),
        ("\u093e\u200d", None),
        ("\u05d0\u200e\u200f", 2),
        ("a\u200f", 1),
        ("\u0661\u200f", 1),
    ],
)
def test_the_first_forbidden_character_is_found_at_its_place(text: str, place: int | None) -> None:
    assert forbidden_character(text) == place


PAUSED = "paused; its wakes are held"
USUAL = "usually answers in 2 s, nine times out of ten within 3 s"
FEW = "no estimate: it has acted on {} so far"
LOOKS = "looks in about {}; no estimate of its answer yet"
LOST = "no estimate: a wake has waited 5 min, although it usually answers in 2 s, nine times out of ten within 3 s"


def heard(mode: str = "live", silent: float | None = None) -> Facts:
    """The same with a listener."""
    return facts(mode, silent)._replace(listens=True)


@pytest.mark.parametrize(
    ("found", "answered", "expected"),
    [
        (facts("live", 10), [1, 2, 3], (None, None, f"called 10 s ago; {NO_LISTENER}")),
        (facts("on_demand", 10), [1, 2, 3], (None, None, f"called 10 s ago; {NO_LISTENER}")),
        (
            facts("manual", 500),
            [],
            (None, None, f"called 8 min ago; runs when its owner starts it; {NO_LISTENER}"),
        ),
        (heard("live", 10), [], (None, None, f"called 10 s ago; {FEW.format('0 wakes')}")),
        (heard("live", 10), [7], (None, None, f"called 10 s ago; {FEW.format('1 wake')}")),
        (heard("on_demand", 10), [1, 2], (None, None, f"called 10 s ago; {FEW.format('2 wakes')}")),
        (facts("every:600", 100), [], (500.0, 1100.0, f"called 2 min ago; {LOOKS.format('8 min')}")),
        (
            facts("every:600", 500),
            [1, 2],
            (100.0, 700.0, f"wakes every 10 min, next in 2 min; {LOOKS.format('2 min')}"),
        ),
        (facts("every:600", 700), [], (0.0, 600.0, f"expected 2 min ago; {LOOKS.format('0 s')}")),
        (facts("every:600", -5), [], (600.0, 1200.0, f"called 0 s ago; {LOOKS.format('10 min')}")),
        (facts("every:600", 100), [3, 1, 2], (2.0, 3.0, f"called 2 min ago; {USUAL}")),
        (facts("every:600", 900), [3, 1, 2], (2.0, 3.0, f"expected 5 min ago; {USUAL}")),
        (facts("every:600", 901), [3, 1, 2], (None, None, f"expected 5 min ago; {NOT_KEPT}")),
        (facts("every:600"), [1, 2, 3], (None, None, "has never called")),
        (facts("every:600", 100, standing="paused"), [1, 2, 3], (None, None, PAUSED)),
        (heard(silent=9)._replace(trouble="zombie", trouble_reason="z"), [1, 2, 3], (None, None, "z")),
        (heard(silent=9)._replace(trouble="suspect", trouble_reason="s"), [1, 2, 3], (2.0, 3.0, f"s; {USUAL}")),
        (heard("live", 10), [3.04, 1, 2.04], (2.0, 3.0, f"called 10 s ago; {USUAL}")),
        (heard("live", 10), [2.96, 1, 1.96], (2.0, 3.0, f"called 10 s ago; {USUAL}")),
        (heard("live", 10), [3.14, 1, 2.16], (2.2, 3.1, f"called 10 s ago; {USUAL}")),
        (facts("manual", 10)._replace(kind="human"), [3, 1, 2], (2.0, 3.0, f"called 10 s ago; {USUAL}")),
        (
            heard("live", 10)._replace(tokens_until=NOW),
            [1, 2, 3],
            (None, None, "has had no valid token for 0 s"),
        ),
        (heard("live", 10)._replace(tokens_until=NOW + 1), [3, 1, 2], (2.0, 3.0, f"called 10 s ago; {USUAL}")),
        (
            heard("live", 10)._replace(tokens_until=NOW - 3600),
            [1, 2, 3],
            (None, None, "has had no valid token for 1 h"),
        ),
    ],
)
def test_the_next_expected_answer_is_right(
    found: Facts, answered: list[float], expected: tuple[float | None, float | None, str]
) -> None:
    forecast = make_forecast(found, answered, NOW, SETTINGS)
    assert (forecast.expected_seconds, forecast.p90_seconds, forecast.note) == expected
    assert forecast.answers in forecast.note or forecast.answers == "no estimate"


@pytest.mark.parametrize(("waited", "lost"), [(1200.0, False), (1200.5, True)])
def test_a_schedule_says_nothing_once_a_wake_has_waited_two_intervals(waited: float, lost: bool) -> None:
    forecast = make_forecast(facts("every:600", 100), [], NOW, SETTINGS, waited)
    assert (forecast.expected_seconds is None, forecast.is_measured) == (lost, lost)


@pytest.mark.parametrize(("waited", "lost"), [(303.0, False), (303.5, True)])
def test_an_estimate_ends_once_a_wake_waits_an_interval_longer_than_usual(waited: float, lost: bool) -> None:
    forecast = make_forecast(heard("live", 10), [3, 1, 2], NOW, SETTINGS, waited)
    assert (forecast.expected_seconds is None) == lost
    assert forecast.note == f"called 10 s ago; {LOST if lost else USUAL}"


@given(
    st.sampled_from(["agent", "human", "room"]),
    st.sampled_from(["live", "on_demand", "manual", "every:600"]),
    st.booleans(),
    st.none() | st.builds(Run, since=st.just(NOW - 9), moved_at=st.just(NOW - 1), heard_at=st.just(NOW - 1)),
    st.sampled_from([None, 1.0, 5000.0]),
)
def test_the_quick_look_leaves_nobody_out_that_something_wakes(
    kind: str, mode: str, listens: bool, run: Run | None, silent: float | None
) -> None:
    found = facts(mode, silent)._replace(kind=kind, listens=listens, run=run)
    assert may_be_woken(kind, mode, listens, run is not None) >= is_woken(found, NOW, SETTINGS)


@pytest.mark.parametrize(
    ("found", "supported"),
    [
        (facts("live", 1), False),
        (heard("live", 1000), True),
        (facts("live", 1)._replace(kind="human"), True),
        (facts("every:600", 900), True),
        (facts("every:600", 901), False),
        (facts("every:600"), False),
        (heard("every:600", 5000), True),
        (facts("on_demand", 5000), True),
        (facts("manual"), True),
    ],
)
def test_a_mode_that_nothing_keeps_is_not_supported(found: Facts, supported: bool) -> None:
    assert is_mode_supported(found, NOW, SETTINGS) == supported


@pytest.mark.parametrize(
    ("answers", "rank"), [(1, 1), (3, 3), (9, 9), (10, 10), (11, 11), (18, 18), (19, 18), (29, 27)]
)
def test_nine_of_ten_answers_come_within_the_time_of_this_rank(answers: int, rank: int) -> None:
    assert ninetieth([float(seconds) for seconds in range(answers, 0, -1)]) == rank


# ------------------------------------------------------------------ what counts as reached


@pytest.mark.parametrize(
    ("reach", "state"),
    [
        (Reach(), "declared"),
        (Reach(proven_until=NOW), "expired"),
        (Reach(proven_until=NOW + 1), "proven"),
        (Reach(attested_until=NOW), "expired"),
        (Reach(attested_until=NOW + 1), "attested"),
        (Reach(failed_at=NOW), "failed"),
        (Reach(NOW + 1, NOW + 1, NOW), "proven"),
        (Reach(NOW, NOW + 1, NOW), "attested"),
        (Reach(NOW, NOW, NOW), "failed"),
    ],
)
def test_the_strongest_state_in_force_is_shown(reach: Reach, state: str) -> None:
    assert reach.state(NOW) == state


# ------------------------------------------------------------------ reminders

HOUR = 3600.0
WELL = Circumstances("active", "live", None, 0, 0.0)


@pytest.mark.parametrize(
    ("owed", "circumstances", "hours", "expected"),
    [
        (Owed(0, HOUR), WELL, 0.5, Decision(None, "", 0, 0, 0, False, HOUR)),
        (Owed(0, HOUR), WELL, 1, Decision("sent", "", 1, 0, 1, False, 3 * HOUR)),
        (Owed(0, HOUR, 1, 1), WELL, 2, Decision(None, "", 1, 0, 1, False, 3 * HOUR)),
        (Owed(0, HOUR, 1, 1), WELL, 7, Decision("sent", "", 3, 1, 2, False, 15 * HOUR)),
        (Owed(0, HOUR, 1, 1, escalated=True), WELL, 3, Decision(None, "", 2, 0, 1, False, 7 * HOUR)),
        (Owed(0, HOUR, 1, 4), WELL, 3, Decision("sent", "", 2, 0, 5, True, 7 * HOUR)),
        (Owed(0, HOUR, 1, 5), WELL, 3, Decision(None, "", 2, 0, 5, False, 7 * HOUR)),
        (Owed(0, HOUR), replace(WELL, hour_free_at=HOUR), 1, Decision("sent", "", 1, 0, 1, False, 3 * HOUR)),
        (Owed(0, HOUR), replace(WELL, hour_free_at=HOUR + 1), 1, Decision(None, "", 0, 0, 0, False, HOUR + 1)),
    ],
)
def test_each_slot_has_the_right_outcome(
    owed: Owed, circumstances: Circumstances, hours: float, expected: Decision
) -> None:
    assert decide_slot(owed, circumstances, 5, hours * HOUR, SETTINGS) == expected


@pytest.mark.parametrize(
    ("circumstances", "outcome", "reason", "counted"),
    [
        (replace(WELL, standing="paused"), "silent", "the member is paused", 0),
        (replace(WELL, snoozed_until=HOUR + 1), "silent", "snoozed", 0),
        (replace(WELL, snoozed_until=HOUR), "sent", "", 1),
        (replace(WELL, state="suspect"), "silent", "the member is suspect, and its owner knows", 1),
        (replace(WELL, state="zombie"), "silent", "the member is zombie, and its owner knows", 1),
        (replace(WELL, state="gone"), "silent", "the member is gone, and its owner knows", 1),
        (
            replace(WELL, today=SETTINGS.reminders_per_day),
            "silent",
            "the member has reached its daily reminder limit",
            1,
        ),
        (replace(WELL, today=SETTINGS.reminders_per_day - 1), "sent", "", 1),
        (replace(WELL, state="asleep"), "held", "the member is asleep; the reminder comes with its next wake", 1),
        (WELL, "sent", "", 1),
    ],
)
def test_why_a_reminder_is_not_sent(circumstances: Circumstances, outcome: str, reason: str, counted: int) -> None:
    decision = decide_slot(Owed(0, HOUR), circumstances, 5, HOUR, SETTINGS)
    assert (decision.outcome, decision.reason, decision.counted) == (outcome, reason, counted)


DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("ago", "a_day", "fills"),
    [
        ([0], 1, True),
        ([0], 2, False),
        ([0, DAY - 1], 2, True),
        ([0, DAY], 2, False),
        ([0, DAY - 1, DAY + 1], 2, False),
        ([0, DAY - 1, 2 * DAY - 1], 2, True),
        ([0, HOUR, DAY + HOUR], 2, True),
        ([0, HOUR, DAY], 2, False),
        ([0, HOUR, DAY - 1, DAY], 2, False),
        ([0, DAY], 1, True),
        ([0, DAY - 1], 1, False),
    ],
)
def test_the_newest_reminder_of_a_day_is_recognised_as_the_last(ago: list[float], a_day: int, fills: bool) -> None:
    assert fills_the_day([NOW - seconds for seconds in ago], a_day, NOW) is fills


@pytest.mark.parametrize(
    ("first", "hours"),
    [
        (1, [1, 3, 7, 15, 31, 55, 79, 103]),
        (12, [12, 36, 60, 84]),
        (20, [20, 44, 68]),
        (24, [24, 48, 72]),
        (48, [48, 72, 96]),
    ],
)
def test_slots_are_at_the_right_times(first: float, hours: list[float]) -> None:
    assert [slot_time(5, first * HOUR, 24 * HOUR, slot) for slot in range(1, len(hours) + 1)] == [
        5 + h * HOUR for h in hours
    ]
    assert [slots_passed(5, first * HOUR, 24 * HOUR, 5 + h * HOUR) for h in hours] == list(range(1, len(hours) + 1))
    assert [slots_passed(5, first * HOUR, 24 * HOUR, 4 + h * HOUR) for h in hours] == list(range(len(hours)))
    assert slots_passed(5, first * HOUR, 24 * HOUR, 5) == 0


@pytest.mark.parametrize(
    ("rule", "blocked", "shortest", "beats"),
    [
        ("task", False, SETTINGS.remind_task_seconds, 1.5),
        ("task", True, SETTINGS.remind_blocked_seconds, 1.5),
        ("ask", False, SETTINGS.remind_ask_seconds, 3),
        ("ask", True, SETTINGS.remind_ask_seconds, 3),
        ("review", False, SETTINGS.remind_review_seconds, 1.5),
        ("proof", True, SETTINGS.remind_proof_seconds, 1.5),
    ],
)
def test_the_first_reminder_is_sent_after_the_right_delay(
    rule: str, blocked: bool, shortest: float, beats: float
) -> None:
    delay = RULES[rule].delay(SETTINGS, blocked)
    assert first_seconds(delay, None) == shortest
    assert first_seconds(delay, shortest / beats) == shortest
    assert first_seconds(delay, shortest) == beats * shortest


# ------------------------------------------------------------------ quietness


@pytest.mark.parametrize(
    ("authors", "line"),
    [
        (["ann"], "… and 1 more note of @ann"),
        (["ann", "ann"], "… and 2 more notes of @ann"),
        (["ann", "bob", "ann"], "… and 3 more notes of @ann (2), @bob (1)"),
        (["cid", "bob", "ann"], "… and 3 more notes of @cid (1), @bob (1), @ann (1)"),
        (["dan", "cid", "bob", "ann"], "… and 4 more notes of @dan (1), @cid (1), @bob (1) and others"),
    ],
)
def test_the_line_of_folded_notes(authors: list[str], line: str) -> None:
    assert notes_line(authors) == line


def cause(seq: int, subject: str, *, sender: str = "olga", reason: str = "mention", folded: int = 0) -> Cause:
    return Cause(seq, reason, subject, sender, "line", folded, float(seq), "agent")


def test_equal_wakes_are_joined_and_held_or_excess_wakes_become_a_digest() -> None:
    wakes = [cause(1, "M-1"), cause(2, "M-2", folded=1), cause(3, "M-1"), cause(4, "M-4", folded=1), cause(5, "M-5")]
    one, beyond, late = [wakes[0], wakes[2]], [wakes[1], wakes[3]], [wakes[4]]
    assert join_wakes(wakes, None, 9) == [ShownWake(one), ShownWake(beyond, BEYOND), ShownWake(late)]
    assert join_wakes(wakes, lambda at: at in (2, 5), 9) == [
        ShownWake(one),
        ShownWake([wakes[3]]),
        ShownWake([wakes[1], wakes[4]], HELD),
    ]
    assert join_wakes(wakes, lambda at: at == 2, 9)[0] == ShownWake([wakes[1]])
    assert join_wakes(wakes, None, 2) == [ShownWake(one), ShownWake(beyond, BEYOND)]
    assert join_wakes(wakes, None, 1) == [ShownWake([wakes[0]])]
    assert join_wakes([cause(1, "M-1"), cause(2, "M-1"), cause(2, "M-2")], None, 1) == [ShownWake([cause(1, "M-1")])]
    assert join_wakes([cause(1, "M-1"), cause(1, "M-2")], None, 1) == [
        ShownWake([cause(1, "M-1")]),
        ShownWake([cause(1, "M-2")]),
    ]


@pytest.mark.parametrize(
    ("wake", "line"),
    [
        (
            ShownWake([cause(7, "M-1"), cause(8, "T-2", sender="bob", reason="assigned"), cause(9, "M-3")], HELD),
            "3 wakes arrived while you were paused: mention from @olga M-1, M-3; assigned from @bob T-2. "
            "In full: read_messages mentions ann, after 6",
        ),
        (
            ShownWake([cause(7, "M-1"), cause(8, "T-2", reason="assigned"), cause(9, "M-1")], BEYOND),
            "3 more from @olga: mention M-1; assigned T-2. In full: read_messages mentions ann, after 6",
        ),
        (
            ShownWake([cause(7, "T-1"), cause(8, "T-2")], BEYOND),
            "2 more from @olga: mention T-1, T-2. In full: read_board",
        ),
        (
            ShownWake([cause(n, f"T-{n}") for n in range(1, 13)], BEYOND),
            "12 more from @olga: mention T-1, T-2, T-3, T-4, T-5, T-6, T-7, T-8, T-9, T-10, T-11, T-12. "
            "In full: read_board",
        ),
        (
            ShownWake([cause(n, f"T-{n}") for n in range(1, 16)], BEYOND),
            "15 more from @olga: mention T-1, T-2, T-3, T-4, T-5, T-6, T-7, T-8, T-9, T-10, T-11, T-12 and 3 others. "
            "In full: read_board",
        ),
    ],
)
def test_the_line_of_a_digest(wake: ShownWake, line: str) -> None:
    assert digest_line(wake, "ann") == line


def test_a_long_digest_is_cut_in_its_list_and_fills_its_line() -> None:
    wake = ShownWake([cause(n, f"M-{n}", sender=f"{n}" + "a" * 30) for n in range(1, 14)], HELD)
    line = digest_line(wake, "ann")
    assert len(line) == DIGEST_CHARACTERS
    assert line.endswith("… and 1 others. In full: read_messages mentions ann, after 0")


def test_quotes_in_a_search_are_ignored() -> None:
    assert parse_search('  "to be"  or\tnot ') == '"to" "be" "or" "not"*'
    assert parse_search('a"b') == '"a" "b"*'


def test_the_first_of_two_opens_the_first_turn() -> None:
    assert step(None, 5, 1) == step(Turn(0, 5), 5, 1) == Step(Turn(1, 5), wakes=True, is_last=False)
    assert step(Turn(1, 5), 6, 1) == Step(Turn(2, 6), wakes=True, is_last=True)
    assert step(Turn(2, 6), 5, 1) == Step(Turn(3, 5), wakes=False, is_last=False)
