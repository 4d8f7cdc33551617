"""The Python client when something fails: a killed server, a busy one, garbage, silence, and another program."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from teamroom.client import Failure, Refused, Room, UnreachableError
from teamroom.clients.session import carrier as carrying
from teamroom.clients.session.carrier import HttpCarrier
from teamroom.clients.session.connection import Answer
from teamroom.clients.session.listening import ListeningRoom, new_listener
from teamroom.clients.session.protocol import REQUEST_ID, Request
from teamroom.clients.session.session import AGAIN_SECONDS, TOLD_SECONDS
from tests.campaigns.process import Server, serving
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.impostors import Taken, http, is_challenge, proof_for, taking
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell, free_port

pytestmark = promise("LOG4")

TOKEN = "tr_" + "5" * 64

DRIP_SECONDS = 0.05

CALLS = 30
"""How many calls are under way when the server is killed."""


# ------------------------------------------------------------------ a killed server


@pytest.mark.parametrize("is_twin", [False, True], ids=["", "the twin whose tries have no id"])
async def test_an_act_whose_answer_a_killed_server_never_sent_happens_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """The server is killed with -9 once it has committed the act, before the client has the answer."""
    with serving(tmp_path / "room") as server:
        await server.start()
        builder, owner = await enrolled(server)
        task = (await owner.create_task(title="paint"))["task"]
        fence = (await builder.claim_task(task=task))["fence"]
        carry, tries = HttpCarrier.carry, list[str | None]()

        async def lose_first(self: HttpCarrier, request: Request, token: str, answer_seconds: float) -> Answer:
            tries.append(request.meta.get(REQUEST_ID))
            if is_twin:
                request = Request(request.method, request.params)
            answer = await carry(self, request, token, answer_seconds)
            if len(tries) == 1:
                server.kill()
                await server.start()
                raise UnreachableError(self.url, "ReadError")
            return answer

        with monkeypatch.context() as patch, anyio.fail_after(4 * BOUND_SECONDS):
            patch.setattr(HttpCarrier, "carry", lose_first)
            await builder.update_task(task=task, fence=fence, note="half of it")
        noted = (await owner.read_receipts(act="update_task"))["receipts"]
        assert len(noted) == (2 if is_twin else 1)
        assert len(tries) == 2
        assert tries[0] == tries[1]


async def test_many_calls_under_way_when_the_server_is_killed_all_succeed_once(tmp_path: Path) -> None:
    done = list[str]()

    async def create(room: Room, number: int) -> None:
        done.append((await room.create_task(title=f"task {number}"))["task"])

    with serving(tmp_path / "room") as server:
        await server.start()
        builder, owner = await enrolled(server)
        with anyio.fail_after(4 * BOUND_SECONDS):
            async with builder, anyio.create_task_group() as tasks:
                for number in range(CALLS):
                    tasks.start_soon(create, builder, number)
                while not done:
                    await anyio.lowlevel.checkpoint()
                server.kill()
                await server.start()
        created = (await owner.read_receipts(act="create_task", limit=100))["receipts"]
    assert len(set(done)) == len(created) == CALLS


async def enrolled(server: Server) -> tuple[Room, Room]:
    """An agent and the owner of a served room."""
    url = f"http://127.0.0.1:{server.port}"
    owner = Room(url, server.owner_token)
    token = (await owner.enroll(name="builder"))["token"]
    assert token is not None
    return Room(url, token), owner


class Live:
    """A program that listens, and notes what wakes it and what its client reports."""

    def __init__(self) -> None:
        self.subjects, self.events, self.away = list[str](), list[str](), anyio.Event()

    async def run(self, url: str, token: str) -> None:
        """Listen until it is cancelled."""
        async with Room(url, token, tell=self.tell) as room:
            async for wake in room.listen():
                self.subjects.append(wake["subject"])

    def tell(self, event: str, *_: object, **__: object) -> None:
        """Note an event."""
        self.events.append(event)
        if event == "away":
            self.away.set()

    async def until_woken(self, room: RunningRoom, count: int) -> None:
        """Wait until it was woken so often, and has acknowledged that."""
        await until(lambda: len(self.subjects) >= count)
        await room.until_waiting()


async def wake(room: RunningRoom, text: str) -> str:
    return str((await (await room.owner())("post_message", text=text, to=["builder"]))["message"])


async def test_the_loop_goes_on_when_the_room_is_back_and_misses_nothing(tmp_path: Path) -> None:
    live, sent = Live(), list[str]()
    with anyio.fail_after(BOUND_SECONDS):
        async with anyio.create_task_group() as tasks:
            async with running_room(tmp_path / "room") as room:
                await room.enroll("builder")
                port = room.room.settings.port
                sent.append(await wake(room, "one"))
                tasks.start_soon(live.run, room.url, room.tokens["builder"])
                await live.until_woken(room, 1)
            await live.away.wait()
            async with running_room(tmp_path / "room", port=port) as room:
                sent.append(await wake(room, "two"))
                await live.until_woken(room, 2)
                tasks.cancel_scope.cancel()
    assert live.subjects == sent
    assert live.events == ["away", "back"]


@promise("SAF5")
async def test_the_loop_goes_on_in_a_restored_room_that_no_longer_knows_its_cursor(tmp_path: Path) -> None:
    live, sent = Live(), list[str]()
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room")})
    with anyio.fail_after(4 * BOUND_SECONDS):
        async with anyio.create_task_group() as tasks:
            async with running_room(tmp_path / "room") as room:
                await room.enroll("builder")
                port = room.room.settings.port
                tasks.start_soon(live.run, room.url, room.tokens["builder"])
                await room.until_waiting()
                backup = (await shell.process("backup", "--json")).json["path"]
                sent += [await wake(room, "one"), await wake(room, "two")]
                await live.until_woken(room, 2)
            assert (await shell.process("restore", backup)).code == 0
            async with running_room(tmp_path / "room", port=port) as room:
                await room.until_waiting()
                sent.append(await wake(room, "three"))
                await live.until_woken(room, 3)
                tasks.cancel_scope.cancel()
    assert live.subjects == sent
    assert sent[2] == sent[0], "the restored room gives the number again"


# ------------------------------------------------------------------ answers that are none

GOOD = {"structuredContent": {"standing": "active"}, "isError": False}


def result(body: Any) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "id": 1, "result": body}))


def refused(code: str, **more: Any) -> bytes:
    return result({"structuredContent": {"code": code, "why": "so", "fix": "wait", **more}, "isError": True})


@contextmanager
def answering(*answers: bytes | None) -> Iterator[Taken]:
    """A server that has proven itself, and gives these answers one after the other; the last one again and again."""
    left = list(answers)

    def answer(request: bytes) -> bytes | None:
        if is_challenge(request):
            return proof_for(TOKEN, request)
        return left.pop(0) if len(left) > 1 else left[0]

    with taking(answers=answer) as taken:
        yield taken


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long clients would have waited before they tried again."""
    found = list[float]()

    async def rest(self: HttpCarrier, seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(HttpCarrier, "rest", rest)
    return found


async def test_a_busy_room_is_called_again_after_the_wait_that_it_asks_for(rests: list[float]) -> None:
    answers = [
        refused("busy"),
        refused("storage", retry_after_seconds=7),
        refused("busy", retry_after_seconds=10**9),
        http("<p>down</p>", "503 Service Unavailable", "retry-after: 9\r\n"),
        http("<p>down</p>", "502 Bad Gateway"),
        result(GOOD),
    ]
    with answering(*answers) as taken, anyio.fail_after(BOUND_SECONDS):
        async with Room(taken.url, TOKEN) as room:
            assert (await room.heartbeat())["standing"] == "active"
    assert rests == [0.5, 7.0, TOLD_SECONDS, 9.0, 8.0]


async def test_the_waits_grow_up_to_a_bound_and_end_with_the_patience(rests: list[float]) -> None:
    now = [0.0]

    async def count(room: Room) -> None:
        with pytest.raises(Refused) as raised:
            await room.heartbeat()
        assert raised.value.code == "busy"

    with answering(refused("busy")) as taken, anyio.fail_after(BOUND_SECONDS):
        room = Room(taken.url, TOKEN, patience_seconds=100, clock=lambda: now[0] + sum(rests))
        await count(room)
        assert rests == [0.5, 1, 2, 4, 8, 16, 30, 30, 8.5]
        assert max(rests) == AGAIN_SECONDS[1]
        rests.clear()
        await count(Room(taken.url, TOKEN, patience_seconds=0))
        assert rests == []


async def test_what_the_room_refuses_for_good_is_not_sent_again(rests: list[float]) -> None:
    with answering(refused("stale_fence"), result(GOOD)) as taken:
        with pytest.raises(Refused) as raised:
            await Room(taken.url, TOKEN).heartbeat()
        assert raised.value.code == "stale_fence"
    assert rests == []


async def test_a_listener_waits_where_the_member_called_too_often_and_a_program_is_told(rests: list[float]) -> None:
    often = refused("rate_limited", retry_after_seconds=20)
    with answering(often, result(GOOD)) as taken:
        await ListeningRoom(taken.url, TOKEN, new_listener()).beat()
    assert rests == [20.0]
    with answering(often, result(GOOD)) as taken:
        with pytest.raises(Refused) as raised:
            await Room(taken.url, TOKEN).heartbeat()
        assert raised.value.retry_after == 20.0


GARBAGE: dict[str, bytes | None] = {
    "a page": http("<p>hi</p>").replace(b"application/json", b"text/html"),
    "no JSON": http("{"),
    "a list": http("[1, 2]"),
    "deep JSON": http("[" * 100_000),
    "a number as the result": http('{"jsonrpc": "2.0", "id": 1, "result": 3}'),
    "no HTTP": b"\x00\xff" * 100,
    "a wrong length": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: x\r\n\r\n{}",
    "no gzip": http("nonsense", more="content-encoding: gzip\r\n"),
    "nothing": None,
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_a_failure_in_words_and_a_patient_client_asks_again(rests: list[float], kind: str) -> None:
    with answering(GARBAGE[kind]) as taken, anyio.fail_after(BOUND_SECONDS):
        with pytest.raises(Failure) as raised:
            await Room(taken.url, TOKEN, patience_seconds=0).heartbeat()
        assert raised.value.code is None
        assert raised.value.fix
    with answering(GARBAGE[kind], result(GOOD)) as taken, anyio.fail_after(BOUND_SECONDS):
        assert (await Room(taken.url, TOKEN).heartbeat())["standing"] == "active"
    assert rests == [0.5]


@pytest.mark.parametrize("wrong", [{}, {"structuredContent": {"cursor": "x"}}], ids=["no reply", "another reply"])
async def test_a_reply_without_what_the_loop_needs_ends_it_with_a_failure(wrong: Any) -> None:
    async def live(url: str) -> None:
        async with Room(url, TOKEN) as room:
            async for _ in room.listen():
                raise AssertionError("there is no wake")

    with answering(result(wrong)) as taken, anyio.fail_after(BOUND_SECONDS), pytest.raises(Failure, match="no wakes"):
        await live(taken.url)


# ------------------------------------------------------------------ silence


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"], ids=["silence", "a drip"])
async def test_a_server_that_does_not_finish_its_answer_is_left_in_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(carrying, "CONNECT_SECONDS", 0.5)
    async with dripping(sent) as url:
        with anyio.fail_after(BOUND_SECONDS), pytest.raises(UnreachableError) as raised:
            await Room(url, TOKEN, patience_seconds=0).call("heartbeat", answer_seconds=0.5)
        assert raised.value.was_sent, "the room may have carried it out"


@asynccontextmanager
async def dripping(sent: bytes) -> AsyncIterator[str]:
    """A server that begins an answer, and then sends a byte now and then; or none, if it began none."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            challenge = await reader.readuntil(b"\r\n\r\n")
            writer.write(proof_for(TOKEN, challenge))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(sent)
            while not over.is_set():
                with anyio.move_on_after(DRIP_SECONDS):
                    await over.wait()
                writer.write(b" " if sent else b"")
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over.set()


async def test_a_room_that_is_not_there_is_waited_for_until_patience_ends(rests: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match="No room answers") as raised:
        await Room(url, TOKEN, patience_seconds=0).heartbeat()
    assert not raised.value.was_sent
    with pytest.raises(UnreachableError):
        await Room(url, TOKEN, patience_seconds=2, clock=lambda: sum(rests)).heartbeat()
    assert rests == [0.5, 1.0, 0.5]
