"""Approvals: a local call that matches a rule passes once, after a person allowed exactly it, and never before."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import SHARED, read_statements
from tests.http.test_hooks import reason_of
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("DEC4")

PUSH = "git push origin main"
HOUR, DAY = 3600.0, 86_400.0

FORMS: dict[str, dict[str, Any]] = {
    "claude": {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": PUSH}},
    "codex": {"hook_event_name": "PreToolUse", "tool_name": "shell", "tool_input": {"command": ["bash", "-lc", PUSH]}},
    "copilot": {"toolName": "bash", "toolArgs": json.dumps({"command": PUSH, "description": "Push"})},
    "gemini": {"hook_event_name": "BeforeTool", "tool_name": "run_shell_command", "tool_input": {"command": PUSH}},
    "opencode": {"hook_event_name": "PreToolUse", "tool": "bash", "tool_input": {"command": PUSH}},
    "qwen": {"hook_event_name": "PreToolUse", "tool_name": "run_shell_command", "tool_input": {"command": PUSH}},
    "vibe": {"hook_event_name": "pre_tool", "tool_name": "file_system.bash", "tool_input": {"command": PUSH}},
}
"""What each harness says before it pushes."""


async def gate(room: RunningRoom, said: Any = None, format_: str = "claude", name: str = "builder") -> str:
    """Why a member's gate denies a call; "" if the call passes, which leaves the harness's own prompts."""
    body = said if isinstance(said, bytes) else json.dumps(FORMS[format_] if said is None else said).encode()
    headers = {"Authorization": f"Bearer {room.tokens[name]}"}
    found = await room.raw("POST", f"/hooks/{format_}", content=body, headers=headers)
    assert found.status_code == 200, found.text
    denied = reason_of(found.json())
    assert denied or found.json() == {}
    return denied


def bash(command: str, **more: Any) -> dict[str, Any]:
    """What Claude Code says before it runs a command."""
    given = {"command": command, "description": "Run a command"}
    return {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": given, "cwd": "/srv/app", **more}


async def ruled(room: RunningRoom, match: str = "Bash(git push*)", **more: Any) -> tuple[Member, Member]:
    """@olga, and her @builder, some of whose calls wait for a person."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("require_approval", to="builder", match=match, **more)
    return owner, builder


@pytest.mark.parametrize("format_", FORMS)
async def test_a_call_waits_passes_once_when_it_is_allowed_and_then_waits_again(
    room: RunningRoom, format_: str
) -> None:
    owner, _ = await ruled(room)
    denied = await gate(room, format_=format_)
    assert "D-1" in denied
    assert "@olga can decide" in denied
    assert "waits for D-1" in await gate(room, format_=format_), "it waits for the same decision"
    await owner("decide", decision="D-1", option="allow")
    assert await gate(room, format_=format_) == ""
    denied = await gate(room, format_=format_)
    assert "D-1 let this call pass once" in denied
    assert "D-2" in denied


async def test_a_call_that_matches_no_rule_passes_and_asks_nobody(room: RunningRoom) -> None:
    await ruled(room)
    before = len(room.entries())
    assert await gate(room, bash("git status")) == ""
    read = {"hook_event_name": "PreToolUse", "tool_name": "Read", "tool_input": {"file_path": "git push"}}
    assert await gate(room, read) == ""
    assert await gate(room, {**bash(PUSH), "hook_event_name": "PostToolUse"}) == ""
    own = {"hook_event_name": "PreToolUse", "tool_name": "mcp__teamroom__check_in", "tool_input": {}}
    assert await gate(room, own) == ""
    assert len(room.entries()) == before


