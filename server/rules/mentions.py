"""Mentions: which names a text addresses with an @, in any script. This is the one grammar of them.

Nothing inside code, a quotation, an address or the name of a package is a mention. Code and quotations are those of
Markdown; one line of a quotation ends with the line, as people write it in chats and letters.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from teamroom.server.rules.names import AT, LONGEST_NAME, normalize_name

MENTIONS, SIGNS = 60, 1_000
"""How many different names of a text count, and how many of its signs are looked at; further ones are left out."""

FULL_WIDTH = (("\uff10", "\uff19"), ("\uff21", "\uff3a"), ("\uff41", "\uff5a"), ("\uff3f", "\uff3f"))
_NARROW = {
    **dict.fromkeys(map(ord, AT), "@"),
    **{code: chr(code - 0xFEE0) for first, last in FULL_WIDTH for code in range(ord(first), ord(last) + 1)},
}
"""Signs, digits and letters that East Asian scripts also have in full width, and the usual ones."""

_WORD = re.compile(r"\w(?:[\w.-]|[\u0300-\u036f])*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TWO_SEPARATORS = re.compile(r"[._-]{2}|\.(?=[A-Z])")

_NOT_AFTER = frozenset("@/\\+%$&#~")
_ENDS_A_NAME = re.compile(
    "[\u05d0-\u109f\u1100-\u139f\u1400-\u1c7f\u1cd0-\u1cff\u2d30-\u2d7f\u2e80-\ua63f\ua6a0-\ua6ff\ua800-\uab2f"
    "\uabc0-\ud7ff\uf900-\ufaff\ufb1d-\ufeff\uff66-\uffdc\U00010800-\U0001d3ff\U0001e000-\U0001efff"
    "\U00020000-\U0003ffff]"
)
"""Letters of scripts that do not look like Latin. A name, which has Latin letters only, ends before them: particles of
Korean, Hindi or Arabic, and the next word of Chinese or Thai, follow it without a space."""
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u2e80-\u31ff\u3400-\u4dbf\u4e00-\ua4cf"
    "\ua960-\ua97f\uaa60-\uaadf\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no space before a mention; after those of others, an @ belongs to an address."""

_PATH = re.compile(r"[/\\][\w.*~{$<-]")

_MARKER = r"(?:[-*+]|\d{1,9}[.)])[ \t]+"
_LISTED = re.compile(rf"[ \t]*{_MARKER}")
_FENCE = re.compile(rf"[ \t]*(?:{_MARKER})*(`{{3,}}(?=[^`]*$)|~{{3,}})")
_QUOTED = re.compile(rf"[ \t]*(?:{_MARKER})*>")
_INDENTED = re.compile(r" {0,3}\t| {4}")
_BLOCK = re.compile(rf"[ \t]*(?:{_MARKER}|#{{1,6}}[ \t])")
_TICKS = re.compile(r"(\\*)(`+)")
_TAG = re.compile(r"<(/?)(code|pre)\b[^<>]{0,100}>", re.IGNORECASE)
_ADDRESS = re.compile("://[!-~]*")


