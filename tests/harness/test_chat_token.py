"""A person talks to the room through Claude Code with a chat token; the binary is real, and its model is a script.

Run without a terminal, Claude Code says that it can show a question, and dismisses it. So each dangerous act is
refused, with the page on which the person can do it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.harnesses import Agent, Seat
from tests.harness.install import lacking
from tests.harness.room import OWNER, RoomOfProcesses, room_of_processes
from tests.harness.script import use
from tests.harness.vendors import CLAUDE_CODE
from tests.support.promises import promise

LACKING = lacking("claude")

pytestmark = [
    promise("CTL7"),
    pytest.mark.harness,
    pytest.mark.skipif(bool(LACKING), reason=f"make test-harnesses installs it: {'; '.join(LACKING)}"),
]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[RoomOfProcesses]:
    with room_of_processes(tmp_path / "room") as running:
        yield running


@pytest.fixture
def person(room: RoomOfProcesses, tmp_path: Path) -> Agent:
    """The room's owner, in Claude Code with a token for a chat client."""
    enrolled = room.owner("enroll", name=OWNER, chat=True)
    work = tmp_path / "work"
    work.mkdir()
    return Agent(OWNER, CLAUDE_CODE, Seat(enrolled["token"], enrolled["url"], tmp_path / "home", work))


def test_a_person_catches_up_posts_and_pauses_and_is_sent_to_the_page_for_the_rest(
    room: RoomOfProcesses, person: Agent
) -> None:
    room.enroll("builder")
    room.owner("create_task", title="Rotate the keys", assign="builder")
    room.owner("request_decision", question="Deploy on a Friday?", to=[OWNER])

    seen = person.work(
        use("check_in"),
        use("read_board"),
        use("post_message", text="@builder which branch is it on?"),
        use("pause", target="builder", reason="looking into it"),
        use("resume", target="builder", reason="go on"),
        use("decide", decision="D-1", option="no"),
        use("kill", target="builder", reason="it went wrong"),
    )

    caught_up, board, posted, paused, resumed, decided, killed = seen
    assert "D-1" in caught_up
    assert "Rotate the keys" in board
    assert "M-1" in posted
    assert "paused" in paused
    for refused, path in ((resumed, "/members/builder"), (decided, "/decisions/D-1"), (killed, "/members/builder")):
        assert "nobody confirmed" in refused
        assert f"on the page: {room.url}{path}" in refused
    assert room.owner("who", name="builder")["members"][0]["standing"] == "paused"
