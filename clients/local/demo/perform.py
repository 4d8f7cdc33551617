"""`teamroom demo`: a real room in a folder of its own, and a story that is played in it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from teamroom.clients.local.demo.clock import STORY_SECONDS, StoryClock
from teamroom.clients.local.demo.folder import ROOM, prepare_folder, temporary_home
from teamroom.clients.local.demo.life import live_on
from teamroom.clients.local.demo.players import Player
from teamroom.clients.local.demo.stage import MINUTE_SECONDS, STEPS, Stage, StoppedError, Teller
from teamroom.clients.local.demo.story import play
from teamroom.clients.local.up import Clocks, Opened, failing_in_words, serve_folder
from teamroom.clients.session.blocking import BlockingRoom as CalledRoom
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import OWNER_TOKEN, make_members_folder, member_token_file, save_token
from teamroom.server.settings import Settings
from teamroom.server.store.folder import held_token

if TYPE_CHECKING:
    from teamroom.server.app import Room

YOU = "you"
"""The name of a demo's owner, who is the visitor."""

GUEST = "guest"
"""The member as which the visitor's own agent joins."""

STORY_REAL_SECONDS = 12.0
"""How long the hour of the story takes at speed 1, without the wait for the visitor."""

VISITOR_SECONDS = 8.0
"""How long the story waits for the visitor to press Pause at speed 1."""

LINK_SECONDS = STORY_SECONDS + 600.0
"""For how long the link can be opened by the room's clock: ten minutes of the visitor's, as the hour is over soon."""

TICK_SECONDS = 30.0
"""How long one tick of the supervisor may take."""

STOP_SECONDS = 5.0
"""How long after a failed call of the story its server may stop, so that the failure counts as a part of that."""


@dataclass(frozen=True)
class Plan:
    """What a demo was asked for. `folder`: None for a temporary one. `port`: 0 for a free one.

    `speed`: how many times faster than usual the story goes; 0 waits for nothing. `stays`: whether the room goes on
    after the story.
    """

    folder: Path | None
    port: int
    speed: float
    stays: bool


class Host(Teller, Protocol):
    """Tells the visitor also what is around the story."""

    has_opened: bool

    def opened(self, room: Opened) -> None:
        """The room answers."""
        ...

    def over(self, url: str, guest: str, token_file: Path, stays: bool) -> None:
        """The story is over. The visitor's agent can join as `guest`, whose token is in a file, if the room stays."""
        ...


def perform(plan: Plan, host: Host) -> None:
    """Open a demo's room, play the story in it, and serve it until the story or a signal ends it.

    A signal raises SystemExit with code 0. The temporary folder is removed in any case. Raises Failure.
    """
    with temporary_home() as home:
        folder, desk, clock = plan.folder or home / ROOM, home / "desk", StoryClock()
        desk.mkdir()
        settings = Settings(port=plan.port, log_level="warning")
        with failing_in_words(folder):
            prepare_folder(folder)
            clocks, answers = Clocks(clock.wall, clock.steady, clock.awake), list[Opened]()

            async def beside(room: "Room") -> None:
                sign_in = await room.offer_sign_in(LINK_SECONDS)
                host.opened(replace(answers[0], sign_in=sign_in))
                time = RoomTime(room, asyncio.get_running_loop(), clock, plan.speed)
                with time.stopped_in_the_end():
                    await asyncio.to_thread(_play, room.folder, room.settings.url, desk, time, plan, host)

            serve_folder(folder, settings, YOU, answers.append, clocks, beside)


class RoomTime:
    """The time of a demo whose room is on an event loop; the story is in another thread."""

    def __init__(self, room: "Room", loop: asyncio.AbstractEventLoop, clock: StoryClock, speed: float) -> None:
        self._room, self._loop, self._clock, self._speed = room, loop, clock, speed
        self._stopping = threading.Event()

    @contextlib.contextmanager
    def stopped_in_the_end(self) -> Iterator[None]:
        """Stop the story when the block ends."""
        try:
            yield
        finally:
            self._stopping.set()

    def is_stopping(self) -> bool:
        """Whether the demo stops, which a story that fails may notice before it is told."""
        return self._stopping.wait(STOP_SECONDS)

    def now(self) -> float:
        """The time by the room's wall clock."""
        return self._clock.wall()

    def let_pass(self, seconds: float) -> None:
        """Let time of the story pass at the demo's speed, then let the supervisor do what is due."""
        if self._speed > 0:
            self.wait(seconds / STORY_SECONDS * STORY_REAL_SECONDS / self._speed)
        self._clock.forward(seconds)
        self._tick()

    def meet(self) -> None:
        """Let time pass until the clock is the machine's."""
        for _ in range(STEPS):
            if self._clock.behind == 0.0:
                return
            self.let_pass(min(self._clock.behind, MINUTE_SECONDS))
        self.let_pass(self._clock.behind)

    def wait(self, seconds: float) -> None:
        """Wait for real seconds."""
        if self._stopping.wait(seconds):
            raise StoppedError

    def _tick(self) -> None:
        if self._stopping.is_set():
            raise StoppedError
        asyncio.run_coroutine_threadsafe(self._room.supervisor.tick(), self._loop).result(TICK_SECONDS)


def _play(folder: Path, url: str, desk: Path, time: RoomTime, plan: Plan, host: Host) -> None:
    """Play the story and, if the demo stays, what comes after it. Returns early if the demo is stopped."""
    you = Player(YOU, CalledRoom(f"{url}/mcp", held_token(folder / OWNER_TOKEN) or ""))
    visitor_seconds = VISITOR_SECONDS / plan.speed if plan.speed > 0 else 0.0
    stage = Stage(url, you, YOU, time, host, desk, visitor_seconds)
    try:
        _play_story(stage)
        time.meet()
        host.over(url, GUEST, _invite_agent(stage, folder), plan.stays)
        if plan.stays:
            live_on(stage)
    except StoppedError:
        return
    except (Failure, CancelledError):
        if not time.is_stopping():  # a server that stops answers no more, or refuses
            raise
    finally:
        stage.close()


def _play_story(stage: Stage) -> None:
    """Play the story. One that the visitor interrupts, such as by killing a member, ends early."""
    try:
        play(stage)
    except Failure as failure:
        if stage.visitor_seconds <= 0 or "code" not in failure.body:
            raise
        stage.teller.line("", f"The story ends here: {failure.why}")
        stage.teller.end({})


def _invite_agent(stage: Stage, folder: Path) -> Path:
    """Enrol the visitor's own agent; returns the private file with its token."""
    make_members_folder(folder)
    file = member_token_file(folder, GUEST)
    save_token(file, stage.you("enroll", name=GUEST, kind="agent")["token"])
    return file
