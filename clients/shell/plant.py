"""`teamroom plant`: asks the room for a new value, and leaves it where the capability stands."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.room import ask
from teamroom.server.rules.proofs import VALUE_PREFIX


def plant(place: Place, capability: str, file: str | None, read: str | None, where: str | None) -> dict[str, Any]:
    """Make a capability provable; with `file`, the value is in it once this returns. Raises Failure.

    A file that holds anything but an older value is left alone.
    """
    if file is None:
        return ask(place, "plant", capability=capability, read=read, where=where)
    path = Path(file).expanduser()
    if where is None and not path.is_absolute():
        where = f"the path begins at the root of {capability}"
    with _draft(path) as draft:
        reply = ask(place, "plant", capability=capability, file=file, where=where)
        draft.write_text(f"{reply['value']}\n", encoding="ascii")
        try:
            draft.replace(path)
        except OSError as error:
            raise Failure(
                f"The room has a new value, but {path} cannot be written: {error.strerror}.", "Plant it once more."
            ) from None
    return reply


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """An empty file beside the one to write, so that what cannot be written fails before the room has a new value."""
    if path.exists() and not _is_ours(path):
        raise Failure(f"{path} holds something else, and is left alone.", "Name a file of its own with --file.", USAGE)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(exist_ok=False)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.", "Name another file with --file.") from None
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as found:
            return found.read(len(VALUE_PREFIX)) == VALUE_PREFIX.encode()
    except OSError:
        return False
