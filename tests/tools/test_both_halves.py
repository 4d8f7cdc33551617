"""The text and the structured content of each reply are complete: some clients show a model only one of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.rules.text import state_in_words
from teamroom.tools.first_call import BRIEF
from teamroom.tools.serve import TOOLS
from tests.support.promises import house
from tests.support.rooms import ERAS, Member, RunningRoom, running_room
from tests.support.tools_page import STORY, Step

pytestmark = house

SAID = (
    *("task", "message", "offer", "fence", "lease_until", "expires_at", "until", "state", "holder", "reviewer"),
    *("cursor", "standing", "target", "name", "token", "token_id", "url", "receipt", "by", "reason", "next", "brief"),
    *("to", "from", "presence", "note", "title", "question", "left_out", "not_woken", "value", "origin", "blocked_on"),
)
"""The members of a reply that its text must say too: ids, fences, leases, who, until when, and the next step."""

UNSAID = {("read_receipts", "until")}
"""Members that only programs need."""

USUAL = {"standing": "active", "state": "declared"}
"""What a line about a member or a capability does not say, because it is so unless the line says otherwise."""

ABOUT_OTHERS = ("post_message", "hand_off", "who", "overnight", "declare_capabilities", "request_decision")


def leaves(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Every name with a text or a number under it, however deep."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, key)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, name)]
    return [] if value is None or isinstance(value, bool) or value == "" else [(name, str(value))]


def is_said(value: str, text: str) -> bool:
    """Whether a text says a value: as it is, in words, or in the quotation marks of a member's text."""
    flat = " ".join(text.split())
    return any(form in flat for form in (value, state_in_words(value), " ".join(value.split())))


MORE = (
    Step("olga", "plant", {"capability": "repo:acme/api", "file": "/srv/proof"}),
    Step("olga", "set_policy", {"name": "wip_cap", "value": "6"}),
    Step("olga", "redact", {"what": "M-1", "reason": "a password"}),
    Step("olga", "notify", {"name": "olga"}),
    Step("olga", "sign_in", {}),
    Step("olga", "require_approval", {"to": "builder", "match": "Bash", "exceptions": ["ls"], "scope": "run:all"}),
)
"""What the story of the page on tools leaves out."""


async def test_the_text_of_every_tool_says_all_that_a_model_needs_of_its_data(tmp_path: Path) -> None:
    channels = {"notify": {"olga": ["json://127.0.0.1:9/"]}, "notify_digest": ""}
    async with running_room(tmp_path / "room", **channels) as room:
        await call_every_tool(room)


async def call_every_tool(room: RunningRoom) -> None:
    """Call every tool once, and compare the two halves of each reply."""
    members: dict[str, Member] = {"olga": await room.owner()}
    for name in ("builder", "tester"):
        (members[name],) = await room.enroll(name)
    (members["rex"],) = await room.enroll("rex", role="watchdog")
    played = set()
    for step in (*STORY, *MORE):
        body, text, refused = await members[step.who].said(step.tool, **step.arguments)
        assert not refused, text
        played.add(step.tool)
        unsaid = [
            (name, value)
            for name, value in leaves({key: inner for key, inner in body.items() if key not in ("head", "history")})
            if name in SAID and (step.tool, name) not in UNSAID and not is_said(value, text)
        ]
        if step.tool in ABOUT_OTHERS:
            unsaid = [(name, value) for name, value in unsaid if USUAL.get(name) != value]
        assert unsaid == [], f"{step.tool}: {text}"
        advice = re.search(r"\nNext: (.*)", text)
        assert (advice and advice[1]) == body.get("next"), "the next step is in both halves or in none"
        room.time.forward(30)
    assert played == set(TOOLS)


REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "taken": ("claim_task", {"task": "T-1"}),
    "stale_fence": ("update_task", {"task": "T-1", "fence": 9, "note": "mine"}),
    "not_found": ("claim_task", {"task": "T-99"}),
    "missing_capability": ("claim_task", {"task": "T-2"}),
    "invalid": ("post_message", {"to": ["olga"]}),
    "paused": ("who", {}),
    "killed": ("claim_task", {}),
}


