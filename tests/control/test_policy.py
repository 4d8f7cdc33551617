"""Policy: a room owner changes how the room runs, the very next act is bound by it, and what cannot be read denies."""

import json
import sqlite3
from pathlib import Path
from typing import Any, get_type_hints

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.policy import POLICY, Policy, SettingsError, with_policy
from teamroom.server.settings import FixedSettings, Settings
from teamroom.server.store.transaction import Reading
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import ESCAPE, Shell

pytestmark = promise("CTL8")


def outside(room: RunningRoom, statement: str) -> None:
    """Change the room's database past the room."""
    with sqlite3.connect(room.room.store.path) as connection:
        connection.execute(statement)
    connection.close()


async def test_a_changed_policy_binds_the_very_next_act(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("declare_capabilities", capabilities=["tool:docker"])
    for number in range(4):
        await owner("create_task", title=f"work {number}", needs=["tool:docker"] if number == 2 else [])
    await builder("claim_task", task="T-1")
    await owner("set_policy", name="wip_cap", value="1")
    assert (await builder.refused("claim_task", task="T-2"))["code"] == "wip_cap"
    await owner("set_policy", name="wip_cap", value=3)
    await builder("claim_task", task="T-2")
    await owner("set_policy", name="trust", value="proven")
    refusal = await builder.refused("claim_task", task="T-3")
    assert (refusal["code"], refusal["missing"]) == ("missing_capability", ["tool:docker"])
    await owner("set_policy", name="trust", value="declared")
    await builder("claim_task", task="T-3")


async def test_the_policy_overrides_the_settings_until_it_is_reset(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", wip_cap=1) as room:
        owner = await room.owner()
        reply = await owner("set_policy", name="wip_cap", value="2")
        assert (reply["before"], reply["value"], reply["origin"]) == (1, 2, "policy")
        for number in range(3):
            await owner("create_task", title=f"work {number}")
        await owner("claim_task", task="T-1")
        await owner("claim_task", task="T-2")
        back = await owner("set_policy", name="wip_cap")
        assert (back["before"], back["value"], back["origin"]) == (2, 1, "settings")
        assert (await owner.refused("claim_task", task="T-3"))["code"] == "wip_cap"


async def test_each_change_leaves_a_receipt_with_both_values_and_none_where_nothing_changes(room: RunningRoom) -> None:
    owner = await room.owner()
    seq = (await owner("set_policy", name="trust", value="attested"))["receipt"]
    (receipt,) = (await owner("read_receipts", act="set_policy"))["receipts"]
    assert (receipt["seq"], receipt["subject"]) == (seq, "policy:trust")
    assert (receipt["detail"]["before"], receipt["detail"]["value"]) == ("declared", "attested")
    assert "from declared to attested" in receipt["summary"]
    again = await owner("set_policy", name="trust", value="attested")
    assert (again["receipt"], again["note"]) == (None, "it already had this value")


async def test_only_a_room_owner_sets_the_policy_and_no_agent_can_be_one(room: RunningRoom) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human", role="operator")
    (agent,) = await room.enroll("agent", role="operator")
    (member,) = await room.enroll("member-1")
    for caller in (hanna, agent, member):
        assert "set_policy" not in {tool.name for tool in (await caller.client.list_tools()).tools}
        assert (await caller.refused("set_policy", name="trust", value="proven"))["code"] == "not_allowed"
    assert (await owner.refused("enroll", name="boss", role="owner"))["code"] == "invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [("trust", "blind"), ("wip_cap", "0"), ("wip_cap", "many"), ("lease_seconds", "nan"), ("port", "1"), ("nope", "1")],
)
async def test_an_impossible_policy_is_refused_and_changes_nothing(room: RunningRoom, name: str, value: str) -> None:
    owner = await room.owner()
    refusal = await owner.refused("set_policy", name=name, value=value)
    assert refusal["code"] == "invalid"
    assert name in refusal["why"]
    assert (await policy(room))["values"] == [
        {**line, "origin": "settings", "by": None, "at": None} for line in (await policy(room))["values"]
    ]


async def policy(room: RunningRoom, name: str = "olga") -> dict[str, Any]:
    """The policy as a member reads it."""
    found = await (await room.connect(name)).client.read_resource("teamroom://policy")
    return dict(json.loads(found.contents[1].text))


async def test_everybody_reads_the_policy_and_who_set_it(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("set_policy", name="trust", value="proven")
    lines = {line["name"]: line for line in (await policy(room, "builder"))["values"]}
    assert set(lines) == set(POLICY)
    assert (lines["trust"]["value"], lines["trust"]["origin"], lines["trust"]["by"]) == ("proven", "policy", "olga")
    assert lines["trust"]["at"]
    assert (lines["wip_cap"]["value"], lines["wip_cap"]["origin"], lines["wip_cap"]["by"]) == (5, "settings", None)


SPOILED = {
    "missing": "delete from policy",
    "no JSON": "update policy set document = '{'",
    "no object": "update policy set document = '[]'",
    "an unknown name": """update policy set document = '{"trsut": "proven"}'""",
    "out of bounds": """update policy set document = '{"wip_cap": 0}'""",
    "of another kind": """update policy set document = '{"trust": ["proven"]}'""",
}


@pytest.mark.parametrize("spoil", SPOILED)
async def test_a_policy_that_is_missing_or_unreadable_denies_and_says_how_to_repair_it(
    room: RunningRoom, spoil: str
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("declare_capabilities", capabilities=["tool:docker"])
    await owner("create_task", title="work", needs=["tool:docker"])
    outside(room, SPOILED[spoil])
    for arguments in ({}, {"task": "T-1"}):
        refusal = await builder.refused("claim_task", **arguments)
        assert refusal["code"] == "not_allowed"
        assert "teamroom policy" in refusal["fix"]
    (member,) = (await owner("who", name="builder"))["members"]
    assert [c["counts"] for c in member["capabilities"]] == [False]
    await owner("pause", target="builder", reason="the switch needs no policy")
    await owner("resume", target="builder", reason="and neither does this")
    assert (await policy(room))["unreadable"]
    mended = await owner("set_policy", name="trust", value="declared")
    assert ("dropped" in mended["note"]) is True
    await builder("claim_task", task="T-1")


async def test_a_policy_that_can_be_read_does_not_deny(room: RunningRoom) -> None:
    """The twin: the same change past the room, but to something readable, binds the next act and denies nothing."""
    owner = await room.owner()
    await owner("create_task", title="work")
    outside(room, """update policy set document = '{"lease_max_seconds": 120}'""")
    claimed = await owner("claim_task", task="T-1")
    (line,) = (await owner("read_board"))["tasks"]
    assert claimed["lease_until"] == line["lease_until"]
    room.time.forward(200)
    assert (await owner("read_board"))["tasks"][0]["overdue"] is True


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
documents = st.dictionaries(st.sampled_from([*POLICY, "port", "nope"]) | st.text(max_size=5), values, max_size=4)


@given(st.none() | st.text() | documents.map(json.dumps))
def test_a_policy_is_either_refused_or_holds_only_what_the_settings_allow(document: str | None) -> None:
    try:
        found = with_policy(Policy(), document)
    except SettingsError:
        return
    assert document is not None
    assert Policy.model_validate(found.model_dump()) == found
    named = set(json.loads(document))
    assert {name for name in POLICY if getattr(found, name) != getattr(Policy(), name)} <= named
    assert named <= set(POLICY)


def test_the_settings_of_the_server_and_the_policy_are_two_types() -> None:
    """So that no act can read a value of the policy past it: the type checker refuses `tx.settings.wip_cap`."""
    assert set(Policy.model_fields) & set(FixedSettings.model_fields) == set()
    assert set(Policy.model_fields) | set(FixedSettings.model_fields) == set(Settings.model_fields)
    assert get_type_hints(Reading.policy.fget)["return"] is Policy  # type: ignore[attr-defined]


# ------------------------------------------------------------------ the shell


async def test_the_shell_shows_and_sets_the_policy(room: RunningRoom, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    done = await shell.here("policy", "trust", "proven")
    assert done.out.startswith("trust is now proven (was declared")
    shown = await shell.here("policy")
    (line,) = [line for line in shown.out.splitlines() if line.startswith("trust ")]
    assert "proven" in line
    assert "@olga" in line
    assert (await shell.here("policy", "trust", "--reset", "--json")).json["value"] == "declared"
    assert (await shell.here("policy", "trust")).code == 2
    assert (await shell.here("policy", "trust", "blind")).code == 1
    terminal = await anyio.to_thread.run_sync(lambda: shell.on_terminal("policy"))
    assert max(len(ESCAPE.sub("", line)) for line in terminal.out.splitlines()) <= 80
    outside(room, "delete from policy")
    assert "UNREADABLE" in (await shell.here("policy")).out


async def test_the_doctor_says_which_values_come_from_the_policy(room: RunningRoom, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url, "TEAMROOM_WIP_CAP": "9"})
    await (await room.owner())("set_policy", name="wip_cap", value="7")
    found = (await shell.here("doctor", "--json")).json
    assert found["settings"]["wip_cap"] == {"value": 7, "origin": "policy"}
    outside(room, "update policy set document = 'x'")
    done = await shell.here("doctor", "--json")
    assert done.code == 1
    [line] = [check for check in done.json["checks"] if check["about"] == "settings"]
    assert (line["level"], "teamroom policy" in line["fix"]) == ("problem", True)
