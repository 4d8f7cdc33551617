"""The driver that posts wakes to a receiver: signed, once a wake, and woken only if the receiver took it."""

import base64
import hashlib
import hmac
import itertools
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from teamroom.clients.listener import webhook
from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.driver import TurnEnd
from teamroom.clients.listener.webhook import TRIES, Webhook, check_address, read_key
from teamroom.clients.session.failure import USAGE, Failure
from tests.support.listened import QUICK, hears, listened_room, listener, says, shell, wake
from tests.support.promises import promise
from tests.support.watching import EVENT_SECONDS, WatchedRoom, until

pytestmark = promise("PRS5", "SAF2")

SECRET = b"a secret of 32 characters, at least"
NOW = 1_795_424_400.0
WAKE = {"seq": 7, "reason": "mention", "subject": "M-1", "from": "olga", "line": "@builder how far?", "count": 1}
BATCH = Batch("builder", 7, [WAKE], {})

HANG_SECONDS = 1.0


@dataclass
class Receiver:
    """A receiver of webhooks, which answers with these statuses in turn, and then with the last of them again.

    A status of 0 is no answer at all until the test ends.
    """

    statuses: list[int]
    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    ends: Event = field(default_factory=Event)

    @property
    def subjects(self) -> list[list[str]]:
        """What each batch that it got is about."""
        return [[found["subject"] for found in json.loads(body)["wakes"]] for _, body in self.got]

    @property
    def ids(self) -> set[str]:
        """The ids of the batches that it got."""
        return {headers["webhook-id"] for headers, _ in self.got}


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    """A receiver on this machine, until the block ends."""
    receiver = Receiver(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The test's output stays its own."""

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, self.rfile.read(int(headers["content-length"]))))
            status = receiver.statuses[min(len(receiver.got), len(receiver.statuses)) - 1]
            if status == 0:
                receiver.ends.wait()
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{receiver.url}elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/wake"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ends.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long here."""
    monkeypatch.setattr(webhook, "AGAIN_SECONDS", 0.01)


async def take(url: str) -> tuple[TurnEnd, list[str]]:
    """Post a batch; returns how the turn ended, and what was said of the wake."""
    said = list[str]()
    return await Webhook(url, SECRET, lambda: NOW).take_turn(BATCH, said.append), said


async def test_a_receiver_gets_the_wakes_once_and_signed_and_its_2xx_says_that_it_is_woken() -> None:
    with receiving(202) as receiver:
        ended, said = await take(receiver.url)
    ((headers, body),) = receiver.got
    assert (ended.code, len(said)) == (0, 1)
    assert ended.call_seconds > 0, "the wake is answered by a call"
    told = json.loads(body)
    assert (told["member"], told["cursor"], told["wakes"]) == ("builder", 7, [WAKE])
    assert "how far?" in told["line"]
    assert headers["webhook-timestamp"] == f"{NOW:.0f}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_a_receiver_that_fails_gets_the_same_batch_again_until_it_takes_it() -> None:
    with receiving(500, 503, 204) as receiver:
        ended, said = await take(receiver.url)
    assert (ended.code, len(said), len(receiver.got)) == (0, 1, 3)
    assert len(receiver.ids) == 1, "it can tell a second try from a second wake"


async def test_a_further_turn_for_the_same_wakes_has_another_id_so_that_no_receiver_drops_it() -> None:
    numbers = itertools.count(1)
    with receiving(202) as receiver:
        driver = Webhook(receiver.url, SECRET, lambda: NOW, lambda: str(next(numbers)))
        for _ in range(2):
            await driver.take_turn(BATCH, lambda _: None)
        await take(receiver.url)
    assert {"builder-7-1", "builder-7-2"} < receiver.ids
    assert len(receiver.ids) == 3, "a listener that starts again makes new ones"


async def test_a_receiver_that_keeps_failing_is_asked_a_few_times_and_was_not_woken() -> None:
    with receiving(500) as receiver:
        ended, said = await take(receiver.url)
    assert (ended.code, said, len(receiver.got)) == (1, [], TRIES)
    assert "500" in ended.words


async def test_a_receiver_that_refuses_is_not_asked_again_in_the_same_turn() -> None:
    with receiving(403) as receiver:
        ended, said = await take(receiver.url)
    assert (ended.code, said, len(receiver.got)) == (1, [], 1)
    assert "403" in ended.words


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_says_so(status: int) -> None:
    with receiving(status, 200) as receiver:
        ended, said = await take(receiver.url)
    assert (ended.code, said, len(receiver.got)) == (1, [], 1)
    assert "not followed" in ended.words


async def test_a_receiver_that_hangs_is_left_after_a_bound_and_the_turn_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", HANG_SECONDS)
    with receiving(0) as receiver:
        ended, said = await take(receiver.url)
    assert (ended.code, said) == (1, [])
    assert 1 <= len(receiver.got) <= TRIES, "on a busy machine, a try can end before it is sent"
    assert "did not answer" in ended.words


async def test_a_receiver_that_is_not_there_fails_the_turn() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    ended, said = await take(url)
    assert (ended.code, said) == (1, [])
    assert "cannot be reached" in ended.words


