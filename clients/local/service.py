"""`teamroom service`: a file with which the system starts the room for its user: a systemd unit, or a launchd agent.

It is written and removed here, and nothing else is done: the commands that load it are printed. The file runs `teamroom
up` in the foreground, so the system sees when the room fails and starts it again.
"""

import hashlib
import os
import plistlib
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.program import own_words
from teamroom.server.logs import LOG
from teamroom.server.private import read_private, write_private
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder

Kind = Literal["systemd", "launchd"]

NAME = "teamroom"

MARK = "Written by teamroom service install."
"""What the first lines of each file say. A file without it is somebody else's."""

MARK_BYTES = 1000
"""How much of a file is searched for the mark."""

HASH_CHARACTERS = 8
SLUG_CHARACTERS = 40

RESTART_SECONDS, STOP_SECONDS = 5, 20
"""How long the system waits before it starts a room again that failed, and for one that it stops."""

BOOTED = Path("/run/systemd/system")
"""A folder that exists while systemd runs the machine."""

SYSTEMD = """\
# {mark} To remove it: teamroom service uninstall
[Unit]
Description=Teamroom ({shown})

[Service]
ExecStart={command}
Restart=on-failure
RestartSec={restart_seconds}
TimeoutStopSec={stop_seconds}
UMask=0077

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True)
class Service:
    """A file that starts the room of a folder, and the commands for it."""

    kind: Kind
    path: Path
    text: str
    start: tuple[str, ...]
    stop: tuple[str, ...]
    notes: tuple[str, ...]


def find_kind(environment: Mapping[str, str]) -> Kind | None:
    """Return what starts a user's programs on this machine; None if it is neither."""
    if sys.platform == "darwin":
        return "launchd"
    has_systemd = BOOTED.is_dir() or shutil.which("systemctl", path=environment.get("PATH")) is not None
    return "systemd" if has_systemd else None


def plan(folder: Path, kind: Kind | None, default: Path, environment: Mapping[str, str]) -> Service:
    """Return the file for a folder's room. `default`: the folder whose service has the short name. Raises Failure."""
    kind = kind or find_kind(environment)
    if kind is None:
        raise Failure(
            "This machine has neither systemd nor launchd, so nothing here starts a room at boot.",
            "Start it with `teamroom up --detach`, from cron with a line that begins with @reboot, or from the "
            "machine's own init system. To write a file for another machine, add --for systemd or --for launchd.",
        )
    words = [*own_words(), "up", "--data", str(folder)]
    name = NAME if folder == default else f"{NAME}-{_slug(folder)}"
    notes = tuple(_notes(kind, environment))
    return (
        _systemd(name, words, folder, environment, notes) if kind == "systemd" else _launchd(name, words, folder, notes)
    )


def install(service: Service, folder: Path) -> bool:
    """Write the file; returns whether it changed. Raises Failure for a file that somebody else wrote."""
    try:
        data_folder.make_private(folder)  # launchd opens the log in it before the room does
    except data_folder.FolderError as error:
        raise Failure(str(error), "Do that, then repeat. Or choose another folder with --data.") from None
    if _written(service) == service.text:
        return False
    try:
        service.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(service.path, service.text, folders=0)
    except OSError as error:
        raise Failure(f"{service.path} cannot be written: {error.strerror}.", "Correct that, then repeat.") from None
    return True


def uninstall(service: Service) -> bool:
    """Remove the file; returns whether there was one. Raises Failure for a file that somebody else wrote."""
    if _written(service) is None:
        return False
    links = list(service.path.parent.glob(f"*.wants/{service.path.name}"))  # none is found once they lead nowhere
    try:
        for path in (*links, service.path):
            path.unlink()
    except OSError as error:
        raise Failure(f"{service.path} cannot be removed: {error.strerror}.", "Correct that, then repeat.") from None
    return True


