"""The metrics say what the room does, in numbers and names of ours; who may not look is not shown them."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house
from tests.support.raw import MODERN
from tests.support.rooms import RunningRoom

pytestmark = house


async def metrics(room: RunningRoom, token: str | None = None) -> dict[str, float]:
    """Every sample, by its name and labels."""
    answer = await room.raw("GET", "/metrics", headers={"Authorization": f"Bearer {token or room.owner_token}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_acts_reads_and_refusals_are_counted_and_timed(room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent")
    await agent("post_message", text="one")
    await agent("post_message", text="one")
    await agent.refused("claim_task", task="T-9")
    await agent("read_board")
    found = await metrics(room)
    assert found["teamroom_calls_total kind=act name=post_message outcome=ok"] == 1
    assert found["teamroom_calls_total kind=act name=post_message outcome=replayed"] == 1
    assert found["teamroom_calls_total kind=act name=claim_task outcome=not_found"] == 1
    assert found["teamroom_calls_total kind=read name=read_board outcome=ok"] == 1
    assert found["teamroom_call_seconds_count kind=act name=post_message"] == 2


async def test_gauges_are_read_from_the_current_state(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("agent")
    await owner("create_task", title="one")
    await owner("pause", target="agent", reason="looking")
    found = await metrics(room)
    assert found["teamroom_tasks state=open"] == 1
    assert found["teamroom_members standing=paused"] == 1
    assert found["teamroom_log_entries"] == room.entries()[-1]["seq"]
    assert found["teamroom_commits_total"] >= 3
    assert found["teamroom_acts_committed_total"] >= found["teamroom_commits_total"]
    assert found["teamroom_lock_wait_seconds_total"] > 0
    assert 0 <= found["teamroom_supervisor_lag_seconds"] < BOUND_SECONDS
    assert found["teamroom_database_bytes"] > 0
    assert found["teamroom_nudges_lost_total"] == found["teamroom_cut_off"] == 0
    assert found["teamroom_connections"] >= 1
    assert found["teamroom_readable"] == 1
    await owner("post_message", text="one more")
    assert (await metrics(room))["teamroom_log_entries"] > found["teamroom_log_entries"]


async def test_refusals_at_the_gate_are_counted_by_status_and_code(room: RunningRoom) -> None:
    assert (await room.raw("GET", "/metrics")).status_code == 401
    await room.raw("GET", "/metrics", headers={"Host": "evil.example"})
    await room.raw(
        "POST", "/mcp", headers={"Authorization": f"Bearer {room.owner_token}", "Content-Type": "text/plain"}
    )
    found = await metrics(room)
    for reason in ("401 code=not_allowed", "421 code=not_allowed", "415 code=invalid"):
        status, code = reason.split(" code=")
        assert found[f"teamroom_turned_away_total code={code} status={status}"] == 1


@pytest.mark.parametrize(
    ("role", "may"), [("observer", True), ("operator", True), ("watchdog", True), ("member", False)]
)
async def test_only_roles_that_read_the_log_see_the_metrics(room: RunningRoom, role: str, may: bool) -> None:
    await room.enroll("watcher", role=role)
    header = {"Authorization": f"Bearer {room.tokens['watcher']}"}
    answer = await room.raw("GET", "/metrics", headers=header)
    assert answer.status_code == (200 if may else 403)


async def test_a_paused_member_is_not_shown_them(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("watcher", role="observer")
    await owner("pause", target="watcher", reason="looking")
    header = {"Authorization": f"Bearer {room.tokens['watcher']}"}
    answer = await room.raw("GET", "/metrics", headers=header)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (403, "paused")


async def test_metrics_contain_no_name_and_no_text_of_a_member(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent-smith")
    await agent("post_message", text="a secret text")
    await agent.refused("read_board", task="T-40711")
    await agent.refused("who", name="nobody-here")
    await owner("create_task", title="a secret title")
    header = {"Authorization": f"Bearer {room.owner_token}", "MCP-Protocol-Version": MODERN}
    text = (await room.raw("GET", "/metrics", headers=header)).text
    assert "post_message" in text, "what is looked for would be found"
    for word in ("agent-smith", "olga", "secret", "T-40711", "nobody-here", room.owner_token[:12]):
        assert word not in text
    assert len(re.findall(r"^teamroom_", text, flags=re.MULTILINE)) < 2_000
