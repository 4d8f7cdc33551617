"""The seal: the signed end of the log, in a file beside the database, and the key that signs it."""

import json
from dataclasses import asdict
from pathlib import Path

from teamroom.server.clock import WallTime
from teamroom.server.identity import Entropy
from teamroom.server.record import chain as log
from teamroom.server.store.folder import KEY, SEAL, FolderError, write_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Head

KEY_BYTES = 32


def read_key(folder: Path, entropy: Entropy) -> bytes:
    """The folder's key; creates one if there is none. Raises FolderError if the file contains no key."""
    path = folder / KEY
    if not path.exists():
        write_private(path, entropy(KEY_BYTES).hex() + "\n")
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        raise FolderError(f"{path} contains no key. Put back this room's file.") from None


def write(folder: Path, key: bytes, head: Head, now: WallTime) -> None:
    """Write the signed head outside the database."""
    seal = log.seal(key, head.epoch, head.seq, head.hash, now)
    write_private(folder / SEAL, json.dumps(asdict(seal)) + "\n")


def missed(folder: Path, key: bytes, head: ReadHead | None) -> str | None:
    """What the seal covers and the database does not contain, in words; None if nothing is missing.

    `head` is the head row; None if the database has none.
    """
    try:
        seal = log.Seal(**json.loads((folder / SEAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if not log.is_genuine(key, seal):
        return None
    if head is None:
        return f"it is missing or empty, but the seal covers {seal.seq} entries"
    if seal.epoch > head.epoch:
        return f"it is of epoch {head.epoch}, but the seal is of epoch {seal.epoch}"
    if seal.epoch == head.epoch and seal.seq > head.seq:
        return f"its log ends at entry {head.seq}, but the seal covers entry {seal.seq}"
    return None


def epoch_of(folder: Path) -> int | None:
    """The epoch of the folder's seal; None if there is no readable seal."""
    try:
        return int(json.loads((folder / SEAL).read_text(encoding="utf-8"))["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
