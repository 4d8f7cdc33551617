"""The forecast beside a name is measured: how long its newest wakes waited until it saw them (HND4)."""

import itertools
import random
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


async def answered_after(room: RunningRoom, sender: Member, receiver: Member, seconds: list[float]) -> None:
    """Let a receiver see one wake after each of these spans, and acknowledge it."""
    cursor = (await receiver("check_in"))["cursor"]
    for span in seconds:
        await ask(sender, receiver.name)
        room.time.forward(span)
        cursor = (await receiver("check_in", after=cursor))["cursor"]


async def test_a_forecast_is_computed_from_the_wakes_that_were_answered(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    asker, slow = await room.enroll("asker", "slow", mode="every:7200")
    await slow("check_in")
    before = await ask(asker, "slow")
    assert 7_000 <= before["expected_seconds"] <= 7_200, "its declared interval, before there are three"
    await answered_after(room, asker, slow, [100, 200, 300, 400, 1_000])  # and the first one at once
    measured = await ask(asker, "slow")
    assert 245 <= measured["expected_seconds"] <= 255
    assert 995 <= measured["p90_seconds"] <= 1_005
    assert "nine times out of ten" in measured["note"]
    (shown,) = (await asker("who", name="slow"))["members"]
    assert (shown["expected_seconds"], shown["p90_seconds"]) == (measured["expected_seconds"], measured["p90_seconds"])


async def test_a_member_on_demand_has_no_estimate_until_three_wakes_were_answered(room: RunningRoom) -> None:
    asker, guest = await room.enroll("asker", "guest")
    await answered_after(room, asker, guest, [10, 20])
    assert (await ask(asker, "guest"))["expected_seconds"] is None
    await answered_after(room, asker, guest, [30])
    assert (await ask(asker, "guest"))["expected_seconds"] is not None


async def test_only_the_newest_wakes_count(room: RunningRoom) -> None:
    asker, changed = await room.enroll("asker", "changed")
    await answered_after(room, asker, changed, [5_000.0] * 3 + [10.0] * NEWEST)
    assert (await ask(asker, "changed"))["p90_seconds"] < 20


async def test_paused_time_does_not_count_as_time_to_answer(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, held = await room.enroll("asker", "held")
    for _ in range(3):
        await ask(asker, "held")
        await owner("pause", target="held", reason="lunch")
        room.time.forward(3_600)
        await owner("resume", target="held", reason="back")
        room.time.forward(10)
        cursor = (await held("check_in"))["cursor"]
        await held("check_in", after=cursor)
    assert 5 <= (await ask(asker, "held"))["expected_seconds"] <= 20


async def test_wakes_of_a_waiting_call_are_measured_when_they_are_acknowledged(room: RunningRoom) -> None:
    asker, waiter = await room.enroll("asker", "waiter")
    for _ in range(3):
        await ask(asker, "waiter")
        cursor = (await waiter("wait_for_wake", timeout_seconds=0))["cursor"]
        room.time.forward(60)
        await waiter("wait_for_wake", after=cursor, timeout_seconds=0)
    assert 55 <= (await ask(asker, "waiter"))["expected_seconds"] <= 65


async def test_a_wake_that_is_shown_twice_is_measured_once(room: RunningRoom) -> None:
    asker, again = await room.enroll("asker", "again")
    for _ in range(3):
        await ask(asker, "again")
        room.time.forward(10)
        await again("check_in")
        room.time.forward(50_000)
        await again("check_in")
    assert (await ask(asker, "again"))["p90_seconds"] < 20


async def test_measured_answers_outlive_the_server(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        asker, slow = await room.enroll("asker", "slow")
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
