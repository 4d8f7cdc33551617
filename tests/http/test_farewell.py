"""What the client of a killed member is answered, in both protocol eras: its model sees who killed it, and why."""

from collections.abc import Iterator
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.promises import promise
from tests.support.raw import ENVELOPE, message, modern_headers, posted, reply
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.rooms import RunningRoom

pytestmark = promise("CTL3")

WHY = "@builder was killed by @olga: “it ran wild”."

SHOWN = {
    "initialize": lambda result: result["instructions"],
    "server/discover": lambda result: result["instructions"],
    "tools/list": lambda result: result["tools"][0]["description"],
    "tools/call": lambda result: result["content"][0]["text"],
}
"""Where the answer to each request says it, if its client shows that to its model."""

REFUSED = ("resources/read", "prompts/get", "completion/complete", "ping", "subscriptions/listen", "no/such/method")
EMPTY = ("resources/list", "resources/templates/list", "prompts/list")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("farewell") / "room") as room:
        room.enroll("builder")
        with room.modern("olga") as olga:
            reply(olga.call("kill", {"target": "builder", "reason": "it ran wild"}))
        yield room


def asked(room: RoomInThread, method: str, params: dict[str, Any], modern: bool) -> Any:
    if modern:
        params, head = {**params, "_meta": ENVELOPE}, modern_headers(method, params.get("name"))
    else:
        head = [("mcp-session-id", "0" * 32), ("mcp-protocol-version", "2025-06-18")]
    with room.wire() as wire:
        wire.send(posted(room.port, room.token("builder"), message(method, params, 7), head))
        return wire.answer()


@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
def test_every_request_of_a_killed_member_gets_an_answer_that_its_client_passes_on(
    room: RoomInThread, modern: bool
) -> None:
    for method, shown in SHOWN.items():
        answer = asked(room, method, {"name": "claim_task", "arguments": {}}, modern)
        assert (answer.status, answer.json["id"]) == (200, 7), method
        assert WHY in shown(answer.json["result"]), method
        assert "www-authenticate" not in answer.headers
    for method in REFUSED:
        answer = asked(room, method, {}, modern)
        assert (answer.status, answer.json["error"]["data"]["code"]) == (200, "killed"), method
        assert WHY in answer.json["error"]["message"]
    for method in EMPTY:
        assert [] in asked(room, method, {}, modern).json["result"].values(), method


def test_a_stream_and_the_end_of_a_session_of_a_killed_member_are_not_offered(room: RoomInThread) -> None:
    for method in ("GET", "DELETE"):
        with room.wire() as wire:
            wire.send(posted(room.port, room.token("builder"), b"").replace(b"POST", method.encode(), 1))
            answer = wire.answer()
        assert answer.status == 405
        assert answer.json["error"]["data"]["by"] == "olga"


def test_a_client_that_looks_for_a_sign_in_is_told_in_the_form_of_oauth_that_there_is_none(room: RoomInThread) -> None:
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/openid-configuration", "/register"):
        with room.wire() as wire:
            wire.send(posted(room.port, "tr_nobody", b"{}").replace(b"/mcp", path.encode(), 1))
            answer = wire.answer()
        assert answer.status == 404
        assert answer.json["error"] == "invalid_request"
        assert "teamroom enroll NAME --rotate" in answer.json["error_description"]


async def test_a_new_session_of_a_killed_member_opens_only_to_say_so_and_carries_out_nothing(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    owner = await room.owner()
    await owner("create_task", title="paint")
    (running,) = await room.enroll("builder")
    await owner("kill", target="builder", reason="it ran wild")
    before = len(room.entries())
    started = await room.connect("builder")
    for member in (running, started):
        for tool in ("claim_task", "post_message", "heartbeat", "wait_for_wake"):
            refusal = await member.refused(tool, text="I go on")
            assert (refusal["code"], refusal["by"], refusal["reason"]) == ("killed", "olga", "it ran wild")
        with pytest.raises(MCPError, match="it ran wild"):
            await member.client.read_resource("teamroom://me")
    [tool] = (await started.client.list_tools()).tools
    assert WHY in (tool.description or "")
    assert len(room.entries()) == before
