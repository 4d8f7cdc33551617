"""The one registry of listeners: which long poll, stream or subscription is the live one of each agent (PRS5).

Every mechanism asks this registry before it passes on a wake. The newest listener wins: the one that began last if both
give a time in their names, else the one that called last. The older one is superseded, also across mechanisms.

The listener is also in the store, where another server sees it. Its fence rises when the listener changes, and repeated
polls write nothing. A listener whose fence is no longer the stored one is superseded too.
"""

import contextlib
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from teamroom.server.acts.presence.presence import WAKES_WAITING
from teamroom.server.acts.presence.trouble import report_competing_listeners
from teamroom.server.clock import Clock
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.runs import RunReport
from teamroom.server.rules.wakes import EndedRun
from teamroom.server.settings import Settings
from teamroom.server.store.engine import StorageError, Store
from teamroom.server.store.rows.listeners import ListenerRow
from teamroom.server.store.transaction import Writing
from teamroom.server.wake.newest import LISTENERS_KNOWN, PRESENT_SECONDS, Ages

TAKE_OVER_SECONDS = 60.0
"""The window in which take-overs are counted. A few are normal: a client that lost its connection calls again."""

ONLY_SERVER = "only"
"""The server's name in a room with one server. It stays the same across restarts."""

Mechanism = Literal["long poll", "stream", "subscription"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who listens, as far as the room can tell: the name that the listener gives, and its session.

    `session`: the connection of an older client, the same for all its calls; None for a client of the newest protocol.
    `session_id` stays the same if a session is continued. `run`: the run that it reports. `woke`: up to which number
    its wakes were handed to a harness that started. `ended`: how its last run ended.
    """

    name: str | None = None
    session: object | None = None
    run: RunReport | None = None
    woke: int | None = None
    ended: EndedRun | None = None

    @property
    def session_id(self) -> str | None:
        """The id of its session; None if it has none."""
        id_: str | None = getattr(self.session, "session_id", None)
        return id_


class Listening:
    """One call, stream or subscription that waits for a member's wakes."""

    __slots__ = ("_on_superseded", "caller", "live", "mechanism", "superseded")

    def __init__(self, caller: Caller, mechanism: Mechanism, on_superseded: Callable[[], None]) -> None:
        self.caller, self.mechanism = caller, mechanism
        self.live: Live | None = None
        """The listener that this belongs to; None for a person, who may listen in many places."""
        self.superseded = False
        self._on_superseded = on_superseded

    def supersede(self) -> None:
        """Mark it as superseded: a newer listener gets the wakes from now on."""
        if not self.superseded:
            self.superseded = True
            self._on_superseded()


@dataclass(slots=True)
class Live:
    """The live listener of an agent, and what it waits with now: at most one of each mechanism.

    `fence`: its stored fence; None until it is written. `replaced`: the names of the listeners that it and its
    predecessors superseded while they waited, newest last.
    """

    mechanism: Mechanism
    name: str | None
    session: object | None
    replaced: tuple[str, ...] = ()
    fence: int | None = None
    is_writing: bool = False
    waits: dict[Mechanism, Listening] = field(default_factory=dict)

    def is_same(self, mechanism: Mechanism, origin: Origin) -> bool:
        """Whether a call comes from this listener: by its name, its session, or because nothing else waits."""
        if self.name is not None and origin.name is not None:
            return self.name == origin.name
        if self.session is not None and self.session is origin.session:
            return True
        return not self.waits and (self.mechanism, self.name) == (mechanism, origin.name)

    def supersede(self) -> None:
        """Supersede everything that waits."""
        for listening in list(self.waits.values()):
            listening.supersede()


class Listeners:
    """The one live listener of each agent, on this server."""

    def __init__(
        self, door: Door, store: Store, clock: Clock, steady: Clock, settings: Settings, server: str = ONLY_SERVER
    ) -> None:
        self._door, self._store, self._steady, self._server = door, store, steady, server
        self._ages = Ages(clock, steady)
        self._live: dict[int, Live] = {}
        self._people: Counter[int] = Counter()
        self._left_at: dict[int, float] = {}
        self._take_overs = TakeOvers(settings)

    def listens(self, member: int) -> bool:
        """Whether a member's listener waits now, or was answered just now, so that it calls again soon."""
        live = self._live.get(member)
        if (live is not None and live.waits) or self._people.get(member):
            return True
        left_at = self._left_at.get(member)
        return left_at is not None and self._steady() - left_at < PRESENT_SECONDS

    def note_call(self, caller: Caller, name: str) -> None:
        """Note that a named listener is present although it does not wait, for example while its command runs."""
        self._ages.note_call(caller.member, name, self._waiting_name(caller.member))

    async def is_newest(self, caller: Caller, name: str) -> bool:
        """Whether a named listener is an agent's newest one, here and on other servers: only its reports count."""
        if caller.kind != "agent" or self._ages.is_older(caller.member, name, self._waiting_name(caller.member)):
            return False
        wanted = Stored("long poll", name, self._server, self._ages.began_at(caller.member, name))
        try:
            row = await self._store.look_up(lambda tx: tx.one(ListenerRow, "listener", member=caller.member))
        except StorageError:
            return False
        return row is None or not wanted.is_older(row)

    @contextlib.asynccontextmanager
    async def listening(
        self, caller: Caller, mechanism: Mechanism, origin: Origin, on_superseded: Callable[[], None]
    ) -> AsyncIterator[Listening]:
        """Listen as long as the block runs; see `join`."""
        mine, is_answered = await self.join(caller, mechanism, origin, on_superseded), False
        try:
            yield mine
            is_answered = True
        finally:
            self.leave(mine, is_answered)

    async def join(
        self, caller: Caller, mechanism: Mechanism, origin: Origin, on_superseded: Callable[[], None]
    ) -> Listening:
        """Listen as the newest listener of an agent, until `leave`; `on_superseded` runs once a newer one replaces it.

        A listener that began before a live one is superseded from the start. So is one that was superseded already,
        as long as the listener that replaced it waits.
        """
        mine = Listening(caller, mechanism, on_superseded)
        if caller.kind != "agent":
            self._people[caller.member] += 1
            return mine
        live = self._live.get(caller.member)
        if self._is_older(caller.member, origin.name, live):
            mine.supersede()
            return mine
        try:
            is_same = (
                live is not None and live.is_same(mechanism, origin) and await self._is_stored(caller.member, live)
            )
            if live is not None and is_same and self._is_current(live, caller.member):
                await self._continue(mine, live, origin)
            else:
                await self._take_over(mine, self._live.get(caller.member), origin)
        except BaseException:
            self.leave(mine)
            raise
        return mine

    def listening_members(self) -> set[int]:
        """The members that listen on this server now."""
        waiting = {member for member, live in self._live.items() if live.waits}
        return waiting | {member for member, count in self._people.items() if count}

    async def look_again(self, members: Iterable[int]) -> None:
        """Supersede the listeners of these members that a newer one on another server has replaced."""
        for member in members:
            live = self._live.get(member)
            if live is not None and live.waits and not await self._is_stored(member, live):
                self._end(member, live)

    def leave(self, mine: Listening, is_answered: bool = False) -> None:
        """Stop listening. `is_answered`: the call got its answer, so the listener calls again soon."""
        live = mine.live
        if mine.caller.kind != "agent":
            self._people[mine.caller.member] -= 1
            return
        if live is None or live.waits.get(mine.mechanism) is not mine:
            return
        if is_answered:
            self._left_at[mine.caller.member] = self._steady()
        else:
            self._left_at.pop(mine.caller.member, None)
        del live.waits[mine.mechanism]
        if not live.waits:
            live.session, live.replaced = None, ()
            if self._live.get(mine.caller.member) is live:
                self._ages.note_end(mine.caller.member, live.name, is_answered)

    async def is_live(self, mine: Listening) -> bool:
        """Whether a listener may get wakes: no newer one has replaced it, here or on another server."""
        live, member = mine.live, mine.caller.member
        if mine.superseded or live is None or await self._is_stored(member, live):
            return not mine.superseded
        self._end(member, live)
        if self._take_overs.is_alarming(member, self._steady()):
            with contextlib.suppress(Refusal):
                await self._door.act_for(
                    mine.caller, WAKES_WAITING, lambda tx: report_competing_listeners(tx, mine.caller)
                )
        return False

    def _is_current(self, live: Live, member: int) -> bool:
        return self._live.get(member) is live

    async def _is_stored(self, member: int, live: Live) -> bool:
        """Whether a listener's fence is the stored one. True if it was never stored, or cannot be read."""
        if live.fence is None:
            return True
        try:
            return await self._store.look_up(lambda tx: tx.value(int, "listener_fence", member=member)) == live.fence
        except StorageError:
            return True

    def _is_older(self, member: int, name: str | None, live: Live | None) -> bool:
        if name is None:
            return False
        if live is not None and live.waits and live.name != name and name in live.replaced:
            return True
        return not self._ages.note_call(member, name, self._waiting_name(member))

    def _waiting_name(self, member: int) -> str | None:
        live = self._live.get(member)
        return live.name if live is not None and live.waits else None

    async def _continue(self, mine: Listening, live: Live, origin: Origin) -> None:
        """Add a call of the live listener. Its earlier call of the same mechanism ends: that connection was lost."""
        earlier = live.waits.get(mine.mechanism)
        mine.live, live.waits[mine.mechanism] = live, mine
        live.name, live.session = live.name or origin.name, live.session or origin.session
        if earlier is not None:
            earlier.supersede()
        if live.fence is None and not live.is_writing:
            await self._write_down(mine, live)

    async def _take_over(self, mine: Listening, older: Live | None, origin: Origin) -> None:
        live, was_waiting = Live(mine.mechanism, origin.name, origin.session), older is not None and bool(older.waits)
        mine.live, live.waits[mine.mechanism] = live, mine
        self._live[mine.caller.member] = live
        is_alarming = False
        if older is not None and was_waiting:
            names = (*older.replaced, older.name) if older.name is not None else older.replaced
            live.replaced = tuple(name for name in names if name != live.name)[-LISTENERS_KNOWN:]
            older.supersede()
            is_alarming = self._take_overs.is_alarming(mine.caller.member, self._steady())
        await self._write_down(mine, live, is_change=was_waiting, is_alarming=is_alarming)

    async def _write_down(
        self, mine: Listening, live: Live, is_change: bool = False, is_alarming: bool = False
    ) -> None:
        """Store the live listener, unless it is stored already. If nothing can be written, listening continues (SAF4).

        The caller's standing is read in the same transaction: after a pause or a kill, nothing is stored (CTL1).

        `is_change`: another listener of this server waited until now, so an equal stored row is that of the other one.
        """
        caller = mine.caller
        wanted = Stored(live.mechanism, live.name, self._server, self._ages.began_at(caller.member, live.name))

        def take(tx: Writing) -> int | None:
            if is_alarming:
                report_competing_listeners(tx, caller)
            return wanted.take(tx, caller.member)

        live.is_writing = True
        try:
            stored = await self._store.look_up(lambda tx: tx.one(ListenerRow, "listener", member=caller.member))
            if self._live.get(caller.member) is not live:
                return  # it was superseded meanwhile
            if stored is not None and not is_change and wanted.is_same(stored):
                live.fence = stored.fence
            elif (fence := await self._door.act_for(caller, WAKES_WAITING, take)) is not None:
                live.fence = fence
            else:
                self._end(caller.member, live)
        except (Refusal, StorageError):
            pass
        finally:
            live.is_writing = False

    def _end(self, member: int, live: Live) -> None:
        """Supersede a listener that one on another server has replaced."""
        live.supersede()
        if self._live.get(member) is live:
            del self._live[member]


@dataclass(frozen=True, slots=True)
class Stored:
    """A listener as the store knows it, for every server of the room."""

    mechanism: Mechanism
    name: str | None
    server: str
    began_at: float

    def is_same(self, row: ListenerRow) -> bool:
        """Whether a stored row is that of this listener. A name identifies it on every server."""
        if self.name is not None:
            return bool(row.listener == self.name)
        return (row.mechanism, row.listener, row.server) == (self.mechanism, None, self.server)

    def take(self, tx: Writing, member: int) -> int | None:
        """Replace the stored listener; returns the new fence, or None if that one began later on another server."""
        row = tx.one(ListenerRow, "listener", member=member)
        if row is not None and self.is_older(row):
            return None
        tx.run(
            "take_listener",
            member=member,
            mechanism=self.mechanism,
            listener=self.name,
            server=self.server,
            began_at=self.began_at,
        )
        tx.effects.listening.add(member)
        return tx.number("listener_fence", member=member)

    def is_older(self, row: ListenerRow) -> bool:
        """Whether it began before a listener of another server. Each server itself decides about its own listeners."""
        if row.server == self.server or self.name is None or row.listener is None:
            return False
        return bool((self.began_at, self.name) < (row.began_at, row.listener))


class TakeOvers:
    """How often each member's listeners recently superseded one another."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest: dict[int, deque[float]] = {}
        self._alarmed: dict[int, float] = {}

    def is_alarming(self, member: int, now: float) -> bool:
        """Note a take-over; returns whether there are too many, and no alarm was raised recently."""
        newest = self._newest.setdefault(member, deque(maxlen=self._settings.take_overs + 1))
        newest.append(now)
        if len(newest) <= self._settings.take_overs or now - newest[0] > TAKE_OVER_SECONDS:
            return False
        if now - self._alarmed.get(member, -math.inf) < self._settings.take_over_alarm_seconds:
            return False
        self._alarmed[member] = now
        return True
