"""The record of joins: which entries are in which file, and what each file was before.

It is private and lies in the user's state folder, because a config may have entries for several rooms.
"""

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from teamroom.clients.harnesses.entries import Entry, Item, Put
from teamroom.clients.session.failure import Failure
from teamroom.server.private import make_private_folder, open_private, read_private, write_private

NAME, LOCK = "joined.json", "joined.lock"
VERSION = 1


@dataclass
class Joined:
    """A harness that joined in a folder, or in every folder of its user (`folder` is empty).

    `is_in`: whether it has entries now. After a leave, the name is kept for the next join. `is_resident`: a watchdog
    keeps its listener running.
    """

    harness: str
    folder: str
    name: str
    data: str
    url: str = ""
    is_unattended: bool = False
    issued: bool = True
    is_in: bool = True
    is_resident: bool = False

    @property
    def key(self) -> str:
        """What its entries are recorded under."""
        return f"{self.harness} {self.folder}"


@dataclass
class Written:
    """A file with entries. `base`: its bytes before the first one, None if it did not exist; `mode`: its mode then.

    `digest`: of the bytes that were written last. While the file has it, `base` is what it becomes again. `syntax` is
    empty for a file that is ours as a whole. `is_private`: it
    has a token. `entries` come with the key of who joined.
    """

    path: str
    syntax: str
    base: bytes | None
    mode: int | None
    digest: str
    is_private: bool = False
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    created: list[tuple[str, ...]] = field(default_factory=list)


@dataclass
class Record:
    """Everything that joins wrote for this user. `folders`: those that were made for files."""

    joined: list[Joined] = field(default_factory=list)
    files: dict[str, Written] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    def find(self, harness: str, folder: str) -> Joined | None:
        """Return who joined with a harness in a folder."""
        return next((one for one in self.joined if (one.harness, one.folder) == (harness, folder)), None)

    def files_of(self, key: str) -> list[Written]:
        """Return the files with entries of one who joined."""
        return [file for file in self.files.values() if any(owner == key for owner, _ in file.entries)]


def record_folder() -> Path:
    """Return the user's state folder."""
    import platformdirs

    return platformdirs.user_state_path("teamroom")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let one join or leave of this user run at a time. Raises Failure, NotPrivateError."""
    folder = record_folder()
    try:
        make_private_folder(folder, NAME, LOCK)
        lock = os.fdopen(open_private(folder / LOCK, os.O_RDWR | os.O_CREAT))
    except OSError as error:
        raise Failure(f"{folder} cannot be used: {error}.", "Correct that, then repeat.") from None
    with lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure("Another join or leave of yours runs.", "Wait until it has ended, then repeat.") from None
        yield


def load_record() -> Record:
    """Return the record; an empty one if nothing joined yet. Raises Failure if it cannot be read."""
    path = record_folder() / NAME
    try:
        found = json.loads(read_private(path))
        if found["version"] != VERSION:
            raise ValueError
        return _read(found)
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f": {error}" if isinstance(error, OSError) else ""
        raise Failure(
            f"The record of joins in {path} cannot be read{why}.",
            "Move it away, then repeat. What was joined before must then be removed by hand.",
        ) from None


def save_record(record: Record) -> None:
    """Write the record, in full or not at all. Raises Failure."""
    path = record_folder() / NAME
    shown = {
        "version": VERSION,
        "joined": [asdict(one) for one in record.joined],
        "files": [_shown(file) for file in record.files.values() if file.entries],
        "folders": record.folders,
    }
    try:
        write_private(path, json.dumps(shown, indent=1) + "\n")
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error}.", "Correct that, then repeat.") from None


def _read(found: dict[str, Any]) -> Record:
    files = [_read_file(one) for one in found["files"]]
    joined = [Joined(**one) for one in found["joined"]]
    return Record(joined, {file.path: file for file in files}, found["folders"])


def _read_file(found: dict[str, Any]) -> Written:
    base = found.pop("base")
    entries = [(owner, _read_entry(entry)) for owner, entry in found.pop("entries")]
    created = [tuple(path) for path in found.pop("created")]
    data = None if base is None else base64.b64decode(base)
    return Written(**found, base=data, entries=entries, created=created)


def _read_entry(found: dict[str, Any]) -> Entry:
    path = tuple(found["path"])
    if "mark" in found:
        return Item(path, found["value"], found["mark"])
    return Put(path, found["value"], found["is_default"])


def _shown(file: Written) -> dict[str, Any]:
    base = None if file.base is None else base64.b64encode(file.base).decode()
    return {**asdict(file), "base": base, "entries": [(owner, asdict(entry)) for owner, entry in file.entries]}
