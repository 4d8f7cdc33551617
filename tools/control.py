"""The switch, and how the room runs."""

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME, Controlled, Kill, Resume
from teamroom.server.acts.control.policy import SET_POLICY, PolicySet, SetPolicy
from teamroom.server.rules.text import named, said
from teamroom.tools.danger import Danger, command
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import receipt


def controlled(reply: Controlled) -> str:
    """The reply of a control act in words."""
    until = f" until {reply.until}" if reply.until else ""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.target} is {reply.standing}{until}{receipt(reply)}{note}."


def policy_set(reply: PolicySet) -> str:
    """The reply of `set_policy` in words."""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.name} is {reply.value} now ({reply.origin}), {reply.before} before{receipt(reply)}{note}."


def _resume_question(asked: Resume) -> str:
    return f"Let {named(asked.target)} go on? Reason given: {said(asked.reason)}"


def _kill_question(asked: Kill) -> str:
    return (
        f"Kill {named('@' + asked.target)}? Its tokens die at once, its tasks are free again, its offers are void. "
        f"Reason given: {said(asked.reason)}"
    )


def _policy_question(asked: SetPolicy) -> str:
    to = f"to {named(asked.value)}" if asked.value is not None else "back to the room's settings"
    return f"Set {named(asked.name)} {to}, for everybody, from the next act on?"


RESUMING = Danger(_resume_question, lambda asked: command("resume", asked.target, reason=asked.reason))


KILLING = Danger(_kill_question, lambda asked: command("kill", asked.target, reason=asked.reason), always=True)


SETTING = Danger(_policy_question, lambda asked: command("policy", asked.name, asked.value, reset=asked.value is None))


TOOLS = (
    Tool(
        PAUSE,
        "Stop a member, an owner's agents (owner:NAME) or the room, at once: no act of theirs commits after this.",
        controlled,
        place=160,
        destroys=True,
    ),
    Tool(
        RESUME,
        "Let go on what was paused.",
        controlled,
        place=180,
        danger=RESUMING,
    ),
    Tool(
        KILL,
        "End a member: its tokens die, its tasks are free again, its offers are void.",
        controlled,
        place=190,
        destroys=True,
        danger=KILLING,
    ),
    Tool(
        SET_POLICY,
        "Change how the room runs, from the next act on: who counts as able (trust: declared, attested, proven), caps, "
        "leases. Without a value the room's settings decide again. teamroom://policy shows it.",
        policy_set,
        place=230,
        danger=SETTING,
    ),
)
