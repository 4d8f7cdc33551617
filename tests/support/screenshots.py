"""The pictures of the page in `docs/pictures`, taken in the room of the demo's story.

`python -m tests.support.screenshots` takes them anew. It needs the browser of the tests.
"""

import sys
import tempfile
from pathlib import Path

from teamroom.clients.local.demo.clock import STORY_SECONDS
from tests.support.browsers import NO_BROWSER, PHONE, find_browser, launched, person
from tests.support.demo import play_demo
from tests.support.repository import ROOT
from tests.support.room_in_thread import room_in_thread
from tests.support.rooms import Time

FOLDER = ROOT / "docs" / "pictures"

MOST_BYTES = 160_000
"""The most that a picture may weigh."""

SCREEN = (1280, 720)

PIXELS = 0.8
"""Pixels of a picture for each of the desk's screen, so that it weighs little."""

TASK, DECISION = "T-2", "D-1"
"""What the story shows best: a task that was handed over and reviewed, and a question that is open at its end."""


SHOTS = {
    "page-home": ("/", SCREEN),
    "page-phone": ("/", PHONE),
    "page-task": (f"/tasks/{TASK}", SCREEN),
    "page-decision": (f"/decisions/{DECISION}", SCREEN),
    "page-overnight": ("/overnight", SCREEN),
}
"""The pictures by name: the path that each shows, and its size."""


def main() -> None:
    """Take the pictures."""
    path = find_browser()
    if path is None:
        sys.exit(NO_BROWSER)
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        room_in_thread(Path(folder) / "room", time=Time(offset=-STORY_SECONDS)) as room,
        launched(path) as browser,
    ):
        desk = Path(folder) / "desk"
        desk.mkdir()
        room.run(play_demo, room.running, desk)
        for name, (address, size) in SHOTS.items():
            with person(browser, room, size=size, device_scale_factor=PIXELS if size == SCREEN else 1) as olga:
                file = FOLDER / f"{name}.png"
                olga.go(address).screenshot(path=file)
                print(f"{file.relative_to(ROOT)} {file.stat().st_size} bytes")
                assert file.stat().st_size <= MOST_BYTES, file.stat().st_size


if __name__ == "__main__":
    main()
