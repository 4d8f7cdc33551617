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

SOCKET = "room.sock"

LONGEST_ADDRESS = 100
"""Bytes of a socket's path that every system takes; the smallest limit is 103 (macOS), Linux has 107."""

BACKLOG = 64


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
    """Connect to the folder's socket. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        with reachable(folder / SOCKET) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
