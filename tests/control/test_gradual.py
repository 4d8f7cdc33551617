"""What a pause of several agents held is delivered over time, and what a pause and a resume say."""

from typing import Any

import pytest

from teamroom.server.acts.control import control, gradual
from teamroom.server.acts.control.control import PAUSE, RESUME
from teamroom.server.acts.control.gradual import AT_ONCE, EACH_SECONDS
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import CHECK_IN, WAKES_WAITING
from teamroom.server.facts.standing import stored_standing
from teamroom.server.store.transaction import Writing
from tests.models.world import Plan, World, open_world
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell

CROWD, POSTS = 200, 500
NAMES = [f"agent-{n}" for n in range(CROWD)]
PLAN = Plan(members={name: {"mode": "live"} for name in NAMES})
URGENT = ["agent-45", "agent-59"]
"""Who has a person's question and an alert waiting, although others have waited longer."""


def shown(room: World, name: str) -> list[Any]:
    """What `wait_for_wake` returns to a member now."""
    return list(room.read(name, WAKES_WAITING).wakes)


def held(room: World, target: str, **pause: Any) -> None:
    """A pause during which many members are written to."""
    room.act("olga", PAUSE, target=target, **pause)
    for number in range(POSTS):
        room.act("olga", POST_MESSAGE, text=f"note {number}", to=[NAMES[number % CROWD]])
        room.now += 0.01
    room.act("olga", POST_MESSAGE, text="which port?", to=[URGENT[0]], kind="ask")
    room.act("olga", POST_MESSAGE, text="the disk is full", to=[URGENT[1]], kind="alert")


def let_go_each_second(room: World, seconds: int) -> list[list[str]]:
    """Who is shown something for the first time in each second."""
    seen: set[str] = set()
    waves = []
    for _ in range(seconds):
        now = [name for name in NAMES if name not in seen and shown(room, name)]
        seen.update(now)
        waves.append(now)
        room.now += EACH_SECONDS
        room.tick()
    return waves


@promise("QUI7")
@pytest.mark.parametrize("target", ["room", "owner:olga"])
def test_what_a_pause_of_many_held_is_delivered_to_five_at_once_and_to_one_more_each_second(target: str) -> None:
    with open_world(PLAN) as room:
        held(room, target)
        reply = room.act("olga", RESUME, target=target)
        assert reply.gradual
        assert room.act(NAMES[20], CHECK_IN).standing == "active", "an agent that runs already is not delayed"
        room.crash()
        room.tick()
        waves = let_go_each_second(room, CROWD)
        assert [len(wave) for wave in waves[:20]] == [AT_ONCE] + [1] * 19
        assert max(map(len, waves[1:])) <= 1
        assert set(URGENT) <= set(waves[0]), "alerts and people's questions come first"
        told = [name for wave in waves for name in wave]
        rest = [name for name in told if name not in URGENT]
        assert rest == sorted(rest, key=NAMES.index), "then those that have waited longest"
        assert set(told) == set(NAMES)


@promise("QUI7")
def test_a_pause_that_ends_by_its_time_also_lets_its_agents_go_gradually() -> None:
    with open_world(PLAN) as room:
        held(room, "room", for_seconds=60)
        room.now += 60
        assert not any(shown(room, name) for name in NAMES), "before the room looked at whose turn it is"
        room.tick()
        waves = let_go_each_second(room, 5)
        assert [len(wave) for wave in waves] == [AT_ONCE, 1, 1, 1, 1]


@promise("QUI7")
def test_a_resume_without_turns_would_start_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(tx: Writing, owner: int) -> None:
        """Nobody waits for a turn."""

    monkeypatch.setattr(control, "begin_to_let_go", at_once)
    with open_world(PLAN) as room:
        held(room, "room")
        room.act("olga", RESUME, target="room")
        room.tick()
        assert len(let_go_each_second(room, 1)[0]) == CROWD


@promise("QUI7")
def test_a_second_pause_stops_those_that_wait_for_their_turn_and_a_single_resume_waits_for_none() -> None:
    with open_world(PLAN) as room:
        held(room, "room")
        room.act("olga", RESUME, target="room")
        room.act("olga", PAUSE, target="room")
        room.now += 10 * EACH_SECONDS
        room.tick()
        assert room.look("select count(*) from held_back") == [(0,)]
        room.act("olga", PAUSE, target=NAMES[40])
        room.act("olga", RESUME, target="room")
        room.tick()
        assert not shown(room, NAMES[39])
        room.act("olga", RESUME, target=NAMES[40])
        assert shown(room, NAMES[40])
        assert gradual.AT_ONCE == AT_ONCE


