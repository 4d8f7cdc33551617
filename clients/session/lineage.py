"""Whether this process belongs to an agent that `teamroom listen` or `teamroom watch` started.

Both mark what they start with a variable. A program can remove the variable from its own environment, but not from
those of the processes above it, and it cannot hide the listener or the watchdog there. It is no boundary: a process
that leaves its session and clears its environment is not recognised, and can read the owner's files anyway.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOLD = "TEAMROOM_TOLD"
"""Names a socket, to which the bridge connects once its client has the room's tools."""

MARK = "TEAMROOM_AGENT"
"""The variable that marks what a listener or a watchdog starts. Its value is the member that it starts it for."""

STARTERS = frozenset({"listen", "watch"})
"""The commands of the shell that start programs for agents."""

ANCESTORS = 64
"""How many processes above a process are looked at."""

READ_BYTES = 1 << 20
"""How much of a process's environment or command line is read; systems allow about as much."""

PS = ("ps", "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "args=")
PS_SECONDS = 5.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A process: its parent, the words of its command, and the variables it was started with, where readable."""

    parent: int
    words: list[str]
    variables: frozenset[str] = frozenset()


Look = Callable[[int], Ancestor | None]
"""Looks at a process by its id; None if it is gone or cannot be seen."""


def mark(name: str) -> dict[str, str]:
    """Return the variable that marks a program as started for an agent."""
    return {MARK: name}


def marked(environment: Mapping[str, str], look: Look | None = None) -> str | None:
    """Return in words what shows that a listener or a watchdog started this process; None if nothing does."""
    if MARK in environment:
        return f"{MARK} is set"
    look = look or _look()
    for number, process in _above(look):
        if MARK in process.variables:
            return f"process {number} above it was started with {MARK}"
        if (starter := starts_agents(process.words)) is not None:
            return f"process {number} above it is teamroom {starter}"
    return None


def parent_of(number: int) -> int | None:
    """Return the parent of a process; None if it is gone or cannot be seen."""
    process = _look()(number)
    return None if process is None else process.parent


def words_above(levels: int) -> set[str]:
    """Return the words of the commands of the nearest processes above this one."""
    found, number, look = set[str](), os.getppid(), _look()
    for _ in range(levels):
        process = look(number)
        if process is None:
            break
        found |= set(process.words)
        number = process.parent
    return found


def _look() -> Look:
    return _look_in_proc if (PROC / "self" / "stat").exists() else _look_with_ps()


def starts_agents(words: list[str]) -> str | None:
    """Return which command of the shell a process runs, if it is one that starts programs for agents."""
    if words and re.match(r"python[0-9.]*$", Path(words[0]).name):
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    if len(words) < 2 or Path(words[0]).name.split(".")[0] != "teamroom":
        return None
    return words[1] if words[1] in STARTERS else None


def _above(look: Look) -> Iterator[tuple[int, Ancestor]]:
    """Yield the processes above this one.

    The leaders of its group and its session count as well: they lead to the starter of a program whose parent ended.
    """
    seen, own = set[int](), os.getpid()
    for number in (os.getppid(), os.getpgid(0), os.getsid(0)):
        for _ in range(ANCESTORS):
            if number in seen or number <= 1:
                break
            seen.add(number)
            process = look(number)
            if process is None:
                break
            if number != own:
                yield number, process
            number = process.parent


def _look_in_proc(number: int) -> Ancestor | None:
    folder = PROC / str(number)
    try:
        parent = int(_read(folder / "stat").rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
    words = [word.decode("utf-8", "replace") for word in _parts(folder / "cmdline")]
    return Ancestor(parent, words, frozenset(_names(_parts(folder / "environ"))))


def _parts(path: Path) -> list[bytes]:
    try:
        return _read(path).split(b"\0")
    except OSError:
        return []  # of another user, or ended meanwhile


def _names(variables: list[bytes]) -> Iterator[str]:
    for variable in variables:
        yield variable.partition(b"=")[0].decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(READ_BYTES)


def _look_with_ps() -> Look:
    """Return a look at one listing of ps, which shows no environments."""
    import subprocess  # loads slowly, and Linux does not need it

    try:
        done = subprocess.run(PS, stdin=subprocess.DEVNULL, capture_output=True, timeout=PS_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return lambda number: None
    found = dict[int, Ancestor]()
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit() and words[1].isdigit():
            found[int(words[0])] = Ancestor(int(words[1]), words[2:])
    return found.get
