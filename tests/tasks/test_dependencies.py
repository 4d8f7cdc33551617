"""What tasks depend on: no graph has a cycle, whatever is changed, and little of it is looked at for that."""

from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from teamroom.server.acts.control.control import PAUSE
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.dependencies import DEPENDENTS, MOVED
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK
from teamroom.server.refusals import Refusal
from teamroom.server.store.sqlite import connect
from tests.models.world import Plan, World, open_world, statement
from tests.support.promises import promise

PLAN = Plan(members={"builder": {}})
TASKS, CHANGES = 14, 250


Graph = dict[int, set[int]]


def reaches(graph: Graph, start: int, end: int) -> bool:
    """Whether one task waits for another, by a walk over everything: the oracle."""
    waiting, seen = [start], set()
    while waiting:
        task = waiting.pop()
        if task == end:
            return True
        if task not in seen:
            seen.add(task)
            waiting += graph[task]
    return False


def create(room: World, number: int, depends_on: set[int]) -> None:
    names = [f"T-{other}" for other in sorted(depends_on)]
    reply = room.act("olga", CREATE_TASK, title=f"task {number}", depends_on=names, review="none")
    assert reply.task == f"T-{number}"


def change(room: World, task: int, depends_on: set[int]) -> Any:
    names = [f"T-{other}" for other in sorted(depends_on)]
    return room.act("olga", UPDATE_TASK, task=f"T-{task}", changes={"depends_on": names})


def misplaced(room: World) -> list[Any]:
    """Dependencies that stand in the wrong order."""
    return room.look(
        "select dependency.task, dependency.needs_task from dependency join task on task.id = dependency.task "
        "join task as before on before.id = dependency.needs_task where task.place <= before.place"
    )


def miscounted(room: World) -> list[Any]:
    """Tasks with a wrong count of what they wait for, or a wrong first need."""
    return room.look(
        "select id, waits from task where waits <> (select count(*) from dependency join task as before "
        "on before.id = dependency.needs_task where dependency.task = task.id "
        "and before.state not in ('done', 'cancelled')) "
        "or first_need <> coalesce((select min(need) from need where need.task = task.id), '')"
    )


def disturb(room: World, seed: int) -> list[str]:
    """Change a graph of tasks at random; returns where the room decides otherwise than the oracle."""
    dice, graph, faults = Random(seed), Graph(), []
    for number in range(1, TASKS + 1):
        graph[number] = set(dice.sample(range(1, number), min(number - 1, dice.randrange(4))))
        create(room, number, graph[number])
    for _ in range(CHANGES):
        task = dice.randint(1, TASKS)
        others = set(dice.sample(range(1, TASKS + 1), dice.randrange(4)))
        would_wait = any(reaches(graph, other, task) for other in others)
        reply = change(room, task, others)
        refused = isinstance(reply, Refusal)
        if refused and reply.code == "conflict":
            continue  # it is finished
        if refused != would_wait:
            faults.append(f"T-{task} on {others}: {'refused' if refused else 'taken'}")
        if not refused:
            graph[task] = others
        if dice.random() < 0.03:
            room.act("olga", UPDATE_TASK, task=f"T-{dice.randint(1, TASKS)}", status="cancelled")
    return [*faults, *(f"{pair} stand in the wrong order" for pair in misplaced(room)), *map(str, miscounted(room))]


@promise("TSK4")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_no_task_waits_for_itself_and_nothing_else_is_refused(seed: int) -> None:
    with open_world(PLAN) as room:
        assert disturb(room, seed) == []


@promise("TSK4")
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("move_task", "set place = :place", "set place = place"), ("needs_from", ">= :place", "> :place + 3")],
)
def test_a_room_that_loses_the_order_would_be_found(name: str, before: str, after: str) -> None:
    with statement(name, lambda sql: sql.replace(before, after)), open_world(PLAN) as room:
        assert any(disturb(room, seed) for seed in range(1))


