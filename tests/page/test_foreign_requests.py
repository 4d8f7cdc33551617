"""Requests that other sites send in the name of a browser, and frames around the page: refused."""

from pathlib import Path

import pytest

from teamroom.server.http.visits import POLICY
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.visitors import Visitor, code_for, visitor

pytestmark = promise("SAF1")

PAUSE = {"target": "bot", "reason": "x", "then": "/"}


async def standing(room: RunningRoom, name: str) -> str:
    olga = await room.connect("olga")
    return str((await olga("who", name=name))["members"][0]["standing"])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
        {"origin": "http://localhost"},
        {},
    ],
    ids=str,
)
async def test_a_form_that_another_site_sends_does_nothing(room: RunningRoom, headers: dict[str, str]) -> None:
    await room.enroll("bot")
    async with visitor(room) as browser:
        answer = await browser.http.post("/act/pause", data=PAUSE, headers=headers)
        assert answer.status_code == 403
        assert "Another site sent this" in answer.text
    assert await standing(room, "bot") == "active"


async def test_a_form_of_the_page_itself_would_do_it(room: RunningRoom) -> None:
    await room.enroll("bot")
    async with visitor(room) as browser:
        assert (await browser.post("/act/pause", PAUSE)).status_code == 303
    assert await standing(room, "bot") == "paused"


async def test_a_link_from_elsewhere_shows_a_page_and_does_nothing(room: RunningRoom) -> None:
    await room.enroll("bot")
    async with visitor(room) as browser:
        assert (await browser.get("/", **{"sec-fetch-site": "cross-site"})).status == 200
        assert (await browser.get("/act/pause?target=bot&reason=x")).status == 404
    assert await standing(room, "bot") == "active"


async def test_another_site_cannot_sign_a_browser_in(room: RunningRoom) -> None:
    code = await code_for(room, "olga")
    async with visitor(room, None) as browser:
        answer = await browser.post("/sign-in", {"code": code}, origin="https://evil.example")
        assert answer.status_code == 403
        assert not browser.http.cookies


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1.evil.example:80", ""])
async def test_a_page_for_another_host_is_not_shown(room: RunningRoom, host: str) -> None:
    async with visitor(room) as browser:
        answer = await browser.http.get("/", headers={"host": host})
        assert answer.status_code == 421
        assert "olga" not in answer.text


async def test_no_page_can_be_framed_or_run_what_is_not_its_own(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for path in ("/", "/sign-in", "/settings", "/members/olga", "/members/nobody", "/part/board", "/tasks/x"):
            answer = await browser.http.get(path)
            assert answer.headers["content-security-policy"] == POLICY, path
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in answer.headers
    assert "frame-ancestors 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert "//" not in POLICY, "nothing is loaded from another host"


async def test_the_cookie_of_a_second_room_on_the_same_host_opens_nothing(room: RunningRoom, tmp_path: Path) -> None:
    async with running_room(tmp_path / "second") as second:
        async with visitor(second) as browser:
            (session,) = browser.http.cookies.jar
            cookie = f"{session.name}={session.value}"
        async with visitor(room, None) as other:
            assert (await other.http.get("/", headers={"cookie": cookie})).status_code == 303
        async with visitor(room) as own:
            (mine,) = own.http.cookies.jar
            assert mine.name != session.name, "or the two would sign each other out"
            both = f"{cookie}; {mine.name}={mine.value}"
            assert (await own.http.get("/", headers={"cookie": both})).status_code == 200


@pytest.mark.parametrize("cookie", ["", "=", ";;;", "teamroom", "a=b; \x01=2", 'x="', "x" * 4000])
async def test_a_cookie_that_makes_no_sense_is_no_session(room: RunningRoom, cookie: str) -> None:
    async with visitor(room, None) as browser:
        assert (await browser.http.get("/", headers={b"cookie": cookie.encode()})).status_code in (303, 400)


async def test_a_browser_without_a_session_gets_no_part_no_change_and_no_act(room: RunningRoom) -> None:
    async with visitor(room, None) as browser:
        for path in ("/part/board", "/part/needs", "/changes"):
            assert (await browser.http.get(path)).status_code == 401
        assert (await browser.post("/act/pause", PAUSE)).status_code == 401


async def body_is_refused(browser: Visitor, body: bytes, kind: str) -> int:
    headers = {"origin": str(browser.http.base_url).rstrip("/"), "sec-fetch-site": "same-origin", "content-type": kind}
    return (await browser.http.post("/act/pause", content=body, headers=headers)).status_code


async def test_a_form_that_cannot_be_read_is_refused(room: RunningRoom) -> None:
    form = "application/x-www-form-urlencoded"
    async with visitor(room) as browser:
        assert await body_is_refused(browser, b"{}", "application/json") == 415
        assert await body_is_refused(browser, b"x", "multipart/form-data") == 415
        assert await body_is_refused(browser, b"\xff\xfe=1", form) == 400
        assert await body_is_refused(browser, b"%ff=1", form) in (400, 409)
        assert await body_is_refused(browser, b"&".join(b"a%d=1" % n for n in range(200)), form) == 400
        assert await body_is_refused(browser, b"x" * 300_000, form) == 413
