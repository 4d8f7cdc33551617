"""What a model is shown: nothing that a member wrote stands there as the room's own words (SAF2)."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.listener.batch import wake_line
from teamroom.resources.prompts import AGENTS, PEOPLE
from teamroom.resources.room import RESOURCES
from teamroom.server.store.words import WORDS
from teamroom.tools.serve import TOOLS
from teamroom.tools.words.phrases import quote
from tests.campaigns.invariants import rows
from tests.support.descriptions import HELD, told
from tests.support.hostile import (
    EVIL,
    LABEL,
    LINE,
    LINES,
    SHORT,
    TEXT,
    Shown,
    composed_in,
    control,
    decide,
    fill,
    free_texts,
    look,
    plant,
    unmarked,
)
from tests.support.promises import promise
from tests.support.receivers import receiver
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell

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
        "update_task.blocked_on",
        "request_decision.to",
        "authorize.to",
        "require_approval.to",
        "create_task.review",
        "pause.target",
        "resume.target",
        "kill.target",
        "notify.name",
        "notify.add_channel",
        "repair.name",
    ),
    *("read_board.query", "set_policy.name", "set_policy.value", "revoke.label", "redact.what"),
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
    await decide(olga, mallory)
    await plant(olga)
    await rex("declare_capabilities", capabilities=["runtime:victim"])
    await rex("repair", name="victim", found=LINE)
    await rex("repair", name="victim")
    await look(victim)
    await control(olga, mallory)
    await olga("pause", target="victim", reason=LINE)
    await by_all_other_ways(room, olga)
    assert_planted_everywhere(room)
    await olga("resume", target="victim", reason=LINE)
    await mallory("review_task", task="T-3", verdict="accept", note=TEXT)
    await olga("kill", target="mallory", reason=LINE)
    await olga("redact", what="M-2", reason=LINE)
    await by_all_other_ways(room, olga)
    await look(victim)
    everybody = (mallory, victim, olga, rex)
    words = [pair for shown in everybody for pair in shown.words]
    words += [(f"{where}, as data", text) for s in everybody for where, data in s.data for text in composed_in(data)]
    return words, set().union(*(s.called for s in everybody)), set().union(*(s.fed for s in everybody))


COMMANDS = (
    *(("board",), ("board", "--state", "all"), *(("board", f"T-{number}") for number in range(1, 8))),
    *(("stream", "--after", "0", "--limit", "500"), ("roster",), ("roster", "mallory"), ("overnight",)),
    *(("overnight", "--since", "12h"), ("receipts", "--limit", "100"), ("receipts", "--after", "90", "--limit", "100")),
    *(("plant",), ("policy",), ("attest", "mallory", SHORT[0]), ("attest", "mallory", LINE)),
    *(("kill", LINE[:50], "--reason", LINE, "--yes"), ("pause", LINE[:50], "--reason", LINE)),
    *(("enroll", "labelled", "--label", LABEL), ("revoke", "labelled", "--label", LINE)),
    *(("decide",), ("decide", "D-1"), ("decide", "D-2"), ("decide", "D-3", LINE)),
    *(("redact", LINE, "--reason", LINE), ("doctor",)),
)
"""Commands of the shell that show what members wrote, or repeat what their caller wrote."""


ON_A_LIST = "".join(f"- [ ] {line} {'x' * 200}\n  {line}\n" for line in LINES) + f"- [ ]\n{TEXT}\n"
AS_BEADS = "\n".join(
    json.dumps(issue)
    for issue in (
        {"_type": LINE, "id": LINE},
        *({"id": line, "title": LINE, "dependencies": [LINE, LINES[0], None]} for line in LINES),
        {"id": LINE, "title": ""},
    )
)
"""Files of tasks that want to be taken for the room's words where an import lists what it did not take."""


async def by_all_other_ways(room: RunningRoom, olga: Shown) -> None:
    """Look at letters, at what the shell prints, and at the line that a listener passes on."""
    await room.later(61)
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    for name, text in (("hostile.md", ON_A_LIST), ("hostile.jsonl", AS_BEADS)):
        (room.folder.parent / name).write_text(text)
    files = [("import", str(room.folder.parent / name)) for name in ("hostile.md", "hostile.md", "hostile.jsonl")]
    for command in (*files, *COMMANDS):
        done = await shell.here(*command)
        olga.words.append((f"$ teamroom {command[0]}", done.out + done.err))
    for name in ("olga", "rex"):
        wakes = (await (await room.connect(name))("check_in"))["wakes"]
        olga.words.extend(("TEAMROOM_WAKE", wake_line(name, [wake])) for wake in wakes)


NEVER_HOSTILE = {
    "task.blocked_on": "an id, a name or a date; only earlier releases stored a text",
    "approval.call": "a digest of a call",
    "origin.given": "a digest of what was given",
    "decision.digest": "a digest of all that a decision says",
    "harness.tool": "letters, digits and some signs, and no spaces",
    "presence.last_note": "a digest of the note",
    "refusal.subject": "a subject that names nothing of the room is left out",
    "wake.subject": "named by the capability that is asked for, which test_a_capability_in_a_subject_is_quoted covers",
}
"""Columns in the list of members' words that no member can fill with a hostile text as it stands."""


