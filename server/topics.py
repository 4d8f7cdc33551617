"""The names of what can change in the room. Acts state them next to their writes, and listeners subscribe to them.

A topic names what is read, not who reads it. A push is a hint to read again. Changes that only time causes have no
topic, and neither does presence, which changes with every call.
"""

STREAM = "stream"
BOARD = "board"
ROSTER = "roster"
PLANTS = "plants"
POLICY = "policy"
CHANNELS = "channels"
DECISIONS = "decisions"
NAMES = "names"
"""The names of members, which every page shows."""
ROOM = "room:0"
"""The standing of the whole room."""


def task(id_: int) -> str:
    """A task's own page."""
    return f"task:{id_}"


def inbox(member: int) -> str:
    """What waits for a member. Only its followers are listeners."""
    return f"inbox:{member}"


def me(member: int) -> str:
    """What a member sees of itself: its standing, mode, tasks and capabilities."""
    return f"me:{member}"


def member(id_: int) -> str:
    """A member as others see it."""
    return f"member:{id_}"


def owner(id_: int) -> str:
    """The standing of all agents of an owner."""
    return f"owner:{id_}"


def tools(member: int) -> str:
    """The tools that a member may call."""
    return f"tools:{member}"
