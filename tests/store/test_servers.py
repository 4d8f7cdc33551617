"""A room in PostgreSQL: the same acts through real servers, one and several of them (CTL2, LOG4, PRS5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.record.chain import Verifier
from teamroom.server.supervisor.servers import LEASE_SECONDS, LETTERS_DUTY
from tests.http.test_metrics import metrics
from tests.support.bounds import BOUND_SECONDS
from tests.support.engines import POSTGRES
from tests.support.listeners import listening, until_streams
from tests.support.postgres import NAME_FILE
from tests.support.promises import house, promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = [pytest.mark.postgres, house]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Path]:
    """Where the folders of a room's servers are; they share one database."""
    POSTGRES.require()
    yield tmp_path
    POSTGRES.clean_up()


@contextlib.asynccontextmanager
async def server(place: Path, name: str, **options: Any) -> AsyncIterator[RunningRoom]:
    """A server of the room, with a data folder of its own."""
    folder, first = place / name, place / "first"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder != first and not (folder / NAME_FILE).exists():
        for shared in (NAME_FILE, "room.key", "owner.token"):
            (folder / shared).write_bytes((first / shared).read_bytes())
            (folder / shared).chmod(0o600)
    async with running_room(folder, choose_engine=POSTGRES.choose, **options) as running:
        yield running


@promise("CTL2", "CTL6", "CTL3", "TSK1", "LOG4")
async def test_a_member_works_is_paused_resumed_and_killed(database: Path) -> None:
    async with server(database, "first") as room:
        owner = await room.owner()
        builder, tester = await room.enroll("builder", "tester")
        assert (await builder("check_in"))["standing"] == "active"
        assert (await builder("post_message", text="hello", to=["tester"]))["message"] == "M-1"
        task = (await owner("create_task", title="Build it", needs=[]))["task"]
        claimed = await builder("claim_task", task=task)
        assert (claimed["task"], claimed["fence"]) == (task, 1)
        assert (await tester.refused("claim_task", task=task))["code"] == "taken"
        assert [wake["subject"] for wake in (await tester("check_in"))["wakes"]] == ["M-1"]
        await owner("pause", target="builder", reason="look")
        assert (await builder.refused("post_message", text="again"))["code"] == "paused"
        await owner("resume", target="builder", reason="seen")
        assert (await builder("post_message", text="again"))["message"] == "M-2"
        assert len((await tester("read_messages", query="hello"))["messages"]) == 1
        await owner("kill", target="builder", reason="done")
        assert [(row["task"], row["state"]) for row in (await owner("read_board"))["tasks"]] == [(task, "open")]
        assert len((await owner("who"))["members"]) == 3


# ------------------------------------------------------------------ two servers


@pytest.fixture
async def two(database: Path) -> AsyncIterator[tuple[RunningRoom, RunningRoom]]:
    """Two servers of one room, with members that either of them knows."""
    async with server(database, "first") as first:
        await first.enroll("builder", "tester")
        async with server(database, "second") as second:
            second.tokens |= first.tokens
            yield first, second


@promise("CTL2", "CTL6")
async def test_a_pause_through_one_server_binds_the_next_commit_of_another(
    two: tuple[RunningRoom, RunningRoom],
) -> None:
    first, second = two
    owner, builder = await first.owner(), await second.connect("builder")
    for round_ in range(20):
        assert (await builder("post_message", text=f"{round_}"))["receipt"]
        await owner("pause", target="builder", reason="look")
        assert (await builder.refused("post_message", text=f"{round_} again"))["code"] == "paused"
        await owner("resume", target="builder", reason="seen")


