"""Names that look alike: which names a reader could confuse with another member or a reserved name."""

import re
import unicodedata
from collections.abc import Iterable

RESERVED = frozenset(
    {"room", "owner", "all", "everyone", "here", "system", "teamroom", "me", "none", "auto", "import"},
)
"""Words that mean something else where a name is expected."""

WHOLE_ROOM = frozenset({"room", "all", "everyone"})
"""Words for everybody."""

SAME_SHAPE = str.maketrans({"I": "l", "1": "l", "0": "O"})
SAME_DRAWN = (("m", "rn"), ("w", "vv"), ("_", "-"), (".", "-"))
"""Characters that look like others: the ASCII part of Unicode's confusables table (TR39), `w` and the separators.

Names contain only ASCII.
"""


AT = "@\N{FULLWIDTH COMMERCIAL AT}\N{SMALL COMMERCIAL AT}"
"""What may stand before a name, also as it is typed in East Asian scripts."""

LONGEST_NAME = 32
"""The most characters of a member's name."""

LAST_NAME = "~"
"""A text that comes after every name."""

NEAREST, NEAR = 3, 0.6
"""How many names near to an unknown one are given, and how near they are at least: the share of equal characters."""


def normalize_name(name: str) -> str:
    """A name in the form in which names are compared: neither case nor the width of letters matters."""
    return unicodedata.normalize("NFKC", name).casefold()


def nearest_names(name: str, names: Iterable[str]) -> list[str]:
    """Those of the names that an unknown one probably means, the nearest first."""
    from difflib import get_close_matches  # commands of the shell load this file, and compare no names

    compared = {normalize_name(other): other for other in names}
    return [compared[near] for near in get_close_matches(normalize_name(name), compared, NEAREST, NEAR)]


def make_skeleton(name: str) -> str:
    """The skeleton of a name: names that look alike have the same one. Migration 0005 does the same in SQL."""
    skeleton = name.translate(SAME_SHAPE).casefold()
    for drawn, alike in SAME_DRAWN:
        skeleton = skeleton.replace(drawn, alike)
    return skeleton


_SEPARATORS = re.compile(r"([._-])[._-]+")


def tidy_separators(name: str) -> str:
    """A name with single separators, none of them at its beginning or end.

    A reader takes `olga-` or `@olga.` for @olga with a mark after it, and `a--b` for a-b. So new names are tidy.
    """
    return _SEPARATORS.sub(r"\1", name).strip("._-")


def find_reserved_word(name: str) -> str | None:
    """The reserved name that a name equals or looks like; None if there is none."""
    return next(
        (
            word
            for word in sorted(RESERVED)
            if normalize_name(name) == word or make_skeleton(name) == make_skeleton(word)
        ),
        None,
    )
