"""What twins of a server have in common: a room served as `teamroom up` does it, with a fault built in."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from teamroom.server.app import Room, listen, serve
from teamroom.server.settings import load
from teamroom.server.store import folder as data_folder


def run(build_in: Callable[[Room], None]) -> None:
    """Serve the room in the folder and on the port of the command line until the process ends."""
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), build_in))


async def _serve(folder: Path, port: int, build_in: Callable[[Room], None]) -> None:
    data_folder.make_private(folder)
    listener, settings = listen(load().model_copy(update={"port": port}))
    room = Room(folder, settings)
    build_in(room)
    with closing(listener), data_folder.locked(folder, settings.url):
        await room.open("olga")
        await serve(room, listener, lambda: None)
