"""What `teamroom doctor` looks at in the data folder, and who else can read it."""

import contextlib
import errno
import getpass
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from teamroom.clients.doctor.findings import Finding
from teamroom.clients.session.place import MEMBERS, OWNER_TOKEN, Place, inside_harness
from teamroom.clients.session.terminal import span
from teamroom.server.announcement import SERVER
from teamroom.server.clock import wall_clock
from teamroom.server.record.backups import BACKUPS, BackupError, backups, known
from teamroom.server.store.folder import DATABASE, KEY, SEAL, FolderError, locked

OLD_BACKUP_SECONDS = 7 * 86_400.0
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
"""Commands that are agent harnesses."""

INTERPRETERS = ("node", "bun", "deno", "python")
"""Commands that run another one, which stands after them."""


def folder(place: Place) -> Iterator[Finding]:
    """Whether the folder is whole, and private to its user."""
    where = place.folder
    if not where.is_dir():
        yield Finding("problem", "folder", f"There is no folder {where}.", "Name it with --data, or run `teamroom up`.")
        return
    files = [where / name for name in (DATABASE, KEY, SEAL, OWNER_TOKEN)]
    folders = [where, *(where / name for name in (MEMBERS, BACKUPS) if (where / name).is_dir())]
    held = [path for name in folders[1:] for path in sorted(name.iterdir()) if path.is_file()]
    loose = [*filter(None, map(_too_open, folders)), *filter(None, map(_too_open, [*files, *held]))]
    yield from loose
    for path in files[:2]:
        if not path.exists():
            yield Finding("problem", "folder", f"{path} is missing.", "Put back a copy of the folder.")
    if not loose:
        yield Finding("ok", "folder", f"{where} and its files are private to their user.")
    yield from _left_behind(where)


def _too_open(path: Path) -> Finding | None:
    """A finding where others can use the path; mended only where it is the user's own, and no link elsewhere."""
    if not path.exists() or not (mode := path.stat().st_mode & 0o777) & 0o077:
        return None
    safe = not path.is_symlink() and path.stat().st_uid == os.getuid()
    return Finding(
        "problem",
        "folder",
        f"{path} is open to other users (mode {mode:03o}).",
        f"Run: chmod {'700' if path.is_dir() else '600'} {path}",
        (lambda: path.chmod(0o700 if path.is_dir() else 0o600)) if safe else None,
    )


def _left_behind(where: Path) -> Iterator[Finding]:
    """The address of a server that ended without removing it."""
    path = where / SERVER
    try:
        process = int(json.loads(path.read_text(encoding="utf-8"))["pid"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        process = 0
    if process > 0 and _runs(process):
        return

    def remove() -> None:
        try:
            with locked(where, "teamroom doctor"):
                path.unlink(missing_ok=True)
        except FolderError:
            raise OSError(errno.EBUSY, "a server has this folder") from None

    found = f"{path} was left by a server that no longer runs."
    yield Finding("warning", "folder", found, f"Run: rm {path}", remove)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def same_user(place: Place) -> Iterator[Finding]:
    """SAF7: said each time, since no setting of the room can change it."""
    user = _user()
    token = place.folder / OWNER_TOKEN
    if token.exists() and os.access(token, os.R_OK):
        yield Finding(
            "warning",
            "same user",
            f"Whatever runs as {user} can read {token}, agents on this machine too, and could act as the owner.",
            "Run agents as another user, or in a container without this folder.",
        )
    else:
        yield Finding("ok", "same user", f"{user} cannot read the owner's token in {place.folder}.")
    if (harness := inside_harness(place.environment)) is not None:
        found = f"{harness} is set: this is an agent's session, and the shell does not use the owner's token here."
        yield Finding("ok", "same user", found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def agents(place: Place) -> Iterator[Finding]:
    """Which agent harnesses run as the user whose files these are."""
    found = harnesses(_commands())
    if found:
        named = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(found.items()))
        yield Finding(
            "warning", "agents", f"Running as {_user()} now: {named}.", "Run them as another user, or in a container."
        )
    else:
        yield Finding("ok", "agents", f"No agent harness that is known by name runs as {_user()} now.")


def harnesses(commands: Iterable[list[str]]) -> Counter[str]:
    """How many of the commands are which harness: by their own name, or by the script that an interpreter runs."""
    found: Counter[str] = Counter()
    for words in commands:
        names = [Path(word).name.split(".")[0] for word in words[:2]]
        if len(names) == 2 and names[0].startswith(INTERPRETERS):
            names.reverse()
        if names and names[0] in HARNESSES:
            found[names[0]] += 1
    return found


def _commands() -> Iterator[list[str]]:
    """The command lines of this user's processes."""
    if not Path("/proc/self/cmdline").exists():
        yield from _commands_by_ps()
        return
    for number, path in enumerate(Path("/proc").glob("[0-9]*")):
        if number >= PROCESSES_LOOKED_AT:
            return
        with contextlib.suppress(OSError):  # it ended meanwhile
            if path.stat().st_uid == os.getuid():
                with (path / "cmdline").open("rb") as file:
                    yield file.read(COMMAND_BYTES).decode("utf-8", "replace").split("\0")


def _commands_by_ps() -> Iterator[list[str]]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["ps", "-U", str(os.getuid()), "-o", "args="]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PS_SECONDS, check=False)
        yield from (line.split() for line in done.stdout.splitlines()[:PROCESSES_LOOKED_AT])


def newest_backup(place: Place) -> Iterator[Finding]:
    """How old the newest backup is that was verified, and whether it is still as it was then."""
    into = place.folder / BACKUPS
    make = f"Make one: teamroom backup --data {place.folder}"
    found = backups(into)
    if not found:
        yield Finding("warning", "backups", f"There is none in {into}.", make)
        return
    newest = found[0]
    try:
        known(newest.path)
    except (BackupError, OSError) as error:
        yield Finding("problem", "backups", f"The newest cannot be used: {error}.", make)
        return
    age = wall_clock() - newest.at
    said = f"{len(found)} here; the newest was verified {span(age)} ago, with {newest.seq} entries."
    if age > OLD_BACKUP_SECONDS:
        yield Finding("warning", "backups", said, make)
    else:
        yield Finding("ok", "backups", said)
