"""Characters that no text of a member may contain: those that control a terminal, hide, or imitate others.

Such characters are allowed only where emoji and the world's scripts need them.
"""

import re
import unicodedata

_DOUBTFUL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Controls, surrogates, and everything invisible: Unicode's default-ignorable code points and the two separators."""

_FLAGS = re.compile(
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
"""The flags of England, Scotland and Wales: the only sequences of tag characters that are emoji."""

_JOINERS = "\u200c\u200d"
_DIRECTIONS = "\u061c\u200e\u200f"
_EMOJI_OR_TEXT = "\ufe0e\ufe0f"
_KEYCAPS = "#*0123456789"
_JOINING_BLOCKS = (("\u0600", "\u1cff"), ("\ua800", "\uabff"), ("\ufb50", "\ufefc"), ("\U00010a00", "\U0001e95f"))


def forbidden_character(text: str) -> int | None:
    """The index of the first character that a text must not contain; None if there is none."""
    if text.isascii() and text.isprintable():
        return None
    flags = {place for flag in _FLAGS.finditer(text) for place in range(flag.start(), flag.end())}
    has_right_to_left = _has_right_to_left(text)
    for doubtful in _DOUBTFUL.finditer(text):
        place = doubtful.start()
        if place in flags or (text[place] in _DIRECTIONS and has_right_to_left and _is_first(text, place)):
            continue
        if not _has_effect(text, place):
            return place
    return None


def described(character: str) -> str:
    """A character that cannot be shown, by its number and its name."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'control').lower()})"


def _has_right_to_left(text: str) -> bool:
    """Whether a text with direction marks also has letters that are written from right to left."""
    return any(mark in text for mark in _DIRECTIONS) and any(
        unicodedata.bidirectional(character) in ("R", "AL") for character in text if character not in _DIRECTIONS
    )


def _is_first(text: str, place: int) -> bool:
    """Whether no other invisible character precedes this one: two in a row can only hide something."""
    return place == 0 or not _DOUBTFUL.match(text[place - 1])


def _has_effect(text: str, place: int) -> bool:
    """Whether a joiner or a selector has an effect on the character before it."""
    it, before = text[place], text[place - 1 : place]
    if it == "\u200d" and _joins_emoji(before, text[place + 1 : place + 2]):
        return True
    if not before or not _is_first(text, place):
        return False
    if it in _EMOJI_OR_TEXT:
        return before in _KEYCAPS or before == "\u2139" or (not before.isascii() and _is_symbol(before))
    if it in _JOINERS:
        return _is_joining_letter(before)
    if "\u180b" <= it <= "\u180f":
        return "\u1820" <= before <= "\u18aa"
    is_variation = "\ufe00" <= it <= "\ufe0d" or "\U000e0100" <= it <= "\U000e01ef"
    return is_variation and unicodedata.name(before, "").startswith("CJK ")


def _is_symbol(character: str) -> bool:
    return _is_emoji(character) or unicodedata.category(character) in ("Po", "Pd")


def _is_emoji(character: str) -> bool:
    return "\U0001f000" <= character <= "\U0001faff" or unicodedata.category(character) in ("So", "Sm")


def _joins_emoji(before: str, after: str) -> bool:
    """Whether a joiner joins two emoji. The first one may end with a selector or a skin tone."""
    return before != "" and after != "" and (before == "\ufe0f" or _is_emoji(before)) and _is_emoji(after)


def _is_joining_letter(character: str) -> bool:
    """A letter or a mark of a script whose letters join or stack, from Arabic to Khmer and in the blocks beyond."""
    in_a_block = any(first <= character <= last for first, last in _JOINING_BLOCKS)
    return in_a_block and unicodedata.category(character) in ("Lo", "Mn", "Mc")
