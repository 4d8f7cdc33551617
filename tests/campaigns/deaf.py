"""A server in which a kill ends nothing that is open, a twin: python -m tests.campaigns.deaf FOLDER PORT."""

from teamroom.server.app import Room
from tests.campaigns.twin_server import run


def turn_deaf(room: Room) -> None:
    """Let the bus end nothing."""
    room.bus.end = lambda members, killed: None  # type: ignore[method-assign]


if __name__ == "__main__":
    run(turn_deaf)
