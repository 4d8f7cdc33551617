"""Tasks, offers and reviews in words."""

from teamroom.server.acts.presence.presence import TaskHeld
from teamroom.server.acts.tasks.board import Board, TaskLine, TaskShown
from teamroom.server.acts.tasks.hand_offs import OfferShown
from teamroom.server.facts.reviewer import ReviewDue
from teamroom.server.facts.task import Entry
from teamroom.server.rules.text import backtick, cite, cite_block, inline, state_in_words
from teamroom.tools.words.decisions import render_decision
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
    waiting_for = cite_block(task.waiting_for or "") if task.state == "blocked" else task.waiting_for
    waits = f" for {waiting_for}" if task.waiting_for else ""
    late = " OVERDUE" if task.overdue else ""
    over = f" ({', '.join(task.cancelled)} cancelled)" if task.cancelled else ""
    return (
        f"{task.task} {state_in_words(task.state)}{holder}{until}{waits}{late}{over}: {inline(task.title)} "
        f"by @{task.creator}"
    )


def render_task(task: TaskShown) -> str:
    """A task in full."""
    before = ", ".join(f"{d['task']} ({state_in_words(d['state'])})" for d in task.depends_on)
    completed_at = f" at {task.completed_at}" if task.completed_at else ""
    facts = [
        *([f"external id {cite(task.external)}"] if task.external else []),
        f"created at {task.created_at}, priority {task.priority}, review {task.review}",
        *([f"due {task.due}"] if task.due else []),
        *([f"for @{task.assigned}"] if task.assigned else []),
        *([f"needs {', '.join(map(cite, task.needs))}"] if task.needs else []),
        *([f"requires {', '.join(map(cite, task.requires))}{_authorised(task)}"] if task.requires else []),
        *([f"depends on {before}"] if before else []),
        *([f"{_completed_by(task)}{completed_at}: {shorten(task.summary)}"] if task.completed_by else []),
        *(
            f"evidence {e['kind']} {cite(e['ref'])}"
            + (f" = {cite(e['value'])}" if e.get("value") else "")
            + (f"; check: {backtick(e['check'])}" if e["check"] else "")
            for e in task.evidence
        ),
    ]
    detail = f"\n{quote(task.detail, task.creator)}" if task.detail else ""
    return (
        render_task_line(task)
        + detail
        + list_lines("Facts", facts)
        + list_lines("Decisions", map(render_decision, task.decisions))
        + render_reminders(task.reminders)
        + list_lines("History", [render_entry(e) for e in task.history])
    )


def _authorised(task: TaskShown) -> str:
    return f", authorised by {', '.join(task.authorizations)}" if task.authorizations else ""


def _completed_by(task: TaskShown) -> str:
    if task.upheld is None:
        return f"done by {task.completed_by}"
    return f"completed by @{task.completed_by} ({task.upheld} upheld so far)"


def render_entry(entry: Entry) -> str:
    """One line of a task's history."""
    text = f": {shorten(entry.text)}" if entry.text else ""
    return f"{entry.seq} @{entry.member} {state_in_words(entry.kind)}{text}"


def render_held_task(task: TaskHeld) -> str:
    """One line for a task that the caller holds."""
    until = f", lease until {task.lease_until}" if task.lease_until else ""
    return (
        f"{task.task} {state_in_words(task.state)}, fence {task.fence}{until}: {inline(task.title)} by @{task.creator}"
    )


def render_offer(offer: OfferShown) -> str:
    """An offer with what its acceptance must prove."""
    proofs = "".join(
        f"\n  - {a.kind} {cite(a.ref)}" + (f": prove it with {backtick(a.command)}" if a.command else " (listed)")
        for a in offer.artifacts
    )
    needs = f" needs {', '.join(map(cite, offer.needs))};" if offer.needs else ""
    return (
        f"{offer.offer} {offer.task} from @{offer.from_} until {offer.expires_at};{needs} "
        f"{inline(offer.title)} by @{offer.creator}; @{offer.from_} says {shorten(offer.note)}{proofs}"
    )


def render_review(due: ReviewDue) -> str:
    """One line for a completion that the caller is to review."""
    why = f" ({due.why})" if due.why else ""
    return f"{due.task} by @{due.by} since {due.since}{why}: {inline(due.title)}"
