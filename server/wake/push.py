"""Who subscribed to which topics, and whose turn it is to get a push.

A push carries no data and may be lost: it is a hint to read again. Changes during a push or a rest are pushed once
afterwards. Listeners take turns, a few at a time with a pause between, so that a change with a thousand subscribers
does not delay other calls. Only this module knows all subscriptions.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Set
from itertools import islice

import anyio

from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings

TURNS_AT_ONCE = 2
"""The least number of listeners that get their turn in one slice."""

SLICES, PAUSE_SECONDS = 250, 0.002
"""A slice takes one in so many waiting listeners. In the pause after it, calls have the event loop to themselves."""

IDLE_SECONDS = 60.0
"""How often a listener without changes checks whether it may still listen, in seconds."""


class Follower:
    """A stream or session that gets a push when one of its topics changes."""

    __slots__ = ("member", "seen", "superseded", "topics", "turn")

    def __init__(self, member: int) -> None:
        self.member = member
        self.topics: set[str] = set()
        self.seen = 0
        self.superseded = False
        self.turn = anyio.Event()


class Push:
    """All listeners, by topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: set[Follower] = set()
        self._open_of: Counter[int] = Counter()
        self._following: dict[str, set[Follower]] = {}
        self._idle: dict[str, set[Follower]] = {}
        self._moment = 0
        self._changed_at: dict[str, int] = {}
        self._queue: dict[Follower, None] = {}
        self._giving_turns: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # -------------------------------------------------------------- who listens

    def join(self, member: int) -> Follower:
        """Add a listener of a member, until it leaves. Raises Refusal if there are too many."""
        if self.count >= self._settings.listeners:
            raise Refusal(
                "busy",
                f"The room already pushes to {self._settings.listeners} streams and sessions, its limit.",
                "Call wait_for_wake instead.",
                retry_after_seconds=30,
            )
        if self.is_full(member):
            raise Refusal(
                "rate_limited",
                f"You already have {self._settings.open_calls} open streams and sessions, your limit.",
                "End one of them, then listen again.",
                retry_after_seconds=1,
            )
        listener = Follower(member)
        listener.seen = self._moment
        self._open.add(listener)
        self._open_of[member] += 1
        return listener

    def leave(self, listener: Follower) -> None:
        """Remove a listener. A second call does nothing."""
        if listener not in self._open:
            return
        self._open.discard(listener)
        self._open_of[listener.member] -= 1
        if not self._open_of[listener.member]:
            del self._open_of[listener.member]
        self._queue.pop(listener, None)
        self.unfollow(listener, set(listener.topics))

    def is_full(self, member: int) -> bool:
        """Whether a member has as many listeners as it may have."""
        return self._open_of[member] >= self._settings.open_calls

    @property
    def count(self) -> int:
        """How many listeners there are."""
        return len(self._open)

    @property
    def is_empty(self) -> bool:
        """Whether no topic and no turn is kept, as after the last listener has left."""
        return not (self._following or self._idle or self._changed_at or self._queue)

    def followers(self, topic: str) -> Set[Follower]:
        """The listeners that follow a topic now."""
        return frozenset(self._following.get(topic, ()))

    def follow(self, listener: Follower, topics: Iterable[str]) -> None:
        """Push these topics to a listener too, from their next change on."""
        for topic in topics:
            listener.topics.add(topic)
            self._following.setdefault(topic, set()).add(listener)
            self._idle.setdefault(topic, set()).add(listener)

    def unfollow(self, listener: Follower, topics: Iterable[str]) -> None:
        """Stop pushing these topics to a listener."""
        for topic in topics:
            listener.topics.discard(topic)
            for index in (self._following, self._idle):
                if (followers := index.get(topic)) is not None:
                    followers.discard(listener)
                    if not followers:
                        del index[topic]
            if topic not in self._following:
                self._changed_at.pop(topic, None)

    def supersede(self, listener: Follower, topics: Iterable[str]) -> None:
        """Stop pushing topics that a newer listener gets instead; this one gets a last turn, to tell its client."""
        listener.superseded = True
        self.unfollow(listener, topics)
        listener.turn.set()

    # -------------------------------------------------------------- what changed

    def changed(self, topics: Iterable[str]) -> None:
        """Note topics that an act changed, and queue their idle listeners. Topics without listeners cost nothing."""
        for topic in topics:
            if topic in self._following:
                self._moment += 1
                self._changed_at[topic] = self._moment
                for listener in self._idle.pop(topic, ()):
                    self._queue[listener] = None
        if self._queue:
            self._give_turns()

    def all_changed(self) -> None:
        """Note that any topic may have changed: nobody knows what was missed."""
        self.changed(list(self._following))

    async def due(self, listener: Follower) -> set[str]:
        """Wait for a change and a turn; returns the topics that changed since the last turn.

        The set can be empty: after `IDLE_SECONDS`, or when the room stops.
        """
        listener.turn = anyio.Event()
        if self._due(listener):
            self._queue[listener] = None
            self._give_turns()
        else:
            for topic in listener.topics:
                self._idle.setdefault(topic, set()).add(listener)
        if not self.is_stopping:
            with anyio.move_on_after(IDLE_SECONDS):
                await listener.turn.wait()
        found, listener.seen = self._due(listener), self._moment
        return found

    async def rest(self) -> None:
        """Let changes gather before the next turn."""
        with anyio.move_on_after(self._settings.push_seconds):
            await self._stopping.wait()

    @property
    def is_stopping(self) -> bool:
        """Whether the room stops, and nothing is pushed any longer."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Give every listener its last turn, because the server stops."""
        self._stopping.set()
        for listener in self._open:
            listener.turn.set()

    def _due(self, listener: Follower) -> set[str]:
        return {topic for topic in listener.topics if self._changed_at.get(topic, 0) > listener.seen}

    def _give_turns(self) -> None:
        if self._giving_turns is None or self._giving_turns.done():
            self._giving_turns = asyncio.get_running_loop().create_task(self._take_turns())

    async def _take_turns(self) -> None:
        while self._queue:
            for listener in list(islice(self._queue, max(TURNS_AT_ONCE, len(self._queue) // SLICES))):
                del self._queue[listener]
                listener.turn.set()
            await asyncio.sleep(PAUSE_SECONDS)
