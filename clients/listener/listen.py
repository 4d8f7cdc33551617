"""`teamroom listen`: the one live listener of an agent. For the agent's wakes, its driver takes a turn.

While a turn is on, the listener sends heartbeats with a report of the run: when it began, and when its processes last
moved. The room judges from that whether the agent works.

The wakes are acknowledged once they are answered: the turn ended well and, with `--done call`, the agent called the
room meanwhile. A harness whose model cannot be reached often ends a turn well too, but it makes no call.
"""

import os
import signal
import time
from functools import partial
from typing import Any, Literal

import anyio
import anyio.abc
import anyio.to_thread

from teamroom.clients.listener.batch import Batch, what_woke
from teamroom.clients.listener.driver import Driver, TurnEnd, Woken
from teamroom.clients.listener.movement import Clock
from teamroom.clients.session.failure import INTERRUPTED, Failure, ungrouped
from teamroom.clients.session.lineage import mark
from teamroom.clients.session.listening import STALE_CURSOR, WAIT_SECONDS, ListeningRoom, new_listener
from teamroom.clients.session.place import Place, check_kind, check_member, member_token, naming_caller
from teamroom.clients.session.protocol import RUN_ENDED, WOKE
from teamroom.clients.session.signals import ending_signal
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import plain, say
from teamroom.clients.session.whereabouts import Whereabouts

BEAT_SECONDS = 10.0
"""How often the listener looks at the run and sends a heartbeat while a turn is on."""

CALL_SECONDS = 1.0
"""How often it is looked whether an agent called whose turn goes on elsewhere. A new wake shows it at once."""

PARENT_SECONDS = 1.0
"""How often the listener checks that the program that started it still runs."""

END_SECONDS, STOPPED_SECONDS = 10.0, 1.0
"""How long what the driver started may take to exit after SIGTERM; and if the member was stopped."""

TURN_SECONDS = 86_400.0
"""How long a turn may last if nothing else is said: a day."""

FAILED_SECONDS = (5.0, 300.0)
"""The first and the longest wait before a failed turn is taken again."""

WAITS = ("wakes", "tasks", "offers", "reviews", "probes", "reminders")
"""The fields of a check-in that an agent has to look at."""


Done = Literal["call", "exit"]
"""What answers a wake: a call of the member during the turn, or the end of the turn. Both need the exit code 0."""


def listen(
    place: Place,
    name: str,
    driver: Driver,
    parent: int | None,
    clock: Clock = time.monotonic,
    done: Done | None = None,
    stops_on_pause: bool = False,
    turn_seconds: float = TURN_SECONDS,
) -> int:
    """Listen for a member until a signal, a kill or a newer listener ends it; returns the exit code.

    The listener also ends with its `parent`, the id of the process that started it. `clock` stands still while the
    machine sleeps. `done` None: a call for agents, the exit for people. `stops_on_pause`: a pause ends what the
    driver started, and the turn is taken again after the resume. `turn_seconds`: a turn that lasts longer is ended with
    all its processes, and taken again like one that failed. Raises Failure.
    """
    with naming_caller(place, name):
        return anyio.run(Listener(place, name, driver, parent, clock, done, stops_on_pause, turn_seconds).run)


