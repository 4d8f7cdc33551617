"""The stream of changes: who follows it, what it carries, and when it ends."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from teamroom.resources.page.shared import JOIN_SECONDS, KEPT, STALE_SECONDS, Shared
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom
from tests.support.visitors import Shown, Visitor, visitor

pytestmark = house


class Changes:
    """The stream of one open page."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event. Raises StopAsyncIteration once the stream has ended."""
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                line = await anext(self._lines)
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    return found

    async def until(self, part: str) -> str:
        """The next version of a part that all share."""
        while part not in (event := await self.next())["shared"]:
            pass
        return str(event["shared"][part])

    async def rest(self) -> list[dict[str, Any]]:
        """Every event until the stream ends."""
        events = []
        with contextlib.suppress(StopAsyncIteration, httpx2.RemoteProtocolError, httpx2.ReadError):
            while True:
                events.append(await self.next())
        return events


@contextlib.asynccontextmanager
async def following(room: RunningRoom, browser: Visitor, path: str = "/changes") -> AsyncIterator[Changes]:
    before = room.room.push.count
    async with browser.http.stream("GET", path) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        await until(lambda: room.room.push.count != before)
        yield Changes(answer)


async def test_a_change_reaches_an_open_page_with_the_part_that_shows_it(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    async with visitor(room) as browser, following(room, browser) as changes:
        await builder("create_task", title="Something new")
        assert "Something new" in await changes.until("board")
        await builder("post_message", text="Something said")
        assert "Something said" in await changes.until("stream")


async def test_what_only_one_person_may_see_is_not_in_the_stream_but_its_name_is(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    await room.enroll("hanna", kind="human")
    async with (
        visitor(room) as olga,
        visitor(room, "hanna") as hanna,
        following(room, olga) as hers,
        following(room, hanna) as others,
    ):
        await builder("request_decision", question="Ship it?", to=["olga"])
        while "needs" not in (event := await hers.next())["own"]:
            pass
        assert "needs" not in event["shared"]
        assert "Ship it?" in (await olga.get("/part/needs")).text
        await others.next()
        assert "asks you to decide" not in (await hanna.get("/part/needs")).text


@promise("CTL4")
@pytest.mark.parametrize("how", ["pause", "kill", "revoke", "for a while"])
async def test_a_stream_ends_with_its_persons_standing_or_session(room: RunningRoom, how: str) -> None:
    await room.enroll("hanna", kind="human")
    olga = await room.connect("olga")
    async with visitor(room, "hanna") as browser, following(room, browser) as changes:
        if how == "pause":
            await olga("pause", target="hanna", reason="x")
        elif how == "kill":
            await olga("kill", target="hanna", reason="x")
        elif how == "revoke":
            await olga("revoke", name="hanna")
        else:
            await olga("pause", target="hanna", reason="x", for_seconds=60)
        await changes.rest()
        assert (await browser.http.get("/changes")).status_code in (401, 403)


async def test_a_frame_is_sent_only_to_who_may_still_read(room: RunningRoom) -> None:
    """The bus that ends streams may lose a nudge; each frame is authorised all the same."""
    await room.enroll("hanna", kind="human")
    olga = await room.connect("olga")
    async with visitor(room, "hanna") as browser:
        room.room.bus.on_ended.clear()
        room.room.bus.end = lambda members, killed: None  # type: ignore[method-assign]
        async with following(room, browser) as changes:
            await olga("pause", target="hanna", reason="x")
            await olga("create_task", title="Not for a paused reader")
            assert "Not for a paused reader" not in json.dumps(await changes.rest())


async def test_pages_of_other_things_are_told_what_changed_by_name_alone(room: RunningRoom) -> None:
    olga = await room.connect("olga")
    async with visitor(room) as browser, following(room, browser, "/changes?names=1") as changes:
        await olga("set_policy", name="wip_cap", value=7)
        while "settings" not in (event := await changes.next())["own"]:
            pass
        await olga("post_message", text="Said")
        while "stream" not in (event := await changes.next())["own"]:
            pass
        assert event["shared"] == {}
    async with visitor(room) as browser, following(room, browser) as changes:
        await olga("set_policy", name="wip_cap", value=8)
        assert "settings" not in (await changes.next())["own"], "the home page shows no setting"


# ------------------------------------------------------------------ one render for all


def renders_of(room: RunningRoom) -> int:
    shared: Shared = getattr(room.room.on_changed, "__self__").shared  # noqa: B009
    return shared.renders


async def test_open_pages_ask_again_for_what_is_below_the_head_and_share_it(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    await room.enroll("hanna", kind="human", role="owner")
    async with visitor(room) as olga, visitor(room, "hanna") as hanna:
        for path in ("/log?as=main", "/overnight?hours=8&as=main", "/log?actor=builder&as=main"):
            await builder("post_message", text=f"@olga before {path}", kind="ask")
            before = renders_of(room)
            pages = await asyncio.gather(*(browser.get(path) for browser in (olga, hanna) for _ in range(5)))
            assert renders_of(room) == before + 1
            assert len({page.answer.text for page in pages}) == 1
            assert "<html" not in pages[0].answer.text
            assert f"before {path}" in pages[0].text
        personal = [(await browser.get("/settings?as=main")).text for browser in (olga, hanna)]
        assert [f"@{name}, owner" in text for name, text in zip(("olga", "hanna"), personal, strict=True)] == [True] * 2


async def test_what_is_shared_is_shown_only_to_who_may_read_it(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human", role="member")
    olga = await room.connect("olga")
    async with visitor(room) as owner, visitor(room, "hanna") as hanna:
        assert "sign_in" not in (await hanna.get("/log?as=main")).text
        for _ in range(2):
            full, small = await owner.get("/log?as=main"), await hanna.get("/log?as=main")
            assert ("checked entries" in full.text, "checked entries" in small.text) == (True, False)
        await olga("pause", target="hanna", reason="x")
        assert (await hanna.get("/log?as=main")).status == 403
    async with visitor(room, None) as stranger:
        assert (await stranger.http.get("/log?as=main")).status_code == 401


async def test_an_open_page_of_the_night_goes_on_with_the_look_that_it_began(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    async with visitor(room) as browser:
        await browser.get("/overnight")
        room.time.forward(3 * 3600)
        await builder("request_decision", question="Ship it?", options=["yes", "no"], to=["olga"])
        room.time.forward(3 * 3600)
        opened = await browser.get("/overnight")
        asked = re.search(r'data-again="([^"]+)"', opened.answer.text)
        assert asked is not None
        room.time.forward(3600)
        await builder("create_task", title="Later in the night")
        again = await browser.get(f"/overnight?{asked[1].replace('&amp;', '&')}&as=main")
        since = [re.search(r'datetime="([^"]+)"', page.answer.text) for page in (opened, again)]
        assert since[0] is not None
        assert since[1] is not None
        gap = datetime.fromisoformat(since[0][1]) - datetime.fromisoformat(since[1][1])
        assert abs(gap) <= timedelta(seconds=2)
        assert "since you last looked" in again.text
        assert entries(again) > entries(opened)
        later = await browser.get("/overnight")
        assert entries(later) < entries(again), "the next look begins where the last one ended"


def entries(page: Shown) -> int:
    found = re.search(r": ([0-9]+) entr", page.text)
    assert found is not None
    return int(found[1])


class Renders:
    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> bytes:
        self.count += 1
        return str(self.count).encode()


async def test_many_readers_share_one_render_of_a_change() -> None:
    now = [100.0]
    shared, render = Shared(lambda: now[0]), Renders()
    for _ in range(3):
        assert await asyncio.gather(*(shared.get(("board",), render, joined=False) for _ in range(100))) == [b"1"] * 100
    shared.changed(["board"])
    assert set(await asyncio.gather(*(shared.get(("board",), render, joined=False) for _ in range(100)))) == {b"2"}
    shared.changed(["stream"])
    assert await shared.get(("board",), render, joined=False) == b"2", "another part changed"
    now[0] += STALE_SECONDS
    assert await shared.get(("board",), render, joined=False) == b"3", "ages change with time alone"


async def test_changes_join_for_open_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("teamroom.resources.page.shared.asyncio.sleep", sleep)
    shared, render = Shared(lambda: now[0]), Renders()
    assert await shared.get(("board",), render, joined=True) == b"1"
    shared.changed(["board"])
    shared.changed(["board"])
    assert await shared.get(("board",), render, joined=True) == b"2"
    assert slept[-1] == pytest.approx(JOIN_SECONDS)
    now[0] += JOIN_SECONDS
    shared.changed(["board"])
    assert await shared.get(("board",), render, joined=True) == b"3"
    assert slept[-1] == 0.0


async def test_many_open_pages_share_a_render_although_changes_never_cease(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await pause(0)

    monkeypatch.setattr("teamroom.resources.page.shared.asyncio.sleep", sleep)
    shared = Shared(lambda: now[0])
    shown: list[int] = []
    noted = 0

    async def render() -> bytes:
        has = noted
        change()
        await pause(0)
        change()
        return str(has).encode()

    def change() -> None:
        nonlocal noted
        noted += 1
        shared.changed(["board"])

    async def follow() -> None:
        asked = noted
        shown.append(int(await shared.get(("board",), render, joined=True)))
        assert shown[-1] >= asked, "what was there when it asked is missing"

    began = now[0]
    for turn in range(1, 6):
        change()
        await asyncio.gather(*(follow() for _ in range(100)))
        assert shared.renders <= turn + 1
    assert now[0] - began > 3 * JOIN_SECONDS
    assert len(shown) == 500


async def test_renders_are_kept_up_to_a_bound() -> None:
    shared, render = Shared(), Renders()
    for number in range(3 * KEPT):
        await shared.get(("board", str(number)), render, joined=False)
    assert shared.kept == KEPT
    assert shared.renders == 3 * KEPT


def test_every_file_of_the_page_is_known_and_every_library_is_the_one_that_was_chosen() -> None:
    import hashlib

    from teamroom.resources.page.assets import FILES, FOLDER, VENDORED

    found = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    licences = {f"{Path(one.file).with_name(one.name)}.LICENSE" for one in VENDORED}
    assert found == {*FILES, *licences}
    for one in VENDORED:
        assert hashlib.sha256((FOLDER / one.file).read_bytes()).hexdigest() == one.sha256
    own = [FOLDER / file for file in FILES if not file.startswith("vendor/")]
    for path in (*FOLDER.parent.rglob("*.html"), *own):
        assert "://" not in path.read_text().replace("http://www.w3.org/", ""), f"{path} names another host"
