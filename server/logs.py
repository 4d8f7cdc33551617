"""The server's own log: one line for each event that an operator looks for, without tokens and members' texts.

It goes to standard error, as plain lines or as JSON. Members' acts are in the room's log instead.
"""

import json
import logging
import re
import sys
from typing import Any, Literal

from teamroom.server.clock import rfc3339

Format = Literal["plain", "json"]
Level = Literal["debug", "info", "warning", "error"]

TOKEN = re.compile(r"tr_[0-9a-fA-F]{8,}")
BEARER = re.compile(r"(?i)(bearer\s+)\S+")

SILENT_THREADS = "teamroom-channel"
"""The name of the threads that call people's channels. Their log lines are dropped: they may contain an address."""

LIBRARIES = ("mcp", "uvicorn", "asyncio", "httpx2", "aiosqlite")
"""Loggers that do not know what is secret, so only their warnings are logged."""


def configure(form: Format, level: Level) -> None:
    """Send what the room and its libraries log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Plain())
    handler.addFilter(lambda record: record.threadName != SILENT_THREADS)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def without_secrets(text: str) -> str:
    """A text with every token removed: a second line of defence, because no token should be logged at all."""
    return BEARER.sub(r"\1…", TOKEN.sub("tr_…", text))


class Plain(logging.Formatter):
    """One line for each event, followed by its traceback, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The event as a person reads it."""
        line = f"{rfc3339(record.created)} {record.levelname.lower()} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return without_secrets(line.replace("\n", "\n  "))


class Json(logging.Formatter):
    """One JSON object for each event, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The event as a program reads it."""
        event: dict[str, Any] = {
            "at": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": without_secrets(record.getMessage()),
        }
        if (fault := getattr(record, "fault", None)) is not None:
            event["fault"] = fault
        if record.exc_info:
            event["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=True)
