"""What the shell reads from the room: pages put together, within bounds, and the stream followed."""

from collections.abc import Callable
from typing import Any

import anyio

from teamroom.clients.session.failure import UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.room import Room, connected, run
from teamroom.clients.session.terminal import say

PAGES = 20
"""How many pages of a listing the shell puts together; what follows is said to be there."""

FOLLOW_SECONDS = 1.0
"""The pace at which a followed stream is read again."""

FOLDED_SECONDS = 60.0
"""How long folded notes at the end of a followed stream wait for more, to share a line with them."""


def board(
    place: Place, task: str | None, state: str | None, query: str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The board, or a task, and the presence of each holder by name. Raises Failure."""

    async def work() -> tuple[dict[str, Any], dict[str, str]]:
        async with connected(place) as room:
            if task is not None:
                reply = await room.call("read_board", task=task)
                holders = {reply["task"]["holder"]} - {None}
            else:
                reply = await _pages(room, "read_board", "tasks", state=state, query=query)
                holders = {line["holder"] for line in reply["tasks"]} - {None}
            return reply, await _presence(room) if holders else {}

    return run(work)


async def _presence(room: Room) -> dict[str, str]:
    members = (await _pages(room, "who", "members"))["members"]
    return {member["name"]: member["presence"] for member in members}


def roster(place: Place, name: str | None, capability: str | None) -> dict[str, Any]:
    """The roster, or one member, or who has a capability. Raises Failure."""

    async def work() -> dict[str, Any]:
        async with connected(place) as room:
            return await _pages(room, "who", "members", name=name, capability=capability)

    return run(work)


async def _pages(room: Room, tool: str, items: str, **arguments: Any) -> dict[str, Any]:
    """The first pages of a listing as one."""
    whole = await room.call(tool, **arguments)
    for _ in range(PAGES - 1):
        if whole["next"] is None:
            break
        page = await room.call(tool, **arguments, after=whole["next"])
        whole[items] += page[items]
        whole["next"] = page["next"]
    return whole


def resource(place: Place, uri: str) -> dict[str, Any]:
    """One resource of the room. Raises Failure."""

    async def work() -> dict[str, Any]:
        async with connected(place) as room:
            return await room.read(uri)

    return run(work)


def stream(place: Place, after: int | None, limit: int) -> dict[str, Any]:
    """The newest entries of the stream, or those that follow a number. Raises Failure."""

    async def work() -> dict[str, Any]:
        async with connected(place) as room:
            return await _stream(room, after, limit)

    return run(work)


async def _stream(room: Room, after: int | None, limit: int) -> dict[str, Any]:
    if after is None:
        newest = await room.read("teamroom://stream")
        newest["entries"] = newest["entries"][-limit:]
        return newest
    entries: list[dict[str, Any]] = []
    cursor = after
    while len(entries) < limit:
        page = await room.read(f"teamroom://stream/{cursor}")
        if not page["entries"]:
            break
        entries += page["entries"]
        cursor = page["cursor"]
    entries = entries[:limit]
    return {"entries": entries, "cursor": entries[-1]["seq"] if entries else after}


def _settled(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries without folded notes at their end, which more may join."""
    return entries[:-1] if entries and entries[-1]["folded"] else entries


def _behind(shown: list[dict[str, Any]], page: dict[str, Any]) -> int:
    """Where to read on behind what was shown of a page."""
    if shown:
        return int(shown[-1]["seq"])
    return int(page["entries"][0]["previous"] if page["entries"] else page["cursor"])


def follow(place: Place, after: int | None, limit: int, show: Callable[[dict[str, Any]], None]) -> None:
    """Show the stream as it grows, across restarts of the room, until a signal ends it. Raises Failure."""

    async def work() -> None:
        cursor, away, waited = after, False, 0.0
        while True:
            try:
                async with connected(place) as room:
                    while True:
                        page = await _stream(room, cursor, limit)
                        entries = page["entries"] if waited >= FOLDED_SECONDS else _settled(page["entries"])
                        waited = waited + FOLLOW_SECONDS if len(entries) < len(page["entries"]) else 0.0
                        for entry in entries:
                            show(entry)
                        cursor, away = _behind(entries, page), False
                        await anyio.sleep(FOLLOW_SECONDS)
            except UnreachableError as failure:
                if cursor is None:
                    raise
                if not away:
                    say(f"teamroom: {failure.why} Going on once it does.")
                away = True
                await anyio.sleep(FOLLOW_SECONDS)

    run(work)
