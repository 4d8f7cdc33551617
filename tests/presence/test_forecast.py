"""The forecast beside a name is measured: how long its newest wakes waited until it acted on them (HND4, PRS2)."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.rules.presence import Facts, make_forecast
from teamroom.server.settings import Settings
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("HND4")

SEED = 20261123
WAKES = 4_000
NEWEST = 20


numbers = itertools.count()


async def ask(sender: Member, receiver: str) -> dict[str, Any]:
    """Post something new to a member; the forecast of when it will see it."""
    (forecast,) = (await sender("post_message", text=f"question {next(numbers)}", to=[receiver]))["forecast"]
    return dict(forecast)


async def acts(member: Member) -> None:
    """Give evidence of work, which answers what the member was shown."""
    await member("post_message", text=f"done {next(numbers)}")


async def answered_after(room: RunningRoom, sender: Member, receiver: Member, seconds: list[float]) -> None:
    """Let a receiver act on one wake after each of these spans, and acknowledge it."""
    cursor = (await receiver("check_in"))["cursor"]
    for span in seconds:
        await ask(sender, receiver.name)
        room.time.forward(span)
        cursor = (await receiver("check_in", after=cursor))["cursor"]
        await acts(receiver)


@contextlib.asynccontextmanager
async def listening(room: RunningRoom, member: Member) -> AsyncIterator[None]:
    """A listener of the member waits in the block."""
    cursor = (await member("check_in"))["cursor"]
    waiting = asyncio.create_task(member("wait_for_wake", after=cursor, timeout_seconds=50))
    await room.until_waiting()
    try:
        yield
    finally:
        waiting.cancel()


async def test_a_forecast_is_computed_from_the_wakes_that_were_acted_on(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    asker, slow = await room.enroll("asker", "slow", mode="every:7200")
    await slow("check_in")
    before = await ask(asker, "slow")
    assert 7_000 <= before["expected_seconds"] <= 7_200, "when it looks next, before there are three"
    assert "no estimate of its answer yet" in before["note"]
    assert not before["measured"]
    await answered_after(room, asker, slow, [100, 200, 300, 400, 1_000])  # and the first one at once
    measured = await ask(asker, "slow")
    assert 245 <= measured["expected_seconds"] <= 305
    assert 995 <= measured["p90_seconds"] <= 1_105
    assert "nine times out of ten" in measured["note"]
    (shown,) = (await asker("who", name="slow"))["members"]
    assert (shown["expected_seconds"], shown["p90_seconds"]) == (measured["expected_seconds"], measured["p90_seconds"])


@promise("PRS2")
async def test_polls_check_ins_and_heartbeats_are_no_answers_however_many(room: RunningRoom) -> None:
    asker, idle = await room.enroll("asker", "idle", mode="live")
    for _ in range(6):
        await ask(asker, "idle")
        cursor = (await idle("wait_for_wake", timeout_seconds=0))["cursor"]
        await idle("check_in", after=cursor)
        await idle("heartbeat", note=f"here {next(numbers)}")
    async with listening(room, await room.connect("idle")):
        forecast = await ask(asker, "idle")
    assert forecast["expected_seconds"] is None
    assert "no estimate" in forecast["note"]


@promise("PRS2")
@pytest.mark.parametrize("mode", ["live", "on_demand", "manual"])
async def test_a_member_without_a_listener_is_shown_so_although_it_has_just_called_and_often_answered(
    room: RunningRoom, mode: str
) -> None:
    asker, codex = await room.enroll("asker", "codex", mode=mode)
    await answered_after(room, asker, codex, [10, 20, 30, 40])
    body, text, _ = await asker.said("post_message", text="are you there?", to=["codex"])
    (forecast,) = body["forecast"]
    assert forecast["expected_seconds"] is None
    who, words, _ = await asker.said("who", name="codex")
    (shown,) = who["members"]
    for said in (text, words, forecast["note"], shown["answers"]):
        assert "no listener: it answers when its owner opens it" in said
    assert (shown["presence"], shown["listening"], shown["expected_seconds"]) == ("live", False, None)
    assert shown["supported"] == (mode != "live"), "nothing keeps the mode live"
    assert ("live (no listener)" in words) == ("live (no listener)" in text) == (mode == "live")


@promise("PRS2")
async def test_a_listener_and_three_acts_after_wakes_make_an_estimate(room: RunningRoom) -> None:
    asker, builder = await room.enroll("asker", "builder", mode="live")
    await answered_after(room, asker, builder, [10, 20])
    async with listening(room, await room.connect("builder")):
        assert (await ask(asker, "builder"))["expected_seconds"] is None
    await answered_after(room, asker, builder, [30])
    async with listening(room, await room.connect("builder")):
        forecast = await ask(asker, "builder")
        assert 10 <= forecast["expected_seconds"] <= 35
        assert forecast["supported"]


@promise("PRS2")
async def test_a_wake_that_waits_much_longer_than_usual_takes_the_estimate_away(room: RunningRoom) -> None:
    asker, stuck = await room.enroll("asker", "stuck", mode="every:3600")
    await answered_after(room, asker, stuck, [10, 20, 30])
    assert (await ask(asker, "stuck"))["expected_seconds"] is not None
    room.time.forward(12 * 60)
    await stuck("heartbeat")  # its listener polls, its model is unreachable
    forecast = await ask(asker, "stuck")
    assert forecast["expected_seconds"] is None
    assert "a wake has waited 12 min" in forecast["note"]
    await stuck("check_in")
    await acts(stuck)
    assert (await ask(asker, "stuck"))["expected_seconds"] is not None


async def test_only_the_newest_wakes_count(room: RunningRoom) -> None:
    asker, changed = await room.enroll("asker", "changed", mode="every:7200")
    await answered_after(room, asker, changed, [5_000.0] * 3 + [10.0] * NEWEST)
    assert (await ask(asker, "changed"))["p90_seconds"] < 20


async def test_paused_time_does_not_count_as_time_to_answer(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, held = await room.enroll("asker", "held", mode="every:7200")
    for _ in range(3):
        await ask(asker, "held")
        await owner("pause", target="held", reason="lunch")
        room.time.forward(3_600)
        await owner("resume", target="held", reason="back")
        room.time.forward(10)
        cursor = (await held("check_in"))["cursor"]
        await held("check_in", after=cursor)
        await acts(held)
    assert 5 <= (await ask(asker, "held"))["expected_seconds"] <= 20


async def test_an_act_answers_only_what_the_member_was_shown(room: RunningRoom) -> None:
    asker, busy = await room.enroll("asker", "busy", mode="every:7200")
    await busy("check_in")
    for _ in range(4):
        await ask(asker, "busy")
        room.time.forward(60)
        await acts(busy)
    assert not (await ask(asker, "busy"))["measured"], "it never looked"


async def test_measured_answers_outlive_the_server(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        asker, slow = await room.enroll("asker", "slow", mode="every:7200")
        await answered_after(room, asker, slow, [100, 100, 100])
        tokens = room.tokens
    async with running_room(tmp_path / "room") as room:
        asker = await room.connect("asker", tokens["asker"])
        assert 95 <= (await ask(asker, "slow"))["expected_seconds"] <= 105


@pytest.mark.parametrize("interval", [30, 300, 7_200])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 2.0])
def test_nine_of_ten_wakes_are_answered_within_the_slow_case(interval: int, jitter: float) -> None:
    """A member that looks every `interval`, more or less, is sent something at any time."""
    chance, settings = random.Random(SEED), Settings()
    answered: list[float] = []
    within = judged = 0
    for _ in range(WAKES):
        took = chance.uniform(0, interval) * (1 + jitter * chance.random())
        facts = Facts("agent", f"every:{interval}", "active", last_call_at=0.0, busy_until=None)
        forecast = make_forecast(facts, answered[-NEWEST:], 1.0, settings)
        if len(answered) >= NEWEST and forecast.p90_seconds is not None:
            judged += 1
            within += took <= forecast.p90_seconds
        answered.append(took)
    assert judged > WAKES / 2
    assert 0.85 <= within / judged <= 0.95
