"""Where this process runs, as it tells the room: host, last part of the folder, harness, branch and commit.

It never tells a whole path or a user. Of a checkout it reads git's own files, and starts no program.
"""

import getpass
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

SAY_SECONDS = 60.0
"""How often a program that calls again and again says it."""

FOLDERS_ABOVE = 64
"""How many folders above this one are searched for a checkout."""

FILE_BYTES, PACKED_BYTES = 4096, 1 << 20
"""How much of a file of git is read, and of the one with many references."""

HOME = "~"
"""The folder as it is told if its name is the user's."""

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BRANCH = "refs/heads/"


class Whereabouts:
    """Says where this process runs, now and then. `harness`: the program that it runs for, with a version if known."""

    def __init__(self, harness: str = "", version: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.harness, self.version = harness, version
        self._clock, self._said_at = clock, -SAY_SECONDS

    def due(self, seconds: float = SAY_SECONDS) -> dict[str, str] | None:
        """Return what to tell the room now; None if that was told within so many seconds."""
        now = self._clock()
        if now - self._said_at < seconds:
            return None
        self._said_at = now
        return find_runtime(self.harness, self.version)


def find_runtime(harness: str = "", version: str = "", folder: Path | None = None) -> dict[str, str]:
    """Return where this process runs, without what is not known."""
    try:
        folder = folder or Path.cwd()
    except OSError:  # it was removed
        folder = Path("/")
    branch, commit = find_checkout(folder)
    found = {
        "host": socket.gethostname().partition(".")[0],
        "folder": _folder_name(folder),
        "harness": harness,
        "version": version,
        "branch": branch,
        "commit": commit,
    }
    return {name: value for name, value in found.items() if value}


def _folder_name(folder: Path) -> str:
    """Return the last part of a folder's path, unless that is the user's name."""
    try:
        is_users = folder == Path.home() or folder.name == getpass.getuser()
    except (OSError, KeyError, RuntimeError):
        is_users = False
    return HOME if is_users else folder.name


def find_checkout(folder: Path) -> tuple[str, str]:
    """Return the branch and the commit that are checked out in a folder; '' for what is not known."""
    for above in [folder, *folder.parents][:FOLDERS_ABOVE]:
        if (git := _git_folder(above / ".git")) is not None:
            return _head_of(git)
    return "", ""


def _git_folder(path: Path) -> Path | None:
    """Return git's own folder behind `.git`, which is a file in a further worktree."""
    try:
        if path.is_dir():
            return path
    except OSError:  # a folder above is another user's
        return None
    named = _first_line(path).removeprefix("gitdir:").strip()
    return path.parent / named if named else None


def _head_of(git: Path) -> tuple[str, str]:
    head = _first_line(git / "HEAD")
    if not head.startswith("ref:"):
        return "", head if _COMMIT.fullmatch(head) else ""
    name = head.removeprefix("ref:").strip()
    shared = git / (_first_line(git / "commondir") or ".")
    branch = name.removeprefix(_BRANCH) if name.startswith(_BRANCH) else ""
    if ".." in name.split("/") or name.startswith("/"):
        return branch, ""
    commit = next((line for one in (git, shared) if _COMMIT.fullmatch(line := _first_line(one / name))), "")
    return branch, commit or _packed(shared / "packed-refs", name)


def _packed(path: Path, name: str) -> str:
    """Return the commit of a reference in the file that has many of them."""
    for line in _read(path, PACKED_BYTES).splitlines():
        commit, _, found = line.partition(" ")
        if found == name and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _first_line(path: Path) -> str:
    return _read(path, FILE_BYTES).partition("\n")[0].strip()


def _read(path: Path, longest: int) -> str:
    """Return the beginning of a file; '' if it cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(longest).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
