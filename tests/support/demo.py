"""The demo's story, played in the room of a test within a second: pages and clients have something to show then.

`await play_demo(room, folder)` is all that a test needs. Its room should begin an hour before now, with
`Time(offset=-STORY_SECONDS)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.from_thread
import anyio.to_thread

from teamroom.clients.local.demo.players import Player, Race, race, refusal_in
from teamroom.clients.local.demo.stage import Facts, Stage, Teller
from teamroom.clients.local.demo.story import play
from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.failure import Failure
from tests.support.rooms import RunningRoom

OWNER = "olga"


@dataclass
class Told:
    """What the story told: the scenes, what each member said, and what the visitor was invited to."""

    scenes: list[str] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    invitations: list[str] = field(default_factory=list)
    nights: list[dict[str, Any]] = field(default_factory=list)

    def begin(self, name: str, title: str, at: float) -> None:
        self.scenes.append(name)

    def line(self, who: str, words: str) -> None:
        self.lines.append((who, words))

    def invite(self, words: str, command: str) -> None:
        self.invitations.append(command)

    def night(self, report: dict[str, Any]) -> None:
        self.nights.append(report)

    def end(self, facts: Facts) -> None:
        """Nothing is told between scenes."""

    def said_by(self, member: str) -> list[str]:
        return [words for who, words in self.lines if who == member]


class StageTime:
    """The time of a running room, moved by the story. Where the story waits for real time, `visitor` acts instead."""

    def __init__(self, room: RunningRoom, visitor: Callable[[], None]) -> None:
        self._room, self._visitor = room, visitor

    def now(self) -> float:
        return self._room.time()

    def let_pass(self, seconds: float) -> None:
        anyio.from_thread.run(self._room.later, seconds)

    def wait(self, seconds: float) -> None:
        self._visitor()


def in_order(players: Sequence[Player], call: Callable[[Player], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A race that the first one always wins."""
    answers: dict[str, dict[str, Any]] = {}
    for player in players:
        try:
            answers[player.name] = call(player)
        except Failure as failure:
            answers[player.name] = refusal_in(failure)
    return answers


def nothing() -> None:
    """A visitor who only looks."""


def set_stage(
    room: RunningRoom,
    desk: Path,
    teller: Teller,
    visitor: Callable[[], None] = nothing,
    visitor_seconds: float = 0.0,
    racing: Race = race,
) -> Stage:
    """A stage in a running room, whose owner is the visitor. The story and the calls run in another thread."""
    you = Player(OWNER, BlockingRoom(f"{room.url}/mcp", room.owner_token))
    return Stage(room.url, you, OWNER, StageTime(room, visitor), teller, desk, visitor_seconds, racing)


async def play_demo(
    room: RunningRoom, desk: Path, teller: Teller | None = None, racing: Race = race, last_minute: float = 0.0
) -> Mapping[str, Facts]:
    """Play the whole story in an empty room, and let time pass until `last_minute`; returns what each scene showed."""
    stage = set_stage(room, desk, teller or Told(), racing=racing)

    def play_until_then() -> dict[str, Facts]:
        shown = play(stage)
        stage.until(last_minute)
        return shown

    try:
        return await anyio.to_thread.run_sync(play_until_then)
    finally:
        stage.close()
