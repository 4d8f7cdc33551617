"""Who may call what. An act and a read state one of these sets; the door checks it, and tools are shown by it."""

from teamroom.server.identity import Role

Roles = frozenset[Role]

EVERYBODY: Roles = frozenset({"member", "owner", "operator", "watchdog", "observer"})
"""Also those that only look."""

WORKERS: Roles = frozenset({"member", "owner", "operator", "watchdog"})
"""Those that take part: all but observers."""

LOG_READERS: Roles = frozenset({"owner", "operator", "watchdog", "observer"})
"""Those that run or watch the room, and read all of its log."""

STOPPERS: Roles = frozenset({"owner", "operator", "watchdog"})
"""Those that may stop others, and repair their runtimes."""

ROOM_OPERATORS: Roles = frozenset({"owner", "operator"})
"""Those that may operate the room: room owners and operators."""

ROOM_OWNERS: Roles = frozenset({"owner"})
