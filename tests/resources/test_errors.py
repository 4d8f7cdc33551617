"""Refusals that are no tool's result: JSON-RPC errors, all with one code of the room's own."""

from typing import Any

import mcp_types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from teamroom.server.http.protocol import HEAD_BYTES
from teamroom.server.refusals import REFUSED
from tests.support.promises import house
from tests.support.rooms import RunningRoom

pytestmark = house


async def test_refusals_of_resources_prompts_and_subscriptions_carry_the_code(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    await owner("pause", target="agent", reason="wrong branch")
    calls: list[Any] = [
        lambda: agent.client.read_resource("teamroom://board"),
        lambda: agent.client.get_prompt("catch-up"),
        lambda: owner.client.get_prompt("assign", {"task": "x" * 201}),
    ]
    for call in calls:
        with pytest.raises(MCPError) as refused:
            await call()
        assert refused.value.error.code == REFUSED
        assert refused.value.error.data["code"] in ("paused", "too_large")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "not_allowed"),
        ({"Authorization": "Bearer tr_nobody"}, 401, "not_allowed"),
        ({"X-Long": "x" * (HEAD_BYTES * 4)}, 431, "too_large"),
    ],
)
async def test_refusals_before_the_protocol_carry_the_code(
    room: RunningRoom, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await room.raw(headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["data"]["code"]) == (status, REFUSED, code)


async def test_a_missing_resource_or_prompt_gets_the_error_code_for_invalid_parameters(room: RunningRoom) -> None:
    owner = await room.owner()
    calls: list[Any] = [
        lambda: owner.client.read_resource("teamroom://nothing"),
        lambda: owner.client.read_resource("teamroom://tasks/T-9"),
        lambda: owner.client.get_prompt("no-such"),
    ]
    for call in calls:
        with pytest.raises(MCPError) as refused:
            await call()
        assert refused.value.error.code == INVALID_PARAMS


def test_the_code_is_in_the_range_that_is_reserved_for_servers() -> None:
    retired = {-32002}
    of_the_sdk = {value for value in vars(mcp_types).values() if isinstance(value, int)}
    assert {-32000, -32020, -32602} <= of_the_sdk
    assert REFUSED in range(-32019, -31999)
    assert REFUSED not in of_the_sdk | retired
