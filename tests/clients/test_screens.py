"""What the shell shows on a terminal: columns at every width, and times in the reader's zone, which is named once."""

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from teamroom.clients.session.terminal import Layout, Styled, cell_len, fit_columns, on_two_lines
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, Time, running_room
from tests.support.shells import ESCAPE, Shell, up

pytestmark = promise("QUI5")

WIDTHS = (30, 40, 59, 60, 80, 120)
LONGEST_NAME = "a-long-name-of-an-agent-of-32-xx"
TITLES = (
    "keys",
    "日本語の長い題名です、とても長いので窓に入りません",
    "a title that is far too long for a window of forty columns",
)
DENVER, KOLKATA = "America/Denver", "Asia/Kolkata"
NOON = datetime(2026, 11, 29, 12, 34, tzinfo=UTC)


@contextlib.asynccontextmanager
async def busy_room(folder: Path) -> AsyncIterator[tuple[RunningRoom, Shell]]:
    """A room with tasks in several states, long names and titles, a pause, an ask and an alert."""
    time = Time()
    time.forward(NOON.timestamp() - time())
    async with running_room(folder / "room", time=time) as room:
        owner = await room.owner()
        builder, tester = await room.enroll("builder", LONGEST_NAME, mode="live")
        for number, title in enumerate((*TITLES, *TITLES, "urgent", "later")):
            await owner("create_task", title=title, priority={6: 70, 7: -5}.get(number, number), due=90_000)
        await builder("claim_task", task="T-1")
        fence = (await tester("claim_task", task="T-2"))["fence"]
        note = "the password, which nobody has"
        await tester("update_task", task="T-2", fence=fence, status="blocked", blocked_on="@olga", note=note)
        await builder("post_message", text="Which region do we use?", kind="ask", to=["olga"])
        await builder("request_decision", question="May it go to the customers, now that it is Friday?")
        await builder("declare_capabilities", capabilities=["report:2026-11-29T12:34:56Z", "2026-99-99T99:99:99Z"])
        await builder("post_message", text="The disk is full at 2026-11-29T12:34:56Z", kind="alert")
        await owner("pause", target=LONGEST_NAME, reason="since 2026-11-29T12:34:56Z it loops", for_seconds=7200)
        await owner("plant", capability="repo:acme/api", file="/srv/value")
        await owner("set_policy", name="wip_cap", value="7")
        yield room, Shell(folder, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


async def test_no_width_loses_ids_titles_names_standings_or_numbers_and_open_tasks_go_by_priority(
    tmp_path: Path,
) -> None:
    async with busy_room(tmp_path) as (room, shell):
        seqs = {entry["seq"] for entry in room.entries()}
        for columns in WIDTHS:
            screens = {words: await shell.screen(*words.split(), columns=columns) for words in VIEWS}
            for words, lines in screens.items():
                assert max(map(cell_len, lines)) <= columns, (words, columns)
            ids = [line.split()[0] for line in screens["board"] if line.startswith("T-")]
            assert ids == ["T-2", "T-1", "T-7", "T-6", "T-5", "T-4", "T-3", "T-8"], columns
            board = "\n".join(screens["board"])
            for start in ("keys", "日本語", "a title", "urgent"):
                assert f"“{start}" in board, (columns, start)
            roster = (
                "".join(line.strip() for line in screens["roster"]) if columns < 60 else "\n".join(screens["roster"])
            )
            for name, presence in ((LONGEST_NAME, "paused"), ("olga", ""), ("builder", "")):
                assert f"@{name}" in roster, columns
                assert presence in roster, columns
            assert any(line.startswith("D-1") and "“May it" in line for line in screens["decide"]) or columns > 59
            assert "“May it" in "\n".join(screens["decide"]), columns
            numbers = [int(line.split()[0]) for line in screens["receipts --limit 100"] if line[:1].isdigit()]
            assert set(numbers) == seqs, columns
            assert all("11-29 " in line for line in screens["receipts --limit 100"] if line[:1].isdigit()), columns
            assert len(screens["overnight --since 24h"]) <= 60
            for subject in ("M-1", "M-2", "T-2", "@" + LONGEST_NAME[:20]):
                assert any(line.startswith(subject) for line in screens["overnight --since 24h"]), (columns, subject)


VIEWS = (
    "board",
    "board T-2",
    "roster",
    "receipts --limit 100",
    "stream",
    "overnight --since 24h",
    "policy",
    "plant",
    "decide",
)
"""The commands that show times or columns, of those that only read."""


async def test_below_sixty_columns_a_record_has_two_lines_and_at_eighty_a_title_gets_the_width_that_is_left(
    tmp_path: Path,
) -> None:
    async with busy_room(tmp_path) as (_, shell):
        for columns in WIDTHS:
            lines = await shell.screen("board", columns=columns)
            task = next(at for at, line in enumerate(lines) if line.startswith("T-2"))
            assert lines[task + 1].startswith("  @") == (columns < 60), columns
            open_task = next(line for line in lines if line.startswith("T-6"))
            assert cell_len(open_task.rstrip()) >= min(columns, 60) - 2, "no empty column takes its width"
        assert TITLES[2] in "\n".join(await shell.screen("board", columns=80))


async def test_a_long_night_fits_into_sixty_lines_of_a_narrow_terminal(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", wip_cap=60) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        for number in range(30):
            await owner("create_task", title=f"task {number}", assign="olga" if number % 2 else "builder")
            if number % 2 == 0:
                await builder("claim_task", task=f"T-{number + 1}")
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        for columns in (30, 59, 80):
            lines = await shell.screen("overnight", columns=columns)
            assert 40 < len(lines) <= 60, columns
            shown = sum(line.startswith("T-") for line in lines)
            left = sum(int(found[1]) for line in lines if (found := re.match(r"and (\d+) more: teamroom board", line)))
            assert shown + left == 30, columns


@pytest.mark.parametrize(
    ("zone", "clock", "named"),
    [
        ("UTC", "12:34", "UTC"),
        (DENVER, "05:34", "America/Denver (MST, UTC-7)"),
        (KOLKATA, "18:04", "Asia/Kolkata (IST, UTC+5:30)"),
        (":Asia/Kathmandu", "18:19", "Asia/Kathmandu (UTC+5:45)"),
    ],
)
async def test_every_time_on_a_terminal_is_in_the_readers_zone_which_is_named_once(
    tmp_path: Path, zone: str, clock: str, named: str
) -> None:
    async with busy_room(tmp_path) as (_, shell):
        for words in (*VIEWS[1:2], *VIEWS[3:8], f"pause {LONGEST_NAME} --reason again --for 1d"):
            lines = await shell.screen(*words.split(), columns=200, zone=zone)
            text = "\n".join(lines)
            assert clock in text, (words, text)
            own = re.sub("“[^”]*”|report:[^ ]*|2026-99[^ ]*", "", text)
            assert not re.search(r"\d\d:\d\d:\d\dZ", own), (words, own)
            short = named.partition("(")[2].partition(",")[0].rstrip(")") or named
            naming = [line for line in lines if f"Times are in {named}." in line or f" {short} (" in line]
            assert len(naming) == 1, (words, text)
        piped = await shell.with_(TZ=zone).here("receipts", "--limit", "3")
        assert re.search(r" 2026-11-29T12:3\d:\d\dZ ", piped.out)
        assert "Times are in" not in piped.out
        as_json = (await shell.with_(TZ=zone).here("overnight", "--json")).json
        assert as_json["until"].startswith("2026-11-29T12:3")


async def test_what_members_wrote_keeps_its_times_and_a_refusal_has_the_readers(tmp_path: Path) -> None:
    async with busy_room(tmp_path) as (room, shell):
        stream = "\n".join(await shell.screen("stream", columns=200, zone=DENVER))
        assert "“The disk is full at 2026-11-29T12:34:56Z”" in stream
        assert "report:2026-11-29T12:34:56Z" in stream
        assert "paused until 2026-11-29 07:3" in stream
        own = await room.connect(LONGEST_NAME)
        why = (await own.refused("post_message", text="x"))["why"]
        assert "since 2026-11-29T12:3" in why
        token = room.folder / "own.token"
        token.write_text(room.tokens[LONGEST_NAME])
        token.chmod(0o600)
        refused = "\n".join(await shell.screen("stream", "--token-file", str(token), columns=200, zone=DENVER))
        assert "since 2026-11-29 05:3" in refused
        assert "“since 2026-11-29T12:34:56Z it loops”" in refused
        assert refused.count("America/Denver") == 1


def test_a_real_terminal_gets_the_readers_times_and_the_zone_once(tmp_path: Path) -> None:
    with up(tmp_path / "room") as server:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room"), "TZ": DENVER, "NO_COLOR": "1"})
        shown = ESCAPE.sub("", shell.on_terminal("receipts", columns=100).out)
        now = datetime.now(ZoneInfo(DENVER))
        assert f"{now:%m-%d }" in shown
        assert shown.count("Times are in America/Denver (M") == 1
        assert server is not None


CELLS = (
    ("T-1", "“a title that is long enough to be cut”", "@builder live", "59 min left"),
    ("T-1000", "“t”", "", ""),
    (
        "T-2",
        "“日本語の長い題名です、とても長いので窓に入りません”",
        f"@{LONGEST_NAME} paused",
        "waits: “something long”",
    ),
)


@pytest.mark.parametrize("width", range(12, 140, 7))
def test_no_layout_exceeds_its_width_or_cuts_what_is_whole(width: int) -> None:
    rows = [[Styled(cell) for cell in row] for row in CELLS]
    layout = Layout(free=1, whole=(0, 3), first=(0, 1))
    widths = fit_columns(rows, layout, width)
    if widths is not None:
        assert sum(widths) + 2 * (sum(map(bool, widths)) - 1) <= width
        assert (widths[0], widths[3]) == (6, cell_len(CELLS[2][3]))
        assert widths[1] >= 8
    for row, cells in zip(rows, CELLS, strict=True):
        lines = on_two_lines(row, layout, width)
        assert len(lines) <= 2
        assert lines[0].text.startswith(cells[0])
        assert max(cell_len(line.text) for line in lines) <= width
