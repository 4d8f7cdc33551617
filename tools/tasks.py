"""The tools of tasks: the board, reviews, hand-offs and repairs."""

from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK, Claimed
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF, Answered, Offered
from teamroom.server.acts.tasks.imports import IMPORT_TASK, Imported
from teamroom.server.acts.tasks.repairs import REPAIR, Repaired
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK, Completed, Reviewed
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK, Created, Updated
from teamroom.server.rules.text import cite, inline, state_in_words
from teamroom.tools.tool import Tool
from teamroom.tools.words.messages import render_forecasts
from teamroom.tools.words.phrases import cite_receipt, count, list_lines, quote
from teamroom.tools.words.tasks import render_board, render_entry


def render_created(reply: Created) -> str:
    """The reply of `create_task`."""
    return f"Created {reply.task}{cite_receipt(reply)}."


def render_imported(reply: Imported) -> str:
    """The reply of `import_task`."""
    differs = f" It differs in {', '.join(reply.differs)}." if reply.outcome == "kept" else ""
    missing = f" {count(len(reply.missing), 'id')} in depends_on belong to no task here." if reply.missing else ""
    outcome = {
        "created": f"Created {reply.task}{cite_receipt(reply)}.",
        "changed": f"Changed {reply.task}{cite_receipt(reply)}: {', '.join(reply.differs)}.",
        "unchanged": f"{reply.task} is as imported.",
        "kept": f"{reply.task} was changed here, so it stays.",
    }
    return outcome[reply.outcome] + differs + missing


def render_claimed(reply: Claimed) -> str:
    """The reply of `claim_task`."""
    needs = f"\nNeeds: {', '.join(map(cite, reply.needs))}" if reply.needs else ""
    detail = f"\n{quote(reply.detail, reply.creator)}" if reply.detail else ""
    until = f", lease until {reply.lease_until}" if reply.lease_until else ""
    requires = f"\nRequires: {', '.join(map(cite, reply.requires))}" if reply.requires else ""
    requires += f", authorised by {', '.join(reply.authorizations)}" if reply.authorizations else ""
    over = f"\nCancelled, so it no longer waits for: {', '.join(reply.cancelled)}" if reply.cancelled else ""
    return (
        f"You hold {reply.task}, fence {reply.fence}{until}{cite_receipt(reply)}: "
        f"{inline(reply.title)} by @{reply.creator}{needs}{requires}{over}{detail}"
        + list_lines("History", [render_entry(e) for e in reply.history])
    )


def render_updated(reply: Updated) -> str:
    """The reply of `update_task`."""
    until = f", lease until {reply.lease_until}" if reply.lease_until else ""
    state = f"{state_in_words(reply.state)}{_waits_for(reply.blocked_on)}"
    held = f" Its reminders are held back until {reply.snoozed_until}." if reply.snoozed_until else ""
    return f"{reply.task} is {state}, fence {reply.fence}{until}{cite_receipt(reply)}.{held}"


def _waits_for(thing: str | None) -> str:
    """What a blocked task waits for, as the end of its state: an id, a member or a date."""
    if not thing:
        return ""
    return f" until {thing}" if thing[0].isdigit() else f" on {thing}"


def render_completed(reply: Completed) -> str:
    """The reply of `complete_task`."""
    if reply.state == "done":
        return f"{reply.task} is done{cite_receipt(reply)}."
    whom = f"@{reply.reviewer} reviews it" if reply.reviewer else "any other member may review it"
    return f"{reply.task} is in review{cite_receipt(reply)}: {whom}."


def render_reviewed(reply: Reviewed) -> str:
    """The reply of `review_task`."""
    return f"{reply.task} is {state_in_words(reply.state)}{cite_receipt(reply)}."


def render_offered(reply: Offered) -> str:
    """The reply of `hand_off`."""
    until = f"until {reply.expires_at}{cite_receipt(reply)}"
    return f"Offered {reply.task} as {reply.offer} {until}.{render_forecasts(reply.forecast)}"


