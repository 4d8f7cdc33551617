"""Row types of what always holds of members, tokens and standing."""

from typing import NamedTuple

from teamroom.server.identity import Kind, Role


class Rights(NamedTuple):
    """A member with what is stored of its standing, and of that of its agents."""

    id: int
    name: str
    kind: Kind
    role: Role
    owner: int
    own_state: str | None
    own_until: float | None
    agents_state: str | None
    agents_until: float | None


class Named(NamedTuple):
    """A member and its name."""

    id: int
    name: str


class IssuedToken(NamedTuple):
    """A token that is in force, and its member."""

    id: str
    member: int
