"""Imports of tasks that exist elsewhere: each is one act of a person, and is recognised by its id there.

A repeated import changes a task only if nobody has changed it here since the last import. Otherwise it says what
differs. A task that was finished elsewhere is done here, by "import", and keeps its dates.
"""

from typing import Annotated, Literal

from pydantic import Field

from teamroom.server.acts.act import Act, Arguments, External, Reply, Text, author
from teamroom.server.acts.tasks.dependencies import DEPENDENCIES, set_dependencies
from teamroom.server.acts.tasks.tasks import Title, is_in_charge, notify_freed, store_task
from teamroom.server.clock import WallTime
from teamroom.server.facts.ids import TaskNumber
from teamroom.server.facts.origin import find_origin, is_hidden
from teamroom.server.facts.person import require_person
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.task import StoredTask, add_entry, find_task, task_changed
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.texts import text_digest
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import add_quote
from teamroom.server.store.rows.tasks import DependencyRow, OriginRow
from teamroom.server.store.transaction import Reading, Writing

FINISHED = ("done", "cancelled")

Date = Annotated[float, Field(ge=0, le=4_000_000_000)]
"""Seconds since 1970-01-01 UTC."""

Part = Literal[
    "title", "detail", "priority", "due", "state", "summary", "created_at", "closed_at", "depends_on", "redacted"
]
"""What of a task differs from what an import brings; `redacted`: its words were removed here."""


class ImportTask(Arguments):
    """Arguments of `import_task`.

    `external`: its id elsewhere; `depends_on`: ids of the same kind. Without `depends_on`, dependencies stay.
    """

    external: External
    title: Title
    detail: Text | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    due: Date | None = None
    depends_on: Annotated[list[External], Field(max_length=DEPENDENCIES)] | None = None
    created_at: Date | None = None
    done: bool = False
    closed_at: Date | None = None
    summary: Text | None = None


class Imported(Reply):
    """Reply of `import_task`.

    `kept`: somebody changed the task here, so it stays; `differs` says in what. `missing`: the places in `depends_on`
    of ids that no task here has.
    """

    task: str
    outcome: Literal["created", "changed", "unchanged", "kept"]
    differs: list[Part] = Field(default_factory=list)
    missing: list[int] = Field(default_factory=list)


def import_task(tx: Writing, caller: Caller, arguments: ImportTask) -> Imported:
    """Create a task that exists elsewhere, or update it if nobody has changed it here since. Raises Refusal."""
    fix = "Ask your owner to run `teamroom import FILE`, or call create_task with external."
    require_person(caller, "Only a person can import tasks.", fix)
    found = [find_origin(tx, external) for external in arguments.depends_on or ()]
    missing = [place for place, other in enumerate(found) if other is None]
    needs = None if arguments.depends_on is None else {other.task for other in found if other is not None}
    origin = find_origin(tx, arguments.external)
    if origin is None:
        return _create(tx, caller, arguments, needs or set(), missing)
    task = find_task(tx, origin.task)
    if is_hidden(origin):
        return Imported(task=task.name, outcome="kept", differs=["redacted"], missing=missing)
    differs = _differences(tx, task, origin, arguments, needs)
    if not differs:
        return Imported(task=task.name, outcome="unchanged", missing=missing)
    if origin.seq == 0 or task.row.changed_seq != origin.seq:
        return Imported(task=task.name, outcome="kept", differs=differs, missing=missing)
    return _change(tx, caller, arguments, task, differs, needs, missing)


def _differences(
    tx: Reading, task: StoredTask, origin: OriginRow, arguments: ImportTask, needs: set[int] | None
) -> list[Part]:
    """In what a task differs from what an import brings. Who works on it, or finished it here, is no difference."""
    row = task.row
    was_imported = origin.seq > 0
    is_done_by_import = row.state == "done" and row.completed_by is None
    before = {other.task for other in tx.all(DependencyRow, "dependencies", task=row.id)}
    compared: dict[Part, bool] = {
        "title": row.title == arguments.title,
        "detail": row.detail == (arguments.detail or ""),
        "priority": row.priority == arguments.priority,
        "due": row.due == arguments.due,
        "state": (row.state in FINISHED) == arguments.done,
        "summary": not is_done_by_import or row.summary == (arguments.summary or ""),
        "created_at": not was_imported or origin.created_date == arguments.created_at,
        "closed_at": not is_done_by_import or origin.closed_date == arguments.closed_at,
        "depends_on": needs is None or before == needs,
    }
    return [part for part, is_same in compared.items() if not is_same]


