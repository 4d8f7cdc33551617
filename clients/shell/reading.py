"""Reads that several commands share."""

from typing import Any

from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.place import Place

PAGES = 20
"""The number of pages that one listing joins. The shell says so where more follow."""


def read(place: Place, uri: str) -> dict[str, Any]:
    """Return the JSON of a resource. Raises Failure."""
    with connected(place) as room:
        return room.read(uri)


def pages(room: BlockingRoom, tool: str, items: str, **arguments: Any) -> dict[str, Any]:
    """Return the first pages of a listing as one. Raises Failure."""
    whole: dict[str, Any] = room.call(tool, **arguments)
    for _ in range(PAGES - 1):
        if whole["next"] is None:
            break
        page = room.call(tool, **arguments, after=whole["next"])
        whole[items] += page[items]
        whole["next"] = page["next"]
    return whole
