"""The pictures of the page in `docs/pictures`, taken in the room of the demo's story.

`python -m tests.support.screenshots` takes them anew. It needs the browser of the tests.
"""

import sys
import tempfile
from pathlib import Path

from teamroom.clients.local.demo.clock import STORY_SECONDS
from tests.support.browsers import NO_BROWSER, PHONE, call, find_browser, launched, person
from tests.support.demo import play_demo
from tests.support.repository import ROOT
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.rooms import Time

FOLDER = ROOT / "docs" / "pictures"

MOST_BYTES = 150_000
"""The most that a picture may weigh."""

SCREEN = (1100, 680)
"""A small desk: more pixels would weigh more, and a page of documents shows no more of them."""

QUESTION = "Deploy the login limiter to staging before the release?"


def shots(room: RoomInThread) -> dict[str, tuple[str, tuple[int, int]]]:
    """The pictures by name: the path that each shows, and its size."""
    asked = call(room, "builder", "request_decision", question=QUESTION, options=["deploy", "wait until Monday"])
    return {
        "page-home": ("/", SCREEN),
        "page-phone": ("/", PHONE),
        "page-task": ("/tasks/T-2", SCREEN),
        "page-decision": (f"/decisions/{asked['decision']}", SCREEN),
        "page-overnight": ("/overnight", SCREEN),
    }


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
        room.running.tokens["builder"] = call(room, "olga", "enroll", name="builder", rotate=True)["token"]
        for name, (address, size) in shots(room).items():
            with person(browser, room, size=size) as olga:
                file = FOLDER / f"{name}.png"
                olga.go(address).screenshot(path=file)
                print(f"{file.relative_to(ROOT)} {file.stat().st_size} bytes")
                assert file.stat().st_size <= MOST_BYTES, file.stat().st_size


if __name__ == "__main__":
    main()
