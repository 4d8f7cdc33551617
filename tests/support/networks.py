"""A network namespace joined to this machine by one cable, which a test can cut. It needs root and iproute2."""

import asyncio
import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.kept_alive import Connection

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
BOUND_SECONDS = 10


@dataclass(frozen=True)
class Network:
    """A namespace with a cable to this machine; what runs in it reaches nothing else."""

    name: str
    here: str
    """The address of this machine's end, as the namespace sees it."""

    def cut(self) -> None:
        """Let nothing through, and tell no connection."""
        _ip("link", "set", f"{self.name}a", "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("link", "set", f"{self.name}a", "up")

    @property
    def inside(self) -> tuple[str, ...]:
        """The command that runs another one in the namespace."""
        return ("ip", "netns", "exec", self.name)

    async def connect(self, port: int) -> Connection:
        """A connection to a port of 127.0.0.1 in the namespace, whether the cable is cut or not.

        Raises ConnectionError when nobody listens.
        """
        there = await asyncio.to_thread(self._open, port)
        _, connection = await asyncio.get_running_loop().create_connection(Connection, sock=there)
        return connection

    def _open(self, port: int) -> socket.socket:
        """A socket belongs to the namespace of the thread that opens it; this thread ends then."""
        found: list[socket.socket | OSError] = []

        def opened() -> None:
            try:
                with (NAMESPACES / self.name).open() as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(socket.create_connection(("127.0.0.1", port), timeout=BOUND_SECONDS))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=opened)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        found[0].setblocking(False)
        return found[0]


@contextlib.contextmanager
def network() -> Iterator[Network | None]:
    """A namespace as long as the block runs; None where this process may not make one."""
    name, subnet = f"tr{secrets.token_hex(4)}", f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
    made = Network(name, f"{subnet}.1")
    if os.getuid() != 0 or shutil.which("ip") is None or not _made(made, f"{subnet}.2"):
        yield None
        return
    try:
        yield made
    finally:
        _ip("netns", "del", name)  # with its end of the cable, and so the other one


def _made(made: Network, there: str) -> bool:
    try:
        _ip("netns", "add", made.name)
    except subprocess.CalledProcessError:
        return False
    try:
        _ip("link", "add", f"{made.name}a", "type", "veth", "peer", "name", f"{made.name}b", "netns", made.name)
        _ip("addr", "add", f"{made.here}/30", "dev", f"{made.name}a")
        _ip("link", "set", f"{made.name}a", "up")
        _ip("-n", made.name, "addr", "add", f"{there}/30", "dev", f"{made.name}b")
        for device in ("lo", f"{made.name}b"):
            _ip("-n", made.name, "link", "set", device, "up")
    except subprocess.CalledProcessError:
        _ip("netns", "del", made.name)
        return False
    return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=BOUND_SECONDS)
