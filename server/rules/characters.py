"""Characters that no text of a member contains: those that control a terminal, hide, or imitate others.

Such characters are allowed only where emoji and the world's scripts need them. `clean` removes the others from a text;
names and fields of one line are refused instead, see `forbidden_character`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LONE_SURROGATE = "\uffff"
"""Stands for half of a surrogate pair, which no text in UTF-8 can hold, where a request is read."""

MARKS = 4
"""How many combining marks a letter keeps. More hide the lines around it."""

_ESCAPE = re.compile(
    r"\x1bPtmux;"
    r"|(?:\x1b[\]PX^_k]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"  # a title, a link, a picture
    r"|(?:\x1b\]|\x9d)(?:P[0-9A-Fa-f]{7}|\d+;[^\x07\x1b\x80-\x9f\n]*)"  # one that does not end
    r"|\x1b[\]PX^_]|[\x90\x98\x9c-\x9f]"
    r"|\x1b\[\[[A-E]|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # a control sequence: colours, moves, a key
    r"|\x1b[ -/]+[0-~]|\x1b[NO][A-DFHMPQRSj-y]|\x1b[6-9<=>DEHMZcno|}~\\]"
)
"""Escape sequences of ECMA-48 and of xterm, in their 7-bit and 8-bit forms."""

_DOUBTFUL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 15))
    + "\U000f0000-\U0010ffff]"
)
"""Controls, surrogates, private and non-characters, and everything invisible: Unicode's default-ignorable code points
and the two separators."""

_FLAG = "\U0001f3f4"
_NATIONS = re.compile(
    "\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
"""After a black flag, England, Scotland and Wales: the only sequences of tag characters that are emoji."""

_RETURNS = re.compile(r"\r+\n?")
_LONG_RUN = re.compile(rf"[^\w\x00-\u02ff]{{{MARKS + 1},}}")
"""Where more than so many combining marks may be: no mark is a word character."""

_JOINERS = "\u200c\u200d"
_DIRECTIONS = "\u061c\u200e\u200f"
_EMOJI_OR_TEXT = "\ufe0e\ufe0f"
_KEYCAPS = "#*0123456789"
_LINE_BREAKS = "\x0b\x0c\x85\u2028\u2029"
_JOINING_BLOCKS = (("\u0600", "\u1cff"), ("\ua800", "\uabff"), ("\ufb50", "\ufefc"), ("\U00010a00", "\U0001e95f"))

_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    "\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d\u2620\u2622\u2623"
    "\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e"
    "\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8"
    "\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712"
    "\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797"
    "\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff]"
)
"""The property Emoji of Unicode; beyond the first plane its blocks, so that it lasts."""


@dataclass(slots=True)
class Cleaned:
    """A text without what it must not contain, and how much of each kind was removed."""

    text: str
    removed: Counter[str] = field(default_factory=Counter)


def clean(text: str) -> Cleaned:
    """A text without the characters and sequences that it must not contain. Line breaks become `\\n`."""
    if text.isascii() and text.isprintable():
        return Cleaned(text)
    returns = text.count("\r") - text.count("\r\n")
    kept = _RETURNS.sub("\n", text)
    cleaner = _Cleaner(kept)
    for _ in cleaner.unwanted():
        pass
    if returns:
        cleaner.removed["control character"] += returns
    return Cleaned(cleaner.text, cleaner.removed)


def count_removed(removed: Mapping[str, int]) -> str:
    """What was removed from texts, in words: 2 escape sequences and 1 tag."""
    parts = [f"{number} {kind}{'s' if number != 1 else ''}" for kind, number in sorted(removed.items())]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def forbidden_character(text: str) -> int | None:
    """The index of the first character that a text must not contain; None if there is none."""
    if text.isascii() and text.isprintable():
        return None
    return next(_Cleaner(text).unwanted(), None)


def escape(text: str) -> str:
    """A text in which each character that it must not contain is shown by its number, as it was accepted earlier."""
    if text.isascii() and text.isprintable():
        return text
    pieces, at = [], 0
    for place in _Cleaner(text, by_sequence=False).unwanted():
        shown = text[place].encode("unicode_escape", "surrogatepass").decode("ascii")
        pieces += [text[at:place], shown]
        at = place + 1
    return "".join([*pieces, text[at:]])


def described(character: str) -> str:
    """A character that cannot be shown, by its number and its name."""
    nameless = "control" if unicodedata.category(character) == "Cc" else kind_of(character)
    return f"U+{ord(character):04X} ({unicodedata.name(character, nameless).lower()})"


def kind_with_article(character: str) -> str:
    """The kind of an unwanted character in a sentence: "a control character"."""
    kind = kind_of(character)
    return f"{'an' if kind.startswith('i') else 'a'} {kind}"


class _Cleaner:
    """Goes through a text once, keeps what it may contain, and counts the rest, sequences as a whole or not."""

    def __init__(self, text: str, by_sequence: bool = True) -> None:
        self._source, self._by_sequence = text, by_sequence
        self._kept: list[str] = []
        self._last = ""
        self._marks = 0
        """The combining marks at the end of what was kept."""
        self.removed: Counter[str] = Counter()

    @property
    def text(self) -> str:
        """What was kept."""
        return "".join(self._kept)

    def unwanted(self) -> Iterator[int]:
        """Where the source has something that it must not contain, in order."""
        source, at = self._source, 0
        has_right_to_left = _has_right_to_left(source)
        while (found := _DOUBTFUL.search(source, at)) is not None:
            start, it = found.start(), found[0]
            yield from self._keep_marked(source[at:start], at)
            at = found.end()
            if self._last == _FLAG and (nation := _NATIONS.match(source, start)) is not None:
                self._keep(nation[0])
                at = nation.end()
            elif self._by_sequence and (sequence := _ESCAPE.match(source, start)) is not None:
                yield start
                self.removed["escape sequence"] += 1
                at = sequence.end()
            elif self._has_effect(it, source[at : at + 1], has_right_to_left):
                self._keep(it)
            else:
                yield start
                self.removed[kind_of(it)] += 1
                if it in _LINE_BREAKS:
                    self._keep("\n")
                    self._marks = 0
        yield from self._keep_marked(source[at:], at)

    def _keep(self, piece: str) -> None:
        self._kept.append(piece)
        self._last = piece[-1:] or self._last

    def _keep_marked(self, piece: str, start: int) -> Iterator[int]:
        """Keep a piece without uncertain characters; of combining marks in a row, only so many."""
        if not piece:
            return
        if self._marks == 0 and _LONG_RUN.search(piece) is None and not _is_mark(piece[-1]):
            self._keep(piece)
            return
        letters = []
        for place, character in enumerate(piece):
            self._marks = self._marks + 1 if _is_mark(character) else 0
            if self._marks > MARKS:
                self.removed["combining mark"] += 1
                yield start + place
            else:
                letters.append(character)
        self._keep("".join(letters))

    def _has_effect(self, it: str, after: str, has_right_to_left: bool) -> bool:
        """Whether an invisible character has an effect where it is."""
        before = self._last
        if it == "\u200d" and _joins_emoji(before, after):
            return True
        if before and _DOUBTFUL.match(before):
            return False  # two invisible characters in a row can only hide something
        if it in _DIRECTIONS:
            return has_right_to_left
        return before != "" and _changes(it, before)


def kind_of(character: str) -> str:
    """What kind of unwanted character it is, in words."""
    if _DOUBTFUL.match(character) is None:
        return f"combining mark beyond {MARKS} on a letter"
    if character == LONE_SURROGATE or "\ud800" <= character <= "\udfff":
        return "lone surrogate"
    if _is_selector(character) or "\u180b" <= character <= "\u180f":
        return "variation selector"
    if "\U000e0000" <= character <= "\U000e007f":
        return "tag"
    if character in _DIRECTIONS or "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u206f":
        return "direction mark"
    names = {"Cc": "control character", "Co": "private character", "Zl": "line separator", "Zp": "line separator"}
    is_noncharacter = "\ufdd0" <= character <= "\ufdef" or ord(character) & 0xFFFE == 0xFFFE
    return names.get(unicodedata.category(character), "noncharacter" if is_noncharacter else "invisible character")


def _has_right_to_left(text: str) -> bool:
    """Whether a text with direction marks also has letters that are written from right to left."""
    return any(mark in text for mark in _DIRECTIONS) and any(
        unicodedata.bidirectional(character) in ("R", "AL") for character in text if character not in _DIRECTIONS
    )


def _changes(it: str, before: str) -> bool:
    """Whether a joiner or a selector changes the character before it."""
    if it in _EMOJI_OR_TEXT:
        return before in _KEYCAPS or _EMOJI.match(before) is not None
    if it in _JOINERS:
        return _is_joining_letter(before)
    if "\u180b" <= it <= "\u180f":
        return "\u1820" <= before <= "\u18aa"
    return _is_selector(it) and unicodedata.name(before, "").startswith("CJK ")


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _is_mark(character: str) -> bool:
    return character > "\u02ff" and unicodedata.category(character) in ("Mn", "Me")


def _joins_emoji(before: str, after: str) -> bool:
    """Whether a joiner joins two emoji. The first one may end with a selector or a skin tone."""
    is_emoji = before == "\ufe0f" or _EMOJI.match(before) is not None
    return is_emoji and _EMOJI.match(after) is not None


def _is_joining_letter(character: str) -> bool:
    """A letter or a mark of a script whose letters join or stack, from Arabic to Khmer and in the blocks beyond."""
    in_a_block = any(first <= character <= last for first, last in _JOINING_BLOCKS)
    return in_a_block and unicodedata.category(character) in ("Lo", "Mn", "Mc")
