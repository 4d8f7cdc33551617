"""A person confirms what cannot be taken back, in clients of both eras, and exactly that is done (CTL7)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

from teamroom.server.door import confirmations
from teamroom.server.rules.names import AT, LONGEST_NAME
from teamroom.tools.danger import SAID_FIRST
from teamroom.tools.serve import TOOLS
from tests.record.test_backups import back_up, put_back
from tests.support.bounds import BOUND_SECONDS
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, MODERN
from tests.support.rooms import Member, RunningRoom, running_room
from tests.support.visitors import visitor

pytestmark = promise("CTL7")

Answer = Callable[[types.ElicitRequestParams], types.ElicitResult]


def yes(params: types.ElicitRequestParams) -> types.ElicitResult:
    """Accept, and type the name that the question wants typed."""
    assert isinstance(params, types.ElicitRequestFormParams)
    fields = params.requested_schema["properties"]
    typed = {name: field["title"].split(" ")[3] for name, field in fields.items()}
    return types.ElicitResult(action="accept", content=typed)


def accepted(**content: Any) -> Answer:
    return lambda _: types.ElicitResult(action="accept", content=content)


NOS: dict[str, Answer] = {
    "nothing typed": accepted(),
    "an empty name": accepted(name=" "),
    "another name": accepted(name="other"),
    "a name and more": accepted(name="bot please"),
    "a number": accepted(name=1),
    "a tick": accepted(confirm=True),
    "declined": lambda _: types.ElicitResult(action="decline"),
    "cancelled": lambda _: types.ElicitResult(action="cancel"),
}


@contextlib.asynccontextmanager
async def person(room: RunningRoom, token: str, answer: Answer) -> AsyncIterator[tuple[Member, list[str]]]:
    """A member in a client that can ask; and the questions that its person was asked."""
    asked: list[str] = []

    async def ask(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return answer(params)

    async with (
        httpx2.AsyncClient(verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(
            streamable_http_client(f"{room.url}/mcp", http_client=http), mode=room.era, elicitation_callback=ask
        ) as client,
    ):
        yield Member("olga", client), asked


async def chat_token(room: RunningRoom) -> str:
    """A token of the owner for a chat client."""
    owner = await room.owner()
    return str((await owner("enroll", name="olga", chat=True))["token"])


async def standing(room: RunningRoom, name: str) -> str:
    """What holds for a member now."""
    owner = await room.owner()
    (member,) = (await owner("who", name=name))["members"]
    return str(member["standing"])


async def test_a_kill_asks_first_and_is_carried_out_after_a_yes(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    await room.enroll("bot", "other")
    async with person(room, room.owner_token, yes) as (owner, asked):
        killed = await owner("kill", target="bot", reason="it went wrong")
    assert (killed["target"], killed["standing"]) == ("bot", "killed")
    (question,) = asked
    assert question.startswith("Kill @bot for good?")
    assert "it went wrong" in question
    assert await standing(room, "other") == "active"


@pytest.mark.parametrize("name", ["bot", "@bot", " BOT ", f"{AT[1]}Bot"])
async def test_a_kill_wants_the_name_typed_in_any_case(room: RunningRoom, name: str) -> None:
    await room.enroll("bot")
    async with person(room, room.owner_token, accepted(name=name)) as (owner, _):
        assert (await owner("kill", target="bot", reason="it went wrong"))["standing"] == "killed"


@pytest.mark.parametrize("no", NOS)
async def test_without_a_yes_nothing_is_done(room_of_each_era: RunningRoom, no: str) -> None:
    room = room_of_each_era
    await room.enroll("bot")
    async with person(room, room.owner_token, NOS[no]) as (owner, asked):
        refused = await owner.refused("kill", target="bot", reason="it went wrong")
    assert refused["code"] == "not_allowed"
    assert "Nothing was done" in refused["why"]
    assert len(asked) == 1
    assert await standing(room, "bot") == "active"


async def test_no_confirmation_is_asked_for_an_act_that_would_be_refused(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    async with person(room, room.owner_token, yes) as (owner, asked):
        assert (await owner.refused("kill", target="nobody", reason="x"))["code"] == "not_found"
        assert (await owner.refused("kill", target="olga", reason="x"))["code"] == "not_allowed"
        assert (await owner.refused("kill", target="room", reason="x"))["code"] == "invalid"
    assert asked == []


async def test_a_client_that_cannot_ask_kills_at_once_as_the_shell_does(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    await room.enroll("bot")
    owner = await room.owner()
    assert (await owner("kill", target="bot", reason="it went wrong"))["standing"] == "killed"


async def test_a_pause_is_always_one_call(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    await room.enroll("bot")
    async with person(room, await chat_token(room), NOS["declined"]) as (owner, asked):
        assert (await owner("pause", target="bot", reason="looking"))["standing"] == "paused"
    assert asked == []


DANGEROUS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("kill", {"target": "bot", "reason": "it's wrong"}, """teamroom kill bot --reason 'it'"'"'s wrong'"""),
    ("resume", {"target": "room", "reason": "done"}, "teamroom resume room --reason done"),
    ("enroll", {"name": "new", "role": "operator"}, "teamroom enroll new --role operator"),
    ("enroll", {"name": "bot", "rotate": True}, "teamroom enroll bot --rotate"),
    ("revoke", {"name": "bot"}, "teamroom revoke bot"),
    ("set_policy", {"name": "wip_cap", "value": "3"}, "teamroom policy wip_cap 3"),
    ("redact", {"what": "M-1", "reason": "a password"}, "teamroom redact M-1 --reason 'a password'"),
    ("authorize", {"to": "bot", "scope": "deploy:x", "until": 60}, "teamroom authorize bot deploy:x --until 60s"),
    ("authorize", {"revoke": "A-1"}, "teamroom authorize --revoke A-1"),
    (
        "require_approval",
        {"to": "bot", "match": "Bash", "exceptions": ["git log *", "ls"], "scope": "run:all"},
        "teamroom rules bot Bash --except 'git log *' --except ls --scope run:all",
    ),
    ("decide", {"decision": "D-1", "option": "yes", "note": "now"}, "teamroom decide D-1 yes --note now"),
)
TYPED = {"kill"}
"""The tools whose question has a field; for all others, to accept is the yes."""

SAYS_FIRST = {
    "kill": ("Kill @bot for good?",),
    "resume": ("Resume room?",),
    "enroll new": ("Add @new as agent with the role operator?",),
    "enroll bot": ("Give @bot a new token?",),
    "revoke": ("Revoke every token of @bot?",),
    "set_policy": ("Set wip_cap to 3?",),
    "redact": ("Redact the content of M-1?", "cannot be undone"),
    "authorize bot": ("Let @bot do “deploy:x” for 60 s?",),
    "authorize None": ("Revoke A-1?",),
    "require_approval bot": ("Have calls of @bot wait for a person? “Bash”",),
    "decide": ("Decide D-1 with “yes”",),
}
"""What the first characters of each question say: clients cut the rest."""


@pytest.mark.parametrize(("tool", "arguments", "command"), DANGEROUS)
async def test_from_a_chat_token_each_dangerous_act_is_asked_about(
    room_of_each_era: RunningRoom, tool: str, arguments: dict[str, Any], command: str
) -> None:
    room = room_of_each_era
    (bot,) = await room.enroll("bot")
    await bot("post_message", text="the password is swordfish")
    await bot("request_decision", question="Deploy?")
    await (await room.owner())("authorize", to="bot", scope="deploy:x")
    async with person(room, await chat_token(room), yes) as (owner, asked):
        await owner(tool, **arguments)
    (question,) = asked
    said = SAYS_FIRST.get(tool) or SAYS_FIRST[f"{tool} {arguments.get('name', arguments.get('to'))}"]
    assert all(words in question[:SAID_FIRST] for words in said), question


def test_only_a_kill_has_a_field_and_every_dangerous_tool_is_asked_about() -> None:
    dangerous = {tool.name: tool.danger for tool in TOOLS.values() if tool.danger is not None}
    assert {name for name, danger in dangerous.items() if danger.typed is not None} == TYPED
    assert set(dangerous) == {tool for tool, _, _ in DANGEROUS}


@pytest.mark.parametrize("tool", sorted({tool for tool, _, _ in DANGEROUS}))
def test_a_question_says_what_happens_to_whom_before_it_is_cut_for_the_longest_names(tool: str) -> None:
    longest = "n" * LONGEST_NAME
    arguments = next(dict(arguments) for name, arguments, _ in DANGEROUS if name == tool)
    arguments |= {name: longest for name in ("target", "name") if name in arguments and tool != "set_policy"}
    danger = TOOLS[tool].danger
    assert danger is not None
    question = danger.question(TOOLS[tool].arguments.model_validate(arguments))
    assert "?" in question[:SAID_FIRST]


@pytest.mark.parametrize(("tool", "arguments", "command"), DANGEROUS)
async def test_a_chat_token_whose_client_cannot_ask_gets_the_shell_command_to_run(
    room_of_each_era: RunningRoom, tool: str, arguments: dict[str, Any], command: str
) -> None:
    room = room_of_each_era
    (bot,) = await room.enroll("bot")
    await bot("post_message", text="the password is swordfish")
    await bot("request_decision", question="Deploy?")
    await (await room.owner())("authorize", to="bot", scope="deploy:x")
    mute = await room.connect("chat", await chat_token(room))
    before = room.entries()[-1]["seq"]
    refused = await mute.refused(tool, **arguments)
    assert refused["code"] == "not_allowed"
    page, _, shell = refused["fix"].partition(". Or run in a shell: ")
    assert shell == command
    assert page.startswith(f"On the page: {room.url}/")
    assert [entry["outcome"] for entry in room.entries()[before:]] in ([], ["refused"])
    if tool == "resume":
        await (await room.owner())("pause", target="room", reason="there is a button where something is paused")
    async with visitor(room) as browser:
        shown = await browser.get(page.removeprefix(f"On the page: {room.url}"))
        assert f"/act/{tool}" in {form.action for form in shown.forms}, "the page has the form for it"


async def test_the_question_says_which_rights_a_member_gets(room: RunningRoom) -> None:
    await room.enroll("pia", kind="human")
    async with person(room, await chat_token(room), yes) as (owner, asked):
        await owner("enroll", name="pia", label="second", role="owner")
        await owner("revoke", name="pia", issued=True)
    assert asked == [
        "Add @pia as agent with the role owner? Anyone with the token can act as @pia. A member of this name gets "
        "another token.",
        "Revoke every token of @pia, and every token that it issued? Its open connections end at once.",
    ]
    assert room.entries()[-2]["summary"].startswith("@olga gave @pia a new token and the role owner with the label")


async def test_other_tokens_must_confirm_only_irreversible_acts(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    async with person(room, room.owner_token, NOS["declined"]) as (owner, asked):
        await owner("enroll", name="new")
        await owner("set_policy", name="wip_cap", value="3")
        await owner("revoke", name="new")
        assert asked == []
        await owner("post_message", text="a password")
        await owner.refused("redact", what="M-1", reason="a password")
        assert len(asked) == 1


async def test_a_member_that_is_stopped_between_question_and_answer_does_nothing(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    room.tokens["second"] = (await (await room.owner())("enroll", name="second", kind="human", role="owner"))["token"]
    await room.enroll("bot")
    first = await room.owner()
    stopped = anyio.Event()

    async def pause_meanwhile() -> None:
        await first("pause", target="second", reason="looking")
        stopped.set()

    async with anyio.create_task_group() as tasks:

        async def ask(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
            tasks.start_soon(pause_meanwhile)
            await stopped.wait()
            return yes(params)

        async with (
            httpx2.AsyncClient(
                verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {room.tokens['second']}"}, timeout=60
            ) as http,
            Client(
                streamable_http_client(f"{room.url}/mcp", http_client=http), mode=room.era, elicitation_callback=ask
            ) as client,
        ):
            result: Any = await client.call_tool("kill", {"target": "bot", "reason": "too late"})
    assert result.is_error
    assert result.structured_content["code"] in ("paused", "not_allowed")
    assert await standing(room, "bot") == "active"


# ------------------------------------------------------------------ what a client sends back is not trusted


def kill_call(target: str, **more: Any) -> dict[str, Any]:
    """A raw call of a modern client that can ask."""
    meta = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
    arguments = {"target": target, "reason": "it went wrong"}
    return {"name": "kill", "arguments": arguments, "_meta": meta, **more}


async def call(room: RunningRoom, token: str, params: dict[str, Any]) -> dict[str, Any]:
    """One modern call as it is."""
    answer = await room.raw(
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "kill",
        },
        content=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode(),
    )
    return dict(answer.json())


def said_yes(target: str = "bot") -> dict[str, Any]:
    """The answer of a person who typed the name."""
    return {"inputResponses": {"confirm": {"action": "accept", "content": {"name": target}}}}


YES = said_yes()


async def test_an_answer_counts_only_for_the_question_that_was_asked(room: RunningRoom) -> None:
    await room.enroll("bot", "other")
    owner = await room.owner()
    second = (await owner("enroll", name="second", kind="human", role="owner"))["token"]
    state = (await call(room, room.owner_token, kill_call("bot")))["result"]["requestState"]
    forged = {
        "no state": (room.owner_token, kill_call("bot", **YES)),
        "another target": (room.owner_token, kill_call("other", requestState=state, **said_yes("other"))),
        "another member": (second, kill_call("bot", requestState=state, **YES)),
        "made up": (room.owner_token, kill_call("bot", requestState="confirm", **YES)),
        "changed": (room.owner_token, kill_call("bot", requestState=state[:-4] + "AAAA", **YES)),
        "no answer": (room.owner_token, kill_call("bot", requestState=state)),
    }
    for how, (token, params) in forged.items():
        reply = await call(room, token, params)
        done = reply.get("result", {})
        assert "error" in reply or done.get("isError") or done.get("resultType") == "input_required", how
        assert await standing(room, "bot") == "active", how
        assert await standing(room, "other") == "active", how
    assert (
        "structuredContent"
        in (await call(room, room.owner_token, kill_call("bot", requestState=state, **YES)))["result"]
    )
    assert await standing(room, "bot") == "killed"


async def ask_to_kill(room: RunningRoom, target: str = "bot") -> str:
    """The state of a question, which the client sends back with the answer."""
    return str((await call(room, room.owner_token, kill_call(target)))["result"]["requestState"])


async def answer(room: RunningRoom, state: str, target: str = "bot", **meta: str) -> dict[str, Any]:
    """What becomes of a yes: the reply of the act, or the refusal."""
    params = kill_call(target, requestState=state, **said_yes(target))
    params["_meta"] |= meta
    return dict((await call(room, room.owner_token, params))["result"]["structuredContent"])


async def test_a_confirmation_is_used_up_by_the_act_it_was_given_for(room: RunningRoom) -> None:
    await room.enroll("bot")
    owner = await room.owner()
    state = await ask_to_kill(room)
    assert (await answer(room, state))["standing"] == "killed"
    room.tokens["bot"] = (await owner("enroll", name="bot", revive=True))["token"]
    again = await answer(room, state)
    assert (again["code"], "used up" in again["why"]) == ("not_allowed", True)
    assert await standing(room, "bot") == "active"
    assert (await answer(room, await ask_to_kill(room)))["standing"] == "killed"


async def test_a_confirmation_whose_use_is_not_kept_would_kill_twice(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: the same calls find a room that does not remember which answers it has used."""
    monkeypatch.setattr(confirmations.Writing, "run_counted", _forgetful(confirmations.Writing.run_counted))
    await room.enroll("bot")
    state = await ask_to_kill(room)
    await answer(room, state)
    await (await room.owner())("enroll", name="bot", revive=True)
    assert (await answer(room, state))["standing"] == "killed"


