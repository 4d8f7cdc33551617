"""`teamroom redact`: content taken away, of one thing or of everything old, in as many calls as it needs."""

import time
from typing import Any

import anyio
from rich.progress import Progress

from teamroom.clients.session.place import Place
from teamroom.clients.session.room import Room, connected
from teamroom.clients.session.terminal import console, plain, print_json

QUIET_SECONDS = 1.0
"""Work that takes longer than this shows how far it is."""


def redact(place: Place, what: str | None, older_than: float | None, reason: str, as_json: bool) -> None:
    """Take content away and say how much. Raises Failure; what was taken until then is taken."""
    done = anyio.run(_redact, place, what, older_than, reason)
    if as_json:
        print_json(done)
        return
    print(f"{done['entries']} entries lost their content; the log still verifies.")
    if done["entries"]:
        print(f"Backups made before still hold it: {plain(str(place.folder / 'backups'))}")


async def _redact(place: Place, what: str | None, older_than: float | None, reason: str) -> dict[str, Any]:
    async with connected(place) as room:
        if what is not None:
            reply = await room.call("redact", what=what, reason=reason)
            return {"entries": reply["entries"], "receipts": [reply["receipt"]] if reply["receipt"] else []}
        return await _redact_old(room, older_than, reason)


async def _redact_old(room: Room, older_than: float | None, reason: str) -> dict[str, Any]:
    entries, receipts, after, started = 0, [], 0, time.monotonic()
    end = (await room.read("teamroom://stream"))["cursor"]
    out = console(stderr=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("Taking away", total=end, visible=False)
        while True:
            reply = await room.call("redact", older_than_seconds=older_than, after=after, reason=reason)
            entries += reply["entries"]
            receipts += [reply["receipt"]] if reply["receipt"] else []
            if reply["after"] is None:
                return {"entries": entries, "receipts": receipts}
            after = reply["after"]
            bar.update(task, completed=after, visible=time.monotonic() - started > QUIET_SECONDS)
