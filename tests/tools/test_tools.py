"""The tools as a model meets them: which, how long, how described."""

import json
import string
from types import ModuleType
from typing import get_args

import pytest
from inline_snapshot import snapshot

from teamroom.server.identity import Caller, Kind, Role
from teamroom.tools.instructions import FOR_AGENTS, FOR_PEOPLE
from teamroom.tools.serve import NOUNS, TOOLS
from tests.support.promises import house
from tests.support.rooms import RunningRoom

pytestmark = house

AGENTS_CHARACTERS = 9_000
INSTRUCTIONS_CHARACTERS = 2_048
DESCRIPTION_CHARACTERS = 300


async def test_an_agent_sees_seventeen_tools_in_at_most_9000_characters(room_of_each_era: RunningRoom) -> None:
    (builder,) = await room_of_each_era.enroll("builder")
    tools = (await builder.client.list_tools()).tools
    shown = [{"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools]
    assert [t["name"] for t in shown] == snapshot(
        [
            "check_in",
            "heartbeat",
            "wait_for_wake",
            "who",
            "declare_capabilities",
            "post_message",
            "read_messages",
            "create_task",
            "claim_task",
            "read_board",
            "update_task",
            "complete_task",
            "review_task",
            "hand_off",
            "answer_hand_off",
            "request_decision",
            "check_authorization",
        ]
    )
    assert sum(len(json.dumps(tool, separators=(",", ":"), ensure_ascii=False)) for tool in shown) <= AGENTS_CHARACTERS


KINDS: tuple[Kind, Kind] = ("agent", "human")
EVERYBODYS = 17
"""How many tools everybody is shown, before those of roles and people."""


def test_each_role_and_kind_sees_the_common_tools_and_its_own() -> None:
    more = {}
    for kind in KINDS:
        for role in get_args(Role):
            caller = Caller("", "", member=3, name="somebody", kind=kind, role=role, owner=2, owner_name="olga")
            shown = [tool.name for tool in TOOLS.values() if tool.is_for(caller)]
            assert shown[:EVERYBODYS] == list(TOOLS)[:EVERYBODYS]
            more[f"{kind} {role}"] = "all" if shown == list(TOOLS) else " ".join(shown[EVERYBODYS:])
    assert more == snapshot(
        {
            "agent member": "",
            "agent owner": (
                "pause repair resume kill enroll revoke plant set_policy redact notify read_receipts overnight "
                "import_task decide authorize require_approval"
            ),
            "agent operator": "pause repair resume enroll revoke plant notify read_receipts overnight",
            "agent watchdog": "pause repair read_receipts",
            "agent observer": "read_receipts",
            "human member": (
                "pause resume kill plant notify overnight import_task decide authorize sign_in require_approval"
            ),
            "human owner": "all",
            "human operator": (
                "pause repair resume kill enroll revoke plant notify read_receipts overnight import_task decide "
                "authorize sign_in require_approval"
            ),
            "human watchdog": (
                "pause repair resume kill plant notify read_receipts overnight import_task decide "
                "authorize sign_in require_approval"
            ),
            "human observer": (
                "pause resume kill plant notify read_receipts overnight import_task decide "
                "authorize sign_in require_approval"
            ),
        }
    )


def test_each_tool_has_a_place_of_its_own_and_new_ones_come_last() -> None:
    assert list(TOOLS)[EVERYBODYS:] == snapshot(
        [
            "pause",
            "repair",
            "resume",
            "kill",
            "enroll",
            "revoke",
            "plant",
            "set_policy",
            "redact",
            "notify",
            "read_receipts",
            "overnight",
            "import_task",
            "decide",
            "authorize",
            "sign_in",
            "require_approval",
        ]
    )
    places = [tool.place for tool in TOOLS.values()]
    assert places == sorted(set(places))


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__.rpartition(".")[2])
def test_a_tool_is_in_the_file_of_its_acts_noun(noun: ModuleType) -> None:
    package = noun.__name__.replace("teamroom.tools", "teamroom.server.acts")
    assert noun.TOOLS
    for tool in noun.TOOLS:
        assert tool.does.run.__module__.startswith(f"{package}.")


@pytest.mark.parametrize(
    ("role", "more"),
    [
        (
            "operator",
            {"pause", "repair", "resume", "enroll", "revoke", "plant", "notify", "read_receipts", "overnight"},
        ),
        ("watchdog", {"pause", "repair", "read_receipts"}),
        ("observer", {"read_receipts"}),
        ("member", set()),
    ],
)
async def test_roles_see_the_tools_they_may_use(room: RunningRoom, role: str, more: set[str]) -> None:
    (member,) = await room.enroll("member-1", role=role)
    names = {tool.name for tool in (await member.client.list_tools()).tools}
    assert names - set(list(TOOLS)[:EVERYBODYS]) == more


async def test_a_room_owner_sees_every_tool_and_a_person_sees_those_of_the_switch(room: RunningRoom) -> None:
    owner = await room.owner()
    assert {tool.name for tool in (await owner.client.list_tools()).tools} == set(TOOLS)
    (hanna,) = await room.enroll("hanna", kind="human")
    assert {"pause", "resume", "kill", "overnight"} <= {tool.name for tool in (await hanna.client.list_tools()).tools}


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_described_in_one_or_two_sentences_without_shouting(name: str) -> None:
    tool = TOOLS[name].definition
    assert tool.description
    assert len(tool.description) <= DESCRIPTION_CHARACTERS
    assert tool.description[0] in string.ascii_uppercase
    assert "IMPORTANT" not in tool.description


@pytest.mark.parametrize("name", TOOLS)
def test_a_schema_has_no_titles_and_no_unions_with_null(name: str) -> None:
    text = json.dumps(TOOLS[name].definition.input_schema)
    assert '"title":' not in text.replace('"title": {', "")
    assert "anyOf" not in text
    assert "$ref" not in text
    assert "null" not in text


async def test_instructions_of_their_own_reach_agents_and_people_in_both_eras_and_fit(
    room_of_each_era: RunningRoom,
) -> None:
    owner = await room_of_each_era.owner()
    (agent,) = await room_of_each_era.enroll("agent")
    assert (agent.client.instructions, owner.client.instructions) == (FOR_AGENTS, FOR_PEOPLE)
    for instructions in (FOR_AGENTS, FOR_PEOPLE):
        assert len(instructions) <= INSTRUCTIONS_CHARACTERS
        assert "check_in" in instructions[:400]
    assert "wait" in FOR_PEOPLE
    assert "is not that word" in FOR_PEOPLE


CHAT_TOOLS = 20
"""How many tools a person's chat client shows at most."""


async def test_a_chat_client_shows_what_people_use_and_can_call_the_rest(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    token = (await owner("enroll", name="olga", chat=True))["token"]
    chat = await room.connect("chat", token)
    shown = {tool.name for tool in (await chat.client.list_tools()).tools}
    assert len(shown) <= CHAT_TOOLS
    assert {"check_in", "overnight", "pause", "resume", "kill", "post_message", "review_task"} <= shown
    hidden = {tool.name for tool in (await owner.client.list_tools()).tools} - shown
    assert "heartbeat" in hidden
    await chat("heartbeat")


HINTS = ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint")


def test_each_tool_has_a_title_and_all_hints() -> None:
    for tool in TOOLS.values():
        annotations = tool.definition.annotations
        assert tool.definition.title
        assert annotations is not None
        assert None not in [getattr(annotations, hint) for hint in HINTS]
    assert TOOLS["pause"].destroys is False
    assert TOOLS["pause"].idempotent is True


async def test_an_unknown_tool_is_refused_with_the_names_of_the_others(room: RunningRoom) -> None:
    owner = await room.owner()
    refusal = await owner.refused("delete_everything")
    assert refusal["code"] == "not_found"
    assert "check_in" in refusal["fix"]
