"""Sections of `overnight`: kinds of things, all counted, shown as far as there is room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from teamroom.server.rules.text import one_line, state_in_words

T = TypeVar("T")

TEXT_CHARACTERS = 90
"""How many characters of a member's text one line shows."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """Things of one kind: their number, and a function that returns the first ones, the most important first."""

    name: str
    count: int
    first: Callable[[int], Sequence[T]]


class Section(BaseModel, Generic[T]):
    """A section as it is shown. `counts`: all things by kind; `left_out`: those that are not shown."""

    counts: dict[str, int]
    shown: list[T]
    left_out: dict[str, int]

    @property
    def total(self) -> int:
        """The number of all things."""
        return sum(self.counts.values())

    @property
    def rest(self) -> str:
        """The numbers of things that are not shown, by kind, in words."""
        return ", ".join(f"{count} {state_in_words(kind)}" for kind, count in self.left_out.items())


def fill_section(kinds: Sequence[Kind[T]], numbers: Sequence[int]) -> Section[T]:
    """A section that shows these numbers of each kind."""
    found = [list(kind.first(number)) if number else [] for kind, number in zip(kinds, numbers, strict=True)]
    left = {kind.name: kind.count - len(things) for kind, things in zip(kinds, found, strict=True)}
    return Section(
        counts={kind.name: kind.count for kind in kinds if kind.count},
        shown=[thing for things in found for thing in things],
        left_out={name: count for name, count in left.items() if count > 0},
    )


def shorten(text: str) -> str:
    """A member's text, shortened for one line."""
    return one_line(text, TEXT_CHARACTERS)
