"""The Python client of a room: `with connected(Place()) as room: room.call("post_message", text="done")`."""

from teamroom.clients.session.room import Failure, Place, Room, ask, connected

__all__ = ["Failure", "Place", "Room", "ask", "connected"]
