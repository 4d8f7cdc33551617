"""Who calls is known from the token alone; members outlive processes; tokens are stored as hashes."""

import re
from pathlib import Path

import pytest

from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room


@promise("ID1")
async def test_a_member_keeps_name_owner_history_and_cursor_across_restarts_and_clients(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder", mode="every:300")
        await owner("post_message", text="@builder one")
        cursor = (await builder("check_in"))["cursor"]
        await builder("check_in", after=cursor)
        await owner("post_message", text="@builder two")
        tokens = room.tokens
    async with running_room(tmp_path / "room", era="legacy") as room:
        room.tokens = tokens
        builder = await room.connect("builder")
        again = await builder("check_in")
        assert [w["line"] for w in again["wakes"]] == ["@builder two"]
        assert again["mode"] == "every:300"
        (member,) = (await builder("who", name="builder"))["members"]
        assert (member["owner"], member["kind"]) == ("olga", "agent")


@promise("ID2")
async def test_a_name_in_an_argument_never_identifies_the_caller(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    for claim in ("author", "from", "agent_id", "as", "member", "actor", "owner"):
        refusal = await builder.refused("post_message", text="x", **{claim: "olga"})
        assert refusal["code"] == "invalid"
    await builder("post_message", text="I am @olga, really: author olga")
    (message,) = (await builder("read_messages"))["messages"]
    assert (message["author"], message["author_kind"]) == ("builder", "agent")


@promise("ID3")
async def test_every_agent_has_a_human_owner(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    refusal = await owner.refused("enroll", name="other", owner="builder")
    assert refusal["code"] == "invalid"
    assert "not a person" in refusal["why"]
    assert (await owner.refused("enroll", name="boss", role="owner"))["code"] == "invalid"
    roster = (await owner("who"))["members"]
    assert {(m["name"], m["owner"]) for m in roster} == {("builder", "olga"), ("olga", "olga")}


@promise("ID3")
async def test_people_use_the_same_tools_as_agents(room: RunningRoom) -> None:
    (hanna,) = await room.enroll("hanna", kind="human")
    await hanna("create_task", title="mine")
    fence = (await hanna("claim_task"))["fence"]
    await hanna("complete_task", task="T-1", fence=fence, summary="done", evidence=[])
    await hanna("post_message", text="@olga please look")


@promise("ID4")
async def test_a_token_has_256_bits_and_is_nowhere_in_the_data_folder(room: RunningRoom) -> None:
    await room.enroll("builder")
    token = room.tokens["builder"]
    assert re.fullmatch(r"tr_[0-9a-f]{64}", token)
    for path in room.folder.iterdir():
        content = path.read_bytes()
        assert token.encode() not in content
        assert path.name == "owner.token" or room.owner_token.encode() not in content


@promise("SAF1")
async def test_the_data_folder_and_its_files_are_private(room: RunningRoom) -> None:
    assert room.folder.stat().st_mode & 0o777 == 0o700
    for name in ("owner.token", "room.db", "room.key"):
        assert (room.folder / name).stat().st_mode & 0o777 == 0o600, name


@promise("ID4")
async def test_one_token_of_several_is_rotated(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    chat = (await owner("enroll", name="builder", label="chat"))["token"]
    new = (await owner("enroll", name="builder", rotate=True))["token"]
    statuses = {}
    for what, token in (("old", room.tokens["builder"]), ("chat", chat), ("new", new)):
        statuses[what] = (await room.raw(headers={"Authorization": f"Bearer {token}"}, json={})).status_code
    assert (statuses["old"] == 401, statuses["chat"] == 401, statuses["new"] == 401) == (True, False, False)


@promise("ID4")
async def test_one_token_of_several_is_revoked_and_its_next_call_is_refused(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    chat = await room.connect("builder", (await owner("enroll", name="builder", label="chat"))["token"])
    builder = await room.connect("builder")
    assert (await owner("revoke", name="builder", label="default"))["tokens"] == 1
    await chat("heartbeat")
    with pytest.raises(Exception, match=r".*"):
        await builder("heartbeat")


@promise("ID4")
async def test_a_token_can_expire(room: RunningRoom) -> None:
    owner = await room.owner()
    token = (await owner("enroll", name="builder", expires_seconds=60))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await room.raw(headers=headers, json={})).status_code != 401
    room.time.forward(61)
    assert (await room.raw(headers=headers, json={})).status_code == 401


@promise("ID5")
async def test_a_name_that_is_taken_or_reserved_is_refused(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    assert (await owner.refused("enroll", name="builder"))["code"] == "conflict"
    assert (await owner.refused("enroll", name="Builder"))["code"] == "conflict"
    assert (await owner.refused("enroll", name="room"))["code"] == "invalid"
    assert (await owner.refused("enroll", name="buil der"))["code"] == "invalid"
    assert (await owner.refused("enroll", name="builder", rotate=True, kind="human"))["code"] == "conflict"


@promise("CTL7")
async def test_only_operators_enroll_and_never_above_their_own_role(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    (agent,) = await room.enroll("op", role="operator")
    (person,) = await room.enroll("pia", role="operator", kind="human")
    assert (await builder.refused("enroll", name="friend"))["code"] == "not_allowed"
    assert (await agent.refused("enroll", name="friend"))["code"] == "not_allowed"
    assert (await person.refused("enroll", name="friend", role="operator"))["code"] == "not_allowed"
    assert (await person.refused("enroll", name="friend", kind="human"))["code"] == "not_allowed"
    assert (await person.refused("enroll", name="builder", rotate=True))["code"] == "not_allowed"
    assert (await person("enroll", name="friend"))["name"] == "friend"


@promise("ID4")
async def test_an_owner_cannot_lock_itself_out_by_revoking(room: RunningRoom) -> None:
    owner = await room.owner()
    refusal = await owner.refused("revoke", name="olga")
    assert "--rotate" in refusal["fix"]


@promise("CTL7")
async def test_an_observer_reads_and_does_nothing(room: RunningRoom) -> None:
    (eye,) = await room.enroll("eye", role="observer")
    for tool in ("who", "read_board", "read_messages", "read_receipts", "check_in", "heartbeat"):
        await eye(tool)
    assert (await eye.refused("post_message", text="x"))["code"] == "not_allowed"
    assert (await eye.refused("create_task", title="x"))["code"] == "not_allowed"
    assert (await eye.refused("claim_task"))["code"] == "not_allowed"
