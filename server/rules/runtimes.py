"""Where the runtimes of a member run, as they report it: pure functions of what a call says.

A report names a host, the last part of a folder, a harness and a checkout. It never has a whole path or a user. It only
informs: what is too long is cut, what steers is removed, and what makes no sense is ignored. No call fails because of
it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl

from teamroom.server.rules.characters import clean
from teamroom.server.rules.text import cite

RUNTIME = "teamroom/runtime"
"""The key of `_meta` under which a runtime says where it runs, with the fields of `Whereabouts`."""

CLIENT = "io.modelcontextprotocol/clientInfo"
"""The key of `_meta` under which a client of the newest protocol says what it is."""

ALIVE_SECONDS = 900.0
"""A runtime counts as alive for so long after it was last seen."""

SHORT, LONG = 64, 100
"""The longest host, folder, harness or version; and the longest branch."""

COMMIT_CHARACTERS = 12

FORM_FIELDS = 16
"""How many fields a form of the gate has at most."""

_LAST_PART = re.compile(r"[^/\\]*$")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a runtime of a member runs; '' for what it does not say.

    `host`: '' of a client that calls the room itself, of which only its own name and version are known. `folder`: the
    last part of the path.
    """

    host: str
    folder: str = ""
    harness: str = ""
    version: str = ""
    branch: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A runtime, and since when and until when the room has seen it without a gap."""

    where: Whereabouts
    since: float
    seen_at: float

    def is_alive(self, now: float) -> bool:
        """Whether it was seen recently."""
        return now - self.seen_at < ALIVE_SECONDS


def read_whereabouts(meta: Any) -> Whereabouts | None:
    """Where the runtime behind a call says that it runs; None if it says nothing of use."""
    said = meta.get(RUNTIME) if isinstance(meta, dict) else None
    if not isinstance(said, dict):
        return None
    host, folder = _text(said, "host", SHORT), _text(said, "folder", SHORT)
    harness, version = _text(said, "harness", SHORT), _text(said, "version", SHORT)
    commit = _text(said, "commit", SHORT)
    branch = _text(said, "branch", LONG)
    commit = commit[:COMMIT_CHARACTERS] if _COMMIT.fullmatch(commit) else ""
    return Whereabouts(_last(host), _last(folder), harness, version, branch, commit) if _last(host) else None


def read_form(form: bytes) -> dict[str, str]:
    """What the gate says of where it runs, in a form such as `host=mill&folder=api`; {} if it cannot be read."""
    try:
        return dict(parse_qsl(form.decode("ascii"), max_num_fields=FORM_FIELDS))
    except ValueError:
        return {}


def read_client(client: Any) -> Whereabouts | None:
    """What a client says of itself in its introduction; None if it names nothing."""
    if not isinstance(client, dict):
        return None
    name, version = _given(client, "name", SHORT), _given(client, "version", SHORT)
    return None if name is None else _client_named(name, version or "")


@lru_cache(maxsize=256)
def _client_named(name: str, version: str) -> Whereabouts | None:
    """A client by what it says in each of its calls, which hardly ever differs."""
    harness = _line(name, SHORT)
    return Whereabouts("", harness=harness, version=_line(version, SHORT)) if harness else None


def merge(before: Seen | None, said: Whereabouts, now: float) -> Seen:
    """What is known of a runtime after it was seen again.

    Several programs of one runtime report: its listener knows no version, and does not replace what the harness said.
    """
    if before is None or not before.is_alive(now):
        return Seen(said, now, now)
    known = before.where
    if known.version and not said.version and known.folder == said.folder:
        said = replace(said, harness=known.harness, version=known.version)
    return Seen(said, before.since, now)


def find_two_hosts(runtimes: Sequence[Seen], now: float) -> tuple[Seen, Seen] | None:
    """Two runtimes on two hosts that are alive at the same time; None if there are none.

    Each was seen after the other had begun: a member that only moves from one host to another is not meant.
    """
    alive = sorted((one for one in runtimes if one.where.host and one.is_alive(now)), key=lambda one: one.since)
    for index, first in enumerate(alive):
        for second in alive[index + 1 :]:
            if second.since < first.seen_at and first.since < second.seen_at:
                return first, second
    return None


class Shown(Protocol):
    """A runtime as the roster shows it."""

    host: str
    folder: str
    harness: str
    version: str
    branch: str
    commit: str
    seen: str
    alive: bool


def describe_place(runtime: Shown) -> str:
    """Where a runtime runs, in words: `on mill in api: claude-code 2.1.330, main at 1a2b3c4`."""
    where = f"on {cite(runtime.host)}" if runtime.host else "on a host that it does not name"
    folder = f" in {cite(runtime.folder)}" if runtime.folder else ""
    program = " ".join(cite(word) for word in (runtime.harness, runtime.version) if word)
    commit = runtime.commit[:7]
    checkout = " at ".join(word for word in (cite(runtime.branch) if runtime.branch else "", commit) if word)
    what = ", ".join(word for word in (program, checkout) if word)
    return f"{where}{folder}{f': {what}' if what else ''}"


def describe_places(runtimes: Iterable[Shown], is_doubled: bool) -> str:
    """Where a member runs: on each host where it is alive, else where it was last; '' if that is not known."""
    known = list(runtimes)
    alive = [one for one in known if one.alive]
    if is_doubled:
        return f"runs on {len({one.host for one in alive})} hosts at once: {'; '.join(map(describe_place, alive))}"
    if alive:
        return f"runs {describe_place(alive[0])}"
    return f"last ran {describe_place(known[0])}, seen {known[0].seen}" if known else ""


def say_two_hosts(name: str, first: str, second: str) -> str:
    """What an owner is told of a member that runs on two hosts at once."""
    return (
        f"@{name} runs on two hosts at once, {cite(first)} and {cite(second)}: both answer for it. End one, or give "
        "one its own name"
    )


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    """A text of a report on one line, without what steers, not longer than allowed."""
    given = _given(said, name, longest)
    return "" if given is None else _line(given, longest)


def _given(said: dict[str, Any], name: str, longest: int) -> str | None:
    """What a report says under a name, if it is a text: no more of it than is looked at."""
    value = said.get(name)
    return value[: 4 * longest] if isinstance(value, str) else None


def _line(text: str, longest: int) -> str:
    return " ".join(clean(text).text.split())[:longest]


def _last(path: str) -> str:
    """The last part of what may be a path, in spite of what was asked for."""
    found = _LAST_PART.search(path)
    return found[0].strip() if found is not None else ""