def _forgetful(run: Any) -> Any:
    return lambda tx, name, /, **given: 1 if name == "use_confirmation" else run(tx, name, **given)


async def test_a_confirmation_of_an_act_that_was_refused_is_not_used_up(room: RunningRoom) -> None:
    owner = await room.owner()
    second = (await owner("enroll", name="second", kind="human", role="owner"))["token"]
    state = (await call(room, second, kill_call("olga")))["result"]["requestState"]
    yes_to_it = kill_call("olga", requestState=state, **said_yes("olga"))
    await owner("pause", target="second", reason="looking")
    assert (await call(room, second, yes_to_it))["result"]["structuredContent"]["code"] == "paused"
    await owner("resume", target="second", reason="go on")
    assert (await call(room, second, yes_to_it))["result"]["structuredContent"]["standing"] == "killed"


async def test_a_repeat_of_a_confirmed_call_returns_the_first_reply(room: RunningRoom) -> None:
    await room.enroll("bot")
    state = await ask_to_kill(room)
    first = await answer(room, state, **{"teamroom/request-id": "one"})
    again = await answer(room, state, **{"teamroom/request-id": "one"})
    assert (again["receipt"], again["replayed"] is not None) == (first["receipt"], True)


@promise("SAF12")
async def test_a_confirmation_lasts_for_its_seconds_of_room_time_whatever_the_clock_on_the_wall_says(
    room: RunningRoom,
) -> None:
    await room.enroll("bot", "other")
    for target, steps, passes, outcome in (
        ("bot", 90 * 86_400, 118, "killed"),
        ("other", -90 * 86_400, 121, "active"),
    ):
        state = await ask_to_kill(room, target)
        room.time.step(steps)
        room.time.forward(passes)
        answered = await answer(room, state, target)
        assert answered.get("code") == (None if outcome == "killed" else "expired")
        assert await standing(room, target) == outcome


