"""Exports the board and the log as JSON Lines, for other programs."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import typer

from teamroom import __version__
from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.failure import FAILED, USAGE, Failure, UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.progress import Report, progress
from teamroom.clients.session.terminal import is_terminal, plain, say
from teamroom.clients.shell.app import After, command
from teamroom.clients.shell.typed import again

SECTION = "The record"

FORM = 1
"""The version of the lines. A field that a later release adds does not change it."""

PAGE_ENTRIES = 100
"""How many entries of the log one call reads."""

PASSES = 5
"""How often the board is read in search of a moment at which nothing happens in the room meanwhile."""

TRIES = 20
"""How often one read is tried that the room refuses because it is busy."""

BUSY = frozenset({"busy", "rate_limited"})
"""The refusals after which a read is tried again. A pause also says when to call again, but that can take hours."""

LONGEST_WAIT_SECONDS = 10.0
"""The longest wait before such a read is tried again."""

Part = Literal["board", "log"]


@command(SECTION)
def export(
    context: typer.Context,
    place: Place,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to write. Default: standard output.")
    ] = None,
    only: Annotated[Part | None, typer.Option("--only", metavar="PART", help="board or log. Default: both.")] = None,
    after: After = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write the board and the log as JSON Lines.

    The first line says what follows. The last line says that everything is there. The board and the log are those at
    the log number `upto` of the last line. If something happens meanwhile, the board is read again, up to five times.
    If the room is never still, `from` is less than `upto`: each task is as it was between the two. To export later
    entries: teamroom export --only log --after UPTO
    """
    if file is None:
        with _reading(place, is_shown=is_terminal()) as (room, reports):
            for line in _lines(room, only, after or 0, *reports):
                print(json.dumps(line, ensure_ascii=True))
            sys.stdout.flush()
        _warn_of_changes(line)
        return
    if os.path.lexists(file) and not force:
        replace = again(context, {}, {"force": True})
        raise Failure(f"{plain(str(file))} exists already.", f"Choose another name, or replace it: {replace}", USAGE)
    with _written_whole(file) as out, _reading(place) as (room, reports):
        for line in _lines(room, only, after or 0, *reports):
            out.write(json.dumps(line, ensure_ascii=True) + "\n")
    say(f"{plain(str(file))} has {line['tasks']:,} tasks and {line['entries']:,} log entries, up to {line['upto']}.")
    _warn_of_changes(line)


def _lines(
    room: BlockingRoom, only: Part | None, after: int, tasks_read: Report, log_read: Report
) -> Iterator[dict[str, Any]]:
    """Yield the lines of an export: what it is, the tasks, the log, and its end. Raises Failure."""
    yield {"line": "export", "form": FORM, "version": __version__, "parts": [only] if only else ["board", "log"]}
    begun, tasks, upto = _read_board(room, only, tasks_read)
    entries = 0
    for task in tasks:
        yield {"line": "task", **task}
    if after > upto:
        raise Failure(f"The log ends at {upto}, before {after}.", "Give --after a number of the log.", USAGE)
    if only != "board":
        for entry in _entries(room, after, upto, log_read):
            entries += 1
            yield {"line": "entry", **entry}
    yield {"line": "end", "tasks": len(tasks), "entries": entries, "after": after, "from": begun, "upto": upto}


def _read_board(room: BlockingRoom, only: Part | None, report: Report) -> tuple[int, list[dict[str, Any]], int]:
    """Return every task, and the end of the log before and after they were read: the same, if the room was still."""
    for _ in range(PASSES):
        begun = _end_of_log(room, only)
        tasks = [] if only == "log" else list(_tasks(room, report))
        upto = begun if only == "log" else _end_of_log(room, only)
        if begun == upto:
            break
    return begun, tasks, upto


def _warn_of_changes(end: dict[str, Any]) -> None:
    """Say that the tasks are not those of one moment, if they are not."""
    if end["from"] < end["upto"]:
        say(f"The room was never still: each task is as it was between {end['from']} and {end['upto']} of the log.")


def _end_of_log(room: BlockingRoom, only: Part | None) -> int:
    """Return the number of the newest entry of the log; for the board alone, of the newest that the stream shows."""
    if only == "board":
        return int(_patiently(partial(room.read, "teamroom://stream"))["cursor"])
    return int(_patiently(partial(room.call, "read_receipts", limit=1))["cursor"])


def _tasks(room: BlockingRoom, report: Report) -> Iterator[dict[str, Any]]:
    """Yield every task in full, finished ones too, in order."""
    following: str | None = None
    done = 0
    while True:
        page = _patiently(partial(room.call, "read_board", state="all", after=following))
        for line in page["tasks"]:
            yield _patiently(partial(room.call, "read_board", task=line["task"]))["task"]
            done += 1
            report(done, done + len(page["tasks"]))
        following = page["next"]
        if following is None:
            return


def _entries(room: BlockingRoom, after: int, upto: int, report: Report) -> Iterator[dict[str, Any]]:
    """Yield the entries of the log after a number and up to another, in order."""
    first = after
    while after < upto:
        page = _patiently(partial(room.call, "read_receipts", after=after, limit=PAGE_ENTRIES))
        for entry in page["receipts"]:
            if entry["seq"] > upto:
                return
            yield entry
        if not page["receipts"]:
            return
        after = int(page["cursor"])
        report(after - first, upto - first)


def _patiently(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a read returns. One that the room refuses because it is busy is tried again. Raises Failure."""
    for _ in range(TRIES - 1):
        try:
            return read()
        except UnreachableError:
            raise
        except Failure as failure:
            if failure.body.get("code") not in BUSY or "retry_after_seconds" not in failure.body:
                raise
            time.sleep(min(float(failure.body["retry_after_seconds"]), LONGEST_WAIT_SECONDS))
    return read()


@contextlib.contextmanager
def _reading(place: Place, is_shown: bool = False) -> Iterator[tuple[BlockingRoom, tuple[Report, ...]]]:
    """Connect to the room. A terminal that does not show the lines themselves gets a bar for each part."""
    with connected(place) as room, progress("Exporting tasks", "Exporting the log") as reports:
        yield room, tuple(_silent for _ in reports) if is_shown else reports


def _silent(done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def _written_whole(file: Path) -> Iterator[IO[str]]:
    """Yield a private file to write, which gets its name once it is complete. Raises Failure."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        why = f"{plain(str(file))} cannot be written: {error.strerror}."
        raise Failure(why, "Choose another file.", FAILED) from None
