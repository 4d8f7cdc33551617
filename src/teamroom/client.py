"""The Python client of a room: `async with Room(url, token) as room`, `await room.post_message(text="done")`.

`Room.listen` yields the member's wakes. `shapes` has the types of what the tools take and return. See docs/agents.md.
"""

from typing import TYPE_CHECKING, Any

from teamroom.clients.session.failure import Failure, Killed, Refused, Superseded, UnreachableError
from teamroom.clients.session.room import Room

if TYPE_CHECKING:
    from teamroom.clients.session import shapes

__all__ = ["Failure", "Killed", "Refused", "Room", "Superseded", "UnreachableError", "shapes"]


def __getattr__(name: str) -> Any:
    """Load the types when a program first uses them: they take longer than the client itself."""
    if name != "shapes":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from teamroom.clients.session import shapes

    return shapes
