"""The tools of the board."""

from teamroom.server.acts.tasks.board import READ_BOARD, Board, TaskLine, TaskShown
from teamroom.server.acts.tasks.claims import CLAIM_TASK, Claimed
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK, Completed, Reviewed
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK, Created, Updated
from teamroom.server.facts.task import Entry
from teamroom.server.rules.text import code, named, said
from teamroom.tools.tool import Tool
from teamroom.tools.words import listed, quoted, receipt, reminded, shortened


def created(reply: Created) -> str:
    """The reply of `create_task` in words."""
    return f"Created {reply.task}{receipt(reply)}."


def claimed(reply: Claimed) -> str:
    """The reply of `claim_task` in words."""
    needs = f"\nNeeds: {', '.join(map(named, reply.needs))}" if reply.needs else ""
    detail = f"\n{quoted(reply.detail, reply.creator)}" if reply.detail else ""
    until = f", lease until {reply.lease_until}" if reply.lease_until else ""
    return (
        f"You have {reply.task}, fence {reply.fence}{until}{receipt(reply)}: {said(reply.title)} by @{reply.creator}"
        f"{needs}{detail}" + listed("History", [entry(e) for e in reply.history])
    )


def entry(entry: Entry) -> str:
    """What happened to a task, in one line."""
    text = f": {shortened(entry.text)}" if entry.text else ""
    return f"{entry.seq} @{entry.member} {entry.kind.replace('_', ' ')}{text}"


def updated(reply: Updated) -> str:
    """The reply of `update_task` in words."""
    until = f", lease until {reply.lease_until}" if reply.lease_until else ""
    return f"{reply.task} is {reply.state.replace('_', ' ')}{until}{receipt(reply)}."


def task_line(task: TaskLine) -> str:
    """A task in one line of the board."""
    holder = f" @{task.holder}" if task.holder else ""
    until = f" until {task.lease_until}" if task.lease_until else ""
    waiting_for = said(task.waiting_for or "") if task.state == "blocked" else task.waiting_for
    waits = f" for {waiting_for}" if task.waiting_for else ""
    late = " OVERDUE" if task.overdue else ""
    return (
        f"{task.task} {task.state.replace('_', ' ')}{holder}{until}{waits}{late}: {said(task.title)} by @{task.creator}"
    )


def task_shown(task: TaskShown) -> str:
    """A task in full, in words."""
    before = ", ".join(f"{d['task']} ({d['state']})" for d in task.depends_on)
    facts = [
        f"created at {task.created_at}, priority {task.priority}, review {task.review}",
        *([f"due {task.due}"] if task.due else []),
        *([f"for @{task.assigned}"] if task.assigned else []),
        *([f"needs {', '.join(map(named, task.needs))}"] if task.needs else []),
        *([f"after {before}"] if before else []),
        *(
            [f"completed by @{task.completed_by} ({task.upheld} upheld so far): {shortened(task.summary)}"]
            if task.completed_by
            else []
        ),
        *(
            f"evidence {e['kind']} {named(e['ref'])}"
            + (f" = {named(e['value'])}" if e.get("value") else "")
            + (f"; check: {code(e['check'])}" if e["check"] else "")
            for e in task.evidence
        ),
    ]
    detail = f"\n{quoted(task.detail, task.creator)}" if task.detail else ""
    return (
        task_line(task)
        + detail
        + listed("Facts", facts)
        + reminded(task.reminders)
        + listed("History", [entry(e) for e in task.history])
    )


def board(reply: Board) -> str:
    """The reply of `read_board` in words."""
    if reply.task is not None:
        return task_shown(reply.task)
    more = f"\nMore: read_board after {reply.next}" if reply.next else ""
    return ("\n".join(task_line(task) for task in reply.tasks) or "No tasks.") + more


def completed(reply: Completed) -> str:
    """The reply of `complete_task` in words."""
    if reply.state == "done":
        return f"{reply.task} is done{receipt(reply)}."
    whom = f"@{reply.reviewer} reviews it" if reply.reviewer else "any other member may review it"
    return f"{reply.task} is in review{receipt(reply)}: {whom}."


def reviewed(reply: Reviewed) -> str:
    """The reply of `review_task` in words."""
    return f"{reply.task} is {reply.state}{receipt(reply)}."


TOOLS = (
    Tool(
        "create_task",
        "Put work on the board. needs name capabilities its holder must have; depends_on tasks that come first; due is "
        "seconds from now; review is auto, none or a name.",
        CREATE_TASK,
        created,
    ),
    Tool(
        "claim_task",
        "Take a task before you work on it; without one, the best open task you can do. The reply has the task in "
        "full, your fence and your lease.",
        CLAIM_TASK,
        claimed,
        core=True,
    ),
    Tool(
        "read_board",
        "See the board, one line a task, or one task in full with its history.",
        READ_BOARD,
        board,
        reads=True,
    ),
    Tool(
        "update_task",
        "Report progress with evidence when something moved; renews the lease. The holder gives the fence; creator, "
        "owner and operator need none to change, release or cancel.",
        UPDATE_TASK,
        updated,
        core=True,
    ),
    Tool(
        "complete_task",
        'Claim that your task is done; another member reviews it. evidence: [{"kind": "test", "ref": "pytest -q: 212 '
        'passed"}].',
        COMPLETE_TASK,
        completed,
        core=True,
    ),
    Tool(
        "review_task",
        "Judge another member's completed task, after checking its evidence again yourself.",
        REVIEW_TASK,
        reviewed,
    ),
)
