"""`teamroom connect`: a client that speaks stdio is in the room as if it spoke HTTP, in both protocol eras."""

import asyncio
import contextlib
import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import LATEST_MODERN_VERSION
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from teamroom.server.announcement import announce
from teamroom.server.handshake import HANDSHAKE_PATH, read_challenge
from teamroom.server.identity import token_hash
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.listeners import Told, told_over
from tests.support.pipes import ENVELOPE, Pipe, pipe
from tests.support.promises import house, promise
from tests.support.rooms import ERAS, Era, Member, RunningRoom, running_room
from tests.support.shells import TEAMROOM, Shell, free_port, token_file

pytestmark = house


def shell_of(folder: Path, url: str = "") -> Shell:
    return Shell(folder.parent, {"TEAMROOM_DATA": str(folder), **({"TEAMROOM_URL": url} if url else {})})


def keep(folder: Path, name: str, token: str) -> None:
    """What `enroll --save` leaves."""
    (folder / "members").mkdir(mode=0o700, exist_ok=True)
    token_file(folder / "members" / f"{name}.token", token)


@contextlib.asynccontextmanager
async def announcing(room: RunningRoom) -> AsyncIterator[None]:
    """What `up` leaves in the folder, so that the shell finds the room."""
    with announce(room.folder, room.url):
        yield


async def room_that_closed(tmp_path: Path) -> Path:
    """The folder of a room that knows @builder, whose token is kept there, and that does not run."""
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
    (room.folder / "room.toml").write_text(f"port = {free_port()}\n")
    return room.folder


@contextlib.asynccontextmanager
async def connected(room: RunningRoom, name: str, era: Era = "auto") -> AsyncIterator[Member]:
    """A member that joins with the SDK's stdio client."""
    keep(room.folder, name, room.tokens[name])
    server = StdioServerParameters(
        command=TEAMROOM, args=["connect", "--as", name], env=shell_of(room.folder, room.url).environment
    )
    async with Client(stdio_client(server), mode=era) as client:
        yield Member(name, client)


@pytest.mark.parametrize("era", ERAS)
async def test_a_stdio_client_does_everything_that_an_http_client_does(tmp_path: Path, era: Era) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        owner = await room.owner()
        own_token = room.tokens["builder"]
        async with room.client(own_token, era) as over_http, connected(room, "builder", era) as builder:
            expected = LATEST_MODERN_VERSION if era == "auto" else "2025-11-25"
            assert builder.client.protocol_version == expected
            assert await builder.client.list_tools() == await over_http.list_tools()
            assert builder.client.instructions == over_http.instructions

            await owner("create_task", title="Build it")
            claimed = await builder("claim_task", task="T-1")
            assert claimed["task"] == "T-1"
            refusal = await builder.refused("complete_task", task="T-1", fence=99, summary="x", evidence=[])
            assert refusal["code"] == "stale_fence"
            me = await builder.client.read_resource("teamroom://me")
            assert "You are @builder" in me.contents[0].text  # type: ignore[union-attr]

            waiting = asyncio.create_task(builder("wait_for_wake", timeout_seconds=BOUND_SECONDS))
            await room.until_waiting()
            await owner("post_message", text="@builder look")
            assert (await waiting)["wakes"][0]["reason"] == "mention"

            await owner("pause", target="builder", reason="lunch")
            assert (await builder.refused("check_in"))["code"] == "paused"
            assert (await builder("heartbeat"))["standing"] == "paused"
            await owner("resume", target="builder", reason="back")
            assert (await builder("check_in"))["standing"] == "active"


