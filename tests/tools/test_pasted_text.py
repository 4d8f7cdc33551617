"""Pasted terminal output in every text of every tool: what steers or hides is removed, and the reply says so (SAF8)."""

from pathlib import Path
from typing import Any

from tests.support.promises import promise
from tests.support.raw import Raw, reply
from tests.support.room_in_thread import room_in_thread
from tests.support.rooms import Member, RunningRoom

pytestmark = promise("SAF8")

PASTED = (
    "\x1b[31mFAILED\x1b[0m tests/x.py\u200b\u202e\r\n\x1b]8;;http://x.io\x07log\x1b]8;;\x07 \U0001f468\u200d\U0001f469"
)
LEFT = "FAILED tests/x.py\nlog \U0001f468\u200d\U0001f469"
REMOVED = {"escape sequence": 4, "invisible character": 1, "direction mark": 1}
SAID = "Removed from your text: 1 direction mark, 4 escape sequences and 1 invisible character."


async def paste(member: Member, tool: str, text: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool with the pasted text as this argument; both halves of the reply say what was removed."""
    body, words, refused = await member.said(tool, **{text: PASTED}, **arguments)
    assert not refused, words
    assert body["removed"] == REMOVED
    assert SAID in words
    return body


async def test_each_tool_keeps_a_pasted_text_without_what_steers_or_hides(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    builder, tester = await room.enroll("builder", "tester")
    await paste(builder, "post_message", "text")
    await paste(builder, "create_task", "detail", title="log in", review="builder")
    fence = (await builder("claim_task", task="T-1"))["fence"]
    await paste(builder, "update_task", "note", task="T-1", fence=fence)
    body, _, _ = await builder.said("update_task", task="T-1", changes={"detail": f"2: {PASTED}"})
    assert body["removed"] == REMOVED
    await paste(builder, "hand_off", "note", task="T-1", fence=fence, to="tester")
    fence = (await tester("answer_hand_off", offer="O-1", accept=True))["fence"]
    await paste(tester, "complete_task", "summary", task="T-1", fence=fence, evidence=[])
    await paste(builder, "review_task", "note", task="T-1", verdict="accept")

    (message,) = (await tester("read_messages"))["messages"]
    task = (await tester("read_board", task="T-1"))["task"]
    notes = [entry["text"] for entry in task["history"] if entry["kind"] in ("note", "offered", "accepted_review")]
    assert (message["text"], task["detail"], task["summary"], notes) == (LEFT, f"2: {LEFT}", LEFT, [LEFT] * 3)


async def test_what_was_removed_makes_no_other_call_of_an_equal_one(room_of_each_era: RunningRoom) -> None:
    builder, *_ = await room_of_each_era.enroll("builder")
    first = await builder("post_message", text=LEFT, request_id="r-1")
    again = await paste(builder, "post_message", "text", request_id="r-1")
    assert (again["message"], again["replayed"] is not None) == (first["message"], True)
    assert (await paste(builder, "post_message", "text", kind="ask"))["message"] == "M-2"
    assert (await builder("post_message", text=LEFT, kind="ask"))["replayed"] is not None


async def test_a_text_of_which_nothing_is_left_is_refused(room_of_each_era: RunningRoom) -> None:
    builder, *_ = await room_of_each_era.enroll("builder")
    for nothing in ("\x1b[0m", "\u200b \u3164"):
        refusal = await builder.refused("post_message", text=nothing)
        assert refusal["code"] == "invalid"
        assert refusal["why"].startswith("text: nothing is left of it without ")


async def test_a_token_is_found_after_what_hides_it_was_removed(room_of_each_era: RunningRoom) -> None:
    builder, *_ = await room_of_each_era.enroll("builder")
    token = room_of_each_era.tokens["builder"]
    for hidden in (f"{token[:6]}\u200b{token[6:]}", f"{token[:9]}\x1b[m{token[9:]}"):
        refusal = await builder.refused("post_message", text=hidden)
        assert "contains a token" in refusal["why"]


def test_half_of_a_surrogate_pair_is_removed_in_each_era_and_a_whole_pair_is_kept(tmp_path: Path) -> None:
    sent = Raw('"a\\ud83d b\\\\ud83d \\ud83d\\ude00\\uDE00"')
    with room_in_thread(tmp_path / "room") as room:
        for client in (room.modern("olga"), room.legacy("olga")):
            with client:
                posted = reply(client.call("post_message", {"text": sent, "kind": "ask"}))
                assert posted["removed"] == {"lone surrogate": 2}
        with room.modern("olga") as olga:
            texts = [message["text"] for message in reply(olga.call("read_messages", {}))["messages"]]
    assert set(texts) == {"a b\\ud83d \U0001f600"}
