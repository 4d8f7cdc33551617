"""Configs on the disk: read with care, replaced in full or not at all, and never anybody else's.

A config may be a symbolic link to a file of the user's own, as managers of dotfiles make them. It is written where it
leads, and stays a link.
"""

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from teamroom.clients.session.failure import Failure
from teamroom.server.private import PRIVATE_FILE, user_id

CONFIG_BYTES = 4 * 1024 * 1024
"""The largest config that is changed. Claude Code's own file grows to a few hundred kilobytes."""

REPOSITORY_DEPTH = 64
"""How many folders above a file are looked at for a repository."""


@dataclass(frozen=True)
class Found:
    """A config as it is now. `data` and `mode` are None if there is no file.

    `path`: as the harness names it; `real`: the file that it leads to.
    """

    path: Path
    real: Path
    data: bytes | None
    mode: int | None


def find_config(path: Path) -> Found:
    """Read a config. Raises Failure for one that cannot be changed, and for another user's."""
    real = Path(os.path.realpath(path))
    is_link = real != Path(os.path.realpath(path.parent)) / path.name
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        if is_link and not real.parent.is_dir():
            raise _cannot(path, f"is a link to {real}, whose folder does not exist") from None
        return Found(path, real, None, None)
    except OSError as error:
        raise _cannot(path, f"cannot be read ({error.strerror})") from None
    try:
        status = os.fstat(descriptor)
        _judge(path, status, real if is_link else None)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(CONFIG_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > CONFIG_BYTES:
        raise _cannot(path, f"is larger than {CONFIG_BYTES:,} bytes")
    return Found(path, real, data, stat.S_IMODE(status.st_mode))


def decode(found: Found) -> str:
    """Return the text of a config, without its byte order mark. Raises Failure if it is not UTF-8."""
    try:
        return (found.data or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _cannot(found.path, "is not UTF-8") from None


def encode(text: str, found: Found) -> bytes:
    """Return a text as the bytes of a config, with the byte order mark that it had."""
    has_mark = (found.data or b"").startswith(b"\xef\xbb\xbf")
    return text.encode("utf-8-sig" if has_mark else "utf-8")


def digest(data: bytes) -> str:
    """Return the hash by which a file is known as unchanged."""
    return hashlib.sha256(data).hexdigest()


def missing_folders(path: Path) -> list[str]:
    """Return the folders that a file needs and that do not exist."""
    return [str(folder) for folder in path.parents if not folder.exists()]


def replace(found: Found, data: bytes, mode: int | None) -> None:
    """Write a config in full or not at all, with a mode. Raises Failure, also if it changed since it was found."""
    draft = found.real.with_name(f".{found.real.name}.teamroom-{os.getpid()}")
    try:
        found.real.parent.mkdir(parents=True, exist_ok=True)
        _require_unchanged(found)
        draft.unlink(missing_ok=True)  # a crash may have left one behind
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), _usual_mode() if mode is None else mode)
        _require_unchanged(found)
        os.replace(draft, found.real)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _cannot(found.path, f"cannot be written ({error.strerror})") from None
    except Failure:
        draft.unlink(missing_ok=True)
        raise


def remove(found: Found) -> None:
    """Remove a config that join created. Raises Failure, also if it changed since it was found."""
    _require_unchanged(found)
    try:
        found.real.unlink()
    except OSError as error:
        raise _cannot(found.path, f"cannot be removed ({error.strerror})") from None


def remove_empty(folders: list[str]) -> list[str]:
    """Remove the folders that join made and that are empty now; returns those that are left."""
    for folder in sorted(folders, key=len, reverse=True):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return [folder for folder in folders if Path(folder).exists()]


def repository_of(path: Path) -> Path | None:
    """Return the folder of the repository that a file is in; None if it is in none."""
    above = list(Path(os.path.realpath(path)).parents)[:REPOSITORY_DEPTH]
    return next((folder for folder in above if (folder / ".git").exists()), None)


def _judge(path: Path, status: os.stat_result, target: Path | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _cannot(path, "is not a file")
    if status.st_uid != user_id():
        leads = f" is a link to {target}, which" if target is not None else ""
        raise _cannot(path, f"{leads} belongs to another user (id {status.st_uid})".strip())


def _require_unchanged(found: Found) -> None:
    if find_config(found.path).data != found.data:
        raise _cannot(found.path, "was changed by another program in this moment")


def _usual_mode() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _cannot(path: Path, why: str) -> Failure:
    return Failure(
        f"{path} {why}, so it is left as it is.", "Correct that, then repeat. Or add the entry by hand: see --print."
    )
