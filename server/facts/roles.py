"""Sets of roles. Each act and read states one; the door checks it, and the list of tools follows it."""

from teamroom.server.identity import Role

Roles = frozenset[Role]

EVERYBODY: Roles = frozenset({"member", "owner", "operator", "watchdog", "observer"})
"""All roles, including observers."""

WORKERS: Roles = frozenset({"member", "owner", "operator", "watchdog"})
"""All roles except observers."""

LOG_READERS: Roles = frozenset({"owner", "operator", "watchdog", "observer"})
"""Roles that read the whole log."""

STOPPERS: Roles = frozenset({"owner", "operator", "watchdog"})
"""Roles that may pause other members and repair their runtimes."""

ROOM_OPERATORS: Roles = frozenset({"owner", "operator"})
"""Roles that may operate the room: room owners and operators."""

ROOM_OWNERS: Roles = frozenset({"owner"})
