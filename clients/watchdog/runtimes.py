"""`runtimes.toml`: the runtimes that a watchdog watches, how it checks them and how it starts them.

The whole file is validated before anything is done. It contains no secrets, which stay in the environment.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from teamroom.clients.session.failure import TOKEN, USAGE, Failure
from teamroom.clients.session.place import is_name
from teamroom.server.private import NotPrivateError, decode_text, open_private
from teamroom.server.rules.spans import SPANS, parse_span
from teamroom.server.rules.wrong_values import say_wrong

RUNTIMES = 50
"""The most runtimes of one watchdog, which is the number of capabilities that a member may have."""

FILE_BYTES = 256 * 1024
WORDS, WORD_CHARACTERS = 64, 4096
"""The longest command."""

LINES = {
    "every": 'every = "30s"            # how often the runtimes are checked',
    "audit_every": 'audit_every = "10m"      # how often their listeners are counted',
    "repairs": "repairs = 3              # restarts of one runtime before its owner is notified",
    "repairs_within": 'repairs_within = "15m"   # the span of these restarts',
    "acts_within": 'acts_within = "2m"       # how soon a restarted member must act in the room',
    "commands_within": 'commands_within = "1m"   # the timeout of check and restart',
    "state": 'state = "runtimes.state" # the folder for records and output of the runtimes',
    "runtime": "[runtime.builder]        # one table per runtime, named like its member",
    "start": 'start = ["builder", "--foreground"]     # started and ended by the watchdog',
    "restart": 'restart = ["systemctl", "--user", "restart", "builder"]',
    "check": 'check = ["builder-ctl", "status"]       # healthy while it exits with 0',
    "pid_file": 'pid_file = "/run/user/1000/builder.pid"',
    "port": 'port = 8931                             # healthy while something listens there; or "HOST:PORT"',
    "listener": "listener = 'listen --as builder( |$)'  # matches its one listener in ps",
    "folder": 'folder = "/srv/builder"                 # the folder where its commands run',
    "environment": 'environment = { TEAMROOM_TOKEN = "BUILDER_TOKEN" } # its variable = the one here with its value',
}
"""A correct line for each key."""

MESSAGES = {
    "tuple_type": "a command must be a list of words",
    "too_short": "it must not be empty",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
}
"""Our words for errors of pydantic."""


def _seconds(value: Any) -> float:
    found = parse_span(value) if isinstance(value, str) else value
    if not isinstance(found, int | float) or isinstance(found, bool) or found <= 0:
        raise ValueError(f"write a span {SPANS}")
    return float(found)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"it is not a regular expression: {error}") from None
    return value


def _address(value: Any) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if isinstance(value, bool) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError('a port must be a number, or "HOST:PORT"')
    return host.strip("[]") or "127.0.0.1", int(port)


def _variable(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value) is None:
        raise ValueError("it must be the name of an environment variable, not its value")
    return value


def _member(value: str) -> str:
    if not is_name(value):
        raise ValueError("name a runtime like its member, without @")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.1, le=604_800)]
Word = Annotated[str, Field(max_length=WORD_CHARACTERS)]
Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=WORDS)]
Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]
Address = Annotated[tuple[str, int], BeforeValidator(_address)]
Variable = Annotated[str, AfterValidator(_variable)]
Member = Annotated[str, AfterValidator(_member)]


class Table(BaseModel):
    """A table of the file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Runtime(Table):
    """One runtime. It is healthy while every given check succeeds.

    `start` is a long-running command, which the watchdog also ends. `restart` is a command that exits. `environment`
    maps each variable of the runtime to the watchdog's variable with its value.
    """

    start: Command | None = None
    restart: Command | None = None
    check: Command | None = None
    pid_file: Path | None = None
    port: Address | None = None
    listener: Pattern | None = None
    folder: Path | None = None
    environment: Annotated[dict[Variable, Variable], Field(max_length=50)] = {}
    acts_within: Seconds | None = None

    @model_validator(mode="after")
    def _has_one_way_to_start(self) -> "Runtime":
        if (self.start is None) == (self.restart is None):
            raise ValueError("give either start or restart")
        return self

    @property
    def is_seen_here(self) -> bool:
        """Whether this machine can check it. Otherwise only the room shows whether it runs."""
        return any(way is not None for way in (self.start, self.check, self.pid_file, self.port))


