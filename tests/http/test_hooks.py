"""The room's answers to the hooks of harnesses: a stop refuses an agent's own tools, and nothing else does (WAK3)."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx2
import pytest

from teamroom.server.rules.hooks import HARNESSES
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room

pytestmark = promise("WAK3", "CTL1")

REASON = "the disk is full"

ASKS = {
    "claude": {"hook_event_name": "PreToolUse", "tool_name": "Bash"},
    "codex": {"hook_event_name": "PreToolUse", "tool_name": "shell"},
    "copilot": {"timestamp": 1, "cwd": "/", "toolName": "bash", "toolArgs": "{}"},
    "gemini": {"hook_event_name": "BeforeTool", "tool_name": "run_shell_command"},
    "opencode": {"hook_event_name": "PreToolUse", "tool": "bash"},
    "qwen": {"hook_event_name": "PreToolUse", "tool_name": "run_shell_command"},
    "vibe": {"hook_event_name": "pre_tool", "tool_name": "file_system.bash"},
}
"""What each harness says before it runs a command."""

STOPS: dict[str, tuple[str, dict[str, str]]] = {
    "a pause of the member": ("pause", {"target": "builder", "reason": REASON}),
    "a pause of its owner's agents": ("pause", {"target": "owner:olga", "reason": REASON}),
    "a pause of the room": ("pause", {"target": "room", "reason": REASON}),
    "a kill": ("kill", {"target": "builder", "reason": REASON}),
    "a revoked token": ("revoke", {"name": "builder"}),
}


def reason_of(answer: dict[str, Any]) -> str:
    """Why an answer denies a tool, in whichever form; "" if it does not."""
    said = answer.get("hookSpecificOutput", answer)
    denies = "deny" in (said.get("permissionDecision"), said.get("decision"))
    return str(said.get("permissionDecisionReason") or said.get("reason")) if denies else ""


async def hooked(room: RunningRoom, format_: str, said: Any, token: str | None = None) -> httpx2.Response:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {"Authorization": f"Bearer {room.tokens['builder'] if token is None else token}"}
    return await room.raw("POST", f"/hooks/{format_}", content=body, headers=headers)


async def answer(room: RunningRoom, format_: str = "claude", said: Any = None) -> dict[str, Any]:
    """What a hook of the builder is answered."""
    found = await hooked(room, format_, ASKS[format_] if said is None else said)
    assert found.status_code == 200, found.text
    return dict(found.json())


def test_every_format_has_an_example() -> None:
    assert set(ASKS) == set(HARNESSES)


@pytest.mark.parametrize("format_", ASKS)
async def test_a_tool_that_may_run_is_not_mentioned_so_that_its_harness_still_asks_its_person(
    room: RunningRoom, format_: str
) -> None:
    await room.enroll("builder")
    assert await answer(room, format_) == {}


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("format_", ASKS)
async def test_every_stop_denies_in_the_harness_own_form_with_who_and_why_and_a_resume_ends_it(
    room: RunningRoom, format_: str, stop: str
) -> None:
    owner, (act, arguments) = await room.owner(), STOPS[stop]
    await room.enroll("builder")
    await owner(act, **arguments)
    denied = reason_of(await answer(room, format_))
    words = ["was revoked", "@olga"] if act == "revoke" else [REASON, "@olga"]
    assert all(word in denied for word in words), denied
    if act == "pause":
        await owner("resume", target=arguments["target"])
        assert await answer(room, format_) == {}


@pytest.mark.parametrize(
    ("format_", "form"),
    [
        ("claude", {"hookSpecificOutput", "continue", "stopReason"}),
        ("qwen", {"hookSpecificOutput", "continue", "stopReason"}),
        ("codex", {"hookSpecificOutput"}),
        ("gemini", {"decision", "reason", "continue", "stopReason"}),
        ("copilot", {"permissionDecision", "permissionDecisionReason"}),
        ("opencode", {"decision", "reason"}),
        ("vibe", {"decision", "reason"}),
    ],
)
async def test_a_kill_ends_the_run_of_a_harness_that_can_be_told_so(
    room: RunningRoom, format_: str, form: set[str]
) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("kill", target="builder", reason=REASON)
    found = await answer(room, format_)
    assert set(found) == form
    assert found.get("continue") in (None, False)


async def test_an_expired_token_is_denied_and_an_unknown_one_is_refused(room: RunningRoom) -> None:
    await room.enroll("builder", expires_seconds=60)
    room.time.forward(61)
    assert "has expired" in reason_of(await answer(room))
    for token in ("x", secrets.token_urlsafe(32)):
        found = await hooked(room, "claude", ASKS["claude"], token)
        assert found.status_code == 401
        assert "teamroom join" in found.text
        assert "www-authenticate" not in found.headers, "no harness is invited to sign in"


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "UTF-16": '{"tool_name": "Bash"}'.encode("utf-16"),
    "no UTF-8": b'{"tool_name": "\xff"}',
    "deep": b"[" * 5_000,
    "long": b'{"tool_name": "Write", "tool_input": "' + b"x" * 600_000 + b'"}',
    "too long": b"x" * 4_300_000,
    "other types": b'{"hook_event_name": 7, "tool_name": {"a": []}, "session_id": null}',
    "an event of a later release": b'{"hook_event_name": "BeforeEverything", "tool": "Bash"}',
    "another harness": b'{"event": "tool.before", "toolName": "bash"}',
    "a forged name": b'{"hook_event_name": "PreToolUse", "tool_name": "Bash", "actor": "olga", "agent": "olga"}',
}
"""What no version of a harness says, or a later one might."""


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("format_", ["claude", "copilot", "gemini"])
async def test_a_stop_does_not_depend_on_what_a_hook_says(room: RunningRoom, format_: str, name: str) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    assert await answer(room, format_, BODIES[name]) == {}
    await owner("pause", target="builder", reason=REASON)
    assert REASON in reason_of(await answer(room, format_, BODIES[name]))


async def test_a_stop_does_not_depend_on_how_often_a_harness_asks(tmp_path: Path) -> None:
    async with running_room(
        tmp_path / "room", acts_per_second=1, acts_burst=1, refusals_per_minute=1, open_calls=4
    ) as room:
        owner = await room.owner()
        await room.enroll("builder")
        for _ in range(50):
            assert await answer(room) == {}
        await owner("pause", target="builder", reason=REASON)
        for _ in range(50):
            assert REASON in reason_of(await answer(room))


OTHER_EVENTS = ("PostToolUse", "Notification", "UserPromptSubmit", "Stop", "SessionStart", "SessionEnd", "PreCompact")


@pytest.mark.parametrize("event", OTHER_EVENTS)
async def test_only_a_tool_that_is_about_to_run_is_denied(room: RunningRoom, event: str) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("pause", target="builder", reason=REASON)
    assert await answer(room, "claude", {"hook_event_name": event}) == {}


OWN_TOOLS = (
    "mcp__teamroom__heartbeat",
    "mcp_teamroom_heartbeat",
    "mcp_teamroom.heartbeat",
    "teamroom_heartbeat",
    "teamroom-heartbeat",
    "teamroom__heartbeat",
)
FOREIGN_TOOLS = (
    "Bash",
    "teamroom",
    "mcp__teamrooms__x",
    "myteamroom_x",
    "Bash(teamroom pause x)",
    "mcp__other__teamroom",
)


@pytest.mark.parametrize("tool", OWN_TOOLS)
async def test_the_room_refuses_its_own_tools_itself_as_long_as_the_member_lives(room: RunningRoom, tool: str) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("pause", target="builder", reason=REASON)
    assert await answer(room, "claude", {"hook_event_name": "PreToolUse", "tool_name": tool}) == {}
    await owner("kill", target="builder", reason=REASON)
    assert REASON in reason_of(await answer(room, "claude", {"hook_event_name": "PreToolUse", "tool_name": tool}))


async def test_a_harness_that_hides_why_a_tool_was_denied_gets_it_from_the_room_itself_after_a_kill(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("kill", target="builder", reason=REASON)
    asks = {"hook_event_name": "pre_tool", "tool_name": "mcp_teamroom.post_message"}
    assert await answer(room, "vibe", asks) == {}
    assert REASON in (await answer(room, "vibe", {**asks, "tool_name": "file_system.bash"}))["reason"]


@pytest.mark.parametrize("tool", FOREIGN_TOOLS)
async def test_no_other_tool_passes_as_one_of_the_room(room: RunningRoom, tool: str) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await owner("pause", target="builder", reason=REASON)
    assert REASON in reason_of(await answer(room, "claude", {"hook_event_name": "PreToolUse", "tool_name": tool}))


async def test_an_unknown_harness_and_another_method_are_refused_with_what_there_is(room: RunningRoom) -> None:
    await room.enroll("builder")
    found = await hooked(room, "emacs", {})
    assert found.status_code == 404
    assert "claude, codex" in found.text
    assert (await room.raw("GET", "/hooks/claude")).status_code == 405


# ------------------------------------------------------------------ what the room keeps of them


async def shown(room: RunningRoom) -> dict[str, Any]:
    """The builder on the roster, once what its harness reported is written."""
    await room.room.supervisor.tick()
    owner = await room.owner()
    return dict((await owner("who", name="builder"))["members"][0])


async def test_the_roster_shows_when_the_gate_was_seen_and_a_stop_says_what_it_reaches(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    assert (await shown(room))["harness"] is None
    paused = await owner("pause", target="builder", reason=REASON)
    assert "Does not reach its own tools" in paused["reaches"]
    await owner("resume", target="builder")
    await answer(room)
    harness = (await shown(room))["harness"]
    assert (harness["name"], harness["doing"], harness["tool"]) == ("claude", "working", "Bash")
    assert harness["gate"]
    paused = await owner("pause", target="builder", reason=REASON)
    assert "its own tools (claude asked" in paused["reaches"]
    assert "no listener runs it" in paused["reaches"]
    everybody = await owner("pause", target="room", reason=REASON)
    assert everybody["reaches"].startswith("Reaches the calls to the room of 1 agent, and the own tools of 1")


@promise("CTL3")
async def test_a_paused_members_gate_is_seen_and_nothing_else_of_it(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    await answer(room)
    before = (await shown(room))["harness"]
    await owner("pause", target="builder", reason=REASON)
    room.time.forward(60)
    await answer(room, "claude", {"hook_event_name": "PreToolUse", "tool_name": "Write"})
    after = (await shown(room))["harness"]
    assert after["gate"] > before["gate"]
    assert (after["tool"], after["since"]) == (before["tool"], before["since"])


async def test_events_without_a_tool_are_no_gate(room: RunningRoom) -> None:
    await room.enroll("builder")
    await answer(room, "claude", {"hook_event_name": "Stop"})
    harness = (await shown(room))["harness"]
    assert (harness["gate"], harness["doing"]) == (None, "idle")


DOINGS = {
    "working": {"hook_event_name": "PreToolUse", "tool_name": "Bash"},
    "permission": {"hook_event_name": "PermissionRequest", "tool_name": "Bash"},
    "person": {"hook_event_name": "Notification", "notification_type": "idle_prompt"},
    "compacting": {"hook_event_name": "PreCompact"},
    "idle": {"hook_event_name": "Stop"},
    "ended": {"hook_event_name": "SessionEnd"},
}


@pytest.mark.parametrize("doing", DOINGS)
async def test_the_roster_shows_what_a_harness_is_doing_since_when(room: RunningRoom, doing: str) -> None:
    await room.enroll("builder")
    await answer(room, "claude", DOINGS[doing])
    first = (await shown(room))["harness"]
    assert first["doing"] == doing
    room.time.forward(60)
    await answer(room, "claude", DOINGS[doing])
    assert (await shown(room))["harness"]["since"] == first["since"], "it goes on"
