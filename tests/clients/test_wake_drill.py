"""`teamroom doctor --wake`: makes the round trip to an agent's harness, and says which steps it saw (WAK1)."""

from collections.abc import Awaitable, Callable

import anyio.from_thread
import anyio.to_thread
import pytest

from teamroom.clients.doctor import wake_drill as module
from teamroom.clients.doctor.wake_drill import DRILL_SECONDS, UNHEARD_SECONDS, wake_drill
from teamroom.clients.local.findings import Finding
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom
from tests.support.shells import Shell
from tests.wake.test_steps import NEWER, acts, waits, wakes

pytestmark = promise("WAK1")

Deed = Callable[[], Awaitable[object]]


async def drill(room: RunningRoom, *deeds: Deed) -> tuple[list[Finding], float]:
    """Run the drill, and one deed at each of its looks; what it found, and for how long it waited."""
    waited, left = [0.0], list(deeds)

    def sleep(seconds: float) -> None:
        waited[0] += seconds
        if left:
            anyio.from_thread.run(left.pop(0))

    place = Place(url=room.url, environment={"TEAMROOM_TOKEN": room.owner_token})

    def run() -> list[Finding]:
        return list(wake_drill(place, "builder", lambda: waited[0], sleep))

    return await anyio.to_thread.run_sync(run), waited[0]


def deeds_of(room: RunningRoom, member: Member) -> dict[str, Deed]:
    """What a listener and its member do, step by step."""
    cursor = list[int]()

    async def notified() -> None:
        cursor.append(await waits(member))
        await room.room.door.write_deliveries()

    async def woken() -> None:
        await wakes(member, cursor[-1])

    async def acted() -> None:
        await member("check_in")
        await acts(member)

    return {"notified": notified, "woken": woken, "acted": acted}


async def a_member(room: RunningRoom, is_heard: bool = True) -> Member:
    (member,) = await room.enroll("builder", mode="on_demand")
    if is_heard:
        await member.said("wait_for_wake", listener=NEWER, timeout_seconds=0)
    return member


async def test_a_wake_that_works_is_shown_with_its_times(room: RunningRoom) -> None:
    member = await a_member(room)
    found, waited = await drill(room, *deeds_of(room, member).values())
    assert [finding.level for finding in found] == ["ok", "ok", "ok"]
    assert [finding.found.split()[0] for finding in found] == ["notified", "woken", "acted"]
    assert all(" s after M-1, at 2" in finding.found for finding in found)
    assert waited < DRILL_SECONDS
    (message,) = (await member("read_messages", ids=["M-1"]))["messages"]
    assert (message["author"], message["kind"]) == ("olga", "ask")
    assert "test of your wake" in message["text"]


@pytest.mark.parametrize(
    ("steps", "level", "words", "fix"),
    [
        ([], "problem", "No listener of @builder was given the wake.", "teamroom listen --as builder -- COMMAND"),
        (["notified"], "problem", "did not say that it started a harness", "teamroom listen --as builder -- COMMAND"),
        (["notified", "woken"], "problem", "started, and did not act", "permission"),
        (["notified", "acted"], "warning", "did not say that it started", "teamroom listen --as builder -- COMMAND"),
    ],
)
async def test_the_step_that_is_missing_is_named_with_what_to_do(
    room: RunningRoom, steps: list[str], level: str, words: str, fix: str
) -> None:
    member = await a_member(room)
    deeds = deeds_of(room, member)
    found, waited = await drill(room, *(deeds[step] for step in steps))
    assert [finding.found.split()[0] for finding in found[:-1]] == steps
    assert (found[-1].level, words in found[-1].found, fix in found[-1].fix) == (level, True, True)
    assert waited <= DRILL_SECONDS
    assert waited >= DRILL_SECONDS or "acted" in steps


async def test_without_a_listener_it_gives_up_soon_and_under_a_pause_it_says_that_the_wake_is_held(
    room: RunningRoom,
) -> None:
    await a_member(room, is_heard=False)
    _, waited = await drill(room)
    assert waited == UNHEARD_SECONDS
    await (await room.owner())("pause", target="builder", reason="lunch")
    found, _ = await drill(room)
    assert [finding.level for finding in found] == ["warning", "problem"]
    assert "held by a stop since" in found[0].found


async def test_a_person_is_no_target(room: RunningRoom) -> None:
    place = Place(url=room.url, environment={"TEAMROOM_TOKEN": room.owner_token})
    with pytest.raises(Failure, match="is a person"):
        await anyio.to_thread.run_sync(lambda: list(wake_drill(place, "olga")))


async def test_the_command_wakes_only_and_prints_what_it_saw(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_member(room, is_heard=False)
    monkeypatch.setattr(module, "UNHEARD_SECONDS", 0)
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    done = await shell.here("doctor", "--wake", "builder", "--json")
    assert done.code != 0
    assert [check["about"] for check in done.json["checks"]] == ["wake"]
    done = await shell.here("doctor", "--wake", "@builder")
    assert "problem" in done.out
    assert "Fix: Start one that says what it sees: teamroom listen --as builder -- COMMAND" in done.out
