"""How fast a member may act: each limit is its own, and a call over it is refused at once (SAF10)."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from teamroom.server.acts.messages.messages import POST_MESSAGE, PostMessage
from teamroom.server.door.rates import OVERTAKING_ACTS, OVERTAKING_SECONDS, Rates
from teamroom.server.identity import Caller, Kind
from teamroom.server.settings import Settings
from tests.support.promises import promise
from tests.support.rooms import Member, Time, running_room

pytestmark = promise("SAF10")

FEW = {"acts_per_second": 1, "acts_burst": 5, "refusals_per_minute": 4}


def caller(member: int, kind: Kind = "agent") -> Caller:
    return Caller("token", "default", member, f"m{member}", kind, "member", 1, "olga")


async def burst(member: Member, count: int) -> None:
    for number in range(count):
        await member("post_message", text=f"number {number}")


async def test_an_agent_over_its_rate_is_refused_until_it_may_act_again_and_nobody_else_is(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", **FEW) as room:
        agent, other = await room.enroll("agent", "other")
        await burst(agent, 5)
        refused = await agent.refused("post_message", text="one too many")
        assert refused["code"] == "rate_limited"
        assert refused["retry_after_seconds"] == 1
        await burst(other, 5)
        await agent("read_board")
        room.time.forward(refused["retry_after_seconds"])
        await agent("post_message", text="now")


async def test_a_person_may_act_ten_times_as_fast(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", **FEW) as room:
        await burst(await room.owner(), 49)


async def test_acts_over_the_rate_leave_one_receipt_in_each_window(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", **FEW) as room:
        (agent,) = await room.enroll("agent")
        await burst(agent, 5)
        receipts = [(await agent.refused("post_message", text=f"more {n}"))["receipt"] for n in range(3)]
        refusals = [entry for entry in room.entries() if entry["outcome"] == "refused"]
        assert [entry["seq"] for entry in refusals] == [receipts[0]]
        assert receipts[1:] == [None, None]


@pytest.mark.parametrize("wrong", [("update_task", {"task": "T-9"}), ("post_message", {})])
async def test_an_agent_whose_calls_are_refused_too_often_is_refused_at_once(
    tmp_path: Path, wrong: tuple[str, dict[str, str]]
) -> None:
    """Twin: calls that are carried out are no reason."""
    async with running_room(tmp_path / "room", **FEW | {"acts_burst": 100}) as room:
        agent, other = await room.enroll("agent", "other")
        for _ in range(4):
            assert (await agent.refused(wrong[0], **wrong[1]))["code"] != "rate_limited"
            await other("heartbeat")
        for refused in (await agent.refused(wrong[0], **wrong[1]), await agent.refused("post_message", text="hello")):
            assert refused["code"] == "rate_limited"
            assert 1 <= refused["retry_after_seconds"] <= 16, (
                "15 s until there is room again, or the wait of a fifth repeat"
            )
        await other("post_message", text="hello")
        room.time.forward(15)
        await agent("post_message", text="hello")


async def test_what_a_member_writes_in_a_day_is_bounded(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", bytes_per_day=1_000_000) as room:
        agent, other = await room.enroll("agent", "other")
        texts = (f"{number} " + "x" * 15_900 for number in range(100))
        sent = 0
        while not (answer := await agent.said("post_message", text=next(texts)))[2]:
            sent += 1
        assert answer[0]["code"] == "rate_limited"
        assert 55 <= sent <= 63
        await other("post_message", text="x" * 15_900)


@promise("CTL6")
async def test_the_first_call_after_a_resume_succeeds_however_many_the_pause_refused(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", **FEW) as room:
        owner = await room.owner()
        (agent,) = await room.enroll("agent")
        await owner("pause", target="agent", reason="stop")
        for number in range(12):
            assert (await agent.refused("post_message", text=f"{number}"))["code"] == "paused"
        await owner("resume", target="agent", reason="go on")
        await agent("post_message", text="first")


@promise("CTL9")
async def test_the_switch_has_no_rate_until_it_waits_like_other_acts(tmp_path: Path) -> None:
    """A person whose acts and refused calls are used up still stops whom it answers for."""
    async with running_room(tmp_path / "room", **FEW) as room:
        owner = await room.owner()
        await room.enroll("agent")
        while (await owner.said("update_task", task="T-9"))[0]["code"] != "rate_limited":
            pass
        for _ in range(OVERTAKING_ACTS // 2):
            await owner("pause", target="agent", reason="stop")
            await owner("resume", target="agent", reason="go on")
        assert (await owner.refused("pause", target="agent", reason="stop"))["code"] == "rate_limited"
        room.time.forward(OVERTAKING_SECONDS)
        await owner("pause", target="agent", reason="stop")


def test_so_many_control_acts_of_one_member_overtake_in_any_ten_seconds() -> None:
    time = Time()
    rates = Rates(Settings(), time.steady)
    for _ in range(OVERTAKING_ACTS):
        assert rates.may_overtake(caller(1))
    assert not rates.may_overtake(caller(1))
    assert rates.may_overtake(caller(2)), "each member has its own"
    time.forward(OVERTAKING_SECONDS)
    assert rates.may_overtake(caller(1))


def test_what_two_event_loops_count_while_it_is_taken_is_told_once() -> None:
    """Two threads count acts of one member, and a third one takes what they counted, as the writer's does."""
    rates, acts = Rates(Settings(acts_per_second=1000, acts_burst=10_000), lambda: 0.0), 2000
    rates.is_shared = True
    taken: list[int] = []
    done = threading.Event()

    def count() -> None:
        for _ in range(acts):
            rates.take_act(caller(2), 1)

    def take() -> None:
        while not done.is_set():
            taken.extend(spent.acts for spent in rates.take_spent().values())

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            taking = threads.submit(take)
            for counting in [threads.submit(count), threads.submit(count)]:
                counting.result()
            done.set()
            taking.result()
    finally:
        sys.setswitchinterval(before)
    taken.extend(spent.acts for spent in rates.take_spent().values())
    assert sum(taken) == 2 * acts


async def test_an_act_that_is_tried_first_counts_as_many_bytes_as_when_it_is_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of another script takes more bytes than characters, so the two would differ."""
    counted: list[tuple[Caller, int]] = []
    take = Rates.take_act

    def noted(self: Rates, caller: Caller, size: int) -> None:
        counted.append((caller, size))
        take(self, caller, size)

    monkeypatch.setattr(Rates, "take_act", noted)
    text = "\u0436" * 100
    async with running_room(tmp_path / "room") as room:
        await (await room.owner())("post_message", text=text)
        await room.room.door.rehearse(counted[-1][0], POST_MESSAGE, PostMessage(text=text))
    (_, carried_out), (_, tried) = counted[-2:]
    assert tried == carried_out
