"""The tools of the board: tasks, reviews, hand-offs and repairs."""

from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.acts.tasks.claims import CLAIM_TASK, Claimed
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF, Answered, Offered
from teamroom.server.acts.tasks.repairs import REPAIR, Repaired
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK, Completed, Reviewed
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK, Created, Updated
from teamroom.server.rules.text import named, said, state_in_words
from teamroom.tools.tool import Tool
from teamroom.tools.words.messages import expected
from teamroom.tools.words.phrases import counted, listed, quoted, receipt
from teamroom.tools.words.tasks import board, entry


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


def updated(reply: Updated) -> str:
    """The reply of `update_task` in words."""
    until = f", lease until {reply.lease_until}" if reply.lease_until else ""
    return f"{reply.task} is {state_in_words(reply.state)}{until}{receipt(reply)}."


def completed(reply: Completed) -> str:
    """The reply of `complete_task` in words."""
    if reply.state == "done":
        return f"{reply.task} is done{receipt(reply)}."
    whom = f"@{reply.reviewer} reviews it" if reply.reviewer else "any other member may review it"
    return f"{reply.task} is in review{receipt(reply)}: {whom}."


def reviewed(reply: Reviewed) -> str:
    """The reply of `review_task` in words."""
    return f"{reply.task} is {state_in_words(reply.state)}{receipt(reply)}."


def offered(reply: Offered) -> str:
    """The reply of `hand_off` in words."""
    return f"Offered {reply.task} as {reply.offer} until {reply.expires_at}{receipt(reply)}.{expected(reply.forecast)}"


def after_offer(reply: Offered) -> str:
    """What to do after `hand_off`."""
    return "you hold the task until the offer is accepted; wait_for_wake tells you the answer."


def answered(reply: Answered) -> str:
    """The reply of `answer_hand_off` in words."""
    if reply.fence is not None:
        return f"{reply.task} is yours, fence {reply.fence}, lease until {reply.lease_until}{receipt(reply)}."
    return f"{reply.offer} is {state_in_words(reply.state)}{receipt(reply)}."


def repaired(reply: Repaired) -> str:
    """The reply of `repair` in words."""
    tries = len(reply.tried_seconds_ago)
    tried = f" Restarted {counted(tries, 'time')} in a day." if tries else ""
    if reply.task is None:
        return f"The runtime of @{reply.name} waits for no repair.{tried}"
    held = f" with @{reply.holder}" if reply.holder else ", given up before" if reply.released else ""
    state = state_in_words(reply.state or "")
    return f"{reply.task} repairs the runtime of @{reply.name}: {state}{held}{receipt(reply)}.{tried}"


TOOLS = (
    Tool(
        CREATE_TASK,
        "Put work on the board. needs name capabilities its holder must have; depends_on tasks that come first; due is "
        "seconds from now; review is auto, none or a name.",
        created,
        place=80,
    ),
    Tool(
        CLAIM_TASK,
        "Take a task before you work on it; without one, the best open task you can do. The reply has the task in "
        "full, your fence and your lease.",
        claimed,
        place=90,
        core=True,
    ),
    Tool(
        READ_BOARD,
        "See the board, one line a task, or one task in full with its history.",
        board,
        place=100,
    ),
    Tool(
        UPDATE_TASK,
        "Report progress with evidence when something moved; renews the lease. The holder gives the fence; creator, "
        "owner and operator need none to change, release or cancel.",
        updated,
        place=110,
        core=True,
    ),
    Tool(
        COMPLETE_TASK,
        'Claim that your task is done; another member reviews it. evidence: [{"kind": "test", "ref": "pytest -q: 212 '
        'passed"}].',
        completed,
        place=120,
        core=True,
    ),
    Tool(
        REVIEW_TASK,
        "Judge another member's completed task, after checking its evidence again yourself.",
        reviewed,
        place=130,
    ),
    Tool(
        HAND_OFF,
        "Offer your task to another member; refused if it lacks what the task needs. artifacts it must reach: "
        '[{"kind": "file", "ref": "plan.md", "sha256": "…"}] (commit: its tree id).',
        offered,
        place=140,
        next=after_offer,
    ),
    Tool(
        ANSWER_HAND_OFF,
        "Accept an offer, with the hashes that its commands print where you work, or decline it with a reason. proofs: "
        '[{"ref": "plan.md", "value": "…"}]. Declining your own offer withdraws it.',
        answered,
        place=150,
    ),
    Tool(
        REPAIR,
        "See the repair of a member's runtime that is not finished; with found, ask its watchdogs for one.",
        repaired,
        place=170,
    ),
)
