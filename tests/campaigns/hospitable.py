"""A server that takes in whatever a stranger sends, a twin: python -m tests.campaigns.hospitable FOLDER PORT."""

import sys

from teamroom.server.app import Room
from teamroom.server.http import listening, protocol
from teamroom.server.http.connections import Connections
from tests.campaigns.twin_server import run


def take_everything(room: Room) -> None:
    """Bound neither connections nor heads, headers and trailers."""
    protocol.HEAD_BYTES = protocol.HEADERS = protocol.THROWN_AWAY_BYTES = sys.maxsize
    listening.RECEIVE_BYTES = 4 << 20
    Connections.make_room = lambda self: True  # type: ignore[method-assign]


if __name__ == "__main__":
    run(take_everything)
