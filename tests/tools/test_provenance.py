"""What a model is shown: nothing that a member wrote stands there as the room's own words (SAF2)."""

import json
from typing import Any

import pytest

from teamroom.resources.prompts import PROMPTS
from teamroom.resources.room import RESOURCES
from teamroom.tools.serve import TOOLS
from teamroom.tools.words.phrases import quote
from tests.support.descriptions import HELD, told
from tests.support.hostile import EVIL, LINE, LINES, TEXT, Shown, control, fill, free_texts, look, plant, unmarked
from tests.support.promises import promise
from tests.support.rooms import RunningRoom

pytestmark = promise("SAF2")

NAMES_AND_FILTERS = {
    *(
        "who.name",
        "who.after",
        "who.capability",
        "post_message.to",
        "declare_capabilities.attest_for",
        "hand_off.to",
        "read_messages.mentions",
    ),
    *(
        "create_task.assign",
        "create_task.review",
        "pause.target",
        "resume.target",
        "kill.target",
        "notify.name",
        "repair.name",
    ),
    *("read_board.query", "set_policy.name", "set_policy.value", "enroll.label", "revoke.label", "redact.what"),
    *("read_receipts.actor", "read_receipts.act", "read_receipts.subject"),
}
"""Texts that only find or set what is there already: nobody is shown them but who sends them."""


async def walked(room: RunningRoom) -> tuple[list[tuple[str, str]], set[str], set[str]]:
    """All words that four members are shown, what was called, and what was given a hostile text."""
    await room.enroll("mallory", "victim")
    await room.enroll("rex", role="watchdog")
    mallory, victim, olga, rex = [Shown(await room.connect(name)) for name in ("mallory", "victim", "olga", "rex")]
    await plant(olga)
    await fill(mallory, victim)
    await rex("declare_capabilities", capabilities=["runtime:victim"])
    await rex("repair", name="victim", found=LINE)
    await rex("repair", name="victim")
    await look(victim)
    await control(olga, mallory)
    await mallory("review_task", task="T-3", verdict="accept", note=TEXT)
    await olga("kill", target="mallory", reason=LINE)
    await olga("redact", what="M-2", reason=LINE)
    await look(victim)
    everybody = (mallory, victim, olga, rex)
    words = [pair for shown in everybody for pair in shown.words]
    return words, set().union(*(s.called for s in everybody)), set().union(*(s.fed for s in everybody))


async def test_texts_of_members_never_appear_as_words_of_the_room(room: RunningRoom) -> None:
    words, called, fed = await walked(room)
    assert "\n".join(f"{where}: {line}" for where, said in words for line in unmarked(said)) == ""
    assert free_texts() - NAMES_AND_FILTERS - fed == set(), "feed it a hostile text in tests/support/hostile.py"
    assert set(PROMPTS) <= called
    assert set(TOOLS) - called <= {"enroll", "revoke", "set_policy", "notify"}
    assert len([name for name in called if name.startswith("teamroom://")]) >= len(RESOURCES)
    shown = {where for where, said in words if EVIL in said}
    expected = {"check_in", "wait_for_wake", "who", "read_messages", "read_board", "claim_task", "read_receipts"}
    assert expected <= shown
    assert {"answer_hand_off (refused)", "claim_task (refused)", "check_in (refused)", "heartbeat"} <= shown


async def test_without_its_marks_a_members_text_would_be_found_out(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: quotations that are no quotations."""
    from teamroom.tools.words import messages, presence

    monkeypatch.setattr(messages, "quote", lambda text: text)
    monkeypatch.setattr(presence, "inline", lambda text: text)
    words, _, _ = await walked(room)
    found = {where for where, said in words if unmarked(said)}
    assert {"read_messages", "check_in", "wait_for_wake"} <= found
    assert quote("a\nb") == "> a\n> b"


@pytest.mark.parametrize("line", LINES)
def test_every_hostile_line_would_be_found_on_its_own(line: str) -> None:
    assert unmarked(line) == ([] if line.startswith("> ") else [line])


async def test_texts_of_members_never_enter_descriptions_or_instructions(room: RunningRoom) -> None:
    """No text of a member ever enters a name, a description, a schema or the instructions (attack 32)."""
    (before,) = await room.enroll("before")

    async def listed_now() -> Any:
        client = (await room.connect("before")).client
        listed = [
            (await client.list_tools()).model_dump(mode="json"),
            (await client.list_resources()).model_dump(mode="json"),
            (await client.list_resource_templates()).model_dump(mode="json"),
        ]
        return json.dumps([listed, client.instructions])

    at_first = await listed_now()
    await walked(room)
    assert await listed_now() == at_first
    assert EVIL not in at_first
    assert before.name == "before"


async def test_a_token_in_a_text_is_refused_and_leaves_nothing(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    token = room.tokens["builder"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("post_message", {"text": f"my token is {token}."}),
        ("post_message", {"text": "x", "summary": token.upper().replace("TR_", "tr_")}),
        ("create_task", {"title": "x", "detail": f"Authorization: Bearer {token}"}),
        ("declare_capabilities", {"capabilities": [f"tool:{token}"]}),
    ]
    for tool, arguments in calls:
        refusal = await builder.refused(tool, **arguments)
        assert refusal["code"] == "invalid"
        assert "Rotate that token" in refusal["fix"]
        assert token not in json.dumps(refusal)
    for path in room.folder.iterdir():
        assert token.encode() not in path.read_bytes()


async def test_a_text_that_only_resembles_a_token_is_accepted(room: RunningRoom) -> None:
    owner = await room.owner()
    for text in ("tr_" + "a" * 63, "a" * 64, "sk_live_" + "a" * 64, "TR_TOKEN", "str_" + "g" * 64):
        await owner("post_message", text=text)


def test_descriptions_for_models_change_only_on_purpose() -> None:
    assert told() == json.loads(HELD.read_text(encoding="utf-8")), (
        "what models are told has changed; if that is meant, run python -m tests.support.descriptions and read the diff"
    )