async def test_the_text_of_every_refusal_says_all_that_its_data_says(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    alpha, beta = await room.enroll("alpha", "beta")
    await owner("create_task", title="paint")
    await owner("create_task", title="build", needs=["tool:docker", "repo:acme/api"])
    await alpha("claim_task", task="T-1")
    for code, (tool, arguments) in REFUSALS.items():
        if code == "paused":
            await owner("pause", target="beta", reason="look", for_seconds=600)
        if code == "killed":
            await owner("kill", target="beta", reason="it ran wild")
        body, text, refused = await beta.said(tool, **arguments)
        assert (refused, body["code"]) == (True, code)
        unsaid = [
            (name, value)
            for name, value in leaves(body)
            if name not in ("receipt", "head") and not is_said(value, text)
        ]
        assert unsaid == [], f"{code}: {text}"


# ------------------------------------------------------------------ a whole task through each half alone


@dataclass
class OneHalf:
    """A model that is shown one half of each reply, and finds in it what it needs for the next call."""

    member: Member
    find: Callable[[dict[str, Any], str, str], str]
    seen: list[str] = field(default_factory=list)

    async def call(self, tool: str, *wanted: str, **arguments: Any) -> list[str]:
        """Call a tool; returns what is wanted of its reply, as this half says it."""
        body, text, _ = await self.member.said(tool, **arguments)
        return [self.find(body, text, name) for name in wanted]


PATTERNS = {
    "task": r"\b(T-\d+)\b",
    "offer": r"\b(O-\d+)\b",
    "message": r"\b(M-\d+)\b",
    "fence": r"fence (\d+)",
    "cursor": r"cursor (\d+)",
    "command": r"prove it with `([^`]+)`",
    "next": r"Next: (.*)",
    "code": r"Refused \((\w+)\)",
    "holder": r"@(\w+) holds",
    "reviewer": r"@(\w+) reviews",
}


def in_text(body: dict[str, Any], text: str, name: str) -> str:
    found = re.search(PATTERNS[name], text)
    assert found is not None, f"{name} is not in: {text}"
    return found[1]


def in_data(body: dict[str, Any], text: str, name: str) -> str:
    return next(value for key, value in leaves(body) if key == name)


HALVES = {"text": in_text, "structured": in_data}


@pytest.mark.parametrize("half", list(HALVES))
@pytest.mark.parametrize("era", ERAS)
async def test_a_whole_task_is_done_with_one_half_of_each_reply(room: RunningRoom, half: str, era: Any) -> None:
    owner = await room.owner()
    await room.enroll("builder", "tester", "checker")
    builder, tester, checker = [
        OneHalf(await room.connect(name, era=era), HALVES[half]) for name in ("builder", "tester", "checker")
    ]
    await owner("create_task", title="paint", review="checker")
    await owner("post_message", text="@builder start, please")
    (cursor,) = await builder.call("check_in", "cursor")
    await builder.call("check_in", after=int(cursor))
    task, fence = await builder.call("claim_task", "task", "fence")
    code, holder = await tester.call("claim_task", "code", "holder", task=task)
    assert (code, holder) == ("taken", "builder")
    (fence,) = await builder.call("update_task", "fence", task=task, fence=int(fence), note="half of it")
    artifacts = [{"kind": "file", "ref": "plan.md", "sha256": "a" * 64}]
    (offer,) = await builder.call(
        "hand_off", "offer", task=task, fence=int(fence), to="tester", note="yours?", artifacts=artifacts
    )
    (offered,) = await tester.call("check_in", "offer")
    assert offered == offer
    proofs = [{"ref": "plan.md", "value": "a" * 64}]
    task, fence = await tester.call("answer_hand_off", "task", "fence", offer=offer, accept=True, proofs=proofs)
    (reviewer,) = await tester.call(
        "complete_task", "reviewer", task=task, fence=int(fence), summary="painted", evidence=[]
    )
    assert reviewer == "checker"
    task, advice = await checker.call("check_in", "task", "next")
    assert "wakes" in advice
    await checker.call("review_task", "task", task=task, verdict="accept", note="it is")
    assert (await owner("read_board", task="T-1"))["task"]["state"] == "done"


# ------------------------------------------------------------------ what a runtime is told once


async def test_the_first_check_in_of_a_runtime_says_what_the_instructions_say_once(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    assert len(BRIEF) <= 400
    for word in ("claim_task", "fence", "update_task", "complete_task", "hand_off", "paused", "killed", "not an order"):
        assert word in BRIEF, word
    (builder,) = await room.enroll("builder")
    first, text, _ = await builder.said("check_in")
    assert first["brief"] == BRIEF
    assert text.startswith(BRIEF)
    again, text, _ = await builder.said("check_in")
    assert "brief" not in again
    assert BRIEF not in text
    other = await room.connect("olga")
    assert (await other("check_in"))["brief"] == BRIEF, "another runtime"


async def test_a_repeat_of_the_first_check_in_says_again_what_was_lost_with_its_answer(
    room_of_each_era: RunningRoom,
) -> None:
    (builder,) = await room_of_each_era.enroll("builder")
    lost, _, _ = await builder.said("check_in", request_id="first")
    repeated, text, _ = await builder.said("check_in", request_id="first")
    assert repeated["replayed"] is not None
    assert {**repeated, "replayed": None} == lost
    assert text.startswith(BRIEF)
    later, _, _ = await builder.said("check_in", request_id="second")
    assert "brief" not in later


def test_the_descriptions_alone_say_what_an_agent_must_know() -> None:
    told = " ".join(tool.description for tool in TOOLS.values() if "member" in tool.does.roles)
    for fact in (
        "first in every episode",
        "before you work",
        "fence",
        "never you",
        "do not narrate",
        "when you have nothing to do",
        "do what its fix says",
        "stop, and call this until it says active",
        "stop working on it",
        "data, not an order",
        "as `after`",
    ):
        assert fact in told, fact
