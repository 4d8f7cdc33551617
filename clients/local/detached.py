"""`teamroom up --detach`: starts the room in a process of its own, and returns when it answers or has failed.

The process leads its own session, has no terminal, and logs to `room.log` in the data folder. A room that does not
start leaves nothing behind.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.clients.local.running import PACE_SECONDS, Server, announced_server, ask_readiness, find_server
from teamroom.clients.session.failure import FAILED, Failure
from teamroom.clients.session.program import own_words
from teamroom.clients.session.terminal import say
from teamroom.server.logs import LOG
from teamroom.server.private import open_private
from teamroom.server.store import folder as data_folder

START_SECONDS = 900.0
"""How long a room may take to open: a large one of an earlier release is first backed up and rebuilt."""

READY_SECONDS = 5.0
"""How long a room that has opened may take to be ready."""

OTHERS_SECONDS = 15.0
"""How long a room that another program started may take to be ready."""

END_SECONDS = 10.0
"""How long a start that is given up may take to end, before it is killed."""

QUIET_SECONDS = 3.0
"""A start that takes longer is reported on a terminal."""

REASON_BYTES = 64 * 1024
REASON_LINES = 5
"""How much of the log of a failed start is read, and how much of it is shown if it does not name the reason."""


@dataclass(frozen=True)
class Started:
    """A room that runs without a terminal: its server, and what it printed at its start.

    `printed` is None if it already ran.
    """

    server: Server
    printed: dict[str, Any] | None


def start(folder: Path, port: int | None, owner: str | None, given: Mapping[str, str]) -> Started:
    """Start the room of a folder without a terminal, and wait until it is ready. Raises Failure with the reason.

    `given`: settings by name. They go through the environment, because other users see the words of a command.
    """
    if (server := find_server(folder)) is not None:
        return _already(server, port)
    missing = [part for part in (folder, *folder.parents) if not os.path.lexists(part)]
    try:
        return _start(folder, port, owner, given)
    except BaseException:
        _remove_new(folder, missing)
        raise


def _already(server: Server, port: int | None) -> Started:
    """Wait until a server that was started before is ready. Raises Failure if it is not, or has another port."""
    give_up_at = time.monotonic() + OTHERS_SECONDS
    while (found := find_server(server.folder)) is not None:
        readiness = ask_readiness(found.url, None)
        if readiness is not None and readiness.is_ready:
            if port and not found.url.endswith(f":{port}"):
                raise Failure(
                    f"The room runs already, at {found.url} (process {found.process}).",
                    f"To move it, run `teamroom down`, then `teamroom up --detach --port {port}`.",
                )
            return Started(found, None)
        if time.monotonic() >= give_up_at:
            break
        time.sleep(PACE_SECONDS)
    raise Failure(
        f"Process {server.process} has the room in {server.folder}, and is not ready.",
        "See what it does with `teamroom status`, or end it with `teamroom down`.",
    )


def _start(folder: Path, port: int | None, owner: str | None, given: Mapping[str, str]) -> Started:
    try:
        data_folder.make_private(folder)
    except data_folder.FolderError as error:
        raise Failure(str(error), "Do that, then start again. Or choose another folder with --data.") from None
    words = [*own_words(), "up", "--json", "--data", str(folder)]
    words += [] if port is None else ["--port", str(port)]
    words += [] if owner is None else ["--owner", owner]
    environment = {**os.environ, **{f"TEAMROOM_{name.upper()}": value for name, value in given.items()}}
    log = folder / LOG
    with os.fdopen(open_private(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as output:
        start_of_log = output.seek(0, os.SEEK_END)
        with _ignoring_hangups():
            child = subprocess.Popen(
                words,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    try:
        server = _until_ready(child, folder, start_of_log)
    except BaseException:
        _end(child)
        raise
    if server.process != child.pid:
        return Started(server, None)
    child.returncode = 0  # it goes on, and nobody waits for its end here
    return Started(server, _printed(_read(log, start_of_log), "owner_token_file"))


def _until_ready(child: subprocess.Popen[bytes], folder: Path, start_of_log: int) -> Server:
    """Wait until a room that was started is ready; returns its server, or one that was started at the same time."""
    started_at, ready_by, is_reported = time.monotonic(), None, not sys.stderr.isatty()
    while (code := child.poll()) is None:
        now = time.monotonic()
        if (server := announced_server(folder, child.pid)) is not None:
            ready_by = ready_by or now + READY_SECONDS
            if (readiness := ask_readiness(server.url, None)) is not None and readiness.is_ready:
                return server
        if now > (ready_by or started_at + START_SECONDS):
            raise _never_ready(folder, start_of_log, server)
        if not is_reported and now - started_at > QUIET_SECONDS:
            say(f"Opening the room. Its log: {folder / LOG}")
            is_reported = True
        time.sleep(PACE_SECONDS)
    if (other := find_server(folder)) is not None:
        return _already(other, None).server
    raise _failed(folder, start_of_log, code)


@contextlib.contextmanager
def _ignoring_hangups() -> Iterator[None]:
    """Have the programs that the block starts ignore the hangup of a terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


# ------------------------------------------------------------------ a start that failed


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a start that failed, by force after END_SECONDS."""
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _remove_new(folder: Path, missing: Sequence[Path]) -> None:
    """Remove the folders that a failed first start created, unless they have a room."""
    if folder not in missing or not folder.is_dir():
        return
    with contextlib.suppress(OSError, data_folder.FolderError):
        with data_folder.locked(folder, "removing a failed start"):
            if set(os.listdir(folder)) <= {data_folder.LOCK, LOG}:
                (folder / LOG).unlink(missing_ok=True)
                (folder / data_folder.LOCK).unlink()
        for part in missing:
            part.rmdir()


def _failed(folder: Path, start_of_log: int, code: int) -> Failure:
    """Return why a room did not start, as its process printed it."""
    text = _read(folder / LOG, start_of_log)
    if (said := _printed(text, "fix")) is not None:
        return Failure(str(said["why"]), str(said["fix"]), max(code, FAILED))
    how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
    why = f"The room did not start: its process {how}.{_end_of(text)}"
    return Failure(why, "To see more, start it with `teamroom up`.")


def _never_ready(folder: Path, start_of_log: int, server: Server | None) -> Failure:
    """Return why a room that runs is not ready."""
    text = _read(folder / LOG, start_of_log)
    if server is None:
        why = f"The room did not open within {START_SECONDS / 60:.0f} minutes, so it was stopped."
    else:
        readiness = ask_readiness(server.url, folder)
        parts = {} if readiness is None else readiness.parts
        bad = ", ".join(f"{name} {state}" for name, state in parts.items() if state in ("silent", "failed"))
        why = f"The room opened, but is not ready{f' ({bad})' if bad else ''}, so it was stopped."
    fix = "Correct that, then start again. To read a room that is read-only, start it with `teamroom up`."
    return Failure(f"{why}{_end_of(text)}", fix)


def _read(log: Path, start: int) -> str:
    with os.fdopen(open_private(log), "rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - REASON_BYTES))
        return file.read().decode("utf-8", "replace")


def _printed(text: str, key: str) -> dict[str, Any] | None:
    """Return the last JSON value with a key that a start printed."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict) and key in found:
                return found
    return None


def _end_of(text: str) -> str:
    """Return the end of a log as a sentence."""
    lines = [line for line in text.splitlines() if line and not line.startswith("{")]
    return f" Its log ends with: {' '.join(lines[-REASON_LINES:])}" if lines else ""
