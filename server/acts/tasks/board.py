"""The board: one line per task, or one task in full."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Read, TaskId, Words
from teamroom.server.clock import rfc3339
from teamroom.server.facts.authorization import scopes_of
from teamroom.server.facts.decision import DecisionShown, decisions_about
from teamroom.server.facts.ids import task_name
from teamroom.server.facts.member import facts_named
from teamroom.server.facts.origin import IMPORT, is_hidden, origin_of
from teamroom.server.facts.owed import Slot, slots_of
from teamroom.server.facts.reviewer import as_review, reviewer_now
from teamroom.server.facts.task import (
    Entry,
    StoredTask,
    cancelled_dependencies,
    find_task,
    history,
    needs_of,
    task_now,
    unfinished_dependencies,
)
from teamroom.server.identity import Caller
from teamroom.server.rules.proofs import how_to_check
from teamroom.server.rules.search import parse_search
from teamroom.server.store.rows.tasks import DependencyRow, TaskRow, UpheldShare
from teamroom.server.store.transaction import Reading

PAGE_TASKS = 50

SEARCHED_TASKS = 5_000
"""How many matches one page of a search looks at, whatever their state. The next page goes on from there."""


class ReadBoard(Arguments):
    """Arguments of `read_board`."""

    task: TaskId | None = None
    state: Literal["open", "claimed", "blocked", "offered", "in_review", "done", "cancelled", "all"] | None = None
    query: Annotated[Words, Field(min_length=1)] | None = None
    after: TaskId | None = None


class TaskLine(BaseModel):
    """A task in one line."""

    task: str
    title: str
    creator: str
    state: str
    priority: int
    holder: str | None
    lease_until: str | None
    overdue: bool
    waiting_for: str | None
    cancelled: list[str] = []
    """Cancelled tasks that it depends on, while it can be worked on."""


class TaskShown(TaskLine):
    """A task in full. `external`: its id elsewhere. A task that an import brought has the dates that it has there."""

    external: str | None
    detail: str
    created_at: str
    due: str | None
    assigned: str | None
    fence: int
    needs: list[str]
    requires: list[str]
    authorizations: list[str]
    """The entries that its newest claim used."""
    depends_on: list[dict[str, str]]
    review: str
    reviewer: str | None
    completed_by: str | None
    completed_at: str | None
    upheld: str | None
    summary: str
    evidence: list[dict[str, Any]]
    hops: int
    reminders: list[Slot]
    decisions: list[DecisionShown]
    history: list[Entry]


class Board(BaseModel):
    """Reply of `read_board`. `next` is the `after` of the next call, if there are more tasks."""

    tasks: list[TaskLine] = []
    task: TaskShown | None = None
    next: str | None = None


def read_board(tx: Reading, caller: Caller, arguments: ReadBoard) -> Board:
    """The unfinished tasks, or those in a state, or one task in full. Raises Refusal `not_found`."""
    if arguments.task is not None:
        return Board(task=_in_full(tx, find_task(tx, arguments.task)))
    rows, following = _page(tx, arguments)
    lines = [_line(tx, task_now(tx, row), unfinished_dependencies(tx, row)) for row in rows]
    return Board(tasks=lines, next=None if following is None else task_name(following))


def _page(tx: Reading, arguments: ReadBoard) -> tuple[list[TaskRow], int | None]:
    """A page of tasks in order, and the number after which the next page begins, if there is one."""
    after, limit = arguments.after or 0, PAGE_TASKS + 1
    if arguments.query is not None:
        return _matches(tx, arguments.query, arguments, after)
    if arguments.state is None:
        rows = tx.all(TaskRow, "board_unfinished", after=after, limit=limit)
    elif arguments.state == "all":
        rows = tx.all(TaskRow, "board_all", after=after, limit=limit)
    else:
        rows = tx.all(TaskRow, "board_in_state", after=after, state=arguments.state, limit=limit)
    page = rows[:PAGE_TASKS]
    return page, page[-1].id if len(rows) > PAGE_TASKS else None


def _matches(tx: Reading, query: str, arguments: ReadBoard, after: int) -> tuple[list[TaskRow], int | None]:
    """A page of the tasks that contain some words; one page looks at `SEARCHED_TASKS` matches at most."""
    if not (words := parse_search(query)):
        return [], None
    matching = {"words": words, "after": after, "looked_at": SEARCHED_TASKS}
    rows = tx.all(TaskRow, "board_matches", **matching, state=arguments.state or "", limit=PAGE_TASKS + 1)
    if len(rows) > PAGE_TASKS:
        return rows[:PAGE_TASKS], rows[PAGE_TASKS - 1].id
    return rows, tx.value(int, "last_match", **matching)


def _line(tx: Reading, task: StoredTask, before: list[str]) -> TaskLine:
    row = task.row
    waiting = {"blocked": row.blocked_on, "in_review": _at(_reviewer(tx, task))}
    if task.state == "offered":
        waiting["offered"] = _at(row.receiver_name)
    if task.state == "open":
        waiting["open"] = ", ".join(before) or None
    return TaskLine(
        task=task.name,
        title=row.title,
        creator=row.creator_name,
        state=task.state,
        priority=row.priority,
        holder=row.holder_name,
        lease_until=task.lease_until(tx),
        overdue=task.overdue_seconds(tx.now, tx.settings) > 0,
        waiting_for=waiting.get(task.state),
        cancelled=cancelled_dependencies(tx, row) if task.state not in ("done", "cancelled") else [],
    )


def _in_full(tx: Reading, task: StoredTask) -> TaskShown:
    row = task.row
    origin = origin_of(tx, task.id)
    created, closed = (None, None) if origin is None else (origin.created_date, origin.closed_date)
    by_import = row.state == "done" and row.completed_by is None
    completed = None if row.completed_at is None else tx.shown(row.completed_at)
    return TaskShown(
        **_line(tx, task, unfinished_dependencies(tx, row)).model_dump(),
        external=None if origin is None or is_hidden(origin) else origin.external,
        detail=row.detail,
        created_at=tx.shown(row.created_at) if created is None else rfc3339(created),
        due=None if row.due is None else rfc3339(row.due),
        assigned=row.assigned_name,
        fence=task.fence,
        needs=needs_of(tx, task.row),
        requires=scopes_of(row.requires),
        authorizations=row.authorised.split(),
        depends_on=[
            {"task": task_name(d.task), "state": d.state} for d in tx.all(DependencyRow, "dependencies", task=task.id)
        ],
        review=_policy(tx, row.review),
        reviewer=_reviewer(tx, task),
        completed_by=IMPORT if by_import else row.completer_name,
        completed_at=completed if closed is None else rfc3339(closed),
        upheld=None if row.completed_by is None else _upheld(tx, row.completed_by),
        summary=row.summary,
        evidence=[{**item, "check": how_to_check(item["kind"], item["ref"])} for item in json.loads(row.evidence)],
        hops=row.hops,
        reminders=[
            *slots_of(tx, "task", task.id),
            *slots_of(tx, "review", task.id),
            *(slots_of(tx, "offer", row.offer) if row.offer is not None else ()),
        ],
        decisions=decisions_about(tx, task.id),
        history=history(tx, task.id),
    )


def _policy(tx: Reading, review: str) -> str:
    """A review policy, with the name now of the member that it names."""
    named = None if review in ("auto", "none") else facts_named(tx, review)
    return review if named is None else named.name


def _upheld(tx: Reading, member: int) -> str:
    """How many of a member's reviewed completions were upheld, in words."""
    share = tx.only(UpheldShare, "upheld_share", member=member)
    return f"{share.upheld} of {share.reviewed}"


def _reviewer(tx: Reading, task: StoredTask) -> str | None:
    """The member that reviewed the completion, or its current reviewer."""
    if task.state != "in_review":
        return None if task.row.reviewer_name is None else str(task.row.reviewer_name)
    found = reviewer_now(tx, as_review(task.row))
    return None if found is None else found.name


def _at(name: str | None) -> str | None:
    return None if name is None else f"@{name}"


READ_BOARD = Read(
    "read_board",
    ReadBoard,
    read_board,
    is_small=lambda arguments: arguments.query is None,
    narrow="Leave query out, or read one task by its id.",
    is_shared=True,
)
