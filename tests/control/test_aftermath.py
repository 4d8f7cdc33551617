"""What follows a stop comes in pages, survives a crash between two of them, and never holds up the stop."""

from typing import Any

import pytest

from teamroom.server.acts.act import Act, Arguments, Reply
from teamroom.server.acts.control import control
from teamroom.server.acts.control.aftermath import PAGE
from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.facts.roles import EVERYBODY
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.transaction import Writing
from tests.models.world import Plan, World, open_world
from tests.support.promises import promise

HELD, CROWD = 100, 2 * PAGE + 20
PLAN = Plan(
    members={"builder": {"mode": "live"}, **{f"agent-{n}": {"mode": "live"} for n in range(CROWD)}},
    settings={"wip_cap": HELD},
)
SMALL = Plan(members={"builder": {"mode": "live"}}, settings={"act_steps": 20_000})


def held(room: World) -> int:
    return int(room.look("select count(*) from task where holder is not null")[0][0])


def told(room: World, reason: str, subject: str) -> int:
    """How many members were woken about a subject."""
    asked = f"select count(distinct member) from wake where reason = '{reason}' and subject = '{subject}'"
    return int(room.look(asked)[0][0])


def laden(room: World) -> None:
    """The builder holds many tasks, and many members wait for an answer of it."""
    for number in range(HELD):
        room.act("olga", CREATE_TASK, title=f"task {number}")
        assert room.act("builder", CLAIM_TASK, task=f"T-{number + 1}").fence == 1
    for number in range(CROWD):
        room.act(f"agent-{number}", POST_MESSAGE, text=f"and {number}?", to=["builder"])


@promise("CTL5")
def test_a_kill_settles_all_that_its_member_held_in_pages_and_over_a_crash() -> None:
    with open_world(PLAN) as room:
        laden(room)
        assert room.act("olga", KILL, target="builder", reason="it ran wild").standing == "killed"
        assert held(room) == 0, "the first page follows at once"
        assert told(room, "control", "@builder") < CROWD, "the others come later"
        refusal = room.act("olga", ENROLL, name="builder", revive=True)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.needs["retry_after_seconds"]) == ("conflict", 1)
        room.crash()
        room.tick()
        assert told(room, "control", "@builder") == CROWD
        assert room.act("olga", ENROLL, name="builder", revive=True).token
        pages = room.look("select detail from log where act = 'release'")
        assert len(pages) > 1


@promise("CTL5")
def test_a_kill_that_forgets_what_is_left_would_tell_only_some(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(tx: Writing, member: int) -> None:
        """Nothing says what is left."""

    monkeypatch.setattr(control, "begin_after_kill", forgets)
    with open_world(PLAN) as room:
        laden(room)
        room.act("olga", KILL, target="builder", reason="it ran wild")
        room.crash()
        room.tick()
        assert (held(room), told(room, "control", "@builder")) != (0, CROWD)


@promise("CTL5")
def test_what_follows_a_kill_may_fail_and_the_kill_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tx: Writing, due: Any) -> None:
        raise ZeroDivisionError("a bug in what follows")

    with open_world(PLAN) as room:
        laden(room)
        with monkeypatch.context() as broken:
            broken.setattr(control, "settle_kill", fails)
            assert room.act("olga", KILL, target="builder", reason="it ran wild").standing == "killed"
        assert held(room) == HELD
        room.tick()
        assert (held(room), told(room, "control", "@builder")) == (0, CROWD)


def reads_much(tx: Writing, caller: Caller, arguments: Arguments) -> Reply:
    for _ in range(10_000):
        tx.number("count_notices_held")
    return Reply()


MUCH = Act("much", Arguments, Reply, reads_much, roles=EVERYBODY)
SWITCH = Act("switch", Arguments, Reply, reads_much, roles=EVERYBODY, is_switch=True)


@promise("SAF9")
def test_an_act_that_reads_too_much_is_refused_with_a_receipt_and_a_stop_never_is() -> None:
    with open_world(SMALL) as room:
        refusal = room.act("builder", MUCH)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.receipt is not None) == ("too_large", True)
        assert "Call again with less" in refusal.fix
        assert room.look("select act, outcome from log order by seq desc limit 1") == [("much", "refused")]
        assert isinstance(room.act("builder", SWITCH), Reply)
        assert all(act.is_switch for act in (PAUSE, RESUME, KILL))
