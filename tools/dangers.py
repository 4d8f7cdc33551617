"""What a person is asked before each dangerous act, and the shell command that does the same."""

import shlex
from typing import Any

from teamroom.server.acts.control.control import Kill, Resume
from teamroom.server.acts.control.policy import SetPolicy
from teamroom.server.acts.members.members import Enroll, Revoke
from teamroom.server.acts.receipts.redact import Redact
from teamroom.server.rules.text import named, said
from teamroom.tools.tool import Danger


def command(name: str, *words: str | None, **options: Any) -> str:
    """A command line of the shell; options without a value are left out, `True` needs none."""
    parts = ["teamroom", name, *(word for word in words if word is not None)]
    for option, value in options.items():
        if value is not None and value is not False:
            parts.append(f"--{option.replace('_', '-')}")
            parts += [] if value is True else [str(value)]
    return shlex.join(parts)


def _enroll_question(asked: Enroll) -> str:
    what = "a new token" if asked.rotate else "its life back" if asked.revive else "a token"
    kind, role = asked.kind or "agent", asked.role or "member"
    as_what = "" if asked.rotate or asked.revive else f" as {kind} with the role {role}"
    return f"Give @{asked.name}{as_what} {what}? Whoever has it acts as @{asked.name}."


def _redact_question(asked: Redact) -> str:
    days = (asked.older_than_seconds or 0) / 86_400
    what = named(asked.what) if asked.what else f"everything older than {days:g} days"
    return f"Take the content of {what} away for good? It cannot be brought back. Reason given: {said(asked.reason)}"


def _kill_question(asked: Kill) -> str:
    return (
        f"Kill {named('@' + asked.target)}? Its tokens die at once, its tasks are free again, its offers are void. "
        f"Reason given: {said(asked.reason)}"
    )


def _policy_question(asked: SetPolicy) -> str:
    to = f"to {named(asked.value)}" if asked.value is not None else "back to the room's settings"
    return f"Set {named(asked.name)} {to}, for everybody, from the next act on?"


def _resume_question(asked: Resume) -> str:
    return f"Let {named(asked.target)} go on? Reason given: {said(asked.reason)}"


def _revoke_question(asked: Revoke) -> str:
    which = f"the token labelled {named(asked.label)}" if asked.label else "every token"
    return f"Revoke {which} of @{asked.name}? What it has open ends at once."


KILLING: Danger = Danger(_kill_question, lambda asked: command("kill", asked.target, reason=asked.reason), always=True)
REDACTING: Danger = Danger(
    _redact_question,
    lambda asked: command(
        "redact",
        asked.what,
        older_than=None if asked.older_than_seconds is None else f"{asked.older_than_seconds:.0f}s",
        reason=asked.reason,
    ),
    always=True,
)


RESUMING: Danger = Danger(_resume_question, lambda asked: command("resume", asked.target, reason=asked.reason))
ENROLLING: Danger = Danger(
    _enroll_question,
    lambda asked: command(
        "enroll",
        asked.name,
        kind=asked.kind,
        role=asked.role,
        owner=asked.owner,
        mode=asked.mode,
        label=asked.label,
        expires=None if asked.expires_seconds is None else f"{asked.expires_seconds:.0f}s",
        rotate=asked.rotate,
        revive=asked.revive,
    ),
)


REVOKING: Danger = Danger(_revoke_question, lambda asked: command("revoke", asked.name, label=asked.label))
SETTING: Danger = Danger(
    _policy_question, lambda asked: command("policy", asked.name, asked.value, reset=asked.value is None)
)
