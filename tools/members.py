"""The tools of members: see who is here, enroll, revoke."""

from teamroom.server.acts.members.members import ENROLL, REVOKE, Enroll, Enrolled, Revoke, Revoked
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.members.sign_in import SIGN_IN, SignInLink
from teamroom.server.rules.text import cite
from teamroom.tools.danger import Danger, page_of, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.members import render_roster
from teamroom.tools.words.phrases import cite_receipt


def render_enrolled(reply: Enrolled) -> str:
    """The reply of `enroll`."""
    if reply.renamed:
        return f"@{reply.former[0]} is @{reply.name} now{cite_receipt(reply)}. The former name stays reserved for it."
    if reply.token is None:
        once = "its token was shown only then. For a new token, call enroll with rotate"
        return f"@{reply.name} was enrolled{cite_receipt(reply)}; {once}."
    label = f"{reply.token_id}, label {cite(reply.label)}"
    token = f"the token {reply.token} (shown once; {label})"
    until = " The token of this call ends when the new one is first used." if reply.yours_until_used else ""
    return f"@{reply.name} joins at {reply.url} with {token}{cite_receipt(reply)}.{until}"


def render_revoked(reply: Revoked) -> str:
    """The reply of `revoke`."""
    own = reply.tokens - reply.issued
    others = f" and {reply.issued} that they issued" if reply.issued else ""
    more = " There may be more: call again." if reply.more else ""
    return f"{own} token{'s' if own != 1 else ''} of @{reply.name}{others} revoked{cite_receipt(reply)}.{more}"


def render_sign_in(reply: SignInLink) -> str:
    """The reply of `sign_in`."""
    if reply.url is None:
        return (
            f"The link for @{reply.name} was shown only once{cite_receipt(reply)}. For a new one, call sign_in again."
        )
    return f"@{reply.name} signs in once, until {reply.until}, at {reply.url}{cite_receipt(reply)}."


def _ask_to_enroll(asked: Enroll) -> str:
    name = f"@{asked.name}"
    if asked.rename:
        return f"Rename {name} to @{asked.rename}? It stays the same member, and {name} stays reserved for it."
    what = (
        f"Give {name} a new token"
        if asked.rotate
        else f"Revive {name} and give it a token"
        if asked.revive
        else f"Add {name} as {asked.kind or 'agent'}"
    )
    role = f" with the role {asked.role}" if asked.role else ""
    owner = f" under @{asked.owner}" if asked.owner else ""
    again = "" if asked.rotate or asked.revive else " A member of this name gets another token."
    return f"{what}{role}{owner}? Anyone with the token can act as {name}.{again}"


def _ask_to_revoke(asked: Revoke) -> str:
    which = "a token" if asked.label else "every token"
    more = ", and every token that it issued" if asked.issued else ""
    label = f" The token is the one labelled {cite(asked.label)}." if asked.label else ""
    return f"Revoke {which} of @{asked.name}{more}?{label} Its open connections end at once."


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
        chat=asked.chat,
        expires=None if asked.expires_seconds is None else f"{asked.expires_seconds:.0f}s",
        rotate=asked.rotate,
        revive=asked.revive,
        rename=asked.rename,
    ),
    lambda asked: "/enrol",
)


REVOKING = Danger(
    _ask_to_revoke,
    lambda asked: write_command("revoke", asked.name, label=asked.label, issued=asked.issued),
    lambda asked: page_of(asked.name),
)


TOOLS = (
    Tool(
        WHO,
        "Find members by name or by capability. Returns mode, presence, standing, capabilities and expected response.",
        render_roster,
        place=40,
    ),
    Tool(
        ENROLL,
        "Add a member and get its token, shown once; rotate for a new token, revive after a kill, rename for another "
        "name, chat for a chat client.",
        render_enrolled,
        place=200,
        destroys=True,
        danger=ENROLLING,
    ),
    Tool(
        REVOKE,
        "Revoke a member's tokens, or those with a label; issued also revokes every token that they issued.",
        render_revoked,
        place=210,
        destroys=True,
        idempotent=True,
        in_chat=False,
        danger=REVOKING,
    ),
    Tool(
        SIGN_IN,
        "Get a link with which a person signs in to the room's page once, within ten minutes.",
        render_sign_in,
        place=310,
        in_chat=False,
    ),
)
