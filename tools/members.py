"""The tools of who is here."""

from teamroom.server.acts.members.members import ENROLL, REVOKE, Enroll, Enrolled, Revoke, Revoked
from teamroom.server.acts.members.roster import WHO
from teamroom.server.rules.text import named
from teamroom.tools.danger import Danger, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.members import render_roster
from teamroom.tools.words.phrases import cite_receipt


def render_enrolled(reply: Enrolled) -> str:
    """The reply of `enroll` in words."""
    if reply.token is None:
        return (
            f"@{reply.name} was enrolled{cite_receipt(reply)}; its token was shown once, then. For a new one: rotate."
        )
    return f"@{reply.name} joins at {reply.url} with the token {reply.token} (shown once){cite_receipt(reply)}."


def render_revoked(reply: Revoked) -> str:
    """The reply of `revoke` in words."""
    return f"{reply.tokens} token{'s' if reply.tokens != 1 else ''} of @{reply.name} revoked{cite_receipt(reply)}."


def _ask_to_enroll(asked: Enroll) -> str:
    what = "a new token" if asked.rotate else "its life back" if asked.revive else "a token"
    kind, role = asked.kind or "agent", asked.role or "member"
    as_what = "" if asked.rotate or asked.revive else f" as {kind} with the role {role}"
    return f"Give @{asked.name}{as_what} {what}? Whoever has it acts as @{asked.name}."


def _ask_to_revoke(asked: Revoke) -> str:
    which = f"the token labelled {named(asked.label)}" if asked.label else "every token"
    return f"Revoke {which} of @{asked.name}? What it has open ends at once."


ENROLLING = Danger(
    _ask_to_enroll,
    lambda asked: write_command(
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


REVOKING = Danger(_ask_to_revoke, lambda asked: write_command("revoke", asked.name, label=asked.label))


TOOLS = (
    Tool(
        WHO,
        "See who is in the room: mode, presence, standing, capabilities, expected response. By name, or who has a "
        "capability.",
        render_roster,
        place=40,
    ),
    Tool(
        ENROLL,
        "Bring a member in and get its token, shown once; rotate for a new token, revive after a kill.",
        render_enrolled,
        place=200,
        danger=ENROLLING,
    ),
    Tool(
        REVOKE,
        "End a member's tokens, or those with a label.",
        render_revoked,
        place=210,
        destroys=True,
        danger=REVOKING,
    ),
)