OTHERS: dict[str, dict[str, Any]] = {
    "one more byte": bash(f"{PUSH} "),
    "another letter that looks the same": bash(PUSH.replace("o", "\N{CYRILLIC SMALL LETTER O}")),
    "a character that nobody sees": bash(f"{PUSH}\u200b"),
    "another folder": bash(PUSH, cwd="/srv/other"),
    "no folder": {k: v for k, v in bash(PUSH).items() if k != "cwd"},
    "another field": bash(PUSH) | {"tool_input": {**bash(PUSH)["tool_input"], "run_in_background": True}},
    "another type": bash(PUSH) | {"tool_input": {**bash(PUSH)["tool_input"], "timeout": 1.0}},
    "another description": bash(PUSH) | {"tool_input": {"command": PUSH, "description": "Look around"}},
    "another tool": {**bash(PUSH), "tool_name": "bash"},
    "another order of the same text": bash("git push main origin"),
}
"""Calls that are not the one that was allowed."""


@pytest.mark.parametrize("other", OTHERS)
async def test_no_other_call_passes_by_what_was_allowed(room: RunningRoom, other: str) -> None:
    owner, _ = await ruled(room, match="Bash")
    await gate(room, bash(PUSH))
    await owner("decide", decision="D-1", option="allow")
    assert "D-2" in await gate(room, OTHERS[other])
    assert await gate(room, bash(PUSH)) == "", "what was allowed still passes"


async def test_the_same_call_in_another_session_or_with_its_fields_in_another_order_is_the_same(
    room: RunningRoom,
) -> None:
    owner, _ = await ruled(room)
    await gate(room, bash(PUSH, session_id="one", tool_use_id="a"))
    await owner("decide", decision="D-1", option="allow")
    turned = {"cwd": "/srv/app", "tool_input": {"description": "Run a command", "command": PUSH}, "tool_name": "Bash"}
    assert await gate(room, {**turned, "session_id": "two", "hook_event_name": "PreToolUse"}) == ""


async def test_another_agent_does_not_pass_by_what_was_allowed_to_the_first(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await room.enroll("other")
    await owner("require_approval", to="other", match="Bash(git push*)")
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    assert "D-2" in await gate(room, name="other")
    assert await gate(room) == ""


@promise("DEC1")
async def test_the_decision_shows_the_exact_input_and_its_digest_is_bound_to_the_calls(room: RunningRoom) -> None:
    _, builder = await ruled(room)
    text = f"{PUSH} \N{RIGHT-TO-LEFT OVERRIDE}x\u200b \N{CYRILLIC SMALL LETTER ER}\n\x1b[31m“"
    await gate(room, bash(text))
    (shown,) = (await builder("check_in"))["decisions"]
    assert shown["question"].startswith("May @builder run this Bash call once? git push origin main")
    assert (shown["options"], shown["to"]) == (["allow", "refuse"], ["olga"])
    head, whole = shown["detail"].split("The whole input:\n")
    assert 'in the folder "/srv/app"' in head
    assert "\\u202ex\\u200b" in whole
    assert "\\u001b[31m" in whole
    assert json.loads(whole) == bash(text)["tool_input"], "nothing was left out, and nothing was changed"
    assert "U+0440 CYRILLIC SMALL LETTER ER" in head
    (artifact,) = shown["artifacts"]
    assert len(artifact["sha256"]) == 64
    (asked,) = [json.loads(e["detail"]) for e in room.entries() if e["act"] == "request_decision"]
    assert asked["artifacts"] == [artifact]
    assert asked["digest"] == shown["digest"]


async def test_the_agent_is_woken_with_the_answer_and_learns_why_it_was_refused(room: RunningRoom) -> None:
    owner, builder = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="refuse", note="not before Monday")
    assert [w["line"] for w in (await builder("check_in"))["wakes"]][-1] == (
        "@olga decided D-1: “refuse: not before Monday”"
    )
    denied = await gate(room)
    assert "D-1 was decided by @olga" in denied
    assert "not before Monday" in denied
    assert "D-2" not in await gate(room), "nobody is asked again"
    room.time.forward(HOUR + 1)
    assert "D-2" in await gate(room)


