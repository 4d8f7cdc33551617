"""The address of the running server: a file in the data folder, for the shell on the same machine."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from teamroom import __version__
from teamroom.server.private import NotPrivateError, read_private, write_private

SERVER = "server.json"


class Announcement(NamedTuple):
    """What a server says of itself: its address, process and version, since when it serves, and where its log goes.

    A server of an earlier release says only the first two. `log` is None if the log goes to a terminal or a journal.
    """

    url: str
    process: int
    version: str | None
    since: str | None
    log: str | None


@contextmanager
def announce(folder: Path, url: str, since: str | None = None, log: Path | None = None) -> Iterator[None]:
    """Write the server's address into its folder while the block runs; a crash leaves it behind."""
    path = folder / SERVER
    facts = {"url": url, "pid": os.getpid(), "version": __version__, "since": since}
    write_private(path, json.dumps({**facts, "log": None if log is None else str(log)}) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def announced(folder: Path) -> str | None:
    """The address that the folder's server wrote, even if that has crashed; None if there is none.

    Raises NotPrivateError, because a token is sent to that address.
    """
    found = announcement(folder)
    return None if found is None else found.url


def announcement(folder: Path) -> Announcement | None:
    """What the folder's server wrote, even if that has crashed; None if there is nothing. Raises NotPrivateError."""
    try:
        facts = json.loads(read_private(folder / SERVER))
        url, process = facts["url"], facts["pid"]
    except NotPrivateError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(url, str) or not isinstance(process, int):
        return None
    return Announcement(url, process, *(_text(facts, name) for name in ("version", "since", "log")))


def _text(facts: dict[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None
