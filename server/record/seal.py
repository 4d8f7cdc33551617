"""The seal: the signed end of the log, in a file beside the database, and the key that signs it."""

import json
from dataclasses import asdict
from pathlib import Path

from teamroom.server.identity import Entropy
from teamroom.server.record import chain as log
from teamroom.server.store.folder import KEY, SEAL, FolderError, write_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Head

KEY_BYTES = 32


def read_key(folder: Path, entropy: Entropy) -> bytes:
    """The folder's key, made where there is none. Raises FolderError when the file holds none."""
    path = folder / KEY
    if not path.exists():
        write_private(path, entropy(KEY_BYTES).hex() + "\n")
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        raise FolderError(f"{path} holds no key. Put back the file that belongs to this room.") from None


def write(folder: Path, key: bytes, head: Head, now: float) -> None:
    """Write the signed head outside the database."""
    seal = log.seal(key, head.epoch, head.seq, head.hash, now)
    write_private(folder / SEAL, json.dumps(asdict(seal)) + "\n")


def missed(folder: Path, key: bytes, head: ReadHead | None) -> str | None:
    """What the folder's seal saw and its database does not hold, in words; None where it holds everything.

    `head` is the head row, None where the database has none.
    """
    try:
        seal = log.Seal(**json.loads((folder / SEAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if not log.is_genuine(key, seal):
        return None
    if head is None:
        return f"it is missing or empty, and the seal saw {seal.seq} entries in it"
    if seal.epoch > head.epoch:
        return f"it is of epoch {head.epoch}, and the seal saw epoch {seal.epoch}"
    if seal.epoch == head.epoch and seal.seq > head.seq:
        return f"its log ends at entry {head.seq}, and the seal saw entry {seal.seq}"
    return None


def epoch_of(folder: Path) -> int | None:
    """The epoch that the folder's seal is of; None where it has none that can be read."""
    try:
        return int(json.loads((folder / SEAL).read_text(encoding="utf-8"))["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
