"""Replies that are the same for every caller: computed once for each change of the room, and for a second at most.

Only the reply is kept. Each read asks the store, in its own snapshot, whether the caller may have it, and which version
of the room the snapshot sees.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from teamroom.server.acts.act import AnyRead
from teamroom.server.store.transaction import Reading

KEPT_SECONDS = 1.0
"""How long a reply is kept if nothing changes. Its times and what expires by itself are late by as much."""

KEPT_REPLIES = 64

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reply with what it depends on: the version of the room, the moment, and who listened."""

    reply: Any
    version: Hashable
    now: float
    ahead: float
    watched_from: float
    present: Mapping[tuple[str, int], bool]

    def holds(self, tx: Reading) -> bool:
        """Whether a read would find the same now."""
        is_recent = 0 <= tx.now - self.now < KEPT_SECONDS
        is_same_time = self.ahead == tx.ahead and self.watched_from == tx.watched_from
        return (
            self.version == tx.version
            and is_recent
            and is_same_time
            and all(tx.is_present(*about) == was for about, was in self.present.items())
        )


class KeptReplies:
    """The replies of one event loop. Threads of readers share it."""

    def __init__(self) -> None:
        self._replies: OrderedDict[Key, _Kept] = OrderedDict()

    def key_of(self, read: AnyRead, arguments: BaseModel) -> Key | None:
        """What a reply to a call is kept under; None if replies to it are not kept."""
        return (read.run.__qualname__, arguments.model_dump_json()) if read.is_shared else None

    def is_kept(self, key: Key | None, version: Hashable) -> bool:
        """Whether a reply is kept under a key that a snapshot of this version may find to hold."""
        return key is not None and (kept := self._replies.get(key)) is not None and kept.version == version

    def find(self, key: Key | None, tx: Reading) -> Any:
        """The reply under a key that a read would give now; None if there is none."""
        kept = None if key is None else self._replies.get(key)
        return kept.reply if kept is not None and kept.holds(tx) else None

    def keep(self, key: Key | None, tx: Reading, reply: Any) -> None:
        """Keep a reply that a snapshot gave, if its version is known."""
        if key is None or tx.version is None:
            return
        self._replies.pop(key, None)  # the newest is the last
        self._replies[key] = _Kept(reply, tx.version, tx.now, tx.ahead, tx.watched_from, dict(tx.present))
        if len(self._replies) > KEPT_REPLIES:
            self._replies.popitem(last=False)
