"""`teamroom sign-in`, and the link that `teamroom up` prints: for a terminal alone, until the first sign-in."""

import contextlib
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.support.bounds import BOUND_SECONDS
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell
from tests.support.visitors import visitor

pytestmark = promise("ID4")

LINK = re.compile(r"http://127\.0\.0\.1:\d+/sign-in#([A-Z2-7]{6}(?:-[A-Z2-7]{6}){3})")
LAST_LINE = "Press Ctrl-C to stop the room."


def shell_of(room: RunningRoom) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.owner_token})


async def test_the_link_of_the_shell_signs_its_caller_in(room: RunningRoom) -> None:
    done = await shell_of(room).here("sign-in")
    assert done.code == 0
    assert done.out.startswith("@olga signs in once, until ")
    code = LINK.search(done.out)
    assert code is not None
    async with visitor(room, None) as browser:
        assert "@olga" in (await browser.sign_in(code[1])).text


async def test_a_room_owner_gets_a_link_for_another_person(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    found = (await shell_of(room).here("sign-in", "hanna", "--json")).json
    assert found["name"] == "hanna"
    async with visitor(room, None) as browser:
        assert "@hanna" in (await browser.sign_in(found["code"])).text


async def test_a_qr_code_of_an_address_that_a_phone_cannot_open_says_so(room: RunningRoom, tmp_path: Path) -> None:
    done = await shell_of(room).here("sign-in", "--qr")
    assert "▀" in done.out
    assert "A phone cannot open this address" in done.out
    assert "docs/phone.md" in done.out
    async with running_room(tmp_path / "public", public_url="https://room.example.org") as public:
        done = await shell_of(public).here("sign-in", "--qr")
        assert "https://room.example.org/sign-in#" in done.out
        assert "A phone cannot" not in done.out


async def test_an_agent_is_told_who_makes_a_link(room: RunningRoom) -> None:
    await room.enroll("bot")
    done = await shell_of(room).with_(TEAMROOM_TOKEN=room.tokens["bot"]).here("sign-in")
    assert done.code != 0
    assert "an agent cannot make one" in done.err


def on_terminal(shell: Shell, *words: str, signs_in: bool = False) -> str:
    """What a command shows on a terminal until its last line; a signal then ends it.

    `signs_in`: its link is used before that.
    """
    parent, child = pty.openpty()
    process = subprocess.Popen([shell.teamroom, *words], env=shell.environment, stdin=child, stdout=child, stderr=child)
    os.close(child)
    shown = b""
    with contextlib.closing(os.fdopen(parent, "rb", buffering=0)):
        while LAST_LINE.encode() not in shown:
            shown += os.read(parent, 65_536)
        yielded = shown.decode()
        if signs_in and (link := LINK.search(yielded)) is not None:
            use(link[0])
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):
            while os.read(parent, 65_536):
                pass
    assert process.wait(BOUND_SECONDS) == 0
    return yielded


def use(link: str) -> None:
    """Sign in with a link."""
    base, _, code = link.partition("/sign-in#")
    headers = {"origin": base, "sec-fetch-site": "same-origin"}
    answer = httpx2.post(
        f"{base}/sign-in", data={"code": code, "then": "/"}, headers=headers, verify=WITHOUT_TLS, timeout=BOUND_SECONDS
    )
    assert answer.status_code == 303


def test_up_prints_the_owners_link_on_a_terminal_until_the_first_sign_in(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    words = ("up", "--data", str(tmp_path / "room"), "--port", "0", "--owner", "olga")
    assert LINK.search(on_terminal(shell, *words)) is not None
    assert LINK.search(on_terminal(shell, *words, signs_in=True)) is not None
    assert LINK.search(on_terminal(shell, *words)) is None, "the owner has signed in"


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_up_prints_no_link_into_a_pipe(tmp_path: Path, words: tuple[str, ...]) -> None:
    shell = Shell(tmp_path)
    command = [shell.teamroom, "up", "--data", str(tmp_path / "room"), "--port", "0", *words]
    with subprocess.Popen(command, env=shell.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        said = b""
        while b"\n" not in said or (not words and LAST_LINE.encode() not in said):
            said += os.read(process.stdout.fileno(), 65_536)
        process.send_signal(signal.SIGTERM)
        said += process.stdout.read()
    assert b"sign-in#" not in said
