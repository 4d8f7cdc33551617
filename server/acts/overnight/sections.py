"""A section of `overnight`: kinds of things, each counted in full, of which as many are shown as there is room for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from teamroom.server.rules.text import one_line, state_in_words

T = TypeVar("T")

TEXT_CHARACTERS = 90
"""How much of a member's text stands on a line of the screen."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """Things of one kind: how many there are, and how to get the first so many, those that matter most first."""

    name: str
    count: int
    first: Callable[[int], Sequence[T]]


class Section(BaseModel, Generic[T]):
    """What is shown of a section. `counts` are all there are, by kind, `left_out` those of them that are not shown."""

    counts: dict[str, int]
    shown: list[T]
    left_out: dict[str, int]

    @property
    def total(self) -> int:
        """How many there are in all."""
        return sum(self.counts.values())

    @property
    def rest(self) -> str:
        """How many are not shown, by kind, in words."""
        return ", ".join(f"{count} {state_in_words(kind)}" for kind, count in self.left_out.items())


def shown(kinds: Sequence[Kind[T]], numbers: Sequence[int]) -> Section[T]:
    """A section with so many of each kind."""
    found = [list(kind.first(number)) if number else [] for kind, number in zip(kinds, numbers, strict=True)]
    left = {kind.name: kind.count - len(things) for kind, things in zip(kinds, found, strict=True)}
    return Section(
        counts={kind.name: kind.count for kind in kinds if kind.count},
        shown=[thing for things in found for thing in things],
        left_out={name: count for name, count in left.items() if count > 0},
    )


def short(text: str) -> str:
    """A member's text as a line of the screen has room for it."""
    return one_line(text, TEXT_CHARACTERS)