@promise("SAF12")
async def test_an_answer_that_comes_after_the_machine_slept_is_too_late(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    await room.enroll("bot")

    def yes_after_a_sleep(params: types.ElicitRequestParams) -> types.ElicitResult:
        room.time.sleep(121)
        return yes(params)

    async with person(room, room.owner_token, yes_after_a_sleep) as (owner, asked):
        assert (await owner.refused("kill", target="bot", reason="it went wrong"))["code"] == "expired"
    assert len(asked) == 1
    assert await standing(room, "bot") == "active"


async def test_a_confirmation_from_before_a_restore_is_void(tmp_path: Path) -> None:
    """The restored room does not know which answers were used after its backup."""
    async with running_room(tmp_path / "room") as room:
        await room.enroll("bot")
        backup = back_up(room.folder)
        state = await ask_to_kill(room)
    put_back(room.folder, backup)
    async with running_room(tmp_path / "room") as room:
        assert (await answer(room, state))["code"] == "expired"
        assert await standing(room, "bot") == "active"


async def test_a_question_outlives_the_server(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("bot")
        state = (await call(room, room.owner_token, kill_call("bot")))["result"]["requestState"]
    async with running_room(tmp_path / "room") as room:
        await call(room, room.owner_token, kill_call("bot", requestState=state, **YES))
        assert await standing(room, "bot") == "killed"


async def test_an_answer_from_another_room_has_no_effect(tmp_path: Path, room: RunningRoom) -> None:
    await room.enroll("bot")
    async with running_room(tmp_path / "other") as other:
        await other.enroll("bot")
        state = (await call(other, other.owner_token, kill_call("bot")))["result"]["requestState"]
    assert "error" in await call(room, room.owner_token, kill_call("bot", requestState=state, **YES))
    assert await standing(room, "bot") == "active"


async def test_the_room_does_not_wait_forever_for_a_person_that_never_answers(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", era="legacy", confirm_seconds=1) as room:
        await room.enroll("bot")

        async def ask(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
            await anyio.sleep_forever()
            raise AssertionError

        async with (
            asyncio.timeout(BOUND_SECONDS),
            httpx2.AsyncClient(
                verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {room.owner_token}"}, timeout=60
            ) as http,
            Client(
                streamable_http_client(f"{room.url}/mcp", http_client=http), mode="legacy", elicitation_callback=ask
            ) as client,
        ):
            result: Any = await client.call_tool("kill", {"target": "bot", "reason": "x"})
        assert "no answer came" in result.content[0].text
        assert await standing(room, "bot") == "active"


async def test_the_trial_of_an_act_before_a_question_leaves_nothing(room: RunningRoom) -> None:
    await room.enroll("bot")
    before = room.entries()
    await call(room, room.owner_token, kill_call("bot"))
    assert room.entries() == before
    owner = await room.owner()
    message = await owner("post_message", text="the next number")
    assert message["receipt"] == before[-1]["seq"] + 1
