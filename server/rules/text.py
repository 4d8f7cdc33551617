"""Texts on one line for people: quoted, shortened or set as code."""

import re
from collections.abc import Iterable

REDACTED = "(redacted)"
"""What a line shows if its content was redacted."""

LINE_CHARACTERS = 140
"""The longest line of the stream (QUI1)."""


ELLIPSIS = "…"
"""How a text ends that was shortened: no word, and often the only character of it that is not ASCII."""


def one_line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """A text on one line of at most `limit` characters; a longer one ends in an ellipsis."""
    return shorten(" ".join(text.split()), limit)


_SPACES, _TAGS = filter(str.isspace, map(chr, range(0x3001))), map(chr, range(0xE0020, 0xE0080))
_TORN = "".join([*_SPACES, "\u200c\u200d", *_TAGS])
"""The remains of a joined emoji or a flag where a text is cut."""


def shorten(text: str, limit: int) -> str:
    """A text of at most `limit` characters; a longer one ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip(_TORN) + ELLIPSIS


MARKS = str.maketrans("“”", '""')
"""Quotation marks that would close a quotation, and their replacements."""


def inline(text: str) -> str:
    """A member's text inside a line of ours: on one line, in quotation marks that it cannot close."""
    return _quoted(" ".join(text.split()))


def _quoted(line: str) -> str:
    has_marks = "“" in line or "”" in line  # to look takes a tenth of what `translate` takes
    return f"“{line.translate(MARKS) if has_marks else line}”"


def add_quote(words: str, text: str, limit: int = LINE_CHARACTERS) -> str:
    """The room's words, a colon, and a member's text in quotation marks, on one line of at most `limit` characters.

    Every line of the log and of a wake that has a member's text is made here. Without a text, only the words remain.
    """
    if not text:
        return one_line(words, limit)
    head = one_line(words, limit - len(": “…”"))
    return f"{head}: {_quoted(one_line(text, limit - len(head) - len(': “”')))}"


_QUOTED = re.compile(r"“[^“”]*”")


def quote_line(line: str) -> str:
    """A line that `add_quote` made, as it is. Earlier releases wrote lines without quotation marks, so add them."""
    head, colon, text = line.partition(": ")
    return line if not colon or _QUOTED.fullmatch(text) else f"{head}: {inline(text)}"


SENTENCES = frozenset({"escalate", "presence", "remind"})
"""Acts of the room whose lines have a colon, but no member's text after it."""


def quote_entry(act: str, line: str) -> str:
    """The line of a log entry, with a member's text in quotation marks."""
    return line if act in SENTENCES else quote_line(line)


TEXTS = frozenset({"mention", "offer"})
"""Reasons of wakes whose line is a member's text. The room composes the lines of others; an alert can be either."""


def is_members_text(reason: str, sender: str) -> bool:
    """Whether the line of a wake is a member's text as it stands, and no line of the room with a text in it."""
    return reason in TEXTS or (reason == "alert" and sender != "room")


def quote_wake(reason: str, sender: str, line: str) -> str:
    """The line of a wake, with a member's text in quotation marks."""
    if is_members_text(reason, sender):
        return inline(line)
    return line if reason in ("alert", "challenge", "reminder") else quote_line(line)


def describe_mode(mode: str, is_supported: bool) -> str:
    """A mode in words, marked if nothing keeps it."""
    return mode if is_supported else f"{mode} (no listener)" if mode == "live" else f"{mode} (not kept)"


def state_in_words(state: str) -> str:
    """A state, or the kind of an entry, as readers see it: `in_review` is written "in review"."""
    return state.replace("_", " ")


_PLAIN = re.compile(r"\w[\w%+=~^:/.#-]*", re.ASCII)


def cite(text: str) -> str:
    """A reference or a capability inside a line of ours: bare if it is one plain word, else quoted by `inline`.

    A plain word names no member, so it has no @.
    """
    return text if _PLAIN.fullmatch(text) else inline(text)


_NAME = re.compile(r"(owner:|@)?[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def cite_name(text: str) -> str:
    """What should be the name of a member or a target inside a line of ours: bare if it could be one, else quoted."""
    return text if _NAME.fullmatch(text) else inline(text)


_BLOCK = re.compile(r"@[A-Za-z0-9][A-Za-z0-9._-]{0,39}|[TDO]-[0-9]{1,16}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z")


def cite_block(text: str) -> str:
    """What a blocked task waits for: an id, a member or a date as it is; quoted if an earlier release stored a text."""
    return text if _BLOCK.fullmatch(text) else inline(text)


def backtick(text: str) -> str:
    """A command inside a line of ours, between more backticks than it has in a row, so that it cannot close them."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


TEXT_CHARACTERS = 16_000
"""The longest text that a member sends."""

PAGE_CHARACTERS = 24_000
"""How much text one page carries; hosts cut longer ones."""


def count_fitting(sizes: Iterable[int], characters: int) -> int:
    """How many things, in order, fit into a number of characters; the first one always fits."""
    count, used = 0, 0
    for size in sizes:
        used += size
        if count and used > characters:
            break
        count += 1
    return count
