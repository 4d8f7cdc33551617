"""What twins of a server have in common: a room served as `teamroom up` does it, with a fault built in."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from teamroom.server.app import ChooseEngine, Room, sqlite_engine
from teamroom.server.http.listening import listen
from teamroom.server.settings import load
from teamroom.server.store import folder as data_folder
from teamroom.server.web import serve


def run(build_in: Callable[[Room], None] = lambda room: None, choose_engine: ChooseEngine = sqlite_engine) -> None:
    """Serve the room in the folder and on the port of the command line until the process ends."""
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), build_in, choose_engine))


async def _serve(folder: Path, port: int, build_in: Callable[[Room], None], choose_engine: ChooseEngine) -> None:
    data_folder.make_private(folder)
    listener, settings = listen(load().model_copy(update={"port": port}))
    room = Room(folder, settings, choose_engine=choose_engine)
    build_in(room)
    with closing(listener), data_folder.locked(folder, settings.url):
        await room.open("olga")
        await serve(room, listener, lambda: None)
