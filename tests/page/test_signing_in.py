"""Signing in to the page: a link counts once, and its session ends with all that ends a token."""

import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from teamroom.server.acts.members.sign_in import LINK_SECONDS, SESSIONS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.visitors import code_for, cookies, visitor

pytestmark = promise("ID4")


async def test_a_link_signs_a_person_in_once(room: RunningRoom) -> None:
    code = await code_for(room, "olga")
    async with visitor(room, None) as browser, visitor(room, None) as thief:
        home = await browser.sign_in(code)
        assert "@olga" in home.text
        refused = await thief.sign_in(code)
        assert refused.status == 410
        assert "used before" in refused.text
        assert "teamroom sign-in" in refused.text
        assert (await thief.get("/")).text.startswith("Sign in")


async def test_a_code_is_accepted_however_it_is_typed(room: RunningRoom) -> None:
    code = await code_for(room, "olga")
    async with visitor(room, None) as browser:
        assert (await browser.sign_in(f" {code.replace('-', ' ').lower()} ")).status == 200


async def test_a_link_is_too_old_after_ten_minutes(room: RunningRoom) -> None:
    code = await code_for(room, "olga")
    room.time.forward(LINK_SECONDS)
    async with visitor(room, None) as browser:
        assert (await browser.sign_in(code)).status == 410


async def test_a_new_link_takes_the_place_of_the_one_before(room: RunningRoom) -> None:
    older, newer = await code_for(room, "olga"), await code_for(room, "olga")
    async with visitor(room, None) as browser:
        assert (await browser.sign_in(older)).status == 410
        assert (await browser.sign_in(newer)).status == 200


async def test_the_link_is_no_address_that_a_server_sees(room: RunningRoom) -> None:
    olga = await room.connect("olga")
    link = await olga("sign_in")
    path, _, code = link["url"].partition("#")
    assert path == f"{room.url}/sign-in"
    assert code == link["code"]


@pytest.mark.parametrize("how", ["revoke", "rotate", "kill", "sign_out"])
async def test_what_ends_a_token_ends_a_session(room: RunningRoom, how: str) -> None:
    await room.enroll("hanna", kind="human")
    olga = await room.connect("olga")
    async with visitor(room, "hanna") as browser:
        if how == "revoke":
            await olga("revoke", name="hanna")
        elif how == "rotate":
            await olga("enroll", name="hanna", rotate=True)
        elif how == "kill":
            await olga("kill", target="hanna", reason="left")
        else:
            settings = await browser.get("/settings")
            (form,) = (form for form in settings.forms if form.action == "/sign-out")
            assert (await browser.send(form)).text.startswith("Sign in")
        answer = await browser.http.get("/")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
        if how == "kill":
            assert "killed by @olga" in (await browser.get("/")).text


async def test_a_link_ends_with_the_token_that_made_it(room: RunningRoom) -> None:
    hanna = (await room.enroll("hanna", kind="human"))[0]
    code = (await hanna("sign_in"))["code"]
    olga = await room.connect("olga")
    await olga("revoke", name="hanna")
    async with visitor(room, None) as browser:
        assert (await browser.sign_in(code)).status == 410


