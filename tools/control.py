"""The switch, and how the room runs."""

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME, Controlled, Kill, Resume
from teamroom.server.acts.control.policy import SET_POLICY, PolicySet, SetPolicy
from teamroom.server.rules.text import named, said
from teamroom.tools.danger import Danger, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt


def render_controlled(reply: Controlled) -> str:
    """The reply of a control act in words."""
    until = f" until {reply.until}" if reply.until else ""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.target} is {reply.standing}{until}{cite_receipt(reply)}{note}."


def render_policy_set(reply: PolicySet) -> str:
    """The reply of `set_policy` in words."""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.name} is {reply.value} now ({reply.origin}), {reply.before} before{cite_receipt(reply)}{note}."


def _ask_to_resume(asked: Resume) -> str:
    return f"Let {named(asked.target)} go on? Reason given: {said(asked.reason)}"


def _ask_to_kill(asked: Kill) -> str:
    return (
        f"Kill {named('@' + asked.target)}? Its tokens die at once, its tasks are free again, its offers are void. "
        f"Reason given: {said(asked.reason)}"
    )


def _ask_to_set_policy(asked: SetPolicy) -> str:
    to = f"to {named(asked.value)}" if asked.value is not None else "back to the room's settings"
    return f"Set {named(asked.name)} {to}, for everybody, from the next act on?"


RESUMING = Danger(_ask_to_resume, lambda asked: write_command("resume", asked.target, reason=asked.reason))


KILLING = Danger(_ask_to_kill, lambda asked: write_command("kill", asked.target, reason=asked.reason), always=True)


SETTING = Danger(
    _ask_to_set_policy, lambda asked: write_command("policy", asked.name, asked.value, reset=asked.value is None)
)


TOOLS = (
    Tool(
        PAUSE,
        "Stop a member, an owner's agents (owner:NAME) or the room, at once: no act of theirs commits after this.",
        render_controlled,
        place=160,
        destroys=True,
    ),
    Tool(
        RESUME,
        "Let go on what was paused.",
        render_controlled,
        place=180,
        danger=RESUMING,
    ),
    Tool(
        KILL,
        "End a member: its tokens die, its tasks are free again, its offers are void.",
        render_controlled,
        place=190,
        destroys=True,
        danger=KILLING,
    ),
    Tool(
        SET_POLICY,
        "Change how the room runs, from the next act on: who counts as able (trust: declared, attested, proven), caps, "
        "leases. Without a value the room's settings decide again. teamroom://policy shows it.",
        render_policy_set,
        place=230,
        danger=SETTING,
    ),
)
