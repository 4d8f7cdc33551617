"""Checks of this machine: its SQLite, its user and the agents that run as that user."""

import contextlib
import getpass
import os
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from teamroom.clients.local.findings import Finding
from teamroom.clients.local.snapshot import settings_of
from teamroom.clients.session.place import OWNER_TOKEN, Place, agents_session

WAL_RESET_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""SQLite releases that fix the WAL-reset bug: two older lines, and everything from the last one."""

WAL_RESET_URL = "https://sqlite.org/wal.html#walresetbug"

PROCESSES_LOOKED_AT = 20_000
COMMAND_BYTES = 4096
PS_SECONDS = 5.0

HARNESSES = frozenset(
    {
        "claude",
        "codex",
        "gemini",
        "opencode",
        "cursor-agent",
        "copilot",
        "goose",
        "amp",
        "auggie",
        "antigravity",
        "cline",
        "aider",
        "qwen",
        "crush",
    }
)
"""The commands of agent harnesses."""

INTERPRETERS = ("node", "bun", "deno", "python")
"""Commands that run the script named after them."""


def check_sqlite(place: Place) -> Iterator[Finding]:
    """Check that Python's SQLite is free of a bug that can damage a database, where the room is in a file."""
    if settings_of(place.folder).database.get_secret_value():
        return
    version = sqlite3.sqlite_version
    if has_wal_reset_fix(sqlite3.sqlite_version_info):
        yield Finding("ok", "sqlite", f"SQLite {version}.")
        return
    yield Finding(
        "warning",
        "sqlite",
        f"SQLite {version} has the WAL-reset bug, which needs two writing connections. The room writes and "
        "checkpoints with one.",
        f"Do not let another program write to room.db. A Python with SQLite 3.51.3 fixes the bug. {WAL_RESET_URL}",
    )


def has_wal_reset_fix(version: tuple[int, ...]) -> bool:
    """Whether a SQLite release fixes the WAL-reset bug."""
    return version >= WAL_RESET_FIXED[-1] or any(
        version[:2] == line[:2] and version >= line for line in WAL_RESET_FIXED
    )


def check_user(place: Place) -> Iterator[Finding]:
    """Check who can read the owner's token (SAF7). No setting of the room can change that."""
    user = _user()
    token = place.folder / OWNER_TOKEN
    if token.exists() and os.access(token, os.R_OK):
        yield Finding(
            "warning",
            "same user",
            f"Every program that runs as {user}, agents included, can read {token} and act as the owner.",
            "Run agents as another user, or in a container without this folder.",
        )
    else:
        yield Finding("ok", "same user", f"{user} cannot read the owner's token in {place.folder}.")
    if (sign := agents_session(place.environment)) is not None:
        found = f"This is an agent's session ({sign}). The shell does not use the owner's token here."
        yield Finding("ok", "same user", found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def check_agents(place: Place) -> Iterator[Finding]:
    """Find the agent harnesses that run as this user."""
    found = harnesses(_commands())
    if found:
        named = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(found.items()))
        yield Finding(
            "warning",
            "agents",
            f"Agent harnesses run as {_user()}: {named}.",
            "Run them as another user, or in a container.",
        )
    else:
        yield Finding("ok", "agents", f"No known agent harness runs as {_user()}.")


def harnesses(commands: Iterable[list[str]]) -> Counter[str]:
    """Count the harnesses among commands, by their name or by the script that an interpreter runs."""
    found: Counter[str] = Counter()
    for words in commands:
        names = [Path(word).name.split(".")[0] for word in words[:2]]
        if len(names) == 2 and names[0].startswith(INTERPRETERS):
            names.reverse()
        if names and names[0] in HARNESSES:
            found[names[0]] += 1
    return found


def _commands() -> Iterator[list[str]]:
    """Yield the command lines of this user's processes."""
    if not Path("/proc/self/cmdline").exists():
        yield from _commands_by_ps()
        return
    for number, path in enumerate(Path("/proc").glob("[0-9]*")):
        if number >= PROCESSES_LOOKED_AT:
            return
        with contextlib.suppress(OSError):  # the process ended meanwhile
            if path.stat().st_uid == os.getuid():
                with (path / "cmdline").open("rb") as file:
                    yield file.read(COMMAND_BYTES).decode("utf-8", "replace").split("\0")


def _commands_by_ps() -> Iterator[list[str]]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["ps", "-U", str(os.getuid()), "-o", "args="]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PS_SECONDS, check=False)
        yield from (line.split() for line in done.stdout.splitlines()[:PROCESSES_LOOKED_AT])
