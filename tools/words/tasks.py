"""Tasks, offers and reviews in words."""

from teamroom.server.acts.presence.presence import TaskHeld
from teamroom.server.acts.tasks.board import Board, TaskLine, TaskShown
from teamroom.server.acts.tasks.hand_offs import OfferShown
from teamroom.server.facts.reviewer import ReviewDue
from teamroom.server.facts.task import Entry
from teamroom.server.rules.text import code, named, said, state_in_words
from teamroom.tools.words.phrases import list_lines, quote, shorten
from teamroom.tools.words.reminders import render_reminders


def render_board(reply: Board) -> str:
    """The board, one line per task, or one task in full."""
    if reply.task is not None:
        return render_task(reply.task)
    more = f"\nMore: read_board after {reply.next}" if reply.next else ""
    return ("\n".join(render_task_line(task) for task in reply.tasks) or "No tasks.") + more


def render_task_line(task: TaskLine) -> str:
    """A task in one line of the board."""
    holder = f" @{task.holder}" if task.holder else ""
    until = f" until {task.lease_until}" if task.lease_until else ""
    waiting_for = said(task.waiting_for or "") if task.state == "blocked" else task.waiting_for
    waits = f" for {waiting_for}" if task.waiting_for else ""
    late = " OVERDUE" if task.overdue else ""
    return (
        f"{task.task} {state_in_words(task.state)}{holder}{until}{waits}{late}: {said(task.title)} by @{task.creator}"
    )


def render_task(task: TaskShown) -> str:
    """A task in full."""
    before = ", ".join(f"{d['task']} ({state_in_words(d['state'])})" for d in task.depends_on)
    facts = [
        f"created at {task.created_at}, priority {task.priority}, review {task.review}",
        *([f"due {task.due}"] if task.due else []),
        *([f"for @{task.assigned}"] if task.assigned else []),
        *([f"needs {', '.join(map(named, task.needs))}"] if task.needs else []),
        *([f"depends on {before}"] if before else []),
        *(
            [f"completed by @{task.completed_by} ({task.upheld} upheld so far): {shorten(task.summary)}"]
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
    detail = f"\n{quote(task.detail, task.creator)}" if task.detail else ""
    return (
        render_task_line(task)
        + detail
        + list_lines("Facts", facts)
        + render_reminders(task.reminders)
        + list_lines("History", [render_entry(e) for e in task.history])
    )


def render_entry(entry: Entry) -> str:
    """One line of a task's history."""
    text = f": {shorten(entry.text)}" if entry.text else ""
    return f"{entry.seq} @{entry.member} {state_in_words(entry.kind)}{text}"


def render_held_task(task: TaskHeld) -> str:
    """One line for a task that the caller holds."""
    until = f", lease until {task.lease_until}" if task.lease_until else ""
    return f"{task.task} {state_in_words(task.state)}, fence {task.fence}{until}: {said(task.title)} by @{task.creator}"


def render_offer(offer: OfferShown) -> str:
    """An offer with what its acceptance must prove."""
    proofs = "".join(
        f"\n  - {a.kind} {named(a.ref)}" + (f": prove it with {code(a.command)}" if a.command else " (listed)")
        for a in offer.artifacts
    )
    needs = f" needs {', '.join(map(named, offer.needs))};" if offer.needs else ""
    return (
        f"{offer.offer} {offer.task} from @{offer.from_} until {offer.expires_at};{needs} "
        f"{said(offer.title)} by @{offer.creator}; @{offer.from_} says {shorten(offer.note)}{proofs}"
    )


def render_review(due: ReviewDue) -> str:
    """One line for a completion that the caller is to review."""
    why = f" ({due.why})" if due.why else ""
    return f"{due.task} by @{due.by} since {due.since}{why}: {said(due.title)}"
