"""What a benchmark found, in a form that is judged, written as JSON and shown on the page.

A figure is judged by its value: what was measured itself, the share of a floor, or how many times the floor it is. A
growth is a cost at several sizes. A part holds what one benchmark found, and the day on which it was measured.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Self

BAR_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `floor`: what the same costs at the least, in the same unit.

    `value`: what is judged, in `value_unit`; `target`: the most that it may be, or the least if `is_least`. Without a
    target it is only reported.
    """

    name: str
    measured: float
    unit: str
    value: float
    value_unit: str = ""
    target: float | None = None
    is_least: bool = False
    floor: float | None = None
    engine: str = "SQLite"

    @property
    def is_met(self) -> bool | None:
        """Whether it is as good as it must be; None if nothing is asked."""
        if self.target is None:
            return None
        return self.value >= self.target if self.is_least else self.value <= self.target

    @property
    def verdict(self) -> str:
        """The target, and whether it is met, in words."""
        if self.target is None:
            return "reported"
        bound = f"{'at least' if self.is_least else 'at most'} {shown(self.target, self.value_unit)}"
        return f"{bound}, {'met' if self.is_met else '**missed**'}"


@dataclass(frozen=True, slots=True)
class Growth:
    """What something costs at several sizes. `bound`: how many times as much it may cost at the largest."""

    name: str
    costs: dict[int, float]
    unit: str = "µs"
    bound: float | None = None

    @property
    def times(self) -> float:
        """The cost at the largest size over that at the smallest."""
        return self.costs[max(self.costs)] / self.costs[min(self.costs)]

    @property
    def is_met(self) -> bool | None:
        """Whether it grows no more than it may; None if nothing is asked."""
        return None if self.bound is None else self.times <= self.bound


@dataclass(frozen=True, slots=True)
class Part:
    """What one benchmark found, when, and how long that took in seconds. `sizes`: what grows in its growths.

    `notes`: what a reader must know, a sentence each.
    """

    measured_on: str
    seconds: int
    figures: tuple[Figure, ...] = ()
    growths: tuple[Growth, ...] = ()
    sizes: str = ""
    notes: tuple[str, ...] = ()
    missed: tuple[str, ...] = field(init=False)
    """The names of what is not as good as it must be."""

    def __post_init__(self) -> None:
        found: Iterable[Figure | Growth] = (*self.figures, *self.growths)
        object.__setattr__(self, "missed", tuple(one.name for one in found if one.is_met is False))

    def as_json(self) -> dict[str, Any]:
        """The part as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """A part that was written before."""
        growths = (
            Growth(**{**one, "costs": {int(size): cost for size, cost in one["costs"].items()}})
            for one in found["growths"]
        )
        return cls(
            found["measured_on"],
            found["seconds"],
            tuple(Figure(**one) for one in found["figures"]),
            tuple(growths),
            found["sizes"],
            tuple(found["notes"]),
        )


def shown(value: float, unit: str) -> str:
    """A number with its unit, with as many digits as matter."""
    if unit == "%":
        return f"{value:.1%}"
    digits = 0 if abs(value) >= 100 or value == round(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{f' {unit}' if unit else ''}"


def table_of(figures: Iterable[Figure]) -> Iterator[str]:
    """Figures as a table, a line each."""
    yield "| figure | engine | measured | floor | judged | target |"
    yield "|---|---|---|---|---|---|"
    for one in figures:
        floor = "" if one.floor is None else shown(one.floor, one.unit)
        cells = (one.name, one.engine, shown(one.measured, one.unit), floor, shown(one.value, one.value_unit))
        yield f"| {' | '.join(cells)} | {one.verdict} |"


def table_of_growths(growths: Iterable[Growth], sizes: str) -> Iterator[str]:
    """How costs grow, as a table. `sizes`: what the columns count."""
    growths = list(growths)
    columns = sorted({size for one in growths for size in one.costs})
    yield f"| call | {' | '.join(f'{size:,} {sizes}' for size in columns)} | growth |"
    yield "|---|" + "---|" * (len(columns) + 1)
    for one in growths:
        cells = (shown(one.costs[size], one.unit) if size in one.costs else "" for size in columns)
        bound = "" if one.bound is None else f" (at most {one.bound:g}, {'met' if one.is_met else '**missed**'})"
        yield f"| {one.name} | {' | '.join(cells)} | {one.times:.2f}{bound} |"


def chart_of_growths(growths: Iterable[Growth]) -> Iterator[str]:
    """A bar for each cost and size; the longest is the largest cost of that unit."""
    growths = list(growths)
    for one in growths:
        most = max(cost for other in growths if other.unit == one.unit for cost in other.costs.values())
        for size, cost in sorted(one.costs.items()):
            bar = "█" * max(1, round(cost / most * BAR_CHARACTERS))
            yield f"{one.name if size == min(one.costs) else '':26} {size:>9,} {bar} {shown(cost, one.unit)}"
