"""Where this process runs: host, last part of the folder, branch and commit; never a whole path or a user.

Of a checkout it reads git's own files, and starts no program. The gate loads this before each tool of a harness, so it
needs nothing but `os`.
"""

import os

FOLDERS_ABOVE = 64
"""How many folders above this one are searched for a checkout."""

FILE_BYTES, PACKED_BYTES = 4096, 1 << 20
"""How much of a file of git is read, and of the one with many references."""

COMMIT_CHARACTERS = frozenset({40, 64})

HOME = "~"
"""The folder as it is told if its name is the user's."""

USER_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")

_BRANCH = "refs/heads/"

Folder = str | os.PathLike[str]


def find_runtime(harness: str = "", version: str = "", folder: Folder | None = None) -> dict[str, str]:
    """Return where this process runs, without what is not known."""
    try:
        here = os.getcwd() if folder is None else os.fspath(folder)
    except OSError:  # it was removed
        here = "/"
    branch, commit = find_checkout(here)
    found = {
        "host": os.uname().nodename.partition(".")[0],
        "folder": _folder_name(here),
        "harness": harness,
        "version": version,
        "branch": branch,
        "commit": commit,
    }
    return {name: value for name, value in found.items() if value}


def _folder_name(folder: str) -> str:
    """Return the last part of a folder's path, unless that is the user's name."""
    name = os.path.basename(folder)
    is_users = folder == os.path.expanduser("~") or (bool(name) and name == _user())
    return HOME if is_users else name


def _user() -> str:
    """Return the name of this process's user; '' if it has none."""
    if given := next((name for key in USER_VARIABLES if (name := os.environ.get(key))), ""):
        return given
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def find_checkout(folder: Folder) -> tuple[str, str]:
    """Return the branch and the commit that are checked out in a folder; '' for what is not known."""
    above = os.fspath(folder)
    for _ in range(FOLDERS_ABOVE):
        if git := _git_folder(os.path.join(above, ".git")):
            return _head_of(git)
        if (parent := os.path.dirname(above)) == above:
            break
        above = parent
    return "", ""


def _git_folder(path: str) -> str:
    """Return git's own folder behind `.git`, which is a file in a further worktree; '' if there is none."""
    if os.path.isdir(path):
        return path
    named = _first_line(path).removeprefix("gitdir:").strip()
    return os.path.join(os.path.dirname(path), named) if named else ""


def _head_of(git: str) -> tuple[str, str]:
    head = _first_line(f"{git}/HEAD")
    if not head.startswith("ref:"):
        return "", head if _is_commit(head) else ""
    name = head.removeprefix("ref:").strip()
    shared = os.path.join(git, _first_line(f"{git}/commondir") or ".")
    branch = name.removeprefix(_BRANCH) if name.startswith(_BRANCH) else ""
    if ".." in name.split("/") or name.startswith("/"):
        return branch, ""
    commit = next((line for one in (git, shared) if _is_commit(line := _first_line(f"{one}/{name}"))), "")
    return branch, commit or _packed(f"{shared}/packed-refs", name)


def _packed(path: str, name: str) -> str:
    """Return the commit of a reference in the file that has many of them."""
    for line in _read(path, PACKED_BYTES).splitlines():
        commit, _, found = line.partition(" ")
        if found == name and _is_commit(commit):
            return commit
    return ""


def _is_commit(text: str) -> bool:
    return len(text) in COMMIT_CHARACTERS and not text.strip("0123456789abcdef")


def _first_line(path: str) -> str:
    return _read(path, FILE_BYTES).partition("\n")[0].strip()


def _read(path: str, longest: int) -> str:
    """Return the beginning of a file; '' if it cannot be read."""
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            return file.read(longest).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
