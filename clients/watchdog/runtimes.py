"""`runtimes.toml`: which runtimes a watchdog looks after, how it sees them and how it starts them again.

The file is checked whole before anything is done. It holds no secret: those stay in the environment.
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from teamroom.clients.session.failure import TOKEN, USAGE, Failure
from teamroom.clients.session.place import is_name
from teamroom.clients.session.spans import SPANS, parse_span

RUNTIMES = 50
"""How many runtimes one watchdog looks after: as many as a member may have capabilities."""

FILE_BYTES = 256 * 1024
WORDS, WORD_CHARACTERS = 64, 4096
"""The longest command."""

LINES = {
    "every": 'every = "30s"            # how often it looks at its runtimes',
    "audit_every": 'audit_every = "10m"      # how often it counts their listeners',
    "repairs": "repairs = 3              # restarts of one runtime, then its owner is told",
    "repairs_within": 'repairs_within = "15m"   # within this span',
    "acts_within": 'acts_within = "2m"       # how soon a restarted member has to act in the room',
    "commands_within": 'commands_within = "1m"   # how long check and restart may take',
    "state": 'state = "runtimes.state" # where it keeps what it started, and their output',
    "runtime": "[runtime.builder]        # a table for each, by the name of its member",
    "start": 'start = ["builder", "--foreground"]     # started and ended by this watchdog',
    "restart": 'restart = ["systemctl", "--user", "restart", "builder"]',
    "check": 'check = ["builder-ctl", "status"]       # well while it ends with 0',
    "pid_file": 'pid_file = "/run/user/1000/builder.pid"',
    "port": 'port = 8931                             # well while something listens there; or "HOST:PORT"',
    "listener": "listener = 'listen --as builder( |$)'  # what its one listener looks like in ps",
    "folder": 'folder = "/srv/builder"                 # where its commands run',
    "environment": 'environment = { TEAMROOM_TOKEN = "BUILDER_TOKEN" } # its variable = the variable here that has it',
}
"""Each key as it is written right."""

SAID = {
    "tuple_type": "a command is a list of words",
    "too_short": "something must stand in it",
    "dict_type": "this is a table",
    "model_type": "this is a table",
}
"""What pydantic says in words of its own."""


def _seconds(value: Any) -> float:
    found = parse_span(value) if isinstance(value, str) else value
    if not isinstance(found, int | float) or isinstance(found, bool) or found <= 0:
        raise ValueError(f"a span is written {SPANS}")
    return float(found)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    return value


def _address(value: Any) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if isinstance(value, bool) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError('a port is a number, or "HOST:PORT"')
    return host.strip("[]") or "127.0.0.1", int(port)


def _variable(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value) is None:
        raise ValueError("this is the name of an environment variable, never its value")
    return value


def _member(value: str) -> str:
    if not is_name(value):
        raise ValueError("a runtime is named like its member, without @")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.1, le=604_800)]
Word = Annotated[str, Field(max_length=WORD_CHARACTERS)]
Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=WORDS)]
Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]
Address = Annotated[tuple[str, int], BeforeValidator(_address)]
Variable = Annotated[str, AfterValidator(_variable)]
Member = Annotated[str, AfterValidator(_member)]


class Table(BaseModel):
    """A table of the file: nothing that is not known, nothing guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Runtime(Table):
    """One runtime. It is well while all holds that is given to see it by.

    `start` is a command that stays, and is this watchdog's to end; `restart` is one that ends by itself.
    `environment` names, for each variable that it gets, the variable of the watchdog that has its value.
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
            raise ValueError("give start or restart, one of them")
        return self

    @property
    def is_seen_here(self) -> bool:
        """Whether this machine shows if it runs; otherwise only the room does."""
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
        """How soon a member has to act after a restart, in seconds."""
        return self.runtime[name].acts_within or self.acts_within


def load(path: Path, environment: Mapping[str, str]) -> Runtimes:
    """The checked file; its paths count from its folder. Raises Failure that says which line is right."""
    text = _read(path)
    if TOKEN.search(text):
        fix = f"Keep it in the environment, and name the variable: {LINES['environment']}"
        raise Failure(f"A token stands in {path}.", fix, USAGE)
    try:
        found = Runtimes.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path} is no TOML: {error}.", "Mend that line.", USAGE) from None
    except ValidationError as error:
        raise _wrong(path, error) from None
    for name, runtime in found.runtime.items():
        for variable in runtime.environment.values():
            if variable not in environment:
                raise Failure(
                    f"{path}: runtime.{name} gets its environment from {variable}, which is not set here.",
                    f"Set {variable} where the watchdog runs, or take it out.",
                    USAGE,
                )
    return _with_whole_paths(found, path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.", "Name the file with --config.", USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is no UTF-8 text.", "Write it anew.", USAGE) from None
    if len(data) > FILE_BYTES:
        raise Failure(f"{path} is longer than {FILE_BYTES} bytes.", "Name another --config.", USAGE)
    return text


def _wrong(path: Path, error: ValidationError) -> Failure:
    """The first thing that is wrong, with the line that would be right."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"] if not isinstance(part, int) and part != "[key]"]
    where, key = ".".join(names), names[-1] if names else ""
    known = Runtime.model_fields if len(names) >= 3 else Runtimes.model_fields
    if first["type"] == "extra_forbidden":
        near = get_close_matches(key, known, 1, 0.5)
        right = f"Write: {LINES[near[0]]}" if near else f"Keys here: {', '.join(known)}."
        return Failure(f"{path}: {where} is no key.", right, USAGE)
    if first["type"] == "missing":
        return Failure(f"{path}: {where} is missing.", f"Write: {LINES[key]}", USAGE)
    what = SAID.get(first["type"], str(first["msg"])).removeprefix("Value error, ")
    field = next((name for name in reversed(names) if name in LINES), "runtime")
    if len(names) == 2 and is_name(key):
        field = "start"
    right = f"Write: {LINES[field]}"
    return Failure(f"{path}: {where}: {what}.", right, USAGE)


def _with_whole_paths(found: Runtimes, path: Path) -> Runtimes:
    """The same with every path counted from the file's folder."""
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
# What this watchdog looks after. A command is a list of words; no shell reads it. Nothing secret stands here.
{chr(10).join(LINES[key] for key in ("every", "audit_every", "repairs", "repairs_within", "acts_within"))}

# A runtime that the watchdog starts, and ends when it has to: it stays in the foreground. Its member's token comes
# from BUILDER_TOKEN; the watchdog's own never reaches it.
[runtime.builder]
start = ["teamroom", "listen", "--as", "builder", "--stay", "--", "claude", "-p", "{{wake}}"]
listener = 'teamroom listen --as builder( |$)'
environment = {{ TEAMROOM_TOKEN = "BUILDER_TOKEN" }}

# A runtime that something else supervises.
[runtime.tester]
restart = ["systemctl", "--user", "restart", "tester"]
pid_file = "/run/user/1000/tester.pid"
check = ["tester-ctl", "status"]
port = 8931
acts_within = "5m"
"""
