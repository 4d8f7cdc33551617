"""Replies that are the same for every caller: computed once for each change of the room, and for a second at most.

Only the reply is kept. Each read asks the store, in its own snapshot, whether the caller may have it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from teamroom.server.acts.act import AnyRead
from teamroom.server.store.engine import CountsChanges, Transactions
from teamroom.server.store.transaction import Reading

KEPT_SECONDS = 1.0
"""How long a reply is kept if nothing changes. Its times and what expires by itself are late by as much."""

KEPT_REPLIES = 64

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reply with what it depends on besides the database: the moment, and who listened."""

    reply: Any
    now: float
    ahead: float
    watched_from: float
    present: Mapping[tuple[str, int], bool]

    def holds(self, tx: Reading) -> bool:
        """Whether a read would find the same now."""
        is_recent = 0 <= tx.now - self.now < KEPT_SECONDS
        is_same_time = self.ahead == tx.ahead and self.watched_from == tx.watched_from
        return is_recent and is_same_time and all(tx.is_present(*about) == was for about, was in self.present.items())


class KeptReplies:
    """The replies of one event loop. Threads of readers share it."""

    def __init__(self, store: Transactions) -> None:
        self._store = store if isinstance(store, CountsChanges) else None
        self._replies: tuple[int, OrderedDict[Key, _Kept]] = -1, OrderedDict()
        """The replies, and to which number of changes they belong: one value, as threads replace it."""

    def key_of(self, read: AnyRead, arguments: BaseModel) -> Key | None:
        """What a reply to a call is kept under; None if replies to it are not kept."""
        if not read.is_shared or self._store is None:
            return None
        return read.run.__qualname__, arguments.model_dump_json()

    @property
    def changes(self) -> int:
        """How often the room has changed. A reply belongs to the number from before its snapshot was opened."""
        return -1 if self._store is None else self._store.changes

    def find(self, key: Key | None) -> _Kept | None:
        """What is kept under a key, unless the room has changed since."""
        changes, replies = self._replies
        if key is None or self.changes != changes:
            return None
        return replies.get(key)

    def keep(self, key: Key | None, changes: int, tx: Reading, reply: Any) -> None:
        """Keep a reply that a snapshot gave. `changes`: their number before the snapshot was opened."""
        known, replies = self._replies
        if key is None or changes < known:
            return
        if changes != known:
            replies = OrderedDict()
            self._replies = changes, replies
        replies[key] = _Kept(reply, tx.now, tx.ahead, tx.watched_from, dict(tx.present))
        if len(replies) > KEPT_REPLIES:
            replies.popitem(last=False)
