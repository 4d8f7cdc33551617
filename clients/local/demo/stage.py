"""What the story of a demo is played on: its members, its time, and who tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from teamroom.clients.local.demo.players import OffScriptError, Player, Race, race
from teamroom.clients.session.blocking import BlockingRoom

MINUTE_SECONDS = 60.0

RESUME_SECONDS, RESUME_LOOKS = 1.0, 3600
"""How often a member that the visitor paused looks whether it was resumed, and how often at most."""

STEPS = 240
"""The most steps in which the time up to one scene passes."""

Facts = Mapping[str, Any]
"""What a scene showed, for programs."""


class StoppedError(Exception):
    """The demo was stopped in the middle of its story."""


class Time(Protocol):
    """The time of a demo. Both methods raise StoppedError once the demo is stopped."""

    def now(self) -> float:
        """The time by the room's wall clock, in seconds since 1970-01-01 UTC."""
        ...

    def let_pass(self, seconds: float) -> None:
        """Let so much time of the story pass, and the room's supervisor do what is due then."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait for real seconds, whatever the speed of the story."""
        ...


class Teller(Protocol):
    """Tells the visitor what happens."""

    def begin(self, name: str, title: str, at: float) -> None:
        """A scene begins."""
        ...

    def line(self, who: str, words: str) -> None:
        """A member says or meets something."""
        ...

    def invite(self, words: str, command: str) -> None:
        """The visitor may do something now, on the page or with a command of the shell."""
        ...

    def night(self, report: dict[str, Any]) -> None:
        """The report of `overnight`."""
        ...

    def end(self, facts: Facts) -> None:
        """The scene is over."""
        ...


@dataclass
class Stage:
    """A running room, seen by those who play in it.

    `you`: its first owner, who is the visitor. `desk`: a folder for files that members share outside the room.
    `visitor_seconds`: how long the visitor is waited for; with 0, the script acts in the visitor's place. `race`: how
    members make a call at the same moment. `paused`: the members that the visitor has paused, as far as they noticed.
    """

    url: str
    you: Player
    your_name: str
    time: Time
    teller: Teller
    desk: Path
    visitor_seconds: float = 0.0
    race: Race = race
    players: dict[str, Player] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began_at = self.time.now()
        self._turns = count()
        self._agenda: list[tuple[float, Callable[[], object]]] = []

    def enroll(self, *names: str) -> None:
        """Enrol agents of the visitor's, and let each play with its own token."""
        for name in names:
            token = self.you("enroll", name=name, kind="agent", mode="live")["token"]
            self.players[name] = Player(name, BlockingRoom(f"{self.url}/mcp", token), self._wait_for_resume)

    def plan(self, minute: float, act: Callable[[], object]) -> None:
        """Plan an act for a minute of the story, after what is planned for the same minute."""
        self._agenda.append((minute, act))
        self._agenda.sort(key=lambda planned: planned[0])

    def until(self, minute: float) -> None:
        """Let time pass until a minute of the story. What is planned until then happens.

        One member after the other beats, so nobody seems to be gone.
        """
        for _ in range(STEPS):
            left = self._left(minute)
            if left <= 0:
                return
            self.time.let_pass(min(left, MINUTE_SECONDS))
            self.next_player()("heartbeat")
            while self._agenda and self._left(self._agenda[0][0]) <= 0:
                self._agenda.pop(0)[1]()
        raise OffScriptError(f"minute {minute:g} did not come")

    def _wait_for_resume(self, player: Player, refusal: dict[str, Any]) -> None:
        """Show the refusal next to the member that the visitor paused, and wait until it is resumed."""
        self.teller.line(player.name, f"{refused_with_fix(refusal)} The story waits until you resume @{player.name}.")
        for _ in range(RESUME_LOOKS):
            self.time.wait(RESUME_SECONDS)
            if player("heartbeat")["standing"] == "active":
                return

    def _left(self, minute: float) -> float:
        """How many seconds of the story are left until a minute of it."""
        return self.began_at + minute * MINUTE_SECONDS - self.time.now()

    def next_player(self) -> Player:
        """The member whose turn it is."""
        players = list(self.players.values())
        return players[next(self._turns) % len(players)]

    def close(self) -> None:
        """Close the members' connections."""
        for player in (self.you, *self.players.values()):
            player.close()


def refused(refusal: Mapping[str, Any]) -> str:
    """A refusal in words, without its fix."""
    return f"refused ({refusal['code']}): {refusal['why']}"


def refused_with_fix(refusal: Mapping[str, Any]) -> str:
    """A refusal in words."""
    return f"{refused(refusal)} Fix: {refusal['fix']}"
