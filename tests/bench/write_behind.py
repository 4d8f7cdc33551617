"""A server that answers before it commits, to be killed: python -m tests.bench.write_behind FOLDER PORT.

It is the twin of the room's own writer: each act is answered as soon as it has run, and its batch is committed
20 ms later, as a store does that writes behind.
"""

import asyncio
import sys
import time
from contextlib import closing
from pathlib import Path

from teamroom.server.app import Room, listen, serve
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.sqlite.writer import Job, Writer
from teamroom.server.store.transaction import Head

BEHIND_SECONDS = 0.02


class WriteBehind(Writer):
    """Answers first, commits later."""

    def _run_act(self, job: Job, head: Head) -> None:
        super()._run_act(job, head)
        self._answer([job])

    def _commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        time.sleep(BEHIND_SECONDS)
        super()._commit(batch, opened, head)


async def main(folder: Path, port: int) -> None:
    """Serve the room in a folder until the process ends."""
    data_folder.make_private(folder)
    listener, settings = listen(Settings(port=port))
    room = Room(folder, settings)
    room.store._writer.__class__ = WriteBehind
    with closing(listener), data_folder.locked(folder, settings.url):
        await room.open("olga")
        await serve(room, listener, lambda: None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