def _create(tx: Writing, caller: Caller, arguments: ImportTask, needs: set[int], missing: list[int]) -> Imported:
    tx.head.tasks += 1
    id_ = tx.head.tasks
    seq = _append(tx, caller, arguments, f"T-{id_}", "")
    title, detail, priority = arguments.title, arguments.detail, arguments.priority
    store_task(tx, caller, id_, seq, title=title, detail=detail, priority=priority)
    tx.run("add_origin", task=id_, external=arguments.external, given="", **_dates(arguments, seq))
    _put(tx, caller, id_, arguments, seq)
    set_dependencies(tx, id_, [TaskNumber(need) for need in sorted(needs)])
    return Imported(receipt=seq, task=f"T-{id_}", outcome="created", missing=missing)


def _change(
    tx: Writing,
    caller: Caller,
    arguments: ImportTask,
    task: StoredTask,
    differs: list[Part],
    needs: set[int] | None,
    missing: list[int],
) -> Imported:
    """Write what differs into a task that nobody has changed here since the last import. Raises Refusal."""
    if not is_in_charge(caller, task):
        raise Refusal(
            "not_allowed",
            f"@{task.row.creator_name} imported {task.name}; only that person or an operator may import it again.",
            f"Ask @{task.row.creator_name} or an operator to run the import.",
            subject=task.name,
        )
    seq = _append(tx, caller, arguments, task.name, f" again ({', '.join(differs)})")
    tx.run("renew_origin", task=task.id, **_dates(arguments, seq))
    _put(tx, caller, task.id, arguments, seq)
    if needs is not None and "depends_on" in differs:
        tx.run("drop_dependencies", task=task.id)
        set_dependencies(tx, task.id, [TaskNumber(need) for need in sorted(needs)])
    if arguments.done and task.row.state not in FINISHED:
        notify_freed(tx, task)
    return Imported(receipt=seq, task=task.name, outcome="changed", differs=differs, missing=missing)


def _append(tx: Writing, caller: Caller, arguments: ImportTask, name: str, again: str) -> int:
    done = ", done by import" if arguments.done else ""
    return log.append(
        tx,
        author(caller),
        act="import_task",
        subject=name,
        summary=add_quote(f"@{caller.name} imported {name}{again}{done}", arguments.title),
        detail={
            "external": arguments.external,
            "title": arguments.title,
            "text": text_digest(arguments.detail or ""),
            "summary": _summary(arguments),
            "done": arguments.done,
        },
    )


def _dates(arguments: ImportTask, seq: int) -> dict[str, float | None]:
    """What the origin of a task keeps of an import."""
    closed = arguments.closed_at if arguments.done else None
    return {"seq": seq, "created_date": arguments.created_at, "closed_date": closed}


def _summary(arguments: ImportTask) -> str:
    """The summary that a task gets: only a finished one has any."""
    return (arguments.summary or "") if arguments.done else ""


def _put(tx: Writing, caller: Caller, id_: int, arguments: ImportTask, seq: int) -> None:
    """Write what an import brings into a task."""
    tx.run(
        "put_imported",
        id=id_,
        title=arguments.title,
        detail=arguments.detail or "",
        priority=arguments.priority,
        due=None if arguments.due is None else WallTime(arguments.due),
        state="done" if arguments.done else "open",
        summary=_summary(arguments),
        seq=seq,
    )
    task_changed(tx, id_)
    add_entry(tx, id_, caller, "imported", arguments.title)


IMPORT_TASK = Act("import_task", ImportTask, Imported, import_task, shown_to_agents=ROOM_OWNERS)
