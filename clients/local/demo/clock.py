"""The clock of a demo: it begins an hour before the machine's clocks, and goes faster until they meet."""

from teamroom.server.clock import Clock, awake_clock, steady_clock, wall_clock

STORY_SECONDS = 3600.0
"""How far a demo's clock is behind at its beginning."""


class StoryClock:
    """The machine's clocks, put back by the same span, which only shrinks.

    So the room measures its spans as ever: an hour of the story is an hour of leases, budgets and challenges. Once the
    span is used up, the clocks are the machine's own. One thread moves it, and any thread may read it.
    """

    def __init__(
        self,
        behind: float = STORY_SECONDS,
        wall: Clock = wall_clock,
        steady: Clock = steady_clock,
        awake: Clock = awake_clock,
    ) -> None:
        self._behind, self._wall, self._steady, self._awake = behind, wall, steady, awake

    @property
    def behind(self) -> float:
        """How many seconds the clock is behind the machine's: 0.0 once they have met."""
        return self._behind

    def forward(self, seconds: float) -> None:
        """Let some seconds pass at once, at most up to the machine's clock."""
        self._behind = max(self._behind - max(seconds, 0.0), 0.0)

    def wall(self) -> float:
        """The time on the wall, in seconds since 1970-01-01 UTC."""
        return self._wall() - self._behind

    def steady(self) -> float:
        """Seconds that have passed since some moment."""
        return self._steady() - self._behind

    def awake(self) -> float:
        """The same without the time in which the machine slept."""
        return self._awake() - self._behind
