"""Scopes: what an authorisation allows, written `verb:thing`."""

import re

SCOPE_HELP = "Write a verb, a colon and a thing, such as deploy:staging."

_SCOPE = re.compile(r"[a-z][a-z0-9_-]{0,30}:[^\s“”]{1,100}")


def is_scope(text: str) -> bool:
    """Whether a text is a scope: a verb in small letters, a colon, and a thing without white space."""
    return _SCOPE.fullmatch(text) is not None
