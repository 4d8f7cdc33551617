"""How a client speaks to a room: the requests it sends, the replies it reads, and what it loads for that."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anyio.to_thread
import mcp_types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

from teamroom.clients.session import protocol
from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.clients.session.replies import Shape, shaped
from teamroom.server.acts.capabilities.plants import Planted, Plants
from teamroom.server.acts.control.control import Controlled
from teamroom.server.acts.control.policy import PolicyLine, PolicySet
from teamroom.server.acts.members.members import Enrolled, Revoked
from teamroom.server.acts.members.roster import Roster
from teamroom.server.acts.overnight.broke import Broken
from teamroom.server.acts.overnight.overnight import Night
from teamroom.server.acts.overnight.stops import Stopped
from teamroom.server.acts.overnight.waits import Waiting
from teamroom.server.acts.overnight.work import Doer, Held
from teamroom.server.acts.receipts.receipts import Receipts, StreamEntry
from teamroom.server.acts.tasks.board import Board
from teamroom.server.facts.capability import CapabilityShown
from tests.support.impostors import http, taking
from tests.support.promises import house
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell, free_port, up

pytestmark = house

SHAPED: tuple[type[BaseModel], ...] = (
    Board, Broken, CapabilityShown, Controlled, Doer, Enrolled, Held, Night, Planted, Plants, PolicyLine, PolicySet,
    Receipts, Revoked, Roster, Stopped, StreamEntry, Waiting,
)  # fmt: skip
"""The models whose replies the shell reads without them."""


# ------------------------------------------------------------------ the protocol


def test_the_names_of_the_protocol_are_those_of_the_sdk() -> None:
    assert set(MODERN_PROTOCOL_VERSIONS) == {protocol.VERSION}
    assert protocol.VERSION_HEADER == inbound.MCP_PROTOCOL_VERSION_HEADER
    assert protocol.METHOD_HEADER == inbound.MCP_METHOD_HEADER
    assert protocol.NAME_HEADER == inbound.MCP_NAME_HEADER
    assert dict(protocol.NAMED_BY) == dict(inbound.NAME_BEARING_METHODS)
    assert protocol.VERSION_META == mcp_types.PROTOCOL_VERSION_META_KEY
    assert protocol.CAPABILITIES_META == mcp_types.CLIENT_CAPABILITIES_META_KEY
    codes = (mcp_types.CONNECTION_CLOSED, mcp_types.INVALID_REQUEST, mcp_types.PARSE_ERROR)
    assert codes == (protocol.CONNECTION_CLOSED, protocol.INVALID_REQUEST, protocol.PARSE_ERROR)


@given(st.text())
def test_a_header_carries_any_text_as_the_sdk_writes_and_reads_it(text: str) -> None:
    try:
        expected = inbound.encode_header_value(text)
    except UnicodeEncodeError:
        return
    assert protocol.header_value(text) == expected
    assert inbound.decode_header_value(protocol.header_value(text)) == text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<p>hi</p>"),
        ("application/json", b"[1, 2]"),
        ("application/json", b"{"),
        ("application/json", b'{"jsonrpc": "2.0", "id": 1, "result": 3}'),
        ("text/event-stream", b": ping\n\n"),
        ("", b""),
    ],
)
def test_an_invalid_answer_is_reported_in_words(kind: str, body: bytes) -> None:
    with pytest.raises(Failure, match="is not a room"):
        protocol.read_answer("http://127.0.0.1:1/mcp", kind, body)


def test_the_answer_is_found_among_the_events_of_a_stream() -> None:
    events = b': ping\n\ndata: {"jsonrpc": "2.0", "method": "note"}\n\ndata: {"id": 1, "result": {"a": 1}}\n\n'
    assert protocol.read_answer("http://x/mcp", "text/event-stream; charset=utf-8", events) == {"a": 1}


# ------------------------------------------------------------------ the client of the shell


async def test_the_client_of_the_shell_calls_tools_and_reads_resources(room: RunningRoom) -> None:
    def work() -> None:
        with BlockingRoom(f"{room.url}/mcp", room.owner_token) as owner:
            assert owner.call("create_task", title="paint", detail=None)["task"] == "T-1"
            assert [line["task"] for line in owner.call("read_board")["tasks"]] == ["T-1"]
            assert owner.read("teamroom://me")["name"] == "olga"
            first = owner.call("post_message", text="hello", request_id="same")["message"]
            assert owner.call("post_message", text="hello", request_id="same")["message"] == first
            assert owner.call("wait_for_wake", timeout_seconds=1)["wakes"] == [], "an answer as a stream"

    await anyio.to_thread.run_sync(work)


async def test_a_person_is_asked_before_irreversible_acts_and_their_answer_is_passed_on(room: RunningRoom) -> None:
    [bot] = await room.enroll("bot")
    owner = await room.owner()
    chat = (await owner("enroll", name="olga", label="chat"))["token"]
    asked: list[str] = []

    def kill(typed: str | None, can_ask: bool = True) -> dict[str, Any]:
        def confirm(question: str, fields: dict[str, str]) -> dict[str, str] | None:
            asked.append(question)
            assert fields == {"name": "Type the name bot to confirm"}
            return None if typed is None else {"name": typed}

        with BlockingRoom(f"{room.url}/mcp", chat, confirm=confirm if can_ask else None) as client:
            return client.call("kill", target="bot", reason="enough")

    with pytest.raises(Failure, match="cannot ask you"):
        await anyio.to_thread.run_sync(kill, None, False)
    for no in (None, "another"):
        with pytest.raises(Failure, match="nobody confirmed"):
            await anyio.to_thread.run_sync(kill, no)
    assert (await bot("heartbeat"))["standing"] == "active"
    assert (await anyio.to_thread.run_sync(kill, "bot"))["standing"] == "killed"
    assert [question.split("?")[0] for question in asked] == ["Kill @bot for good"] * 3


# ------------------------------------------------------------------ replies without their models


@pytest.mark.parametrize("model", SHAPED, ids=lambda model: model.__name__)
def test_no_field_that_the_shell_reads_is_hidden_by_a_method_of_a_mapping(model: type[BaseModel]) -> None:
    assert not set(model.model_fields) & set(dir(Shape))


async def test_replies_have_what_their_models_say(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("create_task", title="paint", needs=["repo:acme/api"])
    replies = {
        Roster: await owner("who"),
        Board: await owner("read_board", task="T-1"),
        Receipts: await owner("read_receipts"),
        Controlled: await owner("pause", target="builder", reason="x"),
    }
    for model, reply in replies.items():
        assert model.model_validate(shaped(reply)).model_dump(by_alias=True) == reply
    board: Board = shaped(replies[Board])
    assert board.task is not None
    assert (board.task.title, board.task.history[0].member, board.next) == ("paint", "olga", None)
    with pytest.raises(AttributeError):
        _ = board.nonsense  # type: ignore[attr-defined]


# ------------------------------------------------------------------ what a command loads


@pytest.mark.parametrize("words", ["roster", "board", "overnight", "stream", "receipts", "enroll builder"])
def test_a_command_loads_no_sdk_no_model_and_no_rich_in_a_pipe(opened: Shell, words: str) -> None:
    done = opened.with_(PYTHONPROFILEIMPORTTIME="1").run(*words.split())
    assert done.code == 0
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "teamroom.clients.session.blocking" in loaded
    heavy = ("mcp", "mcp_types", "httpx2", "anyio", "asyncio", "rich.console", "teamroom.server.settings")
    assert not loaded & set(heavy)
    assert not [name for name in loaded if name.startswith("teamroom.server.acts")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with up(tmp_path_factory.mktemp("opened") / "room") as room:
        yield room.shell


# ------------------------------------------------------------------ the way to a room


def test_a_remote_room_is_reached_through_the_proxy_and_a_local_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with taking(answers=lambda request: http("", "502 Bad Gateway")) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(UnreachableError), BlockingRoom("https://room.example:8765/mcp", "tr_00000000") as room:
            room.call("heartbeat")
        [tunnel] = map(bytes, proxy.received)
        assert tunnel.startswith(b"CONNECT room.example:8765 HTTP/1.")
        assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in tunnel
        for scheme in ("http", "https"):
            with pytest.raises(UnreachableError):
                BlockingRoom(f"{scheme}://127.0.0.1:{free_port()}/mcp", "tr_00000000").call("heartbeat")
        assert len(proxy.received) == 1


def test_a_connection_that_was_idle_for_long_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            opened.append(self.client_address[1])

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Connection(f"http://127.0.0.1:{server.server_port}/mcp") as connection:
            assert [connection.get("/healthz").status for _ in range(2)] == [200, 200]
            assert len(opened) == 1, "the twin: soon after it serves again"
            monkeypatch.setattr("teamroom.clients.session.connection.IDLE_SECONDS", 0.0)
            assert connection.get("/healthz").status == 200
            assert len(opened) == 2
        server.shutdown()
