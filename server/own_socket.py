"""The room's own socket: a Unix socket in the data folder, for clients on the same machine.

Only the folder's user can reach it. The room serves it with a thread of its own, so what happens on the network cannot
keep the owner out.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct

from teamroom.server.private import NotPrivateError, check_private, user_id

SOCKET = "room.sock"

RECOVER_PATH = "/recover"
"""Where the socket's server gives a room owner a new token, to who shows the code in the file `CODE`."""

CODE = "recover.code"
"""Who can write this file is the folder's user. So a proxy that leads to the socket opens nothing."""

LONGEST_ADDRESS = 100
"""Bytes of a socket's path that every system takes; the smallest limit is 103 (macOS), Linux has 107."""

BACKLOG = 64

PEER = Struct("3i")
"""What Linux says of the other side of a socket: its process, user and group."""


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A path to the same socket that is short enough for an address, while the block runs. Raises OSError."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="teamroom-") as folder:
        link = Path(folder, "room")
        link.symlink_to(path.parent, target_is_directory=True)
        yield str(link / path.name)


def listen(folder: Path) -> socket.socket:
    """Listen on the folder's socket, in place of one that a server left behind. The folder must be locked.

    Raises OSError.
    """
    path = folder / SOCKET
    check_private(path, kind="socket")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(folder: Path, seconds: float) -> socket.socket:
    """Connect to the folder's socket. Raises OSError, and NotPrivateError if it leads to another user."""
    check_private(folder / SOCKET, kind="socket")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        with reachable(folder / SOCKET) as address:
            connection.connect(address)
        _check_server(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_server(connection: socket.socket, folder: Path) -> None:
    """Check that the other side of a connection is this user's program, where the system says so."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    _, user, _ = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
    if user != user_id():
        raise NotPrivateError(folder / SOCKET, f"is served by user {user}", "Ask that user, or stop that server.")
