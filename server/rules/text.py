"""One line for people: what the stream shows of a text."""

import re
import unicodedata
from collections.abc import Iterable

LINE_CHARACTERS = 140
"""The longest line of the stream (QUI1)."""

_MENTION = re.compile(r"(?<![\w@./-])@([A-Za-z0-9][A-Za-z0-9._-]{0,31})")
_ALLOWED_CONTROLS = "\n\r\t"


def one_line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """A text on one line of at most `limit` characters, cut at an ellipsis."""
    return cut(" ".join(text.split()), limit)


def cut(text: str, limit: int) -> str:
    """A text of at most `limit` characters, cut at an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def ended(text: str) -> str:
    """A text that another sentence can follow."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


PAGE_CHARACTERS = 24_000
"""How much text one page carries; hosts cut longer ones."""


def how_many_fit(sizes: Iterable[int], characters: int) -> int:
    """How many things fit into a number of characters, from the first on; the first always does."""
    count, used = 0, 0
    for size in sizes:
        used += size
        if count and used > characters:
            break
        count += 1
    return count


def mentions(text: str) -> list[str]:
    """The names that a text mentions with an @, in order, each once."""
    if "@" not in text:
        return []
    return list(dict.fromkeys(name.rstrip(".-") for name in _MENTION.findall(text)))


def search_words(query: str) -> str:
    """The words of a search, one space apart and without quotes: whatever was typed, it is looked for as it stands."""
    return " ".join(query.replace('"', " ").split())


def has_forbidden_characters(text: str) -> bool:
    """Whether a text holds control or format-override characters, which could forge what a terminal shows."""
    if text.isascii() and text.isprintable():
        return False
    return any(
        (unicodedata.category(character) in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS)
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
        for character in text
    )


def fold(name: str) -> str:
    """A name as it is compared: case and width do not make another name."""
    return unicodedata.normalize("NFKC", name).casefold()
