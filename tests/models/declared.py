"""Declared work as members see it: all of it again from the end of a pause, or sleep of the room, that fell into it."""

from collections.abc import Collection

from teamroom.server.clock import GAPS_KNOWN
from tests.models.world import World


class Missed:
    """The spans in which no note of declared work could move: pauses, each at its level, and what the room slept."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pauses: list[tuple[str, float, float]] = []
        self._gaps: list[tuple[float, float]] = []

    def begin_pause(self, level: str, until: float) -> None:
        """Something is paused from now on."""
        self._pauses.append((level, self._world.now, until))

    def end_pause(self, level: str) -> None:
        """What is paused there goes on from now."""
        now = self._world.now
        self._pauses = [(at, begin, min(end, now) if at == level else end) for at, begin, end in self._pauses]

    def gap(self, since: float) -> None:
        """The room saw nothing until now."""
        gaps = [*self._gaps, (since, self._world.now)][-GAPS_KNOWN:]
        self._gaps = [(begin, end) for begin, end in gaps if begin < end]

    def crash(self) -> None:
        """The room begins anew. It was last seen when it saved its clock, or with a call, and knows no older gap."""
        ((acted,),) = self._world.look("select room_at from head")
        ((called,),) = self._world.look("select max(last_call_at) from presence")
        self._world.crash()
        self._gaps = []
        self.gap(max(acted, called or 0.0))

    def busy_until(self, levels: Collection[str], progressed: float, ahead: float) -> float:
        """When the work ends that a member declared with its newest note; 0.0 where it declared none."""
        until = progressed + ahead
        pauses = [(begin, end) for level, begin, end in self._pauses if level in levels]
        for begin, end in sorted([*self._gaps, *pauses]):
            until = max(until, end + ahead) if begin < until else until
        return until if ahead else 0.0