@dataclass(frozen=True, slots=True)
class Mention:
    """A name as a text mentions it. `others`: what else it can mean, where marks of the text touch it.

    `is_doubtful`: it may be something else, such as a price or an address, unless a member has that name.
    """

    name: str
    others: tuple[str, ...] = ()
    is_doubtful: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names that it can mean, the most likely one first."""
        return (self.name, *self.others)


def may_mention(text: str) -> bool:
    """Whether a text has a sign that begins a mention."""
    return any(map(text.__contains__, AT))


def find_mentions(text: str) -> list[Mention]:
    """The mentions of a text, in order, each name once."""
    if not may_mention(text):
        return []
    found: dict[str, Mention] = {}
    for mention in _mentions(_prose(text.translate(_NARROW))):
        found.setdefault(normalize_name(mention.name), mention)
        if len(found) == MENTIONS:
            break
    return list(found.values())


def _mentions(prose: str) -> Iterator[Mention]:
    end = 0
    for at in islice(re.finditer("@", prose), SIGNS):
        start = at.start()
        while start > end and prose[start - 1] == "_":  # emphasis
            start -= 1
        is_listed = start > 0 and prose[start - 1] == "/" and start - 1 == end  # @one/@other
        word = _WORD.match(prose, at.end())
        if word is None or not (is_listed or _may_begin(prose[max(start - 2, 0) : start])):
            continue
        name = _NAME.match(word[0])
        if name is None or (name.end() < len(word[0]) and not _ENDS_A_NAME.match(word[0][name.end()])):
            yield Mention(word[0].rstrip(".-")[:LONGEST_NAME])  # no member has such a name
            continue
        after = at.end() + name.end()
        if name.end() == len(word[0]) and _is_part(prose[after : after + 2]):
            continue
        end = after
        yield _named(name[0], follows_letter=_UNSPACED.match(prose[start - 1 : start]) is not None)


def _may_begin(before: str) -> bool:
    """Whether a mention may follow these two characters."""
    if before == "":
        return True
    last = before[-1]
    if last == "-":
        return not before[:-1].isalnum()
    is_letter = last == "_" or last.isalnum() or "\u0300" <= last <= "\u036f"
    return last not in _NOT_AFTER and (not is_letter or _UNSPACED.match(last) is not None)


def _is_part(after: str) -> bool:
    """Whether what follows a name makes it part of a path, a package, an address or a call in code."""
    return after[:1] in ("@", "(") or _PATH.match(after) is not None


def _named(written: str, follows_letter: bool) -> Mention:
    name = written.rstrip(".-")
    cut = _TWO_SEPARATORS.split(name, maxsplit=1)[0]
    others = tuple(dict.fromkeys(other for other in (name.rstrip("._-"), cut.rstrip("._-")) if other not in ("", name)))
    if len(name) > LONGEST_NAME:
        return Mention(name[:LONGEST_NAME] + "…", others)
    return Mention(name, others, not re.search("[A-Za-z]", name) or (follows_letter and "." in name))


# ------------------------------------------------------------------ what is no prose


def _prose(text: str) -> str:
    """A text without code, quotations and addresses."""
    prose = "\n\n".join(map(_without_code_spans, _blocks(text)))
    return _ADDRESS.sub("/", _without_tagged_code(prose))


def _blocks(text: str) -> Iterator[str]:
    """The blocks of a text that are neither code nor quotations. No span of code goes beyond its block."""
    block: list[str] = []
    fence, is_listed, is_apart = "", False, True
    for line in text.split("\n"):
        is_code = is_apart and not is_listed and _INDENTED.match(line) is not None and not line.isspace()
        if fence:
            mark = line.strip()
            fence = "" if len(mark) >= len(fence) and not mark.strip(fence[0]) else fence
        elif (opened := _FENCE.match(line)) is not None:
            fence = opened[1]
        elif line.strip() and not is_code and not _QUOTED.match(line):
            is_listed = _LISTED.match(line) is not None or (is_listed and line[:1].isspace())
            if _BLOCK.match(line):
                yield "\n".join(block)
                block = []
            block.append(line)
            is_apart = False
            continue
        yield "\n".join(block)
        block, is_apart = [], True
    yield "\n".join(block)


def _without_code_spans(block: str) -> str:
    """A block without what is between two equal rows of backticks."""
    if "`" not in block:
        return block
    rows = list(_TICKS.finditer(block))
    places: dict[int, list[int]] = defaultdict(list)
    for place, row in reversed(list(enumerate(rows))):
        places[len(row[2])].append(place)
    kept, at, place = [], 0, 0
    while place < len(rows):
        row = rows[place]
        size = len(row[2]) - len(row[1]) % 2  # the first one of a row may be escaped
        closers = places[size] if size else []
        while closers and closers[-1] <= place:
            closers.pop()
        if closers:
            kept.append(block[at : row.end() - size])
            place = closers[-1]
            at = rows[place].end()
        place += 1
    return "`".join([*kept, block[at:]])


def _without_tagged_code(prose: str) -> str:
    """A text without what is between two tags for code."""
    kept, at, opened = [], 0, None
    for tag in _TAG.finditer(prose):
        if opened is None and not tag[1]:
            opened = tag
        elif opened is not None and tag[1] and tag[2].lower() == opened[2].lower():
            kept.append(prose[at : opened.start()])
            at, opened = tag.end(), None
    return "`".join([*kept, prose[at:]])
