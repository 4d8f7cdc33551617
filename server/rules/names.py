"""Names that look alike: which names a reader could confuse with another member or a reserved name."""

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
