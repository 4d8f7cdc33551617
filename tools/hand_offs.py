"""The tools of hand-offs."""

from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF, Answered, Offered
from teamroom.tools.messages import expected
from teamroom.tools.tool import Tool
from teamroom.tools.words import receipt


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
    return f"{reply.offer} is {reply.state}{receipt(reply)}."


TOOLS = (
    Tool(
        "hand_off",
        "Offer your task to another member; refused if it lacks what the task needs. artifacts it must reach: "
        '[{"kind": "file", "ref": "plan.md", "sha256": "…"}] (commit: its tree id).',
        HAND_OFF,
        offered,
        next=after_offer,
    ),
    Tool(
        "answer_hand_off",
        "Accept an offer, with the hashes that its commands print where you work, or decline it with a reason. proofs: "
        '[{"ref": "plan.md", "value": "…"}]. Declining your own offer withdraws it.',
        ANSWER_HAND_OFF,
        answered,
    ),
)
