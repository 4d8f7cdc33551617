"""The server's own log: one line for each event that an operator looks for, without tokens and members' texts.

It goes to standard error, as plain lines or as JSON. Members' acts are in the room's log instead. However often
something happens, what it writes is bounded: each kind of line to so many a minute, all kinds together to so many, and
each line to a length. So nobody can fill the disk that the log is kept on.

A server without a terminal has its standard error in a file of the data folder. That file is bounded too.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.private import open_private

Format = Literal["plain", "json"]
Level = Literal["debug", "info", "warning", "error"]

TOKEN = re.compile(r"tr_[0-9a-fA-F]{8,}")
BEARER = re.compile(r"(?i)(bearer\s+)\S+")

SILENT_THREADS = "teamroom-channel"
"""The name of the threads that call people's channels. Their log lines are dropped: they may contain an address."""

LIBRARIES = ("mcp", "uvicorn", "asyncio", "httpx2", "aiosqlite")
"""Loggers that do not know what is secret, so only their warnings are logged."""

LINES_OF_KIND = 30
"""Lines of one kind that are written in a minute. Lines of one kind come from the same place in the code."""

LINES = 300
"""Lines of all kinds that are written in a minute."""

LINE_CHARACTERS = 8_000
"""The longest line, with what belongs to its exception; the middle of a longer one is left out."""

WINDOW_SECONDS = 60.0

LOG, FORMER_LOG = "room.log", "room.log.1"
"""The files in the data folder with the log of a server without a terminal: the present one, and the one before."""

LOG_BYTES = 4 * 1024 * 1024
"""The size at which the log's file becomes the former one."""

OUTPUTS = (1, 2)
"""The descriptors of standard output and error, which such a server has in its log's file."""

Kind = tuple[str, int]


def own_file(folder: Path) -> Path | None:
    """Return the file in the data folder that standard error goes to; None if it goes elsewhere."""
    try:
        is_there = os.path.samestat(os.fstat(OUTPUTS[-1]), os.stat(folder / LOG))
    except OSError:
        return None
    return folder / LOG if is_there else None


def configure(form: Format, level: Level, file: Path | None = None) -> None:
    """Send what the room and its libraries log to standard error, which goes to `file` if that is given."""
    handler = logging.StreamHandler(sys.stderr) if file is None else InFile(file)
    handler.setFormatter(Json() if form == "json" else Plain())
    handler.addFilter(lambda record: record.threadName != SILENT_THREADS)
    handler.addFilter(Bounded())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class InFile(logging.StreamHandler[Any]):
    """Writes to standard error, which is a private file. At LOG_BYTES, the file becomes the former one."""

    def __init__(self, path: Path) -> None:
        super().__init__(sys.stderr)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, then begin a new file if this one is full."""
        super().emit(record)
        try:
            if os.fstat(OUTPUTS[-1]).st_size > LOG_BYTES:
                self._begin_another()
        except OSError:
            self.handleError(record)

    def _begin_another(self) -> None:
        os.replace(self._path, self._path.with_name(FORMER_LOG))
        descriptor = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for output in OUTPUTS:
            os.dup2(descriptor, output)
        os.close(descriptor)


def without_secrets(text: str) -> str:
    """A text with every token removed: a second line of defence, because no token should be logged at all."""
    return BEARER.sub(r"\1…", TOKEN.sub("tr_…", text))


class Bounded(logging.Filter):
    """Lets so many lines of each kind through in a minute. The last one says so, the next one how many there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._since = -WINDOW_SECONDS
        self._written: dict[Kind, int] = {}
        self._left_out: dict[Kind, int] = {}
        self._total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        with self._lock:
            return self._is_written(record)

    def _is_written(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now - self._since >= WINDOW_SECONDS:
            self._since, self._total = now, 0
            self._written.clear()
        kind = record.pathname, record.lineno
        written = self._written.get(kind, 0)
        if written >= LINES_OF_KIND or self._total >= LINES:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._written[kind] = written + 1
        self._total += 1
        notes = []
        if left_out := self._left_out.pop(kind, 0):
            notes.append(f"{left_out} lines like this one were left out before it")
        if written + 1 == LINES_OF_KIND or self._total == LINES:
            notes.append("further ones are left out for a minute")
        record.bound = f" ({'; '.join(notes)})" if notes else ""
        return True


def within_length(text: str) -> str:
    """A text, or its beginning and end."""
    if len(text) <= LINE_CHARACTERS:
        return text
    half = LINE_CHARACTERS // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"


class Plain(logging.Formatter):
    """One line for each event, followed by its traceback, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The event as a person reads it."""
        at = rfc3339(WallTime(record.created))
        line = f"{at} {record.levelname.lower()} {record.getMessage()}{_bound_of(record)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return within_length(without_secrets(line.replace("\n", "\n  ")))


class Json(logging.Formatter):
    """One JSON object for each event, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The event as a program reads it."""
        event: dict[str, Any] = {
            "at": rfc3339(WallTime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": within_length(without_secrets(record.getMessage())) + _bound_of(record),
        }
        if (fault := getattr(record, "fault", None)) is not None:
            event["fault"] = fault
        if record.exc_info:
            event["exception"] = within_length(without_secrets(self.formatException(record.exc_info)))
        return json.dumps(event, ensure_ascii=True)


def _bound_of(record: logging.LogRecord) -> str:
    """What is to be said of lines that were left out."""
    return str(getattr(record, "bound", ""))