async def test_what_was_allowed_can_pass_for_a_day(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    room.time.forward(DAY + 1)
    assert "D-2" in await gate(room)


async def test_an_expired_decision_has_allowed_nothing_and_a_person_is_asked_again(room: RunningRoom) -> None:
    await ruled(room)
    await gate(room)
    await room.later(8 * DAY)
    denied = await gate(room)
    assert "D-1 expired" in denied
    assert "D-2" in denied


async def test_a_decision_that_its_agent_replaced_or_withdrew_lets_nothing_pass(room: RunningRoom) -> None:
    owner, builder = await ruled(room)
    await gate(room)
    await builder("request_decision", question="May I list files?", options=["allow", "refuse"], replaces="D-1")
    await owner("decide", decision="D-2", option="allow")
    assert "D-3" in await gate(room)
    await builder("request_decision", replaces="D-3")
    assert "D-4" in await gate(room)
    assert (await owner.refused("decide", decision="D-3", option="allow"))["code"] == "conflict"


async def test_a_decision_that_an_agent_words_itself_lets_nothing_pass(room: RunningRoom) -> None:
    owner, builder = await ruled(room)
    await gate(room)
    (asked,) = (await builder("check_in"))["decisions"]
    await builder(
        "request_decision",
        question="May @builder run this Bash call once? “git status”",
        options=["allow", "refuse"],
        detail="The whole input:\n{}",
        artifacts=asked["artifacts"],
    )
    await owner("decide", decision="D-2", option="allow")
    assert "waits for D-1" in await gate(room)


@promise("DEC2")
async def test_no_agent_allows_a_call_and_no_message_does(room: RunningRoom) -> None:
    owner, builder = await ruled(room)
    (boss,) = await room.enroll("boss", role="operator")
    await gate(room)
    for agent in (builder, boss):
        assert (await agent.refused("decide", decision="D-1", option="allow"))["code"] == "not_allowed"
    await owner("post_message", text="D-1: allow. Go on, push it.", to=["builder"])
    assert "waits for D-1" in await gate(room)


@pytest.mark.parametrize("count", [2, 8])
async def test_of_the_same_call_at_once_one_passes(room: RunningRoom, count: int) -> None:
    owner, _ = await ruled(room)
    assert len({(await gate(room))[-40:] for _ in range(2)}) == 1
    await owner("decide", decision="D-1", option="allow")
    answers = await asyncio.gather(*(gate(room) for _ in range(count)))
    assert answers.count("") == 1
    assert sum(e["act"] == "pass_call" for e in room.entries()) == 1


async def test_of_the_same_call_at_once_one_asks(room: RunningRoom) -> None:
    await ruled(room)
    answers = await asyncio.gather(*(gate(room) for _ in range(8)))
    assert all("D-1" in denied for denied in answers)
    assert sum(e["act"] == "request_decision" for e in room.entries()) == 1


async def test_it_waits_passes_and_stays_used_across_restarts(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await ruled(room)
        await gate(room)
        tokens = room.tokens
    async with running_room(tmp_path / "room") as room:
        room.tokens = tokens
        assert "waits for D-1" in await gate(room)
        await (await room.owner())("decide", decision="D-1", option="allow")
    async with running_room(tmp_path / "room") as room:
        room.tokens = tokens
        assert await gate(room) == ""
    async with running_room(tmp_path / "room") as room:
        room.tokens = tokens
        assert "D-2" in await gate(room)


# ------------------------------------------------------------------ stops


@promise("WAK3")
async def test_a_stop_comes_first_and_uses_nothing(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    await owner("pause", target="builder", reason="the disk is full")
    assert "the disk is full" in await gate(room)
    await owner("resume", target="builder")
    assert await gate(room) == ""


async def test_a_revived_agent_passes_by_nothing_that_was_allowed_before(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    await owner("kill", target="builder", reason="it ran wild")
    room.tokens["builder"] = (await owner("enroll", name="builder", revive=True))["token"]
    denied = await gate(room)
    assert "D-2" in denied
    assert "D-1 can no longer let this call pass." in denied
    assert "pass once, at" not in denied, "it never passed"


async def test_a_revived_agent_is_told_that_a_call_passed_before_it_was_killed(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    assert await gate(room) == ""
    await owner("kill", target="builder", reason="it ran wild")
    room.tokens["builder"] = (await owner("enroll", name="builder", revive=True))["token"]
    assert "D-1 let this call pass once, at" in await gate(room)


# ------------------------------------------------------------------ authorisations


@promise("AUT1", "AUT3")
async def test_with_an_authorisation_for_the_rules_scope_a_call_passes_and_counts_a_use(room: RunningRoom) -> None:
    owner, _ = await ruled(room, scope="push:app")
    await owner("authorize", to="builder", scope="push:app", uses=2)
    assert await gate(room) == ""
    assert await gate(room, bash(f"{PUSH} --force")) == ""
    assert "D-1" in await gate(room)
    passed = [e for e in room.entries() if e["act"] == "pass_call"]
    assert [e["subject"] for e in passed] == ["A-1", "A-1"]
    assert passed[1]["summary"] == "A Bash call of @builder passes by A-1: “git push origin main --force”"


@promise("AUT2")
async def test_a_revoked_authorisation_binds_the_very_next_call(room: RunningRoom) -> None:
    owner, _ = await ruled(room, scope="push:app")
    await owner("authorize", to="owner:olga", scope="push:app")
    assert await gate(room) == ""
    await owner("authorize", revoke="A-1")
    assert "D-1" in await gate(room)


async def test_an_authorisation_for_another_scope_or_for_a_rule_without_one_lets_nothing_pass(
    room: RunningRoom,
) -> None:
    owner, _ = await ruled(room, scope="push:app")
    await owner("authorize", to="builder", scope="push:other")
    assert "D-1" in await gate(room)
    await owner("authorize", to="builder", scope="push:app", uses=1)
    await owner("require_approval", to="owner:olga", match="Bash")
    assert "D-1" in await gate(room), "the second rule has no scope"
    await owner("decide", decision="D-1", option="allow")
    assert await gate(room) == ""
    assert (await owner("who", name="builder"))["members"][0]["authorizations"][0]["used"] == 0


# ------------------------------------------------------------------ rules


async def test_a_rule_binds_the_next_call_and_its_end_does_too(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    receipt = next(e["seq"] for e in room.entries() if e["act"] == "require_approval")
    await gate(room)
    await owner("require_approval", remove=receipt)
    assert await gate(room) == ""
    lines = [e["summary"] for e in room.entries() if e["act"] == "require_approval"]
    assert lines == [
        "@olga has calls of @builder wait for a person: “Bash(git push*)”",
        f"@olga removed rule {receipt} for @builder: “Bash(git push*)”",
    ]
    assert (await owner.refused("require_approval", remove=receipt))["code"] == "not_found"


async def test_everybody_sees_which_calls_of_an_agent_wait(room: RunningRoom) -> None:
    _, builder = await ruled(room, exceptions=["git push --dry-run"], scope="push:app")
    (rule,) = (await builder("who", name="builder"))["members"][0]["rules"]
    assert (rule["match"], rule["exceptions"], rule["scope"], rule["to"], rule["by"]) == (
        *("Bash(git push*)", ["git push --dry-run"], "push:app", "@builder", "olga"),
    )
    assert "its calls wait for a person: “Bash(git push*)”" in (await builder.said("who", name="builder"))[1]


async def test_people_set_rules_for_those_they_answer_for_and_agents_for_nobody(room: RunningRoom) -> None:
    owner, builder = await ruled(room)
    (hanna,) = await room.enroll("hanna", kind="human")
    (boss,) = await room.enroll("boss", role="operator")
    receipt = next(e["seq"] for e in room.entries() if e["act"] == "require_approval")
    for member in (builder, boss, hanna):
        assert (await member.refused("require_approval", to="builder", match="Bash"))["code"] == "not_allowed"
        assert (await member.refused("require_approval", remove=receipt))["code"] == "not_allowed"
    assert (await hanna("require_approval", to="owner:hanna", match="Bash"))["to"] == "owner:hanna"
    assert (await owner.refused("require_approval", to="hanna", match="Bash"))["code"] == "invalid"
    assert (await owner.refused("require_approval", to="owner:builder", match="Bash"))["code"] == "invalid"


@pytest.mark.parametrize(
    "given",
    [
        {"match": "Bash(git push*"},
        {"match": "Bash()"},
        {"match": "(git push*)"},
        {"match": "Bash(git p\N{LATIN SMALL LETTER U WITH DIAERESIS}sh)"},
        {"match": "Bash", "exceptions": ["git st\N{CYRILLIC SMALL LETTER A}tus"]},
        {"match": "Bash", "scope": "push"},
        {},
    ],
)
async def test_a_rule_that_would_mean_nothing_is_refused(room: RunningRoom, given: dict[str, Any]) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    refusal = await owner.refused("require_approval", to="builder", **given)
    assert refusal["code"] == "invalid"


@pytest.mark.parametrize("match", ["mcp__teamroom__post_message", "mcp__teamroom__*", "teamroom_who", "teamroom.*(x)"])
async def test_a_rule_that_means_only_tools_of_the_room_is_refused_with_what_to_do(
    room: RunningRoom, match: str
) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    refusal = await owner.refused("require_approval", to="builder", match=match)
    assert refusal["code"] == "invalid"
    assert "a call to the room never waits" in refusal["why"]
    assert "such as Bash" in refusal["fix"]


@pytest.mark.parametrize("match", ["mcp__*", "*", "Bash(teamroom*)", "mcp__myteamroom__x", "mcp__teamrooms__x"])
async def test_a_rule_that_also_means_other_tools_is_made(room: RunningRoom, match: str) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    assert (await owner("require_approval", to="builder", match=match))["receipt"]


async def test_the_same_rule_again_changes_nothing_and_an_exact_pattern_says_what_it_leaves_out(
    room: RunningRoom,
) -> None:
    owner, _ = await ruled(room)
    again = await owner("require_approval", to="builder", match="Bash(git push*)")
    assert (again["receipt"], again["note"]) == (None, "There is such a rule already.")
    exact = await owner("require_approval", to="builder", match="Bash(git push)")
    assert "“Bash(git push*)” also means what begins with it" in exact["note"]


@promise("SAF3")
async def test_each_agent_has_so_many_rules_and_so_many_calls_that_wait(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    for number in range(19):
        await owner("require_approval", to="builder", match=f"Bash(make {number})")
    assert (await owner.refused("require_approval", to="builder", match="Bash"))["code"] == "rate_limited"
    for number in range(10):
        assert f"D-{number + 1}" in await gate(room, bash(f"git push {number}"))
    denied = await gate(room, bash("git push 10"))
    assert "10 calls of yours wait for one already" in denied
    await owner("decide", decision="D-1", option="refuse")
    assert "D-11" in await gate(room, bash("git push 10"))


def test_the_calls_that_wait_are_found_from_the_open_decisions_of_their_member(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "room.db")
    migrate(connection, 0.0)
    statement = read_statements(SHARED)["count_open_approvals"]
    first, second = connection.execute(f"explain query plan {statement}", {"member": 1, "now": 1.0}).fetchall()
    connection.close()
    assert first["detail"].startswith("SEARCH decision USING INDEX decision_open (asker=?)")
    assert second["detail"].startswith("SEARCH approval USING")
    assert "(decision=?)" in second["detail"]


# ------------------------------------------------------------------ what cannot be shown or read


async def test_an_input_that_is_too_long_to_be_shown_cannot_be_allowed(room: RunningRoom) -> None:
    await ruled(room, match="Bash")
    denied = await gate(room, bash("x" * 12_001))
    assert "cannot be shown" in denied
    assert not [e for e in room.entries() if e["act"] == "request_decision"]


@promise("ID4")
async def test_an_input_with_a_token_of_the_room_is_refused_and_shown_to_nobody(room: RunningRoom) -> None:
    await ruled(room, match="Bash")
    token = room.tokens["builder"]
    for said in (bash(f"curl -H 'Authorization: Bearer {token}' x"), bash("ls", cwd=f"/x/{token}")):
        denied = await gate(room, said)
        assert "Take the token out" in denied
        assert token not in denied
    assert not [e for e in room.entries() if e["act"] == "request_decision"]


UNREADABLE: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": [],
    "no tool": {"hook_event_name": "PreToolUse", "tool_input": {"command": "ls"}},
    "no input": {"hook_event_name": "PreToolUse", "tool_name": "Bash"},
    "too long to read": b'{"tool_name": "Write", "tool_input": "' + b"x" * 600_000 + b'"}',
    "an event of a later release": {"hook_event_name": "BeforeEverything"},
}


@pytest.mark.parametrize("name", UNREADABLE)
@promise("SAF6")
async def test_a_call_that_cannot_be_read_does_not_pass_for_an_agent_with_rules(room: RunningRoom, name: str) -> None:
    await ruled(room, match="Bash")
    assert "does not tell the room what it does" in await gate(room, UNREADABLE[name])


async def test_a_call_that_the_room_fails_to_check_does_not_pass(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ruled(room)

    async def fail(*arguments: Any) -> Any:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(room.room.door, "act", fail)
        assert "failed to check this call" in await gate(room)
    assert "D-1" in await gate(room)


async def test_a_call_that_the_room_fails_to_read_does_not_pass(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ruled(room)

    def fail(said: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr("teamroom.server.door.hooks.read_call", fail)
    assert "failed to check this call" in await gate(room)


async def test_an_input_that_is_nested_too_deeply_does_not_pass(room: RunningRoom) -> None:
    await ruled(room, match="Bash")
    for depth in (50, 990, 5_000):
        nested = b"[" * depth + b"]" * depth
        said = b'{"tool_name": "Bash", "tool_input": {"command": "ls", "more": ' + nested + b"}}"
        assert await gate(room, said)


async def test_an_agent_that_calls_too_often_is_refused_and_does_not_pass(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", acts_per_second=1, acts_burst=3) as room:
        await ruled(room)
        answers = [await gate(room) for _ in range(8)]
        assert all(answers)
        assert "makes more than 1 acts a second" in answers[-1]


# ------------------------------------------------------------------ the record


@promise("LOG2")
async def test_each_pass_leaves_a_receipt_that_says_who_allowed_it(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="1")
    await gate(room)
    (passed,) = [e for e in room.entries() if e["act"] == "pass_call"]
    assert passed["subject"] == "D-1"
    assert passed["summary"] == ("A Bash call of @builder passes once: @olga allowed it in D-1: “git push origin main”")
    assert (json.loads(passed["detail"])["by"]) == "olga"


async def test_a_redacted_decision_lets_nothing_pass(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    await gate(room)
    await owner("decide", decision="D-1", option="allow")
    await owner("redact", what="D-1", reason="it shows a password")
    assert "D-2" in await gate(room)


@promise("LOG5")
async def test_a_redaction_removes_the_words_of_a_rule_from_the_reply_that_is_repeated(room: RunningRoom) -> None:
    owner, _ = await ruled(room)
    given = {"to": "builder", "match": "Bash", "exceptions": ["echo secret", "ls"], "request_id": "rule"}
    first = await owner("require_approval", **given)
    assert first["exceptions"] == ["echo secret", "ls"]
    posted = await owner("post_message", text="a secret", to=["builder"])
    await owner("redact", what=str(posted["receipt"]), reason="it shows a password")
    again = await owner("require_approval", **given)
    assert again["rule"] == first["rule"]
    assert (again["match"], again["exceptions"]) == ("(redacted)", ["(redacted)"])
