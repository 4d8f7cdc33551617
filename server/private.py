"""Private files and folders: the room's state, which only its user may have. Every file of it is opened here.

What belongs to another user, and what is a symbolic link, is refused. What others can use is tightened, and the log
says so (without a log, standard error). Files are judged on their open descriptor, relative to their open folder, so
nothing else can take their place in between. Files that another library opens are judged by name. This includes
SQLite's: closing a second descriptor of such a file would drop SQLite's locks.
"""

import codecs
import errno
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600

OTHERS, OTHERS_WRITE = 0o077, 0o022
"""The permissions of everybody but the user, and those among them to change something."""

ROOT = 0
"""The user who may own a config that another user's program reads."""

Kind = Literal["file", "folder", "socket"]

IS_KIND: dict[Kind, Callable[[int], bool]] = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "socket": stat.S_ISSOCK}


class NotPrivateError(OSError):
    """A file or folder is not its user's alone, or is a symbolic link. The text says so, and `fix` what to do."""

    def __init__(self, path: Path, why: str, fix: str) -> None:
        super().__init__(errno.EPERM, f"{path} {why}")
        self.fix = fix

    def __str__(self) -> str:
        return str(self.strerror)


def user_id() -> int:
    """Return the user whose files the room uses."""
    return os.geteuid()


# ------------------------------------------------------------------ files


def open_private(path: Path, flags: int = os.O_RDONLY, folders: int = 1, *, is_config: bool = False) -> int:
    """Open a private file; returns its descriptor. `folders`: how many folders above it must be private too.

    `is_config`: the file may be root's, and others may read it. Raises NotPrivateError, OSError.
    """
    with _folder_of(path, folders, creates=bool(flags & os.O_CREAT)) as (folder, name):
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE_FILE, dir_fd=folder)
        except OSError:
            _refuse_link(path, _Name(name, folder))
            raise
    try:
        _judge(_Descriptor(descriptor), path, "file", is_config=is_config)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path, folders: int = 1, *, is_config: bool = False) -> bytes:
    """Read a private file. Raises NotPrivateError, OSError."""
    with os.fdopen(open_private(path, folders=folders, is_config=is_config), "rb") as file:
        return file.read()


def decode_text(data: bytes) -> str:
    """Decode a file that a person may have saved: UTF-8, or as the byte order mark at its start says.

    The mark is no part of the text. Raises UnicodeDecodeError.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def write_private(path: Path, text: str, folders: int = 1) -> None:
    """Write a private file durably, in full or not at all. Raises NotPrivateError, OSError."""
    with _folder_of(path, folders, creates=True) as (folder, name):
        if (there := _Name(name, folder)).exists():
            _judge(there, path, "file")
        draft = _Name(str(Path(name).with_name(f".{path.name}.{os.getpid()}")), folder)
        draft.remove()  # a crash may have left one behind
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(draft.name, flags, PRIVATE_FILE, dir_fd=folder), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft.name, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            draft.remove()
            raise


def check_private(path: Path, folders: int = 1, kind: Kind = "file") -> int | None:
    """Judge a file that another library opens; returns the mode that was tightened, if it was.

    A file that does not exist is private. Raises NotPrivateError, OSError.
    """
    try:
        with _folder_of(path, folders) as (folder, name):
            there = _Name(name, folder)
            return _judge(there, path, kind) if there.exists() else None
    except FileNotFoundError:
        return None


# ------------------------------------------------------------------ folders


def make_private_folder(folder: Path, *contents: str) -> int | None:
    """Create a private folder, or judge the one that exists; returns the mode that was tightened, if it was.

    A folder that others can use is tightened only if it is empty or contains a file that fits one of the patterns
    `contents`. Any other one may be shared on purpose. Raises NotPrivateError, OSError.
    """
    if not folder.is_symlink():
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    descriptor = _open_folder(folder, _Name(str(folder), None))
    try:
        names = os.listdir(descriptor)
        is_ours = not names or any(fnmatch(name, pattern) for name in names for pattern in contents)
        return _judge(_Descriptor(descriptor), folder, "folder", is_ours=is_ours)
    finally:
        os.close(descriptor)


@contextmanager
def _folder_of(path: Path, folders: int, creates: bool = False) -> Iterator[tuple[int | None, str]]:
    """Open the private folders above a file, from the top; yields the lowest one and the file's name in it.

    A folder is tightened only if the file is in it or is created there. Otherwise it may be any folder.
    """
    opened = list[int]()
    try:
        for part in reversed(path.parents[:folders]):
            above = opened[-1] if opened else None
            opened.append(_open_folder(part, _Name(part.name if opened else str(part), above)))
        at = _Name(path.name, opened[-1]) if opened else _Name(str(path), None)
        if creates or at.exists():
            for descriptor, part in zip(opened, reversed(path.parents[:folders]), strict=True):
                _judge(_Descriptor(descriptor), part, "folder")
        yield at.folder, at.name
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open_folder(folder: Path, at: "_Name") -> int:
    """Open a folder of this user's. Raises NotPrivateError, OSError."""
    try:
        descriptor = os.open(at.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at.folder)
    except OSError:
        _refuse_link(folder, at)
        raise
    try:
        _refuse(os.fstat(descriptor), folder, "folder")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


