"""Rules that let a local call wait for a person: how they are written, and which calls they match.

A rule errs towards waiting: letters of either case count as equal, each command in a command is compared, and a call
that cannot be read matches. An exception errs the same way: it counts only for exactly what it says, in plain
characters, without anything that a shell takes for an operator.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from teamroom.server.rules.local_calls import LocalCall

MATCH_CHARACTERS = 200

EXCEPTIONS = 30
"""How many exceptions a rule has at most."""

MATCH_HELP = "Write a tool, or a tool and a pattern, such as Bash, Bash(git push*) or Write(/etc/*)."

_MATCH = re.compile(r"(?P<tool>[A-Za-z0-9_.:/*-]{1,80})(?:\((?P<pattern>[\x20-\x7e]+)\))?")

_EXCEPTION = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_PLAIN = re.compile(r"[A-Za-z0-9 _./:=@%+,'\"*?~^\[\]-]+")
"""What a call may consist of for an exception to count: no operator, no expansion, no line break, only ASCII."""

_DETOUR = re.compile(r"(?:^|/)\.\.(?:/|$)")


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """A rule as it is compared. `exceptions` None: they cannot be read, so there are none. `scope` '': it has none."""

    id: int
    match: str
    exceptions: tuple[str, ...] = ()
    scope: str = ""


def is_match(text: str) -> bool:
    """Whether a text is a tool, or a tool and a pattern in parentheses."""
    return len(text) <= MATCH_CHARACTERS and _MATCH.fullmatch(text) is not None


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
    found = _MATCH.fullmatch(rule.match)
    if found is None or not call.names:
        return True
    if not any(fits(found["tool"].casefold(), name) for name in call.names):
        return False
    return _fits_pattern(found["pattern"], call) and not _is_excepted(rule.exceptions, call)


def _fits_pattern(pattern: str | None, call: LocalCall) -> bool:
    if pattern is None or call.texts is None:
        return True
    wanted = " ".join(pattern.split()).casefold()
    if wanted.endswith(":*"):
        wanted = wanted[:-2] + "*"  # how Claude Code writes that anything may follow
    return any(fits(wanted, text) for text in call.texts)


def _is_excepted(exceptions: tuple[str, ...], call: LocalCall) -> bool:
    """Whether all that a call does is excepted, exactly as it is written."""
    if not exceptions or not call.exact:
        return False
    return all(_is_plain(text, call.is_command) and any(fits(e, text) for e in exceptions) for text in call.exact)


def _is_plain(text: str, is_command: bool) -> bool:
    return _PLAIN.fullmatch(text) is not None and (is_command or _DETOUR.search(text) is None)


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says, in which an asterisk stands for any characters. It takes linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *between, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


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
