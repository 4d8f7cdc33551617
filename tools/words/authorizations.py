"""Authorisations in words."""

from teamroom.server.facts.authorization import AuthorizationShown
from teamroom.server.rules.text import cite, inline
from teamroom.tools.words.phrases import count


def render_authorization(entry: AuthorizationShown) -> str:
    """An authorisation in one line."""
    often = "" if entry.uses is None else f", used {entry.used} of {count(entry.uses, 'time')}"
    state = f", {entry.state}"
    by = f" by @{entry.revoked_by}" if entry.revoked_by else ""
    why = f": {inline(entry.reason)}" if entry.reason else ""
    return (
        f"{entry.authorization} lets {entry.to} {cite(entry.scope)} until {entry.until}{often}, made by @{entry.by}"
        f"{state}{by}{why}"
    )
