"""`teamroom listen` with a clock that a file shifts: `python -m tests.support.shifted_listen FILE NAME COMMAND…`.

It beats every fifth of a second, and measures CPU as often, so that no test waits for a beat.
"""

import os
import sys
import time
from pathlib import Path

from teamroom.clients.listener import listen as listener
from teamroom.clients.listener import movement
from teamroom.clients.listener.command import Command
from teamroom.clients.session.place import Place

BEAT_SECONDS = 0.2


def main() -> None:
    """Listen until a signal ends it."""
    file, name, *command = sys.argv[1:]
    shift = Path(file)
    listener.BEAT_SECONDS = movement.CPU_SECONDS = BEAT_SECONDS
    place = Place(url=os.environ["TEAMROOM_URL"], environment=dict(os.environ))

    def clock() -> float:
        return time.monotonic() + float(shift.read_text())

    sys.exit(listener.listen(place, name, Command(command, clock), None, clock))


if __name__ == "__main__":
    main()