class Runtimes(Table):
    """The whole file."""

    every: Seconds = 30.0
    audit_every: Seconds = 600.0
    repairs: Annotated[int, Field(ge=1, le=20)] = 3
    repairs_within: Seconds = 900.0
    acts_within: Seconds = 120.0
    commands_within: Seconds = 60.0
    state: Path | None = None
    runtime: Annotated[dict[Member, Runtime], Field(min_length=1, max_length=RUNTIMES)]

    def acts_within_of(self, name: str) -> float:
        """How soon a member must act after a restart, in seconds."""
        return self.runtime[name].acts_within or self.acts_within


def load(path: Path, environment: Mapping[str, str]) -> Runtimes:
    """Load and validate the file. Relative paths start at its folder. Raises Failure with a correct line."""
    text = _read(path)
    if TOKEN.search(text):
        fix = f"Keep it in the environment, and name the variable: {LINES['environment']}"
        raise Failure(f"{path} contains a token.", fix, USAGE)
    try:
        found = Runtimes.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path} is not valid TOML: {error}.", "Correct that line.", USAGE) from None
    except ValidationError as error:
        raise _wrong(path, error) from None
    for name, runtime in found.runtime.items():
        for variable in runtime.environment.values():
            if variable not in environment:
                raise Failure(
                    f"{path}: runtime.{name} gets a value from {variable}, which is not set here.",
                    f"Set {variable} in the watchdog's environment, or remove it from the file.",
                    USAGE,
                )
    return _with_whole_paths(found, path)


def _read(path: Path) -> str:
    try:
        with os.fdopen(open_private(path, folders=0, is_config=True), "rb") as file:
            data = file.read(FILE_BYTES + 1)
        text = decode_text(data)
    except NotPrivateError as error:
        raise Failure(f"{error}.", error.fix, USAGE) from None
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.", "Name the file with --config.", USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not UTF-8 text.", "Save it as UTF-8.", USAGE) from None
    if len(data) > FILE_BYTES:
        raise Failure(f"{path} is longer than {FILE_BYTES} bytes.", "Choose another --config.", USAGE)
    return text


def _wrong(path: Path, error: ValidationError) -> Failure:
    """Return a Failure for the first error, with a correct line."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"] if not isinstance(part, int) and part != "[key]"]
    where, key = ".".join(names), names[-1] if names else ""
    known = Runtime.model_fields if len(names) >= 3 else Runtimes.model_fields
    if first["type"] == "extra_forbidden":
        near = get_close_matches(key, known, 1, 0.5)
        right = f"Write: {LINES[near[0]]}" if near else f"The keys are: {', '.join(known)}."
        return Failure(f"{path}: {where} is not a known key.", right, USAGE)
    if first["type"] == "missing":
        return Failure(f"{path}: {where} is missing.", f"Write: {LINES[key]}", USAGE)
    what = MESSAGES.get(first["type"]) or say_wrong(first)
    field = next((name for name in reversed(names) if name in LINES), "runtime")
    if len(names) == 2 and is_name(key):
        field = "start"
    right = f"Write: {LINES[field]}"
    return Failure(f"{path}: {where}: {what}.", right, USAGE)


def _with_whole_paths(found: Runtimes, path: Path) -> Runtimes:
    """Make every path absolute, starting at the file's folder."""
    base = path.absolute().parent

    def whole(part: Path | None) -> Path | None:
        return None if part is None else base / part.expanduser()

    runtime = {
        name: one.model_copy(update={"pid_file": whole(one.pid_file), "folder": whole(one.folder) or base})
        for name, one in found.runtime.items()
    }
    state = whole(found.state) or path.absolute().with_suffix(".state")
    return found.model_copy(update={"runtime": runtime, "state": state})


EXAMPLE = f"""\
# The runtimes of this watchdog. A command is a list of words; no shell reads it. This file contains no secrets.
{chr(10).join(LINES[key] for key in ("every", "audit_every", "repairs", "repairs_within", "acts_within"))}

# A runtime that the watchdog starts and ends. It stays in the foreground. Its member's token comes from
# BUILDER_TOKEN; it never gets the watchdog's own token.
[runtime.builder]
start = ["teamroom", "listen", "--as", "builder", "--stay", "--", "claude", "-p", "{{wake}}"]
listener = 'teamroom listen --as builder( |$)'
environment = {{ TEAMROOM_TOKEN = "BUILDER_TOKEN" }}

# A runtime with another supervisor.
[runtime.tester]
restart = ["systemctl", "--user", "restart", "tester"]
pid_file = "/run/user/1000/tester.pid"
check = ["tester-ctl", "status"]
port = 8931
acts_within = "5m"
"""