class Listener:
    """A listener and the driver that takes its turns."""

    def __init__(
        self,
        place: Place,
        name: str,
        driver: Driver,
        parent: int | None,
        clock: Clock,
        done: Done | None = None,
        stops_on_pause: bool = False,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._done, self._stops_on_pause, self._turn_seconds = done, stops_on_pause, turn_seconds
        self._place, self._name, self._clock = place, name, clock
        self._token = partial(member_token, place, name)
        where = Whereabouts(driver.program)
        self._room = ListeningRoom(lambda: place.endpoint, self._token, new_listener(), where=where, tell=self._tell)
        self._driver, self._parent = driver, parent
        self._paused = anyio.Event()
        self._heard = 0
        """The newest wake that came while a turn was on."""
        self._replied, self._is_superseded = anyio.Event(), False
        """Set with each reply to the wait that is open while a turn is on; and whether a newer listener was in one."""
        self._ended_by: signal.Signals | None = None
        self._tasks: anyio.abc.TaskGroup

    async def run(self) -> int:
        """Listen; returns the exit code."""
        with ungrouped():
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._until_signal)
                if self._parent is not None:
                    self._tasks.start_soon(self._until_parent_ends, self._parent)
                me = await self._room.me()
                check_member(self._name, me, "Listen")
                self._name = str(me["name"])
                check_kind(self._place, me)
                self._done = self._done or ("call" if me["kind"] == "agent" else "exit")
                who = f"@{plain(self._name)} at {self._place.endpoint}"
                say(f"teamroom: Listening for {who}. {self._driver.describes}")
                await self._drive()
                self._tasks.cancel_scope.cancel()
        return INTERRUPTED if self._ended_by is signal.SIGINT else 0

    async def _drive(self) -> None:
        """Listen with the driver at hand. It ends everything that it started, at once if the member was stopped."""
        seconds = END_SECONDS
        try:
            self._driver.begin(self._tasks, self._variables())
            await self._listen()
        except* Failure:
            seconds = STOPPED_SECONDS
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._driver.end(seconds)

    async def _listen(self) -> None:
        """Wait for wakes and have a turn taken for them, until a newer listener supersedes this one."""
        after = await self._begin()
        pause, longest = FAILED_SECONDS
        while after is not None:
            try:
                waited = await self._room.wait(after)
            except Failure as failure:
                if failure.body.get("code") not in STALE_CURSOR:
                    raise
                after = await self._begin()
                continue
            if waited["superseded"]:
                break
            if waited["wakes"] and not await self._run(waited["wakes"], waited["cursor"]):
                if not await self._rest(pause, waited["cursor"]):
                    break
                pause = min(2 * pause, longest)
                continue
            pause, after = FAILED_SECONDS[0], waited["cursor"]
        say(f"teamroom: A newer listener of @{plain(self._name)} superseded this one, which now exits.")

    async def _begin(self) -> int | None:
        """Take a turn for work that already waits, for example after a crash.

        Returns the cursor after it; None once a newer listener has superseded this one.
        """
        pause, longest = FAILED_SECONDS
        while True:
            found = await self._room.call("check_in", mode="live")
            cursor = int(found["cursor"])
            waits = found["challenge"] is not None or any(found[kind] for kind in WAITS)
            if not waits or await self._run(found["wakes"], cursor):
                return cursor
            if not await self._rest(pause, cursor):
                return None
            pause = min(2 * pause, longest)

    def _tell(self, event: str, words: str, /, **facts: Any) -> None:
        say(f"teamroom: {plain(words)}")
        if event == "paused":
            self._paused.set()
            if self._stops_on_pause:
                self._tasks.start_soon(self._driver.end, STOPPED_SECONDS)

    def _variables(self) -> dict[str, str]:
        """Return who the agent is, for what its driver starts."""
        return {"TEAMROOM_TOKEN": self._token(), "TEAMROOM_URL": self._place.endpoint, **mark(self._name)}

    # -------------------------------------------------------------- a turn

    async def _run(self, wakes: list[dict[str, Any]], cursor: int) -> bool:
        """Take a turn for some wakes; returns whether that answered them."""
        self._name = str((await self._room.me())["name"])  # it may have got another one since
        calls_before, began = self._room.calls, self._clock()
        self._paused = anyio.Event()
        ended = await self._turn(Batch(self._name, cursor, wakes, self._variables()), calls_before)
        took = span(self._clock() - began)
        if self._stops_on_pause and self._paused.is_set():
            say(
                f"teamroom: {self._driver.turn} was ended after {took} by the pause, and will run again for these "
                "wakes."
            )
            return False
        has_called = self._done == "exit" or await self._room.has_called(calls_before)
        self._room.say(RUN_ENDED, {"code": ended.code, "called": has_called})
        if ended.code != 0:
            say(f"teamroom: {ended.words} after {took}, and will run again for these wakes.")
            return False
        if not has_called:
            say(
                f"teamroom: {ended.words} after {took}. It ended without a call to the room, so it will run again for "
                "the same wakes. If its end is the answer, listen with --done exit."
            )
            return False
        say(f"teamroom: {ended.words} after {took}. Its wakes are answered.")
        return True

    async def _turn(self, batch: Batch, calls_before: str | None) -> TurnEnd:
        async with anyio.create_task_group() as tasks:

            def woken(words: str) -> None:
                say(f"teamroom: {what_woke(batch.wakes)}. {words}.")
                self._room.say(WOKE, batch.cursor)
                tasks.start_soon(self._beat)

            tasks.start_soon(self._hear_of_stop)
            ended = await self._take_turn(batch, woken)
            if ended.call_seconds and self._done == "call":
                await self._await_call(calls_before, ended.call_seconds)
            tasks.cancel_scope.cancel()
        return ended

    async def _take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Have the driver take a turn. One that lasts too long is ended with all that the driver started."""
        with anyio.move_on_after(self._turn_seconds):
            return await self._driver.take_turn(batch, woken)
        await self._driver.end(END_SECONDS)
        return TurnEnd(-signal.SIGTERM, f"{self._driver.turn} was ended at its limit of {span(self._turn_seconds)}")

    async def _await_call(self, calls_before: str | None, seconds: float) -> None:
        """Wait until the member calls the room, for a turn whose end the driver cannot see."""
        with anyio.move_on_after(seconds):
            while not self._room.was_called(calls_before) and not self._is_superseded:
                with anyio.move_on_after(CALL_SECONDS) as looking:
                    await self._replied.wait()
                if looking.cancelled_caught:
                    await self._room.beat(self._look)

    async def _rest(self, seconds: float, cursor: int) -> bool:
        """Listen before a turn is taken again for wakes up to a cursor. A newer wake ends the rest.

        Returns False once a newer listener has superseded this one.
        """
        await self._room.beat()  # no run is on
        if self._heard > cursor:
            return True
        end = anyio.current_time() + seconds
        while (left := end - anyio.current_time()) > 0:
            waited = await self._room.wait(None, min(left, WAIT_SECONDS))
            if waited["superseded"] or any(wake["seq"] > cursor for wake in waited["wakes"]):
                return not waited["superseded"]
        return True

    async def _beat(self) -> None:
        """Send heartbeats, the first one now: each reports the run."""
        while True:
            await self._room.beat(self._look)
            await anyio.sleep(BEAT_SECONDS)

    async def _look(self) -> dict[str, float]:
        """Look at the run that is on; returns what the room is told of it."""
        movement = self._driver.movement
        if movement is None:
            return {}
        await anyio.to_thread.run_sync(movement.look)
        return movement.report()

    async def _hear_of_stop(self) -> None:
        """Have a wait open while a turn is on: a kill ends it at once. What it brings comes again after the turn."""
        self._is_superseded = False
        while not self._is_superseded:
            waited = await self._room.wait(None)
            self._is_superseded = bool(waited["superseded"])
            self._heard = max([self._heard, *(wake["seq"] for wake in waited["wakes"])])
            self._replied.set()
            self._replied = anyio.Event()

    # -------------------------------------------------------------- its own end

    async def _until_signal(self) -> None:
        self._ended_by = await ending_signal()
        self._tasks.cancel_scope.cancel()

    async def _until_parent_ends(self, parent: int) -> None:
        while True:
            if os.getppid() != parent:
                break
            await anyio.sleep(PARENT_SECONDS)
        self._tasks.cancel_scope.cancel()
