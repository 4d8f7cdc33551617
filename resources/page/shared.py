"""Parts of the page that look the same to many readers: rendered once for each change, however many pages are open."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

JOIN_SECONDS = 0.8
"""How long changes are joined: a part is rendered for open pages at most once in that time."""

STALE_SECONDS = 10.0
"""After which time a part is rendered again although nothing changed: presence and ages change with time alone."""

KEPT = 64
"""The most renders that are kept; of more, the one that was used longest ago is dropped."""

Key = tuple[str, ...]
"""A part's name, and what else decides how it looks."""


@dataclass(eq=False)
class Rendered:
    """A part as it was rendered last, and the number of the change that it shows."""

    body: bytes = b""
    change: int = -1
    at: float = -STALE_SECONDS
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shared:
    """The newest render of each part."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._changes: dict[str, int] = {}
        self._kept: OrderedDict[Key, Rendered] = OrderedDict()
        self.renders = 0

    @property
    def kept(self) -> int:
        """How many renders are kept."""
        return len(self._kept)

    def changed(self, parts: Iterable[str]) -> None:
        """Note that parts changed."""
        for part in parts:
            self._changes[part] = self._changes.get(part, 0) + 1

    async def get(self, key: Key, render: Callable[[], Awaitable[bytes]], *, joined: bool) -> bytes:
        """The part with every change noted so far. `joined`: wait until the last render is `JOIN_SECONDS` old.

        So all who ask meanwhile share the next render, although changes go on: who asked gets what was there then.
        """
        kept = self._kept.setdefault(key, Rendered())
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        wanted = self._changes.get(key[0], 0)
        while True:  # ends with the first render that begins after the call
            if joined and self._is_old(kept, wanted):  # outside the lock: who opens a page does not wait for this
                await asyncio.sleep(max(0.0, self._rest(kept)))
            async with kept.lock:
                if not self._is_old(kept, wanted):
                    return kept.body
                if not joined or self._rest(kept) <= 0:
                    return await self._rendered(kept, key, render)

    async def _rendered(self, kept: Rendered, key: Key, render: Callable[[], Awaitable[bytes]]) -> bytes:
        change = self._changes.get(key[0], 0)
        kept.body = await render()
        kept.change, kept.at = change, self._steady()
        self.renders += 1
        return kept.body

    def _rest(self, kept: Rendered) -> float:
        """For how long changes join the last render."""
        return kept.at + JOIN_SECONDS - self._steady()

    def _is_old(self, kept: Rendered, wanted: int) -> bool:
        return kept.change < wanted or self._steady() - kept.at >= STALE_SECONDS