@promise("TSK4")
def test_what_a_task_waits_for_is_counted_whatever_becomes_of_it() -> None:
    with open_world(PLAN) as room:
        for number in range(1, 5):
            create(room, number, set(range(1, number)))
        room.act("olga", CREATE_TASK, title="needs much", needs=["b", "a"], depends_on=["T-1"])
        for task in ("T-1", "T-2"):
            assert room.act("olga", CLAIM_TASK).task == task
            room.act("olga", COMPLETE_TASK, task=task, fence=1, summary="done", evidence=[])
            assert miscounted(room) == []
        room.act("olga", UPDATE_TASK, task="T-3", status="cancelled")
        room.act("olga", UPDATE_TASK, task="T-5", changes={"needs": [], "depends_on": []})
        assert miscounted(room) == []
        assert room.look("select id, waits from task order by id")[-2:] == [(4, 0), (5, 0)]


@promise("SAF9")
def test_a_task_that_many_depend_on_and_a_change_that_moves_many_are_refused_with_another_way() -> None:
    with open_world(PLAN) as room:
        create(room, 1, set())
        for number in range(2, MOVED + 3):
            create(room, number, {number - 1})
        last = room.act("olga", CREATE_TASK, title="last").task
        room.act("olga", UPDATE_TASK, task="T-1", changes={"depends_on": [last]})
        refusal = room.act("olga", UPDATE_TASK, task="T-1", changes={"depends_on": [last]})
        assert isinstance(refusal, Refusal)
        assert (refusal.code, "cancel this one" in refusal.fix) == ("too_large", True)
        assert room.act("olga", PAUSE, target="builder", reason="the switch goes on").standing == "paused"


@promise("SAF9")
def test_no_task_has_more_dependents_than_its_end_can_free_at_once() -> None:
    with open_world(PLAN) as room:
        create(room, 1, set())
        for number in range(2, DEPENDENTS + 2):
            create(room, number, {1})
        refusal = room.act("olga", CREATE_TASK, title="one more", depends_on=["T-1"])
        assert isinstance(refusal, Refusal)
        assert refusal.code == "too_large"
        room.act("olga", UPDATE_TASK, task="T-1", status="cancelled")
        assert miscounted(room) == []


@promise("TSK4")
def test_a_room_of_the_release_before_keeps_its_dependencies_and_gets_an_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(connect.connect_writer(tmp_path / "room.db")) as connection:
        with monkeypatch.context() as before:
            before.setattr(
                connect, "missing_migrations", lambda done: {n: p for n, p in MISSING(done).items() if n < 15}
            )
            connect.migrate(connection, 0.0)
        connection.execute("pragma foreign_keys = off")
        for task in range(1, 8):
            connection.execute(
                "insert into task (id, title, detail, priority, creator, created_at, changed_seq, state, fence, "
                "lease_seconds, blocked_on, review, summary, evidence, hops) values (?, '', '', 0, 1, 0, 1, ?, 0, 0, "
                "'', 'auto', '', '[]', 0)",
                (task, "done" if task == 4 else "open"),
            )
        for pair in ((1, 5), (5, 3), (2, 1), (6, 4), (7, 2)):
            connection.execute("insert into dependency (task, needs_task) values (?, ?)", pair)
        connection.execute("insert into need (task, need) values (3, 'z'), (3, 'b')")
        connect.migrate(connection, 0.0)
        rows = connection.execute("select id, waits, first_need, place from task order by place").fetchall()
        assert [row["place"] for row in rows] == list(range(1, 8))
        order = [row["id"] for row in rows]
        assert all(order.index(before) < order.index(task) for task, before in ((1, 5), (5, 3), (2, 1), (7, 2)))
        assert {row["id"]: row["waits"] for row in rows} == {1: 1, 2: 1, 3: 0, 4: 0, 5: 1, 6: 0, 7: 1}
        assert {row["id"]: row["first_need"] for row in rows if row["first_need"]} == {3: "b"}


MISSING = connect.missing_migrations


def earlier(applied: Any) -> dict[int, Path]:
    """The migrations of the release before."""
    return {number: path for number, path in MISSING(applied).items() if number < 15}