def _written(service: Service) -> str | None:
    """Return the text of the file as it is; None without one. Raises Failure if somebody else wrote it."""
    if not os.path.lexists(service.path):
        return None
    try:
        text = read_private(service.path, folders=0, is_config=True).decode("utf-8", "replace")
    except OSError as error:
        raise Failure(f"{service.path} cannot be read: {error}.", "Move it away, then repeat.") from None
    if MARK not in text[:MARK_BYTES]:
        raise Failure(f"{service.path} was not written by this command.", "Move it away, then repeat.")
    return text


def _slug(folder: Path) -> str:
    """Return a name for a folder that a file may have, and that no other folder has."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-").lower()[:SLUG_CHARACTERS]
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:HASH_CHARACTERS]
    return f"{words}-{digest}" if words else digest


def _notes(kind: Kind, environment: Mapping[str, str]) -> list[str]:
    """Return what a person should know of this machine and this terminal."""
    found = [name for name in Settings.model_fields if f"TEAMROOM_{name.upper()}" in environment]
    notes = []
    if found:
        names = ", ".join(f"TEAMROOM_{name.upper()}" for name in found)
        notes.append(f"The service does not have {names} of this terminal: set {', '.join(found)} in room.toml.")
    if kind == "systemd" and not BOOTED.is_dir():
        notes.append("systemd does not run this machine now. Until it does, use `teamroom up --detach`.")
    return notes


# ------------------------------------------------------------------ systemd


def _systemd(
    name: str, words: Sequence[str], folder: Path, environment: Mapping[str, str], notes: tuple[str, ...]
) -> Service:
    settings = Path(environment.get("XDG_CONFIG_HOME", ""))
    settings = settings if settings.is_absolute() else Path(environment.get("HOME") or Path.home()) / ".config"
    program, *rest = words
    text = SYSTEMD.format(
        mark=MARK,
        shown=_specifiers(" ".join(_text(str(folder)).split())),
        command=" ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in rest)]),
        restart_seconds=RESTART_SECONDS,
        stop_seconds=STOP_SECONDS,
    )
    unit = f"{name}.service"
    start = ("systemctl --user daemon-reload", f"systemctl --user enable --now {unit}", "loginctl enable-linger")
    stop = (f"systemctl --user stop {unit}", "systemctl --user daemon-reload")
    return Service("systemd", settings / "systemd" / "user" / unit, text, start, stop, notes)


def _quoted(word: str) -> str:
    """Return a word as a unit's command line takes it: quoted, and without specifiers. Variables stay as they are."""
    escaped = "".join(f"\\x{ord(one):02x}" if ord(one) < 0x20 or one == "\x7f" else one for one in _backslashes(word))
    return f'"{_specifiers(escaped)}"'


def _backslashes(word: str) -> str:
    return _text(word).replace("\\", "\\\\").replace('"', '\\"')


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


# ------------------------------------------------------------------ launchd


def _launchd(name: str, words: Sequence[str], folder: Path, notes: tuple[str, ...]) -> Service:
    log = str(folder / LOG)
    facts = {
        "Label": name,
        "ProgramArguments": [_text(word) for word in words],
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": RESTART_SECONDS,
        "ExitTimeOut": STOP_SECONDS,
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    try:
        text = plistlib.dumps(facts, sort_keys=False).decode()
    except ValueError:
        raise _no_text(folder) from None
    text = text.replace("<plist", f"<!-- {MARK} To remove it: teamroom service uninstall -->\n<plist", 1)
    path = Path.home() / "Library" / "LaunchAgents" / f"{name}.plist"
    domain = "gui/$(id -u)"
    start = (f"launchctl bootout {domain}/{name} 2>/dev/null", f"launchctl bootstrap {domain} {shlex.quote(str(path))}")
    return Service("launchd", path, text, start, (f"launchctl bootout {domain}/{name}",), notes)


def _text(word: str) -> str:
    """Return a word that a file can have. Raises Failure for a path that is no text."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise _no_text(word) from None
    return word


def _no_text(what: object) -> Failure:
    return Failure(f"A service cannot name {str(what)!a}.", "Choose a folder whose path is plain UTF-8 text.", USAGE)
