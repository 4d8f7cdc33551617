"""The tools of authorisations: make and revoke them, and check one."""

from teamroom.server.acts.authorizations.authorizations import (
    AUTHORIZE,
    CHECK_AUTHORIZATION,
    Authorize,
    Authorized,
    Checked,
)
from teamroom.server.rules.text import cite, cite_name, inline
from teamroom.tools.danger import Danger, page_of, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.authorizations import render_authorization
from teamroom.tools.words.phrases import cite_receipt, count


def render_authorized(reply: Authorized) -> str:
    """The reply of `authorize`."""
    return f"{render_authorization(reply)}{cite_receipt(reply)}."


def render_checked(reply: Checked) -> str:
    """The reply of `check_authorization`."""
    if not reply.allowed:
        return f"Not allowed: you have no authorisation for {cite(reply.scope)}. {reply.fix}"
    left = "" if reply.uses_left is None else f", {count(reply.uses_left, 'use')} left"
    return (
        f"Allowed: {cite(reply.scope)} by {reply.authorization} of @{reply.by} until {reply.until}{left}"
        f"{cite_receipt(reply)}."
    )


def _ask_to_authorize(asked: Authorize) -> str:
    if asked.revoke is not None:
        return f"Revoke A-{asked.revoke}? It binds from the next act on."
    whom, what = cite_name(f"@{asked.to}"), inline(asked.scope or "")
    often = "" if asked.uses is None else f", {count(asked.uses, 'time')}"
    span = "" if asked.until is None else f" for {asked.until:.0f} s"
    return f"Let {whom} do {what}{span}{often}?"


def _command(asked: Authorize) -> str:
    span = None if asked.until is None else f"{asked.until:.0f}s"
    if asked.revoke is not None:
        return write_command("authorize", revoke=f"A-{asked.revoke}", reason=asked.reason)
    return write_command("authorize", asked.to, asked.scope, until=span, uses=asked.uses, reason=asked.reason)


AUTHORIZING = Danger(_ask_to_authorize, _command, lambda asked: page_of(asked.to) if asked.to else "/acts")


TOOLS = (
    Tool(
        CHECK_AUTHORIZATION,
        "Check whether a person lets you do this, such as deploy:staging, by which entry and until when. use: counts "
        "one use.",
        render_checked,
        place=154,
        in_chat=False,
    ),
    Tool(
        AUTHORIZE,
        "Let a member, or all of owner:NAME, do what a scope says, such as deploy:staging; until: seconds, uses: how "
        "often. Or revoke an entry, from the next act on.",
        render_authorized,
        place=300,
        danger=AUTHORIZING,
    ),
)
