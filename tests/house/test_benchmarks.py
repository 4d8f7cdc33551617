"""The benchmarks judge and draw what they found, and the page in the docs is what their JSON says."""

import json
from pathlib import Path

import pytest

from tests.bench import costs, large, report, search
from tests.bench.__main__ import parsed
from tests.bench.costs import ROOT
from tests.bench.database import is_on_this_machine
from tests.bench.day import ACTS_PER_HOUR, AGENTS, HEARTBEAT_SECONDS, schedule
from tests.bench.figure import Figure, Growth, Part, chart_of_growths, shown, table_of, table_of_growths
from tests.bench.parts import PARTS
from tests.support.large_rooms import Size
from tests.support.promises import house

pytestmark = house

DOCS = ROOT / "docs"

SHARE = Figure("a post", 400, "µs", 0.5, target=0.8, is_least=True, floor=200)
SIZE = Figure("a listener", 63.1, "KiB", 63.1, "KiB", 64.0)
GROWS = Growth("`who`", {10: 100.0, 1_000: 130.0}, bound=1.2)


def test_a_figure_is_judged_by_its_value_and_its_target() -> None:
    assert SHARE.is_met is False
    assert Figure("a post", 400, "µs", 0.8, target=0.8, is_least=True).is_met is True
    assert SIZE.is_met is True
    assert Figure("a listener", 64.1, "KiB", 64.1, "KiB", 64.0).is_met is False
    assert Figure("posts a second", 400, "", 400).is_met is None


def test_a_growth_is_judged_by_its_ends() -> None:
    assert GROWS.times == pytest.approx(1.3)
    assert GROWS.is_met is False
    assert Growth("`who`", {10: 100.0, 1_000: 120.0}, bound=1.2).is_met is True
    assert Growth("`who`", {10: 100.0, 1_000: 900.0}).is_met is None


def test_a_part_names_what_it_missed() -> None:
    part = Part("2026-11-30", 12, (SHARE, SIZE), (GROWS,))
    assert part.missed == ("a post", "`who`")


def test_a_part_is_the_same_after_it_was_written_as_json() -> None:
    part = Part("2026-11-30", 12, (SHARE, SIZE), (GROWS,), "members", ("It was loud.",))
    assert Part.from_json(json.loads(json.dumps(part.as_json()))) == part


def test_numbers_are_shown_with_the_digits_that_matter() -> None:
    given = ((1234.5, "µs"), (63.14, "KiB"), (0.519, ""), (0.0431, "%"), (4.0, "times"))
    assert [shown(*one) for one in given] == ["1,234 µs", "63.1 KiB", "0.52", "4.3%", "4 times"]


def test_tables_say_what_is_missed() -> None:
    assert list(table_of((SHARE, SIZE)))[2:] == [
        "| a post | SQLite | 400 µs | 200 µs | 0.50 | at least 0.80, **missed** |",
        "| a listener | SQLite | 63.1 KiB |  | 63.1 KiB | at most 64 KiB, met |",
    ]
    head, _, line = table_of_growths((GROWS,), "members")
    assert head == "| call | 10 members | 1,000 members | growth |"
    assert line == "| `who` | 100 µs | 130 µs | 1.30 (at most 1.2, **missed**) |"


def test_the_longest_bar_is_the_largest_cost_of_its_unit() -> None:
    lines = list(chart_of_growths((GROWS, Growth("a wake", {10: 4.0}, "ms"))))
    assert [line.count("█") for line in lines] == [31, 40, 40]


def test_what_is_left_out_stays_as_it_was(tmp_path: Path) -> None:
    report.write(tmp_path, "a machine", {"memory": Part("2026-11-29", 1, (SIZE,))})
    report.write(tmp_path, "a machine", {"calls": Part("2026-11-30", 2, (SHARE,))})
    assert list(report.read(tmp_path)[1]) == ["calls", "memory"]
    page = (tmp_path / report.PAGE).read_text()
    assert page.index("## What a call costs") < page.index("## What an idle listener holds")


def test_the_page_in_the_docs_is_what_its_json_says() -> None:
    assert (DOCS / report.PAGE).read_text() == report.page_of(DOCS)


def test_every_part_has_a_text_on_the_page() -> None:
    assert list(report.TEXTS) == list(PARTS)


def test_a_quick_run_never_writes_into_the_docs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--quick"])
    assert "--into" in capsys.readouterr().err
    assert parsed(["--quick", "--into", str(tmp_path)]).into == tmp_path


def test_an_hour_of_the_schedule_holds_all_heartbeats_and_acts_in_order() -> None:
    events = list(schedule(3_600))
    beats = [number for _, number, kind in events if kind == "heartbeat"]
    assert len(beats) == AGENTS * 3_600 / HEARTBEAT_SECONDS
    assert len(events) - len(beats) == AGENTS * ACTS_PER_HOUR
    assert events == sorted(events)


def test_a_room_is_searched_in_every_engine_that_can_be_measured_here() -> None:
    engines = search.run(messages=300, rounds=1)
    assert list(engines) == [costs.SQLITE, *([costs.POSTGRES] if is_on_this_machine() else [])]
    for searched in engines.values():
        assert list(searched)[-1] == search.SCAN
        assert all(min(each) > 0 for each in searched.values())


@pytest.mark.postgres
def test_a_copy_of_a_large_room_is_read_and_started_in_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_on_this_machine():
        pytest.skip("no PostgreSQL on this machine")
    monkeypatch.setattr(large, "READS", 2)
    with large.room_of(Size(tasks=20, messages=20, members=5), tmp_path) as room:
        found = large.run_in_postgres(room, tmp_path, rounds=1, starts=1)
    assert list(found.reads) == list(large.LONG_READS)
    assert min(*found.reads.values(), found.start) > 0
