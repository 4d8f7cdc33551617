"""Targets for coverage-guided fuzzing: each a function of bytes that raises where the room does what it must not.

Each has a twin: a fault that it must find. None of them needs the fuzzer.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from json.decoder import JSONArray, JSONObject, scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from teamroom.resources.resource import SCHEME, Resource
from teamroom.resources.room import RESOURCES
from teamroom.resources.serve import find
from teamroom.server.http import bodies
from teamroom.server.http.answers import GateRefusal
from teamroom.server.http.bodies import check_json
from teamroom.server.refusals import Refusal
from teamroom.server.rules import characters, mentions, names, presence, search
from teamroom.server.rules import text as words
from teamroom.server.settings import Settings
from teamroom.tools import serve as tools
from teamroom.tools.arguments import Understood
from teamroom.tools.tool import Tool
from tests.campaigns.fuzz_bytes import grown, text
from tests.campaigns.fuzz_calls import SEEDS, calls
from tests.support.raw import ENVELOPE, message

SETTINGS = Settings(body_bytes=16_384)
SECONDS = 1.0
"""What one input may take of the processor where the room reads it on the event loop; instrumented code is slow."""


@dataclass(frozen=True)
class Target:
    """One target: its check, inputs to begin with, words of its language, and how to build its fault in."""

    check: Callable[[bytes], None]
    twin: Callable[[], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    longest: int
    """Bytes of one input."""


# ------------------------------------------------------------------ the gate


def gate(data: bytes) -> None:
    """The gate lets in no body that JSON's own reader finds too deep, turns away no flat one, and is quick."""
    body = grown(data, SETTINGS.body_bytes)
    with _quick():
        refusal = _turned_away(body)
    if b"\0" in body:
        assert refusal is not None, "a body with a NUL came in"
        return
    depth, is_json = _depth(body)
    if depth > SETTINGS.json_depth:
        assert refusal is not None, f"a body came in that is {depth} deep"
    elif is_json:
        assert refusal is None, f"a body was turned away that is {depth} deep"


def _turned_away(body: bytes) -> GateRefusal | None:
    try:
        check_json(body, SETTINGS.json_depth)
    except GateRefusal as refusal:
        return refusal
    return None


class Depths(json.JSONDecoder):
    """The standard library's own reader in Python, which notes how deep it went, also where it then stops.

    The fuzzer looks at its methods, too: what the gate does in one expression, they do in branches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.level = self.deepest = self.escapes = self.hidden = 0
        self.parse_string = self.string
        self.parse_object = partial(self.inside, JSONObject)
        self.parse_array = partial(self.inside, JSONArray)
        self.scan_once = py_make_scanner(self)

    def string(self, body: str, begin: int, strict: bool) -> tuple[str, int]:
        """Read a string, and note what could mislead a reader that only looks for marks and brackets."""
        read, end = scanstring(body, begin, strict)
        if '"' in read:
            self.escapes += 1
        if "[" in read or "{" in read:
            self.hidden += 1
        return read, end

    def inside(self, parse: Callable[..., Any], *arguments: Any) -> Any:
        """Read an array or an object."""
        self.level += 1
        self.deepest = max(self.deepest, self.level)
        try:
            return parse(*arguments)
        finally:
            self.level -= 1


def _depth(body: bytes) -> tuple[int, bool]:
    """How deep a reader of this body goes, and whether it is JSON."""
    reader = Depths()
    try:
        reader.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return reader.deepest, False
    return reader.deepest, True


def _forget_escapes() -> None:
    """A gate for which a string ends at its first quotation mark."""
    bodies.STRING = re.compile(rb'"[^"]*"')


# ------------------------------------------------------------------ parsers

TEXT_BYTES = 4_000

_LIMITS = (1, 2, 40, words.LINE_CHARACTERS)
_STEERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def parsers(data: bytes) -> None:
    """Whatever a text is, what reads it says only what it may say, and is quick."""
    read = text(grown(data, TEXT_BYTES))
    with _quick():
        _check_address(read)
        _check_address(f"{SCHEME}{read}")
        _check_lines(read)
        _check_characters(read)
        _check_names(read)
        _check_mode(read)


def _check_address(uri: str) -> None:
    try:
        resource, arguments = find(uri)
    except Refusal as error:
        refusal = error
    else:
        assert isinstance(resource, Resource)
        assert isinstance(arguments, resource.reads.arguments)
        return
    assert refusal.code in ("not_found", "invalid")
    assert len(refusal.why.splitlines()) == 1, "a refusal is one line"


def _check_lines(read: str) -> None:
    for limit in _LIMITS:
        line = words.one_line(read, limit)
        assert len(line) <= limit
        assert len(line.splitlines()) <= 1, "one line is several"
        assert words.one_line(line, limit) == line
        assert len(words.shorten(read, limit)) <= limit
    quoted = words.inline(read)
    assert (quoted[0], quoted[-1], quoted.count("“"), quoted.count("”")) == ("“", "”", 1, 1)
    assert len(quoted.splitlines()) == 1, "what was said is several lines"
    assert words.cite(read) in (read, quoted)
    if read:
        marks = re.findall("`+", words.backtick(read))
        assert marks[0] == marks[-1], "a command closes its own marks"
        assert marks.count(marks[0]) == 2, "a command closes its own marks"
    mentioned = [names.normalize_name(mention.name) for mention in mentions.find_mentions(read)]
    assert len(set(mentioned)) == len(mentioned) <= mentions.MENTIONS
    assert all(len(spelling) > 0 for mention in mentions.find_mentions(read) for spelling in mention.spellings)
    assert re.fullmatch(r'("[^"]+"\*?( |$))*', search.parse_search(read)), "a search has syntax of its author"
    assert len(search.index_words(read)) <= 8 * len(read) + 1


def _check_characters(read: str) -> None:
    cleaned = characters.clean(read)
    assert characters.forbidden_character(cleaned.text) is None, "a cleaned text is not clean"
    assert len(cleaned.text) <= len(read)
    place = characters.forbidden_character(read)
    if place is None:
        assert _STEERS.search(read) is None, "a text is clean that steers"
        read.encode()
    else:
        assert characters.described(read[place]).startswith("U+")


def _check_names(read: str) -> None:
    assert names.normalize_name(names.normalize_name(read)) == names.normalize_name(read)
    if read.isascii():
        assert names.make_skeleton(names.make_skeleton(read)) == names.make_skeleton(read)
        assert names.normalize_name(read.upper()) == names.normalize_name(read)
    word = names.find_reserved_word(read)
    assert word is None or word in names.RESERVED
    if read.isascii() and read.lower() in names.RESERVED:
        assert word is not None


def _check_mode(read: str) -> None:
    mode = presence.parse_mode(read)
    if mode is None:
        return
    assert presence.parse_mode(mode) == mode, "a mode has more than one spelling"
    seconds = presence.interval_seconds(mode, SETTINGS)
    if mode.startswith("every:"):
        assert seconds is not None
        assert presence.SHORTEST_EPISODE_SECONDS <= seconds <= presence.LONGEST_EPISODE_SECONDS


def _leave_marks() -> None:
    """A room in whose lines a member's text can close the quotation marks around it."""
    words.MARKS = {}