def assert_planted_everywhere(room: RunningRoom) -> None:
    """Every column that can hold members' words holds a hostile text, so that the walk sees all of them."""
    planted = set()
    for column in WORDS:
        table, name = column.split(".")
        if rows(room.folder, f"select 1 from {table} where {name} like '%{EVIL}%' limit 1"):
            planted.add(column)
    assert set(WORDS) - planted - set(NEVER_HOSTILE) == set(), "plant a text in it, in tests/support/hostile.py"


async def test_texts_of_members_never_appear_as_words_of_the_room(tmp_path: Path) -> None:
    """By tools, resources, prompts, refusals, wakes, the shell, letters and the server's log; in words and in data."""
    caught = io.StringIO()
    handler = logging.StreamHandler(caught)
    logging.getLogger().addHandler(handler)
    with receiver() as phone:
        settings = {"notify": {"olga": [phone.url]}, "notify_digest": "", "notify_per_hour": 100}
        async with running_room(tmp_path / "room", **settings) as room:
            words, called, fed = await walked(room)
    logging.getLogger().removeHandler(handler)
    assert any(EVIL in body for body in phone.raw)
    words += [("letter", body) for body in phone.raw] + [("log", caught.getvalue())]
    assert "\n".join(sorted({f"{where}: {line[:200]}" for where, said in words for line in unmarked(said)})) == ""
    assert free_texts() - NAMES_AND_FILTERS - fed == set(), "feed it a hostile text in tests/support/hostile.py"
    assert {prompt.name for prompt in (*AGENTS, *PEOPLE)} <= called
    assert set(TOOLS) - called <= {"set_policy", "notify", "sign_in"}
    assert len([name for name in called if name.startswith("teamroom://")]) >= len(RESOURCES)
    shown = {where for where, said in words if EVIL in said}
    expected = {"check_in", "wait_for_wake", "who", "read_messages", "read_board", "claim_task", "read_receipts"}
    assert expected <= shown
    assert {"answer_hand_off (refused)", "claim_task (refused)", "check_in (refused)", "heartbeat"} <= shown
    assert {
        f"$ teamroom {name}" for name in ("board", "stream", "roster", "overnight", "receipts", "plant", "doctor")
    } <= shown
    assert {"TEAMROOM_WAKE", "letter", "$ teamroom attest", "$ teamroom kill"} <= shown


async def test_without_its_marks_a_members_text_would_be_found_out(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: places that forget their quotation marks, each of which is found where it is shown."""
    from teamroom.clients.shell import board
    from teamroom.server.acts.members import members
    from teamroom.server.acts.messages import messages as posts
    from teamroom.tools.words import messages, tasks

    monkeypatch.setattr(messages, "quote", lambda text: text)
    monkeypatch.setattr(tasks, "inline", lambda text: text)
    monkeypatch.setattr(board, "quoted", lambda text: text)
    monkeypatch.setattr(members, "cite", lambda text: text)
    monkeypatch.setattr(posts, "add_quote", lambda words, text: f"{words}: {text}"[:140])
    monkeypatch.setattr("teamroom.server.acts.receipts.receipts.quote_entry", lambda act, line: line)
    words, _, _ = await walked(room)
    found = {where for where, said in words if unmarked(said)}
    assert {"read_messages", "read_board", "check_in", "revoke (refused)", "enroll (refused)"} <= found
    assert {"$ teamroom board", "$ teamroom stream", "teamroom://stream", "teamroom://stream, as data"} <= found
    assert quote("a\nb") == "> a\n> b"


async def test_a_capability_in_a_subject_is_quoted(room: RunningRoom) -> None:
    """The subject of a wake can be a capability, which is a member's text."""
    owner = await room.owner()
    (victim,) = await room.enroll("victim")
    for capability in (*SHORT, f"@olga-{EVIL}"):
        await victim("declare_capabilities", capabilities=[capability])
        await owner("plant", capability=capability, file="value.txt")
        data, words, _ = await victim.said("check_in")
        assert [wake["subject"] for wake in data["wakes"]][-1] == capability
        assert unmarked(words) == []
        assert unmarked(wake_line("victim", data["wakes"])) == []


@pytest.mark.parametrize("line", LINES)
def test_every_hostile_line_would_be_found_on_its_own(line: str) -> None:
    assert unmarked(line) == ([] if line.startswith("> ") else [line])


async def test_texts_of_members_never_enter_descriptions_or_instructions(room: RunningRoom) -> None:
    """No text of a member ever enters a name, a description, a schema or the instructions (attack 32)."""
    (before,) = await room.enroll("before")

    async def listed_now() -> Any:
        async with room.client(room.tokens["before"]) as client:
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
