"""What several commands read from the room: pages put together, within bounds."""

from typing import Any

from teamroom.clients.session.place import Place
from teamroom.clients.session.room import Room, connected

PAGES = 20
"""How many pages of a listing the shell puts together; what follows is said to be there."""


def read(place: Place, uri: str) -> dict[str, Any]:
    """One resource of the room. Raises Failure."""
    with connected(place) as room:
        return room.read(uri)


def pages(room: Room, tool: str, items: str, **arguments: Any) -> dict[str, Any]:
    """The first pages of a listing as one. Raises Failure."""
    whole: dict[str, Any] = room.call(tool, **arguments)
    for _ in range(PAGES - 1):
        if whole["next"] is None:
            break
        page = room.call(tool, **arguments, after=whole["next"])
        whole[items] += page[items]
        whole["next"] = page["next"]
    return whole