async def test_what_is_said_of_a_receiver_shows_neither_its_path_nor_its_query() -> None:
    with receiving(202) as receiver:
        url = f"{receiver.url}/0f3a-path?key=0f3a-query"
        _, (said,) = await take(url)
    for words in (said, Webhook(url, SECRET, lambda: NOW).describes):
        assert "0f3a" not in words
        assert receiver.url.removesuffix("/wake") in words


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/wake",
        "ftp://127.0.0.1/",
        "https://",
        "wake",
        "https://user:word@example.com/",
        "https://:word@example.com/",
        "https://@example.com/",
        "https://[x/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://example.com/a wake",
        "https://example.com/\nwake",
        " https://example.com/",
    ],
)
def test_only_an_address_with_tls_or_of_this_machine_is_taken(url: str) -> None:
    with pytest.raises(Failure) as refused:
        check_address(url)
    assert refused.value.exit_code == USAGE
    check_address("https://example.com/wake")
    check_address("http://127.0.0.1:9000/wake")
    check_address("http://[::1]:9000/@wake")


def test_the_secret_comes_from_a_private_file_or_the_environment_and_is_long_enough(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o600)
    tmp_path.chmod(0o755)
    assert read_key(file, {}) == b"0123456789abcdef0123456789abcdef"
    assert tmp_path.stat().st_mode & 0o777 == 0o755, "the folder is the person's"
    encoded = f"whsec_{base64.b64encode(SECRET).decode()}"
    assert read_key(None, {webhook.SECRET: encoded}) == SECRET
    for given in ({}, {webhook.SECRET: "short"}, {webhook.SECRET: "whsec_not base64"}):
        with pytest.raises(Failure) as refused:
            read_key(None, given)
        assert refused.value.exit_code == USAGE


def test_a_secret_file_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(Failure):
        read_key(link, {})


# ------------------------------------------------------------------ the whole listener


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WatchedRoom]:
    """A room with an agent and somebody who wakes it."""
    with listened_room(tmp_path) as running:
        yield running


@contextmanager
def listening(room: WatchedRoom, url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A listener that posts to a receiver, until the block ends."""
    words = ["--adapter", "webhook", *options, "--", url]
    with listener(room, words, QUICK, **{webhook.SECRET: SECRET.decode()}) as process:
        yield process


def test_a_wake_is_posted_and_a_call_of_the_member_answers_it(room: WatchedRoom) -> None:
    with receiving(200) as receiver, listening(room, receiver.url) as process:
        hears(room)
        assert f"A wake is posted to {receiver.url.removesuffix('/wake')}" in says(process, "Listening")
        first = wake(room, "how far is part 1?")
        says(process, "took them")
        room.act("builder", "post_message", text="half of it")
        says(process, "answered")
        second = wake(room, "and part 2?")
        until(lambda: len(receiver.got) == 2, "the second wake is posted")
        room.act("builder", "post_message", text="all of it")
        says(process, "answered")
    assert receiver.subjects == [[first], [second]], "each wake came once"


def test_a_receiver_that_took_a_wake_gets_it_again_if_its_agent_never_calls(room: WatchedRoom) -> None:
    with receiving(200) as receiver, listening(room, receiver.url) as process:
        hears(room)
        first = wake(room, "how far?")
        says(process, "without a call to the room")
        until(lambda: len(receiver.got) == 2, "it is posted again")
        room.act("builder", "post_message", text="half of it")
        says(process, "answered")
    assert receiver.subjects == [[first], [first]]
    assert len(receiver.ids) == 2, "a receiver that drops what it took before takes it again"


def test_with_done_exit_the_2xx_itself_answers_the_wake(room: WatchedRoom) -> None:
    with receiving(204) as receiver, listening(room, receiver.url, "--done", "exit") as process:
        hears(room)
        first = wake(room, "how far?")
        says(process, "answered")
        second = wake(room, "and now?")
        until(lambda: len(receiver.got) == 2, "only the next wake is posted")
    assert receiver.subjects == [[first], [second]]


def test_a_receiver_that_fails_gets_the_wake_again_and_the_member_does_not_count_as_woken(room: WatchedRoom) -> None:
    with receiving(500, 500, 500, 200) as receiver, listening(room, receiver.url) as process:
        hears(room)
        first = wake(room, "how far?")
        assert "it answered 500" in says(process, "did not take")
        says(process, "took them")
        room.act("builder", "post_message", text="half of it")
        says(process, "answered")
    assert receiver.subjects == [[first]] * (TRIES + 1)


def test_a_paused_member_gets_its_wake_after_the_resume_and_a_kill_ends_the_listener(room: WatchedRoom) -> None:
    with receiving(200) as receiver, listening(room, receiver.url) as process:
        hears(room)
        room.owner("pause", target="builder", reason="the disk is full")
        first = wake(room, "how far?")
        says(process, "Waiting to be resumed")
        assert receiver.got == []
        room.owner("resume", target="builder")
        until(lambda: len(receiver.got) == 1, "it is posted after the resume")
        assert first in receiver.subjects[0]
        room.owner("kill", target="builder", reason="it ran wild")
        assert process.wait(EVENT_SECONDS) not in (0, -signal.SIGTERM)


@pytest.mark.parametrize("words", [[], ["http://example.com/"], ["https://example.com/", "https://example.org/"]])
def test_a_listener_without_one_safe_address_does_not_start(room: WatchedRoom, words: list[str]) -> None:
    options = ["listen", "--as", "builder", "--adapter", "webhook"]
    done = shell(room).with_(**{webhook.SECRET: SECRET.decode()}).run(*options, "--", *words)
    assert done.code == USAGE
