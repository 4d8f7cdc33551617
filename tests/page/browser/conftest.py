"""One browser for all tests of this folder, and a room that answers while a test blocks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browsers import NO_BROWSER, find_browser, launched
from tests.support.room_in_thread import RoomInThread, room_in_thread


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser; without one, the test is skipped."""
    path = find_browser()
    if path is None:
        pytest.skip(NO_BROWSER)
    with launched(path) as found:
        yield found


@pytest.fixture
def threaded(tmp_path: Path) -> Iterator[RoomInThread]:
    """A running room in a thread."""
    with room_in_thread(tmp_path / "room") as running:
        yield running
