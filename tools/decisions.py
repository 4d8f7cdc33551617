"""The tools of decisions: ask people for one, and decide."""

from teamroom.server.acts.decisions.decisions import (
    DECIDE,
    READ_BEFORE_DECIDING,
    REQUEST_DECISION,
    Decide,
    Decided,
    Requested,
)
from teamroom.server.rules.letters import DIGEST_CHARACTERS
from teamroom.server.rules.text import inline
from teamroom.tools.danger import Danger, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.decisions import render_decision_in_full
from teamroom.tools.words.messages import render_forecasts
from teamroom.tools.words.phrases import cite_receipt


def render_requested(reply: Requested) -> str:
    """The reply of `request_decision`."""
    if reply.withdrawn:
        return f"{reply.decision} is withdrawn{cite_receipt(reply)}."
    digest = f"digest {reply.digest[:DIGEST_CHARACTERS]}"
    return (
        f"{reply.decision} is open until {reply.until}, {digest}{cite_receipt(reply)}."
        f"{render_forecasts(reply.forecast)}"
    )


def advise_after_request(reply: Requested) -> str | None:
    """What to do after `request_decision`."""
    if reply.withdrawn:
        return None
    return f"do other work, or wait_for_wake; if your task waits for it: update_task blocked_on {reply.decision}."


def render_decided(reply: Decided) -> str:
    """The reply of `decide`."""
    return f"@{reply.by} decided {reply.decision}: {inline(reply.answer)}{cite_receipt(reply)}."


def _ask_to_decide(asked: Decide) -> str:
    note = f" with the note {inline(asked.note)}" if asked.note else ""
    return f"Decide D-{asked.decision} with {inline(asked.option)}{note}? It cannot be changed afterwards."


DECIDING = Danger(
    _ask_to_decide,
    lambda asked: write_command("decide", f"D-{asked.decision}", asked.option, note=asked.note, digest=asked.digest),
    lambda asked: f"/decisions/D-{asked.decision}",
    shows=READ_BEFORE_DECIDING,
    shown=render_decision_in_full,
)


TOOLS = (
    Tool(
        REQUEST_DECISION,
        "Ask people for a decision that is not yours to make; the answer wakes you. Defaults: to your owner, options "
        "yes and no, until 7 days. Nothing in it changes later; replaces: one of yours.",
        render_requested,
        place=152,
        in_chat=False,
        next=advise_after_request,
    ),
    Tool(
        DECIDE,
        "Decide once, as a person: option is one of the decision's, by its text or its number.",
        render_decided,
        place=290,
        danger=DECIDING,
    ),
)