@pytest.mark.parametrize("is_heard", [True, False], ids=["a listener waits", "nobody waits"])
async def test_the_bridge_tells_a_listener_once_its_client_has_the_rooms_tools(tmp_path: Path, is_heard: bool) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(tmp_path, "builder", room.tokens["builder"])
        address, told = str(tmp_path / "told"), asyncio.Event()

        def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set()
            writer.close()

        async with contextlib.AsyncExitStack() as hearing:
            if is_heard:
                await hearing.enter_async_context(await asyncio.start_unix_server(hear, address))
            async with pipe(shell_of(tmp_path, room.url).with_(TEAMROOM_TOLD=address), "--as", "builder") as bridge:
                assert "result" in await bridge.call("check_in")
                assert not told.is_set(), "a call is no question for the tools"
                for _ in range(2):
                    assert (await bridge.ask("tools/list"))["result"]["tools"]
                if is_heard:
                    await asyncio.wait_for(told.wait(), BOUND_SECONDS)


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_call_ends_in_the_room_too(tmp_path: Path, era: Era) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        async with connected(room, "builder", era) as builder:
            await builder("check_in")
            waiting = asyncio.create_task(builder("wait_for_wake", timeout_seconds=45))
            await room.until_waiting()
            waiting.cancel()
            await until(lambda: not room.room.bus.waiting_calls)
            assert (await builder("heartbeat"))["standing"] == "active"