@promise("LOG1", "LOG3")
async def test_the_log_is_one_chain_whichever_server_writes(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    here, there = await first.connect("builder"), await second.connect("tester")

    async def post(member: Member, name: str) -> list[int]:
        return [(await member("post_message", text=f"{name} {n}"))["receipt"] for n in range(25)]

    receipts = [seq for seqs in await asyncio.gather(post(here, "here"), post(there, "there")) for seq in seqs]
    assert len(set(receipts)) == 50
    verifier = Verifier(None, None)
    while (verdict := await second.room.store.read(verifier.step, is_small=False)) is None:
        pass
    assert verdict.good, verdict.why
    assert verdict.entries >= max(receipts)
    assert first.room.store.damage is second.room.store.damage is None


@promise("LOG4")
async def test_a_request_id_is_one_call_on_every_server(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    here, there = await first.connect("builder"), await second.connect("builder")
    reply = await here("create_task", request_id="r-1", title="Build it")
    again = await there("create_task", request_id="r-1", title="Build it")
    assert (again["task"], again["receipt"]) == (reply["task"], reply["receipt"])
    assert again["replayed"]
    assert (await there.refused("create_task", request_id="r-1", title="Another"))["code"] == "conflict"


@promise("TSK1")
async def test_one_claimer_wins_on_whichever_server(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    owner = await first.owner()
    members = [await room.connect(name) for room, name in ((first, "builder"), (second, "tester"))]
    for number in range(10):
        task = (await owner("create_task", title=f"Task {number}"))["task"]
        said = await asyncio.gather(*(member.said("claim_task", task=task) for member in members))
        assert sorted(refused for _, _, refused in said) == [False, True]
        winner = members[[refused for _, _, refused in said].index(False)]
        await winner("update_task", task=task, fence=1, status="released")


@promise("CTL4", "CTL2")
async def test_a_waiting_call_on_another_server_ends_with_the_pause(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    owner, builder = await first.owner(), await second.connect("builder")
    waiting = asyncio.ensure_future(builder.refused("wait_for_wake", timeout_seconds=50))
    await second.until_waiting()
    await owner("pause", target="builder", reason="look")
    assert (await asyncio.wait_for(waiting, 2))["code"] == "paused"


async def test_a_message_through_one_server_wakes_a_listener_on_another(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    tester, builder = await first.connect("tester"), await second.connect("builder")
    waiting = asyncio.ensure_future(builder("wait_for_wake", timeout_seconds=50))
    await second.until_waiting()
    await tester("post_message", text="wake up", to=["builder"])
    assert [wake["line"] for wake in (await asyncio.wait_for(waiting, 2))["wakes"]]


@promise("PRS5")
async def test_a_newer_listener_on_another_server_ends_the_older_one(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    older, newer = await first.connect("builder"), await second.connect("builder")
    here = asyncio.ensure_future(older.said("wait_for_wake", listener="1795000000001-older", timeout_seconds=50))
    await first.until_waiting()
    there = asyncio.ensure_future(newer.said("wait_for_wake", listener="1795000000002-newer", timeout_seconds=50))
    await second.until_waiting()
    body, _, _ = await asyncio.wait_for(here, BOUND_SECONDS)
    assert body["superseded"]
    assert not there.done()
    there.cancel()


@promise("PRS5")
async def test_a_stream_and_a_call_on_another_server_end_each_other(two: tuple[RunningRoom, RunningRoom]) -> None:
    first, second = two
    there = await second.connect("builder")
    async with listening(first, "builder", "teamroom://inbox"):
        await until_streams(first, 1)
        waiting = asyncio.ensure_future(there.said("wait_for_wake", timeout_seconds=50))
        await second.until_waiting()
        await until_streams(first, 0)
        async with listening(first, "builder", "teamroom://inbox"):
            body, _, _ = await asyncio.wait_for(waiting, BOUND_SECONDS)
            assert body["superseded"]


@promise("REM1")
async def test_duties_are_done_by_one_server_and_taken_over_when_it_stops(database: Path) -> None:
    async with server(database, "first") as first:
        await first.room.servers.sign()
        async with server(database, "second") as second:
            for room in (first.room, second.room, first.room):
                await room.servers.sign()
            assert [room.servers.does(LETTERS_DUTY) for room in (first.room, second.room)] == [True, False]
            assert first.room.servers.others == second.room.servers.others == 1
            first.time.forward(LEASE_SECONDS)
            second.time.forward(LEASE_SECONDS)
            await second.room.servers.sign()
            await first.room.servers.sign()
            assert [room.servers.does(LETTERS_DUTY) for room in (first.room, second.room)] == [False, True]


@promise("SAF10")
async def test_a_member_gets_no_more_from_two_servers_than_from_one(database: Path) -> None:
    limits = {"acts_per_second": 1, "acts_burst": 20}
    async with server(database, "first", **limits) as first:
        await first.enroll("builder")
        async with server(database, "second", **limits) as second:
            second.tokens |= first.tokens
            members = [await room.connect("builder") for room in (first, second)]
            done = 0
            for number in range(40):
                _, _, refused = await members[number % 2].said("post_message", text=f"{number}")
                done += not refused
            assert 20 <= done <= 24


@house
async def test_each_server_counts_its_own_acts_and_both_show_the_rooms_log(
    two: tuple[RunningRoom, RunningRoom],
) -> None:
    _, second = two
    before = [(await metrics(room))["teamroom_acts_committed_total"] for room in two]
    builder = await second.connect("builder")
    for number in range(5):
        await builder("post_message", text=f"{number}")
    here, there = [await metrics(room) for room in two]
    assert here["teamroom_log_entries"] == there["teamroom_log_entries"]
    assert there["teamroom_acts_committed_total"] - before[1] >= 5
    assert here["teamroom_acts_committed_total"] - before[0] < 5
    assert here["teamroom_cut_off"] == there["teamroom_cut_off"] == 0
    assert "teamroom_nudges_lost_total" in there
    assert "teamroom_database_bytes" not in there


@house
async def test_each_server_says_which_duties_it_does_and_how_large_its_batches_are(
    two: tuple[RunningRoom, RunningRoom],
) -> None:
    first, second = two
    for room in two:
        await room.room.servers.sign()
    await (await second.owner())("pause", target="room", reason="look", for_seconds=1)
    second.time.forward(2)
    await second.room.supervisor.tick()
    here, there = [await metrics(room) for room in two]
    assert [here[f"teamroom_duty duty={duty}"] for duty in ("supervisor", "letters")] == [0, 1]
    assert [there[f"teamroom_duty duty={duty}"] for duty in ("supervisor", "letters")] == [1, 0]
    assert there["teamroom_batch_acts_bucket le=+Inf"] == there["teamroom_commits_total"]
    assert there["teamroom_batch_acts_sum"] == there["teamroom_acts_committed_total"]
    assert there["teamroom_batch_acts_bucket le=1.0"] <= there["teamroom_batch_acts_bucket le=64.0"]
    assert first.room.servers.name != second.room.servers.name


@promise("LOG3")
async def test_what_does_not_continue_the_chain_is_damage_for_the_other_server(
    two: tuple[RunningRoom, RunningRoom],
) -> None:
    first, second = two
    builder = await second.connect("builder")
    await builder("post_message", text="before")
    await first.room.servers.sign()
    POSTGRES.change(first.folder, "update log set hash = repeat('0', 64) where seq = (select seq from head)")
    POSTGRES.change(first.folder, "update head set hash = repeat('0', 64), seq = seq + 1")
    refused = await builder.refused("post_message", text="after")
    assert refused["code"] == "storage"
    assert "damaged" in refused["why"]
    assert "teamroom seal --restored" in refused["fix"]
