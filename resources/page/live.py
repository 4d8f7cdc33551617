"""The stream of changes that open pages follow: which parts changed, and those that all readers share in full."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache

from teamroom.resources.page.parts import OTHER_CHANGES, PARTS, Part
from teamroom.server.acts.presence.me import LISTEN, Nothing
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.push import Push

RETRY_MILLISECONDS = 3000
"""After how long a browser opens the stream again that it lost."""

Bodies = Callable[[Part, Caller], Awaitable[bytes]]
"""The HTML of a part that is shared, as it is now."""


class Live:
    """Follows what the page shows, for each browser."""

    def __init__(self, door: Door, push: Push, bus: Bus) -> None:
        self._door, self._push, self._bus = door, push, bus

    async def stream(self, caller: Caller, bodies: Bodies | None) -> AsyncIterator[bytes]:
        """The stream of one browser, from now on. Each frame is authorised. Raises Refusal before the first one.

        Without `bodies`, it holds no part, and names everything that changed.
        """
        await self._door.read(caller, LISTEN, Nothing())
        return self._frames(caller, bodies)

    async def _frames(self, caller: Caller, bodies: Bodies | None) -> AsyncIterator[bytes]:
        follower = self._push.join(caller.member)
        followed = {part.name: part.topics_for(caller) for part in PARTS.values()}
        followed |= OTHER_CHANGES if bodies is None else {}
        try:
            self._push.follow(follower, {topic for topics in followed.values() for topic in topics})
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            with self._bus.running(caller.member):
                while not self._push.is_stopping:
                    due = await self._push.due(follower)
                    changed = [name for name, topics in followed.items() if not topics.isdisjoint(due)]
                    named = [name for name in changed if bodies is None or PARTS[name].is_own]
                    shared = {} if bodies is None else await _rendered(bodies, changed, caller)
                    await self._door.check(caller, LISTEN)
                    yield _frame(named, shared)
        except Refusal:
            return  # paused, killed or revoked: the browser asks again, and is told
        finally:
            self._push.leave(follower)


async def _rendered(bodies: Bodies, changed: list[str], caller: Caller) -> dict[str, bytes]:
    """The parts that readers share, as they are now."""
    parts = [PARTS[name] for name in changed if not PARTS[name].is_own]
    return {part.name: await bodies(part, caller) for part in parts}


def _frame(own: list[str], shared: dict[str, bytes]) -> bytes:
    """One event: the names of the parts to fetch, and the parts that are in it. Without any, a sign of life."""
    parts = ", ".join(f"{json.dumps(name)}: {_as_json(body)}" for name, body in shared.items())
    return f'data: {{"own": {json.dumps(own)}, "shared": {{{parts}}}}}\n\n'.encode()


@lru_cache(maxsize=len(PARTS))
def _as_json(body: bytes) -> str:
    """The HTML of a part as JSON text, which every open page gets."""
    return json.dumps(body.decode())
