"""What a task depends on. No task may wait for itself, over however many others.

All tasks stand in one order, each after those that it depends on. A new task stands last, so nothing has to be checked.
An older task that is made to depend on a later one moves behind it, with the tasks between them that hang on either:
only these are looked at. That is the algorithm of Pearce and Kelly (2006).
"""

import json
from collections.abc import Callable, Sequence

from teamroom.server.facts.ids import TaskNumber, task_name
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.store.rows.tasks import Needed, TaskPlace
from teamroom.server.store.transaction import Reading, Writing

DEPENDENCIES = 50
"""How many tasks one task depends on at most."""

DEPENDENTS = 500
"""How many tasks depend on one task at most."""

MOVED = 300
"""How many tasks move when an older task is made to depend on a later one."""

Places = dict[int, int]
"""Places of tasks in the order, by their numbers."""


def set_dependencies(tx: Writing, task: int, others: Sequence[TaskNumber]) -> None:
    """Make a task, which depends on nothing yet, depend on others. Raises Refusal."""
    if not others:
        return
    place = tx.only(TaskPlace, "task_place", id=task).place
    before = _find(tx, list(dict.fromkeys(others)))
    later = [other for other in before if other.place >= place]
    if later:
        _move_behind(tx, TaskPlace(task, place), later)
    for other in before:
        tx.run("add_dependency", task=task, needs_task=other.id)


def _find(tx: Reading, tasks: list[int]) -> list[TaskPlace]:
    """The tasks that another one is to depend on. Raises Refusal."""
    rows = tx.all(Needed, "needed_tasks", tasks=json.dumps(tasks), most=DEPENDENTS) if tasks else []
    found = {row.id: row for row in rows}
    return [_found(task, found.get(task)) for task in tasks]


def _found(task: int, found: Needed | None) -> TaskPlace:
    name = task_name(task)
    if found is None:
        raise not_found("task", name, "Call read_board to see the ids of the tasks.")
    if found.dependents >= DEPENDENTS:
        raise Refusal(
            "too_large",
            f"{DEPENDENTS} tasks depend on {name} already, which is the limit.",
            f"Create a task that stands for several: it depends on {name}, and others depend on it.",
            subject=name,
        )
    return TaskPlace(found.id, found.place)


def _move_behind(tx: Writing, task: TaskPlace, later: list[TaskPlace]) -> None:
    """Move a task behind those that it is to depend on. Raises Refusal if one of them waits for the task."""

    def needed(id_: int) -> list[TaskPlace]:
        return tx.all(TaskPlace, "needs_from", task=id_, place=task.place)

    needs: Places = {}
    for other in later:
        _reach(other, needed, needs)
        if task.id in needs:
            raise Refusal(
                "invalid",
                f"{task_name(task.id)} and {task_name(other.id)} would wait for each other.",
                "Leave one of the two out of depends_on.",
            )
    last = max(needs.values())

    def dependent(id_: int) -> list[TaskPlace]:
        return tx.all(TaskPlace, "dependents_upto", task=id_, place=last, limit=MOVED + 1)

    dependents: Places = {}
    _reach(task, dependent, dependents, MOVED - len(needs))
    order = [*sorted(needs, key=needs.__getitem__), *sorted(dependents, key=dependents.__getitem__)]
    for id_, place in zip(order, sorted([*needs.values(), *dependents.values()]), strict=True):
        tx.run("move_task", id=id_, place=place)


def _reach(first: TaskPlace, following: Callable[[int], list[TaskPlace]], found: Places, most: int = MOVED) -> None:
    """Add a task, and all that is reached from it, to what was found. Raises Refusal beyond a number of tasks."""
    waiting = [first]
    while waiting:
        task = waiting.pop()
        if task.id in found:
            continue
        found[task.id] = task.place
        if len(found) > most:
            raise Refusal(
                "too_large",
                f"The change would move more than {MOVED} tasks that depend on each other.",
                "Create a new task with these dependencies instead, and cancel this one.",
            )
        waiting += [other for other in following(task.id) if other.id not in found]
