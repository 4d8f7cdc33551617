"""What the model of each real harness is told: joined, mentioned, paused, room restarted, resumed, killed.

Each text is read from the requests that the harness sends to its model, not from the room.
"""

from pathlib import Path

import pytest

from tests.harness.harnesses import Agent, Harness, Seat
from tests.harness.install import lacking, pinned
from tests.harness.room import free_port, served_room
from tests.harness.told import SITUATIONS, head, put_on_page, rows, shown_as, write
from tests.harness.vendors import HARNESSES
from tests.harness.walking import TEXT, start_again, walk
from tests.support.generated import table
from tests.support.promises import promise

pytestmark = [promise("CTL2", "CTL3", "CTL6", "ID1"), pytest.mark.harness]


def unless_missing(harness: Harness) -> object:
    """A harness as a parameter; it is skipped with a reason where npm has it not for this machine."""
    missing = lacking(harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.command, marks=skip)


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in HARNESSES])
def test_the_model_of_each_harness_is_told_who_stopped_it_and_why_also_after_a_restart_of_the_room(
    tmp_path: Path, harness: Harness
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        enrolled = room.enroll("builder")
        agent = Agent("builder", harness, Seat(enrolled["token"], enrolled["url"], tmp_path / "home", folder))
        told = dict(zip(SITUATIONS, [*walk(served, agent), *start_again(agent)], strict=True))
        posted = [message["text"] for message in room.owner("read_messages")["messages"]]
    write(harness.name, pinned()[harness.command], told)
    put_on_page(table(head(), rows()))
    hidden = {name: text for name, text in told.items() if name != "started" and not shown_as(name, text)}
    assert hidden == {}, f"{harness.name} does not show its model the room's words"
    assert posted.count(TEXT) == 1, "only the call after the resume was carried out"