# ------------------------------------------------------------------ all of them


@contextlib.contextmanager
def _quick() -> Iterator[None]:
    begun = time.process_time()
    yield
    took = time.process_time() - begun
    assert took <= SECONDS, f"it took {took:.1f} s of the processor"


def _believe() -> None:
    """A room that takes arguments as they come."""

    def believed(tool: Tool, sent: dict[str, Any] | None, caller: str, known: frozenset[str]) -> Understood:
        return Understood(tool.arguments.model_construct(**(sent or {})))

    tools.read_arguments = believed


_CALL = message("tools/call", {"name": "who", "arguments": {"name": 'a\\"[b'}, "_meta": ENVELOPE})
_READ = [resource.uri.replace("{", "").replace("}", "").encode() for resource in RESOURCES]
_TEXTS = [
    "every:60",
    "every:0",
    "live",
    "T-12",
    "@bot, @rival.",
    "`a``b`",
    "I1l0Orn",
    "room",
    "éß",
    "شکر\u200c",
    "👩\u200d🚀",
]
_WORDS = [
    "every:",
    "²",
    "٣",
    "\u202e",
    "\u200d",
    "\ufe0f",
    "\U000e0067",
    "\x85",
    "\u2028",
    "\ud7ff",
    "“",
    "@",
    "teamroom://",
]

TARGETS: dict[str, Target] = {
    "gate": Target(
        gate,
        _forget_escapes,
        [_CALL, b"[]", b'["\\""]', b'["\\"",[1],"a"]', b"[\xfa]\xfa", b'{"":\xfb}\xfa', b'"a\\\\"', b"\xef\xbb\xbf[1]"],
        [
            b"[",
            b"]",
            b'{"":',
            b"}",
            b'"',
            b'\\"',
            b"\\\\",
            b",",
            b"[\xfa",
            b"]\xfa",
            b'\\"\xff',
            b"\xff",
            b"\xef\xbb\xbf",
        ],
        400,
    ),
    "calls": Target(calls, _believe, SEEDS, [b"[", b'{"a":', b"T-1", b"M-1", b"@bot", b"room", b"\xfa", b"\xfc"], 600),
    "parsers": Target(
        parsers,
        _leave_marks,
        [*_READ, *(seed.encode() for seed in _TEXTS)],
        [*(word.encode() for word in _WORDS), b"\xfa", b"\xfb", b"\xfd"],
        400,
    ),
}
"""Every target by its name."""
