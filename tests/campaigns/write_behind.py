"""A server that answers before it commits, to be killed: python -m tests.campaigns.write_behind FOLDER PORT.

It is the twin of the room's own writer: each act is answered as soon as it has run, and its batch is committed
20 ms later, as a store does that writes behind.
"""

import time

from teamroom.server.app import Room
from teamroom.server.store.sqlite.writer import Job, Writer
from teamroom.server.store.transaction import Head
from tests.campaigns.twin_server import run

BEHIND_SECONDS = 0.02


class WriteBehind(Writer):
    """Answers first, commits later."""

    def _run_act(self, job: Job, head: Head) -> None:
        super()._run_act(job, head)
        self._answer([job])

    def _commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        time.sleep(BEHIND_SECONDS)
        super()._commit(batch, opened, head)


def write_behind(room: Room) -> None:
    """Let the room's writer answer first."""
    room.store._writer.__class__ = WriteBehind


if __name__ == "__main__":
    run(write_behind)
