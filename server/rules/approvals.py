"""Rules that let a local call wait for a person: how they are written, and which calls they match.

A rule errs towards waiting: letters of either case count as equal, each command in a command is compared, and a call
that cannot be read matches. An exception errs the same way: it counts only for exactly what it says, in plain
characters, without anything that a shell takes for an operator.
"""

import json
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from teamroom.server.rules.local_calls import LocalCall

MATCH_CHARACTERS = 200

EXCEPTIONS = 30
"""How many exceptions a rule has at most."""

PREPARED = 1_000
"""How many matches are kept prepared for the next call."""

MATCH_HELP = "Write a tool, or a tool and a pattern, such as Bash, Bash(git push*) or Write(/etc/*)."

_MATCH = re.compile(r"(?P<tool>[A-Za-z0-9_.:/*-]{1,80})(?:\((?P<pattern>[\x20-\x7e]+)\))?")

_EXCEPTION = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_PLAIN = f"{string.ascii_letters}{string.digits} _./:=@%+,'\"*?~^[]-".encode()
"""What a call may consist of for an exception to count: no operator, no expansion, no line break, only ASCII."""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """A rule as it is compared. `scope` '': it has none."""

    id: int
    match: str
    exceptions: tuple[str, ...] = ()
    scope: str = ""


def is_match(text: str) -> bool:
    """Whether a text is a tool, or a tool and a pattern in parentheses."""
    return len(text) <= MATCH_CHARACTERS and _MATCH.fullmatch(text) is not None


def tools_of(match: str) -> str:
    """The tools of a match: a name or a pattern."""
    return match.partition("(")[0]


def is_exception(text: str) -> bool:
    """Whether a text can be an exception: visible ASCII, which can have spaces inside."""
    return len(text) <= MATCH_CHARACTERS and _EXCEPTION.fullmatch(text) is not None


def is_exact(match: str) -> bool:
    """Whether a match has a pattern without an asterisk, so that it means one text alone."""
    found = _MATCH.fullmatch(match)
    return found is not None and found["pattern"] is not None and "*" not in found["pattern"]


def rules_matching(rules: Iterable[ApprovalRule], call: LocalCall) -> list[ApprovalRule]:
    """The rules for which a call waits."""
    return [rule for rule in rules if matches(rule, call)]


def matches(rule: ApprovalRule, call: LocalCall) -> bool:
    """Whether a call waits for a rule. A rule or a call that cannot be read waits."""
    prepared = _prepare(rule.match)
    if prepared is None or not call.names:
        return True
    if not any(prepared.tool.fits(name) for name in call.names):
        return False
    return _fits_pattern(prepared.pattern, call) and not _is_excepted(rule.exceptions, call)


def _fits_pattern(pattern: "_Pattern | None", call: LocalCall) -> bool:
    return pattern is None or call.texts is None or pattern.fits_any(call.texts)


def _is_excepted(exceptions: tuple[str, ...], call: LocalCall) -> bool:
    """Whether all that a call does is excepted, exactly as it is written."""
    if not exceptions or not call.exact:
        return False
    patterns = [_prepare_exception(exception) for exception in exceptions]
    return all(any(one.fits(text) for one in patterns) and _is_plain(text, call.is_command) for text in call.exact)


def _is_plain(text: str, is_command: bool) -> bool:
    """Whether a text is plain, and as a path without a detour. It is looked at once for each rule, so it is quick."""
    is_plain = text != "" and text.isascii() and not text.encode().translate(None, _PLAIN)
    return is_plain and (is_command or "/../" not in f"/{text}/")


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says, in which an asterisk stands for any characters."""
    return _Pattern(pattern).fits(text)


class _Pattern:
    """A pattern that is prepared once, and then compared with many texts."""

    def __init__(self, pattern: str) -> None:
        self._parts = pattern.split("*")
        self._is_exact = len(self._parts) == 1
        self._first, self._last = self._parts[0], self._parts[-1]
        self._between = [part for part in self._parts[1:-1] if part]
        self._shortest = sum(map(len, self._parts))

    def fits_any(self, texts: tuple[str, ...]) -> bool:
        """Whether one of many texts is as the pattern says."""
        if self._is_exact:
            return self._first in texts
        return any(self.fits(text) for text in texts if text.startswith(self._first))

    def fits(self, text: str) -> bool:
        """Whether a text is as the pattern says."""
        if self._is_exact:
            return text == self._first
        if len(text) < self._shortest or not text.startswith(self._first) or not text.endswith(self._last):
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for part in self._between:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A match as it is compared: which tools, and what they do. `pattern` None: whatever they do."""

    tool: _Pattern
    pattern: _Pattern | None


@lru_cache(maxsize=PREPARED)
def _prepare(match: str) -> _Prepared | None:
    """A match that is prepared for many calls; None if it cannot be read."""
    found = _MATCH.fullmatch(match)
    if found is None:
        return None
    tool = _Pattern(found["tool"].casefold())
    if found["pattern"] is None:
        return _Prepared(tool, None)
    wanted = " ".join(found["pattern"].split()).casefold()
    if wanted.endswith(":*"):
        wanted = wanted[:-2] + "*"  # how Claude Code writes that anything may follow
    return _Prepared(tool, _Pattern(wanted))


@lru_cache(maxsize=PREPARED)
def _prepare_exception(exception: str) -> _Pattern:
    """An exception that is prepared for many calls."""
    return _Pattern(exception)


# ------------------------------------------------------------------ rules as a gate keeps them


def rules_as_text(rules: Iterable[ApprovalRule]) -> str:
    """Rules as a gate keeps them for the time in which it cannot ask the room; '' for none."""
    listed = [[rule.id, rule.match, list(rule.exceptions)] for rule in rules]
    return json.dumps(listed, separators=(",", ":")) if listed else ""


def rules_from_text(text: str) -> list[ApprovalRule]:
    """The rules that a gate kept. Raises ValueError if they cannot be read."""
    try:
        listed = json.loads(text) if text else []
        return [ApprovalRule(int(id_), str(match), tuple(map(str, exceptions))) for id_, match, exceptions in listed]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"the rules cannot be read: {error}") from None
