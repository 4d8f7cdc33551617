"""One order, dense numbers, a chain, receipts of acts and of refusals, and answers that can be had again."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.record.chain import Verification, Verifier
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import read_seals
from teamroom.server.record.sealed import Seal, is_genuine
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room


def verify(room: RunningRoom, sealed: bool = True) -> Verification:
    """Verify a room's log as `teamroom verify` does."""
    room.room.seal()
    return verify_folder(room.folder, sealed)


def verify_folder(folder: Path, sealed: bool = True) -> Verification:
    from teamroom.server.settings import Settings
    from teamroom.server.store.sqlite.connect import connect_reader
    from teamroom.server.store.statements import sqlite_statements
    from teamroom.server.store.transaction import Context, Reading

    verifier = Verifier(read_seals(folder).seal if sealed else None, find_key(folder))
    connection = connect_reader(folder / "room.db")
    try:
        tx = Reading(connection, Context(sqlite_statements(), Settings(), lambda n: bytes(n)))
        while (verdict := verifier.step(tx)) is None:
            pass
        return verdict
    finally:
        connection.close()


@promise("LOG1")
async def test_numbers_are_dense_from_one_under_concurrent_acts_and_refusals(room: RunningRoom) -> None:
    members = await room.enroll("a", "b", "c", "d")

    async def act(number: int) -> None:
        member = members[number % 4]
        await member.said("post_message", text=f"message {number}")
        await member.said("claim_task", task=f"T-{number + 1}")

    await asyncio.gather(*(act(number) for number in range(60)))
    numbers = [entry["seq"] for entry in room.entries()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert verify(room).good


@promise("LOG1")
async def test_a_reader_with_a_cursor_sees_every_visible_entry_once_and_in_order(tmp_path: Path) -> None:
    seen: list[int] = []
    async with running_room(tmp_path / "room", notes_per_hour=1000) as room:
        (builder,) = await room.enroll("builder")
        for number in range(30):
            await builder("post_message", text=f"message {number}")
        await builder.refused("claim_task", task="T-9")
        seen += await read_stream(room, 0, pages=1)
        tokens = room.tokens
    async with running_room(tmp_path / "room", era="legacy") as room:
        room.tokens = tokens
        builder = await room.connect("builder")
        await builder("post_message", text="after the restart")
        seen += await read_stream(room, seen[-1], pages=10)
        visible = [e["seq"] for e in room.entries() if e["outcome"] == "ok"]
    assert seen == visible


async def read_stream(room: RunningRoom, after: int, pages: int) -> list[int]:
    """Read pages of the stream from a cursor; checks that each entry names the one before it."""
    owner = await room.owner()
    seen: list[int] = []
    for _ in range(pages):
        page = json.loads((await owner.client.read_resource(f"teamroom://stream/{after}")).contents[1].text)
        if not page["entries"]:
            break
        for entry in page["entries"]:
            assert entry["previous"] == (seen[-1] if seen else after)
            seen.append(entry["seq"])
        after = page["cursor"]
    return seen


@promise("LOG1")
async def test_messages_name_the_one_before_them_under_the_same_filter(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    for number in range(6):
        await builder("post_message", text=f"{'@olga ' if number % 2 else ''}message {number}")
    every = (await builder("read_messages", after=0))["messages"]
    mine = (await builder("read_messages", after=0, mentions="olga"))["messages"]
    for messages in (every, mine):
        assert [m["previous"] for m in messages] == [0, *(m["seq"] for m in messages[:-1])]
    assert len(mine) == 3


@promise("LOG2")
async def test_every_act_that_others_can_see_leaves_a_receipt(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    acts: list[tuple[str, dict[str, Any]]] = [
        ("declare_capabilities", await builder("declare_capabilities", capabilities=["tool:docker"])),
        ("create_task", await owner("create_task", title="work")),
        ("claim_task", (claimed := await builder("claim_task"))),
        ("update_task", await builder("update_task", task="T-1", fence=claimed["fence"], note="half way")),
        (
            "hand_off",
            (offer := await builder("hand_off", task="T-1", fence=claimed["fence"], to="tester", note="yours")),
        ),
        ("answer_hand_off", (mine := await tester("answer_hand_off", offer=offer["offer"], accept=True))),
        (
            "complete_task",
            await tester("complete_task", task="T-1", fence=mine["fence"], summary="done", evidence=[]),
        ),
        ("review_task", await owner("review_task", task="T-1", verdict="accept", note="good")),
        ("post_message", await tester("post_message", text="all done")),
        ("pause", await owner("pause", target="builder", reason="rest")),
        ("resume", await owner("resume", target="builder", reason="go")),
        ("enroll", await owner("enroll", name="late")),
        ("revoke", await owner("revoke", name="late")),
        ("kill", await owner("kill", target="late", reason="not needed")),
    ]
    for act, reply in acts:
        (receipt,) = (await owner("read_receipts", after=reply["receipt"] - 1, limit=1))["receipts"]
        assert (receipt["seq"], receipt["act"], receipt["outcome"]) == (reply["receipt"], act, "ok")
        assert receipt["owner"] == "olga"
        assert len(receipt["summary"]) <= 140
    assert verify(room).good


@promise("LOG1")
async def test_each_filter_of_receipts_finds_what_a_look_at_every_entry_finds(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    for number in range(4):
        for member in (builder, tester):
            await member("create_task", title=f"{member.name} {number}")
        await builder("update_task", task=f"T-{2 * number + 1}", changes={"priority": 1})
    await owner("pause", target="tester", reason="look")
    every = (await owner("read_receipts", limit=100))["receipts"]
    assert every[0]["seq"] == 1
    wanted = [
        {name: value for name, value in (("actor", actor), ("act", act), ("subject", subject)) if value}
        for actor in ("", "builder", "tester", "room")
        for act in ("", "create_task", "update_task", "pause", "nothing")
        for subject in ("", "T-1", "@tester")
    ]
    for filters in wanted:
        matching = [e for e in every if all(e[name] == value for name, value in filters.items())]
        newest = (await owner("read_receipts", **filters, limit=3))["receipts"]
        assert newest == matching[-3:], filters
        paged, after = list[Any](), 0
        while page := (await owner("read_receipts", **filters, after=after, limit=3))["receipts"]:
            paged, after = paged + page, page[-1]["seq"]
        assert paged == matching, filters


@promise("LOG2")
async def test_reads_cursors_and_bare_heartbeats_leave_no_receipt(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    before = len(room.entries())
    for tool in ("check_in", "heartbeat", "who", "read_board", "read_messages"):
        assert (await builder(tool)).get("receipt") is None
    await builder("wait_for_wake", timeout_seconds=0)
    await builder("check_in", after=before)
    assert len(room.entries()) == before


@promise("LOG2")
async def test_the_first_refusal_leaves_a_receipt_and_repeats_are_counted_and_closed_by_one(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    first = (await builder.refused("claim_task", task="T-7"))["receipt"]
    for _ in range(9):
        assert (await builder.refused("claim_task", task="T-7"))["receipt"] == first
    other = (await builder.refused("claim_task", task="T-8"))["receipt"]
    assert other == first + 1
    room.time.forward(601)
    await builder.refused("claim_task", task="T-7")
    closing = [e for e in room.entries() if e["seq"] > other]
    assert [e["summary"] for e in closing] == [
        "@builder was refused claim_task (not_found) 9 more times",
        "@builder was refused claim_task (not_found)",
    ]


@promise("LOG2")
async def test_refusals_leave_at_most_thirty_receipts_an_hour(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    receipts = [(await builder.refused("claim_task", task=f"T-{n}"))["receipt"] for n in range(1, 41)]
    assert len([r for r in receipts if r is not None]) == 30
    room.time.forward(3601)
    assert (await builder.refused("claim_task", task="T-99"))["receipt"] is not None


@promise("LOG2")
async def test_a_call_without_a_valid_token_leaves_nothing_in_the_log(room: RunningRoom) -> None:
    before = len(room.entries())
    await room.raw(headers={"Authorization": "Bearer tr_wrong"}, json={})
    await room.raw(json={})
    assert len(room.entries()) == before


@promise("LOG3")
@pytest.mark.parametrize("column", ["summary", "detail", "actor", "subject", "at", "act", "outcome", "digest", "hash"])
async def test_a_changed_entry_is_found_and_named(room: RunningRoom, column: str) -> None:
    (builder,) = await room.enroll("builder")
    for number in range(5):
        await builder("post_message", text=f"message {number}")
    assert verify(room).good
    value: dict[str, Any] = {"actor": 1, "at": 5.0, "detail": "{}"}
    change(room.folder, f"update log set {column} = ? where seq = 5", value.get(column, "forged"))
    verdict = verify(room)
    assert verdict.first_bad == 5


@promise("LOG3")
async def test_a_gap_and_a_cut_are_found(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    for number in range(5):
        await builder("post_message", text=f"message {number}")
    room.room.seal()
    change(room.folder, "delete from log where seq = 6")
    assert verify_folder(room.folder).first_bad == 6


@promise("LOG3")
async def test_a_truncation_that_also_changed_the_head_is_found_by_the_seal(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    for number in range(5):
        await builder("post_message", text=f"message {number}")
    room.room.seal()
    (kept,) = [e for e in room.entries() if e["seq"] == 5]
    for sql in (
        "delete from wake where seq > 5",
        "delete from addressee where message in (select id from message where seq > 5)",
        "delete from message where seq > 5",
        "delete from log where seq > 5",
    ):
        change(room.folder, sql)
    change(room.folder, "update head set seq = 5, hash = ?", kept["hash"])
    assert verify_folder(room.folder, sealed=False).good, "the chain alone cannot know"
    assert verify_folder(room.folder).first_bad == 6


@promise("LOG3")
async def test_a_seal_that_was_not_made_with_the_rooms_key_is_found(room: RunningRoom) -> None:
    await room.enroll("builder")
    room.room.seal()
    path = room.folder / "seal.json"
    seal = json.loads(path.read_text())
    path.write_text(json.dumps(seal | {"at": seal["at"] + 1}))
    verdict = verify_folder(room.folder)
    assert not verdict.good
    assert "key" in verdict.why


@promise("LOG3")
async def test_content_can_be_redacted_and_the_chain_still_verifies(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="a secret")
    await builder("post_message", text="harmless")
    change(room.folder, "update log set summary = null, detail = null, salt = null where seq = 4")
    assert verify(room).why == "M-1 has a text although it was redacted"
    change(room.folder, "update message set text = '' where seq = 4")
    assert verify(room).good
    change(room.folder, "update log set summary = 'put back' where seq = 4")
    assert verify(room).first_bad == 4


@promise("LOG3")
async def test_equal_contents_have_different_digests(room: RunningRoom) -> None:
    """A salted digest cannot be guessed back once its content is gone."""
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="the same")
    room.time.forward(61)
    await builder("post_message", text="the same")
    one, two = room.entries()[-2:]
    assert (one["summary"], one["digest"] == two["digest"]) == (two["summary"], False)


@promise("LOG3")
async def test_the_signed_head_is_written_outside_the_database_and_on_stop(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", seal_seconds=60) as room:
        (builder,) = await room.enroll("builder")
        await builder("post_message", text="x")
        last = room.entries()[-1]
    seal = Seal(**json.loads((tmp_path / "room" / "seal.json").read_text()))
    assert (seal.seq, seal.hash) == (last["seq"], last["hash"])
    assert is_genuine(find_key(tmp_path / "room"), seal)


@promise("LOG4")
async def test_the_same_request_id_gives_the_first_result_marked_replayed(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    (builder,) = await room.enroll("builder")
    first = await builder("post_message", request_id="r-1", text="once")
    again = await builder("post_message", request_id="r-1", text="once")
    assert first["replayed"] is None
    assert again["replayed"] is not None
    assert {**again, "replayed": None} == first
    assert len((await builder("read_messages"))["messages"]) == 1


@promise("LOG4")
async def test_the_same_request_id_with_other_arguments_is_refused(room: RunningRoom) -> None:
    builder, other = await room.enroll("builder", "other")
    await builder("post_message", request_id="r-1", text="once")
    assert (await builder.refused("post_message", request_id="r-1", text="twice"))["code"] == "conflict"
    assert (await builder.refused("create_task", request_id="r-1", title="once"))["code"] == "conflict"
    assert (await other("post_message", request_id="r-1", text="mine"))["message"] == "M-2"


@promise("LOG4")
async def test_an_act_whose_acknowledgement_was_lost_can_be_repeated_after_a_restart(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        (builder,) = await room.enroll("builder")
        first = await builder("create_task", request_id="r-1", title="once")
        tokens = room.tokens
    async with running_room(tmp_path / "room") as room:
        room.tokens = tokens
        builder = await room.connect("builder")
        again = await builder("create_task", request_id="r-1", title="once")
        assert (again["task"], again["receipt"]) == (first["task"], first["receipt"])
        assert again["replayed"]


@promise("LOG4")
async def test_an_equal_call_within_a_minute_is_the_same_call(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    assert (await builder("post_message", text="hello"))["message"] == "M-1"
    assert (await builder("post_message", text="hello"))["message"] == "M-1"
    assert (await builder("post_message", text="hello", kind="ask"))["message"] == "M-2"
    room.time.forward(61)
    assert (await builder("post_message", text="hello"))["message"] == "M-3"
    assert (await builder("create_task", title="t"))["task"] == "T-1"
    assert (await builder("create_task", title="t"))["replayed"] is not None


@promise("LOG4")
async def test_a_replay_is_refused_while_its_caller_is_paused(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("post_message", request_id="r-1", text="once")
    await owner("pause", target="builder", reason="stop")
    with pytest.raises(Exception, match="paused"):
        await builder("post_message", request_id="r-1", text="once")


@promise("LOG4")
async def test_concurrent_calls_with_one_request_id_are_one_act(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    replies = await asyncio.gather(*(builder("post_message", request_id="r-1", text="once") for _ in range(12)))
    assert {reply["message"] for reply in replies} == {"M-1"}
    assert len([reply for reply in replies if reply["replayed"] is None]) == 1


@promise("ID4")
async def test_the_token_of_an_enrolment_is_never_kept_for_a_replay(room: RunningRoom) -> None:
    owner = await room.owner()
    first = await owner("enroll", request_id="r-1", name="builder")
    again = await owner("enroll", request_id="r-1", name="builder")
    assert first["token"]
    assert again["token"] is None
    assert again["replayed"]


def change(folder: Path, sql: str, *values: Any) -> None:
    """Change the database behind the room's back."""
    connection = sqlite3.connect(folder / "room.db", isolation_level=None)
    connection.execute(sql, values)
    connection.close()