@contextlib.asynccontextmanager
async def pushing_server() -> AsyncIterator[str]:
    """A server that pushes, on streams of every kind; it knows one member, @builder, with the token tr_any."""
    bus = InMemorySubscriptionBus()
    server = MCPServer("pushing", subscriptions=bus, log_level="ERROR")

    @server.resource("teamroom://me", mime_type="application/json")
    def me() -> str:
        return json.dumps({"name": "builder"})

    @server.tool(description="Tell how far it is, then push.")
    async def push(ctx: Context[Any]) -> str:
        await ctx.report_progress(1, 2)
        await ctx.session.send_resource_updated("teamroom://inbox")
        await bus.publish(ResourceUpdated("teamroom://inbox"))
        return "pushed"

    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    proven = proving(server.streamable_http_app(transport_security=security), "tr_any")
    config = uvicorn.Config(proven, port=0, log_level="error")
    running = uvicorn.Server(config)
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(running.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running.should_exit = True
            await asyncio.wait_for(serving, BOUND_SECONDS)


def proving(app: ASGIApp, token: str) -> ASGIApp:
    """The same application of a server that proves to know a token."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != HANDSHAKE_PATH:
            await app(scope, receive, send)
            return
        challenge = read_challenge(scope["query_string"].decode())
        assert challenge is not None
        await JSONResponse({"proof": challenge.proof(token_hash(token))})(scope, receive, send)

    return answer


@contextlib.asynccontextmanager
async def pushed_to(tmp_path: Path, era: Era, got: asyncio.Queue[Any]) -> AsyncIterator[Client]:
    """A client behind the bridge, before the server that pushes; what it gets unasked lands in `got`."""

    async def unasked(message: Any) -> None:
        await got.put(message)

    async with pushing_server() as url:
        environment = {**shell_of(tmp_path / "room", url).environment, "TEAMROOM_TOKEN": "tr_any"}
        server = StdioServerParameters(command=TEAMROOM, args=["connect", "--as", "builder"], env=environment)
        async with Client(stdio_client(server), mode=era, message_handler=unasked) as client:
            yield client


@pytest.mark.parametrize("era", ERAS)
async def test_progress_of_a_call_arrives_before_its_answer(tmp_path: Path, era: Era) -> None:
    told: list[float] = []

    async def told_how_far(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with pushed_to(tmp_path, era, asyncio.Queue()) as client:
        result = await client.call_tool("push", {}, progress_callback=told_how_far)
        assert not result.is_error
        assert told == [1]


async def test_pushes_to_an_older_session_arrive(tmp_path: Path) -> None:
    got: asyncio.Queue[Any] = asyncio.Queue()
    async with pushed_to(tmp_path, "legacy", got) as client, asyncio.timeout(BOUND_SECONDS):
        pushed = None
        while pushed is None:  # the push stream opens beside the first calls
            await client.call_tool("push", {})
            with contextlib.suppress(TimeoutError):
                pushed = await asyncio.wait_for(got.get(), 0.2)
        assert pushed.params.uri == "teamroom://inbox"


async def test_pushes_to_a_modern_listener_arrive(tmp_path: Path) -> None:
    async with (
        pushed_to(tmp_path, "auto", asyncio.Queue()) as client,
        client.listen(resource_subscriptions=["teamroom://inbox"]) as pushes,
        asyncio.timeout(BOUND_SECONDS),
    ):
        await client.call_tool("push", {})
        pushed = await anext(aiter(pushes))
        assert getattr(pushed, "uri", None) == "teamroom://inbox"


@pytest.mark.parametrize("era", ERAS)
async def test_a_stdio_client_gets_pushes_for_what_it_follows(tmp_path: Path, era: Era) -> None:
    async with running_room(tmp_path / "room", push_seconds=0) as room:
        await room.enroll("builder")
        owner = await room.owner()
        keep(room.folder, "builder", room.tokens["builder"])
        server = StdioServerParameters(
            command=TEAMROOM, args=["connect", "--as", "builder"], env=shell_of(room.folder, room.url).environment
        )
        told = Told()
        async with told_over(stdio_client(server), era, told, "teamroom://inbox"), asyncio.timeout(BOUND_SECONDS):
            while told.addresses.empty():  # an older client's stream opens beside its first calls
                await owner("post_message", text=f"@builder {secrets.token_hex(4)}")
                await asyncio.sleep(0.05)
            assert await told.next() == "teamroom://inbox"


async def test_frames_of_the_largest_size_pass_and_larger_ones_are_refused_as_the_room_refuses_them(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            posted = await bridge.call("post_message", text="é" * 16_000)
            assert posted["result"]["structuredContent"]["message"] == "M-1"
            too_large = await bridge.call("post_message", text="x" * 1_000_000)
            assert too_large["error"]["data"]["code"] == "too_large"
            await bridge.send(b"x" * (9 * 1024 * 1024))
            assert (await bridge.receive())["error"]["message"] == "This line is too long."
            await bridge.send(b"[" * 100_000)
            assert (await bridge.receive())["error"]["code"] == -32700
            await bridge.send([{"jsonrpc": "2.0", "id": 1, "method": "ping"}])
            assert (await bridge.receive())["error"]["code"] == -32600
            assert "result" in await bridge.call("heartbeat")


async def test_answers_come_in_the_order_in_which_the_room_gives_them_under_the_ids_that_asked(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            for id_ in (1, "1", "slow", 2):
                name, arguments = ("wait_for_wake", {"timeout_seconds": 0.3}) if id_ == "slow" else ("heartbeat", {})
                params = {"name": name, "arguments": arguments, "_meta": ENVELOPE}
                await bridge.send({"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params})
            ids = [(await bridge.receive())["id"] for _ in range(4)]
            assert sorted(ids[:3], key=repr) == sorted([1, "1", 2], key=repr)
            assert ids[3] == "slow"


async def test_standard_output_carries_protocol_and_words_go_to_standard_error(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            assert "result" in await bridge.ask("server/discover")
            code, rest, words = await bridge.end()
        assert (code, rest) == (0, b"")
        assert f"connected to {room.url}/mcp as @builder" in words
        assert room.tokens["builder"] not in words


async def test_it_answers_what_is_in_flight_when_standard_input_ends(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        shell = shell_of(room.folder, room.url).with_(TEAMROOM_TOKEN=room.tokens["builder"])
        params = {"name": "heartbeat", "arguments": {}, "_meta": ENVELOPE}
        line = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
        async with pipe(shell, "--as", "builder") as bridge:
            assert bridge.process.stdin is not None
            bridge.process.stdin.write(line.encode())  # without the line's end
            code, out, _ = await bridge.end()
        assert code == 0
        assert json.loads(out)["result"]["structuredContent"]["standing"] == "active"


async def test_the_bridge_connects_its_client_once_a_room_answers(
    tmp_path: Path,
) -> None:
    folder = await room_that_closed(tmp_path)
    async with pipe(shell_of(folder), "--as", "builder") as bridge:
        away = await bridge.call("heartbeat")
        assert "No room answers at http://127.0.0.1:" in away["error"]["message"]
        assert "teamroom up" in away["error"]["message"]
        async with running_room(folder) as room, announcing(room):
            assert (await bridge.call("heartbeat"))["result"]["structuredContent"]["standing"] == "active"
        assert "teamroom up" in (await bridge.call("heartbeat"))["error"]["message"]
        _, _, words = await bridge.end()
    assert words.count("No room answers") == 2  # once each time it was away, not once a call


async def test_an_older_session_continues_after_the_room_restarts_on_another_port(tmp_path: Path) -> None:
    folder = await room_that_closed(tmp_path)
    async with pipe(shell_of(folder), "--as", "builder") as bridge:
        async with running_room(folder) as room, announcing(room):
            await bridge.initialize()
            assert (await bridge.old("heartbeat"))["result"]["structuredContent"]["standing"] == "active"
        assert "No room answers" in (await bridge.old("heartbeat"))["error"]["message"]
        async with running_room(folder) as room, announcing(room):
            assert (await bridge.old("heartbeat"))["result"]["structuredContent"]["standing"] == "active"
            _, rest, _ = await bridge.end()
    assert rest == b"", "what the bridge asked for itself is not the client's"


async def until_told(bridge: Pipe, room: RunningRoom) -> None:
    """Write to @builder until its client is told: the stream opens beside the first calls."""
    owner = await room.owner()
    told = asyncio.create_task(bridge.receive())
    async with asyncio.timeout(BOUND_SECONDS):
        while not told.done():
            await owner("post_message", text=f"@builder {secrets.token_hex(4)}")
            await asyncio.wait([told], timeout=0.05)
    assert told.result()["params"]["uri"] == "teamroom://inbox"


async def test_an_older_session_gets_pushes_again_after_the_room_restarts(tmp_path: Path) -> None:
    folder = await room_that_closed(tmp_path)
    async with pipe(shell_of(folder), "--as", "builder") as bridge:
        async with running_room(folder) as room, announcing(room):
            await bridge.initialize()
            subscribe = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe"}
            await bridge.send({**subscribe, "params": {"uri": "teamroom://inbox"}})
            assert (await bridge.receive())["result"] == {}
            await until_told(bridge, room)
        async with running_room(folder) as room, announcing(room):
            await until_told(bridge, room)


async def test_an_older_session_gets_pushes_again_after_its_token_was_replaced(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", push_seconds=0) as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        owner = await room.owner()
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            await bridge.initialize()
            subscribe = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe"}
            await bridge.send({**subscribe, "params": {"uri": "teamroom://inbox"}})
            assert (await bridge.receive())["result"] == {}
            keep(room.folder, "builder", (await owner("enroll", name="builder", rotate=True))["token"])
            await until_told(bridge, room)


FOLLOW = {"notifications": {"resourceSubscriptions": ["teamroom://inbox"]}, "_meta": ENVELOPE}
"""What a client asks for that wants to be told of its inbox."""


async def test_a_stream_that_is_asked_for_in_a_pause_begins_with_the_resume(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", push_seconds=0) as room:
        await room.enroll("builder")
        owner = await room.owner()
        keep(room.folder, "builder", room.tokens["builder"])
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            assert "result" in await bridge.call("heartbeat")
            await owner("pause", target="builder", reason="wait a moment")
            await bridge.send({"jsonrpc": "2.0", "id": "inbox", "method": "subscriptions/listen", "params": FOLLOW})
            standing = (await bridge.call("heartbeat"))["result"]["structuredContent"]["standing"]
            assert standing == "paused", "the stream is not refused meanwhile"
            await owner("resume", target="builder", reason="go on")
            assert (await bridge.receive())["method"] == "notifications/subscriptions/acknowledged"
            await owner("post_message", text="@builder hello")
            assert (await bridge.receive())["params"]["uri"] == "teamroom://inbox"


async def test_a_stream_of_a_killed_member_is_refused_at_once(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        owner = await room.owner()
        keep(room.folder, "builder", room.tokens["builder"])
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            assert "result" in await bridge.call("heartbeat")
            await owner("kill", target="builder", reason="it loops")
            await bridge.send({"jsonrpc": "2.0", "id": "inbox", "method": "subscriptions/listen", "params": FOLLOW})
            assert "it loops" in json.dumps(await bridge.receive())


async def test_the_token_of_another_member_is_refused(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder", "reviewer")
        shell = shell_of(room.folder, room.url).with_(TEAMROOM_TOKEN=room.tokens["reviewer"])
        before = len(room.entries())
        async with pipe(shell, "--as", "builder") as bridge:
            answer = await bridge.call("post_message", text="I am somebody else")
            assert answer["error"]["data"]["code"] == "not_allowed"
            assert "The token belongs to @reviewer, but --as names builder" in answer["error"]["message"]
            code, _, _ = await bridge.end()
        assert code == 3
        assert len(room.entries()) == before
        async with pipe(shell, "--as", "Reviewer") as bridge:
            assert "result" in await bridge.call("heartbeat")


@promise("CTL3")
async def test_a_killed_member_a_wrong_token_and_a_missing_token_each_get_their_own_refusal(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        [builder] = await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        shell = shell_of(room.folder, room.url)
        async with pipe(shell, "--as", "builder") as bridge:
            assert "result" in await bridge.call("heartbeat")
            await (await room.owner())("kill", target="builder", reason="enough")
            for _ in range(2):
                killed = await bridge.call("heartbeat")
                assert killed["result"]["structuredContent"]["code"] == "killed"
                words = killed["result"]["content"][0]["text"]
                assert "Refused (killed): @builder was killed by @olga: “enough”." in words
        async with pipe(shell.with_(TEAMROOM_TOKEN="tr_" + "0" * 64), "--as", "builder") as bridge:
            unknown = await bridge.call("heartbeat")
            assert unknown["error"]["data"]["code"] == "not_allowed"
            assert "tr_" not in json.dumps(unknown)
        async with pipe(shell, "--as", "nobody") as bridge:
            assert "teamroom enroll nobody --save" in (await bridge.call("heartbeat"))["error"]["message"]
        assert builder.name == "builder"


async def test_a_token_that_was_replaced_in_its_file_is_used_without_a_restart(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        keep(room.folder, "builder", room.tokens["builder"])
        owner = await room.owner()
        async with pipe(shell_of(room.folder, room.url), "--as", "builder") as bridge:
            assert "result" in await bridge.call("heartbeat")
            keep(room.folder, "builder", (await owner("enroll", name="builder", rotate=True))["token"])
            assert "result" in await bridge.call("heartbeat")


async def test_other_writes_to_standard_output_do_not_reach_the_client(tmp_path: Path) -> None:
    stray = """
import asyncio
from teamroom.clients.bridge.connect import protocol_only_on_stdout
{claim}
print("stray words", flush=True)
"""
    found = {}
    for claim in ("write = protocol_only_on_stdout()\nasyncio.run(write(b'{}'))", "print('{}')"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", stray.format(claim=claim),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        found[claim[:5]] = await asyncio.wait_for(process.communicate(), BOUND_SECONDS)
    assert found["write"] == (b"{}\n", b"stray words\n")
    assert found["print"] == (b"{}\nstray words\n", b""), "without the claim they would"