async def test_a_session_outlives_neither_its_setting_nor_the_token_that_made_its_link(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", browser_seconds=3600) as room:
        await room.enroll("hanna", kind="human")
        async with visitor(room, "hanna") as browser:
            room.time.forward(3599)
            assert (await browser.http.get("/")).status_code == 200
            room.time.forward(2)
            assert (await browser.http.get("/")).status_code == 303
        olga = await room.connect("olga")
        short = await olga("enroll", name="hanna", label="short", expires_seconds=900)
        hanna = await room.connect("hanna", short["token"])
        code = (await hanna("sign_in"))["code"]
        async with visitor(room, None) as browser:
            await browser.sign_in(code)
            room.time.forward(901)
            assert (await browser.http.get("/")).status_code == 303


async def test_the_token_of_a_session_opens_the_page_alone(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        (session,) = browser.http.cookies.jar
        answer = await room.raw(
            headers={"Authorization": f"Bearer {session.value}", "Content-Type": "application/json"}
        )
        assert answer.status_code == 401
        assert "opens only the room's page" in answer.text
        other = {"cookie": f"{session.name}={room.owner_token}"}
        assert (await room.raw("GET", "/", headers=other)).status_code == 303, "and no other token opens the page"


async def test_an_agent_a_chat_client_and_another_person_get_no_link(room: RunningRoom) -> None:
    olga = await room.connect("olga")
    await room.enroll("hanna", kind="human")
    (operator,) = await room.enroll("boss", role="operator")
    assert (await operator.refused("sign_in", name="olga"))["code"] == "not_allowed"
    hanna = await room.connect("hanna")
    assert (await hanna.refused("sign_in", name="olga"))["code"] == "not_allowed"
    assert (await olga.refused("sign_in", name="boss"))["code"] == "invalid"
    chat = await olga("enroll", name="olga", chat=True)
    chatting = await room.connect("olga", chat["token"])
    refused = await chatting.refused("sign_in")
    assert refused["code"] == "not_allowed"
    assert "teamroom sign-in" in refused["fix"]


async def test_a_repeated_call_does_not_show_a_link_again(room: RunningRoom) -> None:
    olga = await room.connect("olga")
    assert (await olga("sign_in", request_id="one"))["url"]
    again = await olga("sign_in", request_id="one")
    assert again["url"] is None
    assert again["code"] is None


async def test_the_room_keeps_neither_codes_nor_sessions(room: RunningRoom) -> None:
    code = await code_for(room, "olga")
    async with visitor(room) as browser:
        (session,) = browser.http.cookies.jar
        await browser.get("/")
        kept = b"".join(path.read_bytes() for path in room.folder.rglob("*") if path.is_file())
        assert str(session.value).encode() not in kept
        assert code.encode() not in kept
        assert code.replace("-", "").encode() not in kept


async def test_signing_in_makes_a_new_session_whatever_cookie_was_there(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        (session,) = browser.http.cookies.jar
        fixed = "tr_" + "0" * 64
        browser.http.cookies.set(session.name, fixed, domain="127.0.0.1")
        answer = await browser.post("/sign-in", {"code": await code_for(room, "olga"), "then": "/"})
        (cookie,) = cookies(answer)
        assert fixed not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


async def test_a_wrong_code_is_refused_without_an_entry_in_the_log(room: RunningRoom) -> None:
    before = len(room.entries())
    async with visitor(room, None) as browser:
        for code in ("", "x", "AAAAAA-AAAAAA-AAAAAA-AAAAAA", "é" * 300, "\x00"):
            assert (await browser.sign_in(code)).status == 410
    assert len(room.entries()) == before


async def test_nobody_signs_in_where_others_on_the_way_can_read_it(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", allowed_hosts=["room.lan:8765"]) as room, visitor(room, None) as browser:
        answer = await browser.get("/sign-in", host="room.lan:8765")
        assert answer.status == 403
        assert "docs/phone.md" in answer.text


async def test_behind_a_proxy_with_tls_the_cookie_is_for_that_host_and_tls_alone(tmp_path: Path) -> None:
    public = "https://room.example.org/team"
    async with running_room(tmp_path / "room", public_url=public) as room, visitor(room, None) as browser:
        olga = await room.connect("olga")
        link = await olga("sign_in")
        assert link["url"].startswith(f"{public}/sign-in#")
        headers = {"host": "room.example.org", "origin": "https://room.example.org"}
        answer = await browser.post("/sign-in", {"code": link["code"], "then": "/"}, **headers)
        assert answer.headers["location"] == "/team/"
        (cookie,) = cookies(answer)
        assert cookie.startswith("__Host-teamroom-")
        assert "; Secure" in cookie
        assert "Path=/;" in cookie


async def test_the_link_returns_to_the_page_that_was_asked_for_and_never_to_another_site(room: RunningRoom) -> None:
    async with visitor(room, None) as browser:
        answer = await browser.http.get("/overnight?hours=8")
        assert answer.headers["location"] == "/sign-in?then=%2Fovernight%3Fhours%3D8"
        for then, where in (
            ("/overnight?hours=8", "/overnight?hours=8"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nset-cookie: x=y", "/"),
            ("/../other", "/"),
            ("/a/../b", "/"),
            ("/a#b", "/"),
            ("", "/"),
        ):
            answer = await browser.post("/sign-in", {"code": await code_for(room, "olga"), "then": then})
            assert answer.headers["location"] == where, then


# ------------------------------------------------------------------ several devices, and several people


async def test_a_second_device_leaves_the_first_one_and_the_shell_signed_in(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    olga = await room.connect("olga")
    given = await olga("enroll", name="hanna", label="browser")
    async with visitor(room, "hanna") as desk, visitor(room, None) as phone:
        settings = await desk.get("/settings")
        shown = await desk.send(settings.form("sign_in"))
        code = re.search(r"[A-Z2-7]{6}(-[A-Z2-7]{6}){3}", shown.text)
        assert code is not None
        assert (await phone.sign_in(code[0])).status == 200
        assert (await phone.http.get("/")).status_code == 200
        assert (await desk.http.get("/")).status_code == 200
    hanna = await room.connect("hanna", given["token"])
    code_of_shell = (await hanna("sign_in"))["code"]
    async with visitor(room, None) as browser:
        await browser.sign_in(code_of_shell)
        assert (await browser.http.get("/")).status_code == 200
    assert (await hanna("who", name="hanna"))["members"]


async def test_a_link_of_another_person_asks_first_and_ends_the_session_before(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    async with visitor(room) as browser:
        (session,) = browser.http.cookies.jar
        page = await browser.get("/sign-in")
        assert "You are signed in as @olga" in page.text
        assert "data-asks" in page.attributes, "the script does not send the form by itself"
        home = await browser.sign_in(await code_for(room, "hanna"))
        assert "@hanna" in home.text
        old = {"cookie": f"{session.name}={session.value}"}
        assert (await room.raw("GET", "/", headers=old)).status_code == 303


async def test_a_person_has_a_bounded_number_of_sessions(room: RunningRoom) -> None:
    async with AsyncExitStack() as open_browsers:
        first = await open_browsers.enter_async_context(visitor(room))
        for _ in range(SESSIONS):
            last = await open_browsers.enter_async_context(visitor(room))
        assert (await first.http.get("/")).status_code == 303
        assert (await last.http.get("/")).status_code == 200


async def test_a_rotation_ends_an_open_link(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    code = await code_for(room, "hanna")
    olga = await room.connect("olga")
    await olga("enroll", name="hanna", rotate=True)
    async with visitor(room, None) as browser:
        assert (await browser.sign_in(code)).status == 410


async def test_a_kill_ends_the_sessions_that_the_killed_member_opened_for_others(room: RunningRoom) -> None:
    await room.enroll("second", kind="human", role="owner")
    second = await room.connect("second")
    code = (await second("sign_in", name="olga"))["code"]
    olga = await room.connect("olga")
    async with AsyncExitStack() as stack, visitor(room, None) as thief:
        assert (await thief.sign_in(code)).status == 200
        own = await stack.enter_async_context(visitor(room))
        await olga("kill", target="second", reason="it signed in as me")
        assert (await thief.http.get("/")).status_code == 303
        assert (await own.http.get("/")).status_code == 200


@pytest.mark.parametrize("beside", ['prefs={"a":1}', "a[b]=1", "x=a b", "foo", "path=/", "é=1", 'q="open', "=", ";;"])
async def test_cookies_of_other_programs_on_the_host_do_not_sign_a_person_out(room: RunningRoom, beside: str) -> None:
    async with visitor(room) as browser:
        (session,) = browser.http.cookies.jar
        own = f"{session.name}={session.value}"
        for cookie in (f"{beside}; {own}", f"{own}; {beside}"):
            assert (await room.raw("GET", "/", headers={"cookie": cookie.encode()})).status_code == 200
        split = [("cookie", beside.encode()), ("cookie", own.encode())]
        assert (await room.raw("GET", "/", headers=split)).status_code == 200
