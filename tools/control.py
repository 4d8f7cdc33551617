"""The tools of control: pause, resume, kill, set the policy."""

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME, Controlled, Kill, PauseLeft, Resume
from teamroom.server.acts.control.policy import SET_POLICY, PolicySet, SetPolicy
from teamroom.server.rules.text import cite, cite_name, inline
from teamroom.tools.danger import Danger, page_of, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt, list_lines


def render_controlled(reply: Controlled) -> str:
    """The reply of a control act in words."""
    until = f" until {reply.until}" if reply.until else ""
    note = f"; {reply.note}" if reply.note else ""
    gradual = " Its agents are let go gradually: five at once, then one each second." if reply.gradual else ""
    reaches = f" {reply.reaches}" if reply.reaches else ""
    left = list_lines("Still paused", map(_render_left, reply.remaining))
    return f"{reply.target} is {reply.standing}{until}{cite_receipt(reply)}{note}.{gradual}{reaches}{left}"


def _render_left(left: PauseLeft) -> str:
    until = f" until {left.until}" if left.until else ""
    names = ", ".join(f"@{name}" for name in left.members) or "no agent"
    return f"{left.target} by @{left.by}{until}, {inline(left.reason)}: {names}{' and more' if left.more else ''}"


def render_policy_set(reply: PolicySet) -> str:
    """The reply of `set_policy`."""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.name} is now {reply.value} ({reply.origin}); it was {reply.before}{cite_receipt(reply)}{note}."


def _ask_to_resume(asked: Resume) -> str:
    return f"Resume {cite_name(asked.target)}? Reason: {inline(asked.reason)}"


def _ask_to_kill(asked: Kill) -> str:
    return (
        f"Kill {cite_name('@' + asked.target)} for good? Its tokens are revoked at once, its tasks reopened and its "
        f"offers voided. If it is a person, its agents are paused. Reason: {inline(asked.reason)}"
    )


def _ask_to_set_policy(asked: SetPolicy) -> str:
    to = f"to {cite(asked.value)}" if asked.value is not None else "back to the room's setting"
    return f"Set {cite(asked.name)} {to}? It applies to everybody from the next act."


RESUMING = Danger(
    _ask_to_resume,
    lambda asked: write_command("resume", asked.target, reason=asked.reason),
    lambda asked: page_of(asked.target),
)


KILLING = Danger(
    _ask_to_kill,
    lambda asked: write_command("kill", asked.target, reason=asked.reason),
    lambda asked: page_of(asked.target),
    always=True,
    typed=lambda asked: str(asked.target),
)


SETTING = Danger(
    _ask_to_set_policy,
    lambda asked: write_command("policy", asked.name, asked.value, reset=asked.value is None),
    lambda asked: "/settings",
)


TOOLS = (
    Tool(
        PAUSE,
        "Stop a member, an owner's agents (owner:NAME) or the room at once. None of their acts commits after this.",
        render_controlled,
        place=160,
        idempotent=True,
    ),
    Tool(
        RESUME,
        "Resume a paused member, owner or room.",
        render_controlled,
        place=180,
        danger=RESUMING,
        idempotent=True,
    ),
    Tool(
        KILL,
        "Kill a member: its tokens are revoked, its tasks reopened, its offers voided.",
        render_controlled,
        place=190,
        destroys=True,
        danger=KILLING,
        idempotent=True,
    ),
    Tool(
        SET_POLICY,
        "Change how the room runs, from the next act on: which capabilities count (trust: declared, attested, "
        "proven), caps, leases. Without value, the room's setting applies again. teamroom://policy shows all.",
        render_policy_set,
        place=230,
        danger=SETTING,
        idempotent=True,
        in_chat=False,
    ),
)
