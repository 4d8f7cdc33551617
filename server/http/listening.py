"""The socket on which the room listens, apart from what serves it: importing that takes longer than all else."""

import socket

from teamroom.server.settings import Settings

BACKLOG = 2048

RECEIVE_BYTES = 16_384
"""What the operating system is asked to keep of a connection until it is read."""


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Listen at the room's address; returns the socket, and the settings with the port that it got for port 0.

    Clients that connect before the room is open wait for it, at most BACKLOG of them. After a restart, harnesses give a
    server up for the rest of their session if its address refuses them for a few seconds. Raises OSError if the port
    is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # If the protocol is named, asyncio sends small answers at once. Otherwise, each waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)  # what is accepted inherits it
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})
