"""Replies that are the same for every caller: computed once for each change of the room, and for a second at most.

Only the reply is kept. Each read asks the store, in its own snapshot, whether the caller may have it, and which version
of the room the snapshot sees.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

from teamroom.server.acts.act import AnyRead
from teamroom.server.clock import Clock
from teamroom.server.door.admission import require_permitted
from teamroom.server.door.principal import is_stale
from teamroom.server.door.together import Answers, Together, Work
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import StorageError, Transactions
from teamroom.server.store.transaction import Reading

KEPT_SECONDS = 1.0
"""How long a reply is kept if nothing changes. Its times and what expires by itself are late by as much."""

KEPT_REPLIES = 64

ASKED_AT_ONCE = 32
"""For how many calls one snapshot is asked at most whether they may have a kept reply."""

Key = tuple[str, str]


class Asked(NamedTuple):
    """A call that may get a kept reply."""

    caller: Caller
    key: Key


class Answer(NamedTuple):
    """A reply that a call gets, and whether its member's presence is due to be written."""

    reply: Any
    is_due: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reply with the read that gave it, and what it depends on: the version, the moment, and who listened."""

    reply: Any
    read: AnyRead
    version: Hashable
    now: float
    ahead: float
    watched_from: float
    present: Mapping[tuple[str, int], bool]

    def holds(self, tx: Reading) -> bool:
        """Whether a read would find the same now."""
        is_recent = self.is_recent(tx.now)
        is_same_time = self.ahead == tx.ahead and self.watched_from == tx.watched_from
        return (
            self.version == tx.version
            and is_recent
            and is_same_time
            and all(tx.is_present(*about) == was for about, was in self.present.items())
        )

    def is_recent(self, now: float) -> bool:
        """Whether it is no older than a reply may be."""
        return 0 <= now - self.now < KEPT_SECONDS


class KeptReplies:
    """The replies of one event loop. Threads of readers share it."""

    def __init__(self, store: Transactions, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._replies: OrderedDict[Key, _Kept] = OrderedDict()
        self._together: Together[Asked, Answer | None] = Together(self._read, self._answers, ASKED_AT_ONCE)

    def key_of(self, read: AnyRead, arguments: BaseModel) -> Key | None:
        """What a reply to a call is kept under; None if replies to it are not kept."""
        return (read.name, arguments.model_dump_json()) if read.is_shared else None

    def is_kept(self, key: Key | None) -> bool:
        """Whether a reply is kept under a key that a snapshot taken now would find to hold, as far as is known now."""
        kept = None if key is None else self._replies.get(key)
        return kept is not None and kept.version == self._store.version

    async def ask(self, caller: Caller, key: Key | None) -> Answer | None:
        """The reply under a key that a read of a caller would give; None if it must be read, or refused.

        Only where an engine knows the version of a snapshot once it has begun: calls that wait share one then.
        """
        kept = None if key is None else self._replies.get(key)
        if key is None or kept is None or self._store.version is not None or not kept.is_recent(self._clock()):
            return None
        try:
            return await self._together.ask(Asked(caller, key))
        except StorageError:
            return None

    async def _read(
        self, work: Work[Asked, Answer | None], begins: Callable[[], object]
    ) -> Answers[Asked, Answer | None]:
        return await self._store.read(work, is_small=True, begins=begins)

    def _answers(self, tx: Reading, asked: list[Asked]) -> dict[Asked, Answer | None]:
        return {one: self._answer(tx, one) for one in asked}

    def _answer(self, tx: Reading, asked: Asked) -> Answer | None:
        kept = self._replies.get(asked.key)
        if kept is None or not kept.holds(tx):
            return None
        try:
            row = require_permitted(tx, asked.caller, kept.read.roles, kept.read.while_paused)
        except Refusal:
            return None
        return Answer(kept.reply, is_stale(tx, row))

    def find(self, key: Key | None, tx: Reading) -> Any:
        """The reply under a key that a read would give now; None if there is none."""
        kept = None if key is None else self._replies.get(key)
        return kept.reply if kept is not None and kept.holds(tx) else None

    def keep(self, key: Key | None, read: AnyRead, tx: Reading, reply: Any) -> None:
        """Keep a reply that a snapshot gave, if its version is known."""
        if key is None or tx.version is None:
            return
        self._replies.pop(key, None)  # the newest is the last
        self._replies[key] = _Kept(reply, read, tx.version, tx.now, tx.ahead, tx.watched_from, dict(tx.present))
        if len(self._replies) > KEPT_REPLIES:
            self._replies.popitem(last=False)
