"""Texts and searches as PostgreSQL's full-text search takes them, divided into words as SQLite's index divides them."""

import re
import unicodedata
from collections.abc import Sequence

from teamroom.server.rules.search import index_words

LAST_PLACE = 16_383
"""PostgreSQL's largest place of a word in a text. Words after it are found, but not as parts of phrases."""

PLACES, WORD_BYTES = 255, 2_000
"""The most places of one word that PostgreSQL keeps, and the longest word that is indexed."""

VECTOR_BYTES = 1_000_000
"""The longest list of words that PostgreSQL takes; further words are left out."""

APART = 2
"""A phrase does not go from one field to the next: their places are so far apart."""

_PHRASE = re.compile(r'"([^"]*)"(\*?)')


def as_vector(fields: Sequence[str]) -> str:
    """The words of some fields with their places, in the text form of a `tsvector`."""
    places: dict[str, list[int]] = {}
    at = size = 0
    for text in fields:
        for word in _words(index_words(text)):
            at += 1
            found = places.get(word)
            if found is None:
                size += len(word.encode()) + 16
                if size > VECTOR_BYTES // 2:
                    continue
                found = places[word] = []
            place = at if at < LAST_PLACE else LAST_PLACE
            if len(found) < PLACES and (not found or found[-1] != place):
                found.append(place)
        at += APART
    return " ".join([f"'{word}':{','.join(map(str, found))}" for word, found in places.items()])


def as_query(expression: str) -> str:
    """An expression of `parse_search` in the text form of a `tsquery`."""
    terms = []
    for phrase, star in _PHRASE.findall(expression):
        words = [f"'{word}'" for word in _words(phrase)]
        if words:
            terms.append("(" + " <-> ".join(words) + (":*" if star else "") + ")")
    return " & ".join(terms)


def _words(text: str) -> list[str]:
    """The words of a text: runs of letters, digits and marks, without accents and in lower case. None has a quote."""
    words = text.translate(_FOLDED).split()
    return [word for word in words if len(word) <= WORD_BYTES // 4 or len(word.encode()) <= WORD_BYTES]


class _Folded(dict[int, str]):
    """For `str.translate`: each character as words have it, found when it is first needed; a space between words."""

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code))
        self[code] = found = " " if folded is None else folded
        return found


def _fold(character: str) -> str | None:
    """A character as words have it; "" for an accent, and None for one that separates words."""
    category = unicodedata.category(character)
    if category[0] not in "LNM" and category != "Co":
        return None
    plain = unicodedata.normalize("NFD", character.lower())
    if len(plain) > 1 and unicodedata.category(plain[0])[0] == "L" and _is_latin_like(plain[0]):
        plain = "".join(part for part in plain if unicodedata.category(part) != "Mn")
    return "" if category == "Mn" and _is_accent(character) else unicodedata.normalize("NFC", plain)


_FOLDED = _Folded()


def _is_latin_like(character: str) -> bool:
    """Whether accents on a letter do not make another word: Latin, Greek and Cyrillic letters."""
    return ord(character) < 0x530 or 0x1E00 <= ord(character) < 0x2000


def _is_accent(character: str) -> bool:
    return 0x300 <= ord(character) < 0x370
