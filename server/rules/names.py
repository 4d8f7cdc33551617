"""Names that look alike: which names a reader could confuse with another member or a reserved name."""

import re

RESERVED = frozenset({"room", "owner", "all", "everyone", "here", "system", "teamroom", "me", "none", "auto"})
"""Words that mean something else where a name is expected."""

WHOLE_ROOM = frozenset({"room", "all", "everyone"})
"""Words for everybody."""

SAME_SHAPE = str.maketrans({"I": "l", "1": "l", "0": "O"})
SAME_DRAWN = (("m", "rn"), ("w", "vv"), ("_", "-"), (".", "-"))
"""Characters that look like others: the ASCII part of Unicode's confusables table (TR39), `w` and the separators.

Names contain only ASCII.
"""


def normalize_name(name: str) -> str:
    """A name in the form in which names are compared: case does not matter."""
    return name.casefold()


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
