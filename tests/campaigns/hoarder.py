"""A server that forgets to let go of what a connection held, a twin: python -m tests.campaigns.hoarder FOLDER PORT."""

from typing import Any

from teamroom.server.app import Room
from teamroom.server.wake import push
from tests.campaigns.twin_server import run

HELD_BYTES = 262_144


def hoard(room: Room) -> None:
    """Keep something for each listener that ever came."""
    held: list[Any] = []
    leave = push.Push.leave

    def kept(self: push.Push, listener: push.Follower) -> None:
        held.append((listener, bytearray(HELD_BYTES)))
        leave(self, listener)

    push.Push.leave = kept  # type: ignore[method-assign]


if __name__ == "__main__":
    run(hoard)
