"""The address of the running server: a file in the data folder, for the shell on the same machine."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teamroom.server.private import NotPrivateError, read_private, write_private

SERVER = "server.json"


@contextmanager
def announce(folder: Path, url: str) -> Iterator[None]:
    """Write the server's address into its folder while the block runs; a crash leaves it behind."""
    path = folder / SERVER
    write_private(path, json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def announced(folder: Path) -> str | None:
    """The address that the folder's server wrote, even if that has crashed; None if there is none.

    Raises NotPrivateError, because a token is sent to that address.
    """
    try:
        url = json.loads(read_private(folder / SERVER))["url"]
    except NotPrivateError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None