# ------------------------------------------------------------------ the judgement


@dataclass(frozen=True, slots=True)
class _Descriptor:
    """An open file or folder."""

    number: int

    def status(self) -> os.stat_result:
        return os.fstat(self.number)

    def change(self, mode: int) -> None:
        os.fchmod(self.number, mode)


@dataclass(frozen=True, slots=True)
class _Name:
    """A name in an open folder; a whole path if `folder` is None."""

    name: str
    folder: int | None

    def status(self) -> os.stat_result:
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)

    def change(self, mode: int) -> None:
        os.chmod(self.name, mode, dir_fd=self.folder)

    def exists(self) -> bool:
        try:
            self.status()
        except FileNotFoundError:
            return False
        return True

    def remove(self) -> None:
        if self.exists():
            os.unlink(self.name, dir_fd=self.folder)


def _judge(
    at: _Descriptor | _Name, path: Path, kind: Kind, *, is_config: bool = False, is_ours: bool = True
) -> int | None:
    """Refuse what is not this user's, and tighten what others can use; returns its mode until now if it was tightened.

    This is the one place that decides. `is_ours`: whether a folder is the room's, and may be tightened.
    """
    found = at.status()
    _refuse(found, path, kind, is_config)
    mode, wide = stat.S_IMODE(found.st_mode), OTHERS_WRITE if is_config else OTHERS
    if found.st_uid != user_id() or not mode & wide:
        return None
    if kind == "folder" and (not is_ours or mode & stat.S_ISVTX):
        raise NotPrivateError(
            path,
            f"can be used by other users of this machine (mode {mode:03o}), and other files are in it",
            f"Choose an empty folder. Or, if only you need it, run: chmod 700 {shlex.quote(str(path))}",
        )
    try:
        at.change(mode & ~wide)
        is_tight = not at.status().st_mode & wide
    except OSError:
        is_tight = False
    if not is_tight:
        raise NotPrivateError(
            path,
            f"can be used by other users of this machine (mode {mode:03o}), and its disk keeps no other mode",
            "Choose a folder on a disk that keeps permissions.",
        )
    _say_tightened(path, mode)
    return mode


def _refuse(found: os.stat_result, path: Path, kind: Kind, is_config: bool = False) -> None:
    """Raise NotPrivateError for a link and for what belongs to another user, OSError for another kind of file."""
    if stat.S_ISLNK(found.st_mode):
        raise NotPrivateError(
            path, "is a symbolic link", f"Name the real path: {os.path.realpath(path)}. Or move what is there to {path}"
        )
    if stat.S_ISDIR(found.st_mode) and kind != "folder":
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not IS_KIND[kind](found.st_mode):
        raise OSError(errno.EINVAL, f"Not a {kind}", str(path))
    user = user_id()
    is_roots = is_config and found.st_uid == ROOT and not found.st_mode & OTHERS_WRITE
    if found.st_uid != user and not is_roots:
        raise NotPrivateError(
            path,
            f"belongs to {_name_of(found.st_uid)}",
            "Run the command as that user. Or, if you trust what is in it, run: "
            f"sudo chown {user} {shlex.quote(str(path))}",
        )


def _refuse_link(path: Path, at: _Name) -> None:
    """Raise NotPrivateError if a path that could not be opened is a link."""
    try:
        found = at.status()
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        _refuse(found, path, "file")


def _name_of(user: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"user {user}"


def _say_tightened(path: Path, mode: int) -> None:
    import logging  # rarely needed, and the shell starts faster without it

    words = "%s could be used by other users of this machine (mode %03o). It is private now."
    logging.getLogger("teamroom.private").warning(words, path, mode)
