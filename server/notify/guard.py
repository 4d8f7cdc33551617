"""Keeps a thread that sends to an address of a person away from this machine and from private networks.

A name can lead to another address each time it is looked up, and a service can redirect. So the address is judged where
each connection is made, by a hook of the interpreter. It judges only threads that asked for it.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from teamroom.server.rules.addresses import is_public

T = TypeVar("T")

CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
"""The events of the interpreter with which a socket of a thread reaches out. Their second argument is the address."""

STARTING = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"})
"""Those with which a thread starts another program."""


class NotPublicError(PermissionError):
    """A thread was about to connect to an address that is not public."""


class _Judged(threading.local):
    """What this thread may do: whether it is judged, and whether it was stopped."""

    is_judged = False
    was_stopped = False


_judged = _Judged()
_install_once = threading.Lock()
_is_installed = False


def to_public_addresses(work: Callable[[], T], stopped: T) -> T:
    """Do work in this thread that may connect only to public addresses; returns `stopped` if it tried others."""
    _install()
    _judged.is_judged, _judged.was_stopped = True, False
    try:
        done = work()
    finally:
        _judged.is_judged = False
    return stopped if _judged.was_stopped else done


def _install() -> None:
    """Install the hook, which stays for as long as the process runs."""
    global _is_installed
    with _install_once:
        if not _is_installed:
            sys.addaudithook(_judge)
            _is_installed = True


def _judge(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in CONNECTING and event not in STARTING:
        return
    if not _judged.is_judged:
        return
    address = arguments[1] if event in CONNECTING and len(arguments) > 1 else None
    if not isinstance(address, tuple) or not address or not is_public(str(address[0])):
        _judged.was_stopped = True
        raise NotPublicError("a channel of a person may only lead to public addresses")
