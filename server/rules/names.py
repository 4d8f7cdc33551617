"""Names that look alike: which names a reader could confuse with another member or a reserved name."""

RESERVED = frozenset({"room", "owner", "all", "everyone", "here", "system", "teamroom", "me", "none", "auto"})
"""Words that mean something else where a name can stand."""

SAME_SHAPE = str.maketrans({"I": "l", "1": "l", "0": "O"})
SAME_DRAWN = (("m", "rn"), ("w", "vv"), ("_", "-"), (".", "-"))
"""What of the characters that a name may hold can be taken for another: the ASCII part of Unicode's table of
confusables (TR39), and `w` and the separators beside it. Nothing else than ASCII is let in."""


def normalize_name(name: str) -> str:
    """A name as it is compared: case does not make another name."""
    return name.casefold()


def make_skeleton(name: str) -> str:
    """The skeleton of a name: names that are drawn alike have the same one. Migration 0005 says it in SQL."""
    skeleton = name.translate(SAME_SHAPE).casefold()
    for drawn, alike in SAME_DRAWN:
        skeleton = skeleton.replace(drawn, alike)
    return skeleton


def find_reserved_word(name: str) -> str | None:
    """The word of the room that a name is, or looks like."""
    return next(
        (
            word
            for word in sorted(RESERVED)
            if normalize_name(name) == word or make_skeleton(name) == make_skeleton(word)
        ),
        None,
    )
