"""The room that the tests of the wire share: each test leaves it serving, with no error and nothing open."""

from collections.abc import Iterator

import pytest

from tests.support.raw import RoomInThread, is_within, room_in_thread
from tests.support.wire import exchange, sent


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("wire") / "room", body_seconds=1) as room:
        room.enroll("bot", "rival", "ghost")
        room.legacy("bot").close()  # the first stream of events starts a task that stays
        yield room


@pytest.fixture
def room(served: RoomInThread) -> Iterator[RoomInThread]:
    """The room of this file; after each test it serves, has logged no error, and nothing is left open."""
    before = served.open_now()
    yield served
    assert exchange(served, sent(served)).json["result"]["structuredContent"]["members"]
    assert served.log.lines == []
    assert is_within(served.until_open(before), before)
