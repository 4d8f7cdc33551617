"""Tokens and callers. Only the bearer token identifies the caller, never an argument."""

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Literal, NamedTuple

Kind = Literal["agent", "human", "room"]
Role = Literal["member", "owner", "operator", "watchdog", "observer"]
TokenKind = Literal["", "chat", "browser"]

CHAT: TokenKind = "chat"
"""The kind of tokens for chat clients, where a model writes and a person reads. Other tokens have the kind ''."""

BROWSER: TokenKind = "browser"
"""The kind of a person's sessions on the page. Such a token opens the page and nothing else."""

TOKEN_BYTES = 32
"""256 bits, as ID4 promises."""

TOKEN_PREFIX = "tr_"
"""Lets secret scanners recognise the room's tokens."""

TOKEN = re.compile(rf"{TOKEN_PREFIX}[0-9a-fA-F]{{{2 * TOKEN_BYTES}}}")
"""What a token looks like inside a text."""

Entropy = Callable[[int], bytes]
"""Returns that many random bytes; passed in, so that a test can repeat a run."""


class Caller(NamedTuple):
    """The member behind a token, and the person who is accountable for it."""

    token_id: str
    token_label: str
    member: int
    name: str
    kind: Kind
    role: Role
    owner: int
    owner_name: str
    token_kind: TokenKind = ""

    @property
    def is_operator(self) -> bool:
        """Whether this caller may operate the room: room owners and operators may."""
        return self.role in ("operator", "owner")


class CallingListener(NamedTuple):
    """A listener of a member that makes a call itself, and whether it is the member's newest one."""

    name: str
    is_newest: bool


def new_token(entropy: Entropy = secrets.token_bytes) -> str:
    """A new token; the room keeps only its hash."""
    return TOKEN_PREFIX + entropy(TOKEN_BYTES).hex()


def token_hash(token: str) -> str:
    """What the room stores of a token. A token has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
