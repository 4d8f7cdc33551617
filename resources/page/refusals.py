"""Refusals as people read them: most are written for agents, and say which tool to call."""

import re
from typing import Any

from teamroom.resources.page.forms import field_of
from teamroom.server.acts.act import AnyAct
from teamroom.server.refusals import Code, Refusal

FIXES: dict[Code, str] = {
    "paused": "Ask @{by}, or another operator or owner of the room, to resume you. The page opens again then.",
    "killed": "Only a room owner can revive you.",
    "not_allowed": "Ask an operator or a room owner to do it.",
    "not_found": "Look for it on the board, among the members or in the log.",
    "invalid": "Go back, correct the form, and send it again.",
    "too_large": "Go back, and make it shorter. Put what is longer into a file, and give its path and SHA-256.",
    "taken": "Choose another task, or ask its holder for this one.",
    "stale_fence": "Somebody has changed the task. Open its page again, and act from there.",
    "wip_cap": "Complete, release or hand off one of your tasks first. Your page lists them.",
    "missing_capability": "Say what you can reach with the form “Declare capabilities”, or leave it to who can.",
    "missing_authorization": "Ask an operator or a room owner. The form is on your own page.",
    "bad_proof": "Check the value, and send the form again.",
    "self_review": "Ask another member to review it.",
    "conflict": "Open the page again to see what has changed, and act from there.",
    "rate_limited": "Wait a minute, then try again.",
    "busy": "Try again in a few seconds.",
    "storage": "Tell the person who runs the room. There, `teamroom doctor` says what is wrong.",
    "expired": "Open the page again, and go on from there.",
}
"""What a person can do about each kind of refusal, where its own words are for agents."""

WHOLE = ("paused", "killed")
"""Refusals whose fix tells an agent how to wait or to end."""

FOR_AGENTS = re.compile(r"\b[Cc]all(s|ed)?\b|\b[a-z]+(_[a-z]+)+\b|\bheartbeat\b|://|\byour owner\b")
"""Words that only an agent can use: calls, names of tools and arguments, and whom it belongs to."""

SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Z@“])")

CALL = re.compile(r"^(The|This) call\b")

NEEDS = re.compile(r"^(Your role is \w+; )this call\b")

ARGUMENT = re.compile(r"(^|; )([a-z_]+(?:\.[a-z0-9_]+)*)(?=: )")
"""The name of an argument, before what is wrong with it."""


def for_people(refusal: Refusal, act: AnyAct | None = None) -> dict[str, Any]:
    """A refusal as the page shows it. `act`: whose form was refused; then it names the form's fields."""
    why = NEEDS.sub(r"\1this", CALL.sub(r"\1 form", refusal.why))
    if act is not None and refusal.code in ("invalid", "too_large"):
        why = ARGUMENT.sub(lambda found: found[1] + _label(act, found[2]), why)
        why = why.replace(f"{act.name} takes no ", "the form takes no ")
    return {**refusal.body(), "why": why, "fix": _fix(refusal)}


def _fix(refusal: Refusal) -> str:
    instead = FIXES[refusal.code].format(by=refusal.needs.get("by", "who did it"))
    if refusal.code in WHOLE or refusal.fix.startswith("Call "):
        return instead
    sentences = SENTENCE.split(refusal.fix)
    kept = [sentence for sentence in sentences if not FOR_AGENTS.search(sentence)]
    return " ".join(kept if kept == sentences else [*kept, instead])


def _label(act: AnyAct, path: str) -> str:
    """The label of a field, with the place in it: `evidence.0.ref` is Evidence 1 ref."""
    try:
        return field_of(act, path).label
    except (KeyError, TypeError, StopIteration):
        first, *within = path.split(".")
    try:
        label = field_of(act, first).label
    except KeyError:
        return path
    return " ".join([label, *(str(int(part) + 1) if part.isdigit() else part for part in within)])