def advise_after_offer(reply: Offered) -> str:
    """What to do after `hand_off`."""
    return "you hold the task until the offer is accepted; wait_for_wake returns the answer."


def render_answered(reply: Answered) -> str:
    """The reply of `answer_hand_off`."""
    if reply.fence is not None:
        lease = f"fence {reply.fence}, lease until {reply.lease_until}"
        return f"You accepted {reply.offer}: {reply.task} is yours, {lease}{cite_receipt(reply)}."
    return f"{reply.offer} of {reply.task} is {state_in_words(reply.state)}{cite_receipt(reply)}."


def render_repaired(reply: Repaired) -> str:
    """The reply of `repair`."""
    tries = len(reply.tried_seconds_ago)
    tried = f" Restarted {count(tries, 'time')} in the last day." if tries else ""
    if reply.task is None:
        return f"The runtime of @{reply.name} has no open repair.{tried}"
    held = f" with @{reply.holder}" if reply.holder else ", released before" if reply.released else ""
    state = state_in_words(reply.state or "")
    return f"{reply.task} repairs the runtime of @{reply.name}: {state}{held}{cite_receipt(reply)}.{tried}"


TOOLS = (
    Tool(
        CREATE_TASK,
        "Add a task to the board. needs: capabilities of its holder. requires: scopes that a person allows, such as "
        "deploy:staging. depends_on: tasks to finish first. due: seconds. review: auto, none or a name. external: its "
        "id elsewhere, made a task once.",
        render_created,
        place=80,
    ),
    Tool(
        CLAIM_TASK,
        "Claim a task before you work on it; without task, the room picks the best open one for you. Returns the task "
        "in full, your lease, and the fence that your later writes on it need. If it is taken, claim another.",
        render_claimed,
        place=90,
        core=True,
    ),
    Tool(
        READ_BOARD,
        "See the board, one line per task, or one task in full with its history.",
        render_board,
        place=100,
    ),
    Tool(
        UPDATE_TASK,
        "Report progress with your fence and evidence when something moved; this renews the lease. If the fence is "
        "stale, another member has the task: stop working on it. The creator, owner and operator can change, release "
        "or cancel it without a fence.",
        render_updated,
        place=110,
        core=True,
    ),
    Tool(
        COMPLETE_TASK,
        "End your task with your fence and evidence that others can check again; another member reviews it, never you. "
        'evidence: [{"kind": "test", "ref": "pytest -q: 212 passed"}].',
        render_completed,
        place=120,
        core=True,
    ),
    Tool(
        REVIEW_TASK,
        "Review another member's completed task after you have checked its evidence yourself.",
        render_reviewed,
        place=130,
    ),
    Tool(
        HAND_OFF,
        "Offer your task with its fence to another member. The room refuses if that member lacks a needed capability. "
        'artifacts: what it must reach, [{"kind": "file", "ref": "plan.md", "sha256": "…"}] (for a commit, its '
        "tree id).",
        render_offered,
        place=140,
        next=advise_after_offer,
    ),
    Tool(
        ANSWER_HAND_OFF,
        "Accept an offer with the hashes that its commands print on your machine, or decline it with a reason. "
        'proofs: [{"ref": "plan.md", "value": "…"}]. To withdraw your own offer, decline it.',
        render_answered,
        place=150,
    ),
    Tool(
        REPAIR,
        "Request a repair of a member's runtime by its watchdogs; found says what is wrong. Without found, returns the "
        "open repair.",
        render_repaired,
        place=170,
        in_chat=False,
    ),
    Tool(
        IMPORT_TASK,
        "Import a task that exists elsewhere, or update it from there. external is its id there; depends_on has such "
        "ids. The room creates it once, and keeps what was changed here since. Dates are Unix times. `teamroom import "
        "FILE` calls this for each task of a file.",
        render_imported,
        place=280,
        in_chat=False,
    ),
)