@promise("CTL7")
async def test_a_resume_says_which_pauses_remain_and_for_whom(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("alpha", "beta", "gamma")
    await room.enroll("pat", kind="human")
    await owner("enroll", name="delta", owner="pat")
    await owner("pause", target="beta", reason="wrong branch", for_seconds=600)
    await owner("pause", target="owner:pat", reason="on holiday")
    await owner("pause", target="room")
    for target, left in {
        "gamma": [("room", ["gamma"])],
        "owner:olga": [("room", ["alpha", "beta", "gamma"]), ("beta", ["beta"])],
        "room": [("owner:pat", ["delta"]), ("beta", ["beta"])],
    }.items():
        await owner("pause", target=target)
        body, text, refused = await owner.said("resume", target=target)
        assert not refused
        assert [(pause["target"], pause["members"]) for pause in body["remaining"]] == left, target
        for pause in body["remaining"]:
            assert pause["by"] == "olga"
            assert all(f"@{name}" in text for name in pause["members"])
    assert "wrong branch" in text
    assert "on holiday" in text


@promise("CTL7")
async def test_a_shorter_pause_never_replaces_a_longer_one(room: RunningRoom) -> None:
    owner = await room.owner()
    (operator,) = await room.enroll("op", kind="human", role="operator")
    await room.enroll("beta")
    for target in ("beta", "owner:olga", "room"):
        long = (await owner("pause", target=target, reason="look", for_seconds=3600))["until"]
        for caller, kept in ((owner, "which is longer, so that pause remains"), (operator, "which is longer")):
            body, text, _ = await caller.said("pause", target=target, for_seconds=60)
            assert (body["standing"], body["until"], body["receipt"]) == ("paused", long, None)
            assert kept in text
            assert "look" in text
        longer = await operator("pause", target=target, for_seconds=7200) if target == "beta" else None
        assert longer is None or longer["until"] > long
        if longer is not None:
            assert (await operator.refused("resume", target=target))["code"] == "not_allowed", "its owner paused it too"
        endless = await owner("pause", target=target)
        assert (endless["until"], endless["receipt"] is not None) == (None, True)
        assert (await owner("pause", target=target, for_seconds=60))["until"] is None
        await owner("resume", target=target)


SPANS = {
    "30": (1800, "30 min; write 30s for seconds"),
    "30s": (30, "30 s"),
    "90m": (5400, "90 min"),
    "2h": (7200, "2 h"),
}


@promise("CTL7")
async def test_a_length_without_a_unit_is_in_minutes_and_says_so(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("beta")
    for written, (seconds, said) in SPANS.items():
        before = room.time()
        body, text, _ = await owner.said("pause", target="beta", **{"for": written})
        assert said in text
        assert ("write" in text) == written.isdigit()
        until = room.look_up(lambda tx: stored_standing(tx, "member", 3).until)
        assert until is not None
        assert seconds <= until - before < seconds + 30
        assert body["standing"] == "paused"
        await owner("resume", target="beta")
    body, text, _ = await owner.said("pause", target="beta", **{"for": 30})
    assert "30 min" in text, "a number is read like its text"
    assert (await owner.refused("pause", target="beta", **{"for": "soon"}))["code"] == "invalid"
    assert (await owner.refused("pause", target="beta", for_seconds=3, **{"for": "3s"}))["code"] == "invalid"


@promise("CTL7")
async def test_a_pause_and_a_resume_need_no_reason(room: RunningRoom) -> None:
    owner = await room.owner()
    (beta,) = await room.enroll("beta")
    await owner("pause", target="beta")
    assert (await beta.refused("who"))["reason"] == "no reason given"
    await owner("resume", target="beta")
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    done = await shell.here("pause", "beta", "--for", "30")
    assert "30 min; write 30s for seconds" in done.out
    assert "no reason given" in (await beta.refused("who"))["why"]
    assert "beta is active" in (await shell.here("resume", "beta")).out
