"""A restored room knows nothing of what passed since the backup, so nothing passes by an earlier decision."""

from collections.abc import Iterator
from typing import Any

import pytest

from teamroom.server.acts.approvals.approvals import PASS_CALL
from teamroom.server.acts.decisions.decisions import DECIDE
from teamroom.server.rules.local_calls import read_call
from tests.models.approvals import Approvals
from tests.models.world import clean_up, statement
from tests.support.promises import promise

pytestmark = promise("DEC4", "SAF5")

CALL = read_call({"tool_name": "Bash", "tool_input": {"command": "git push"}})


@pytest.fixture(scope="module", autouse=True)
def shared_rooms() -> Iterator[None]:
    with clean_up():
        yield


def passes_after_a_restore() -> tuple[Any, Any]:
    """What the same call is answered before and after a backup, made before the call passed, takes the room's place."""
    world = Approvals().world
    try:
        world.act("fast", PASS_CALL, call=CALL, harness="claude")
        world.act("olga", DECIDE, decision="D-1", option="allow")
        backup = world.back_up()
        before = world.act("fast", PASS_CALL, call=CALL, harness="claude")
        world.restore(backup)
        return before, world.act("fast", PASS_CALL, call=CALL, harness="claude")
    finally:
        world.close()


def test_a_restored_room_lets_no_call_pass_a_second_time() -> None:
    before, after = passes_after_a_restore()
    assert (before.why, before.decision) == ("", "D-1")
    assert "waits for D-2" in after.why


def test_a_room_that_forgets_its_epoch_would_be_found() -> None:
    """The twin: a decision of an earlier epoch counts."""
    with statement("approval_for", lambda sql: sql.replace("approval.epoch = :epoch", ":epoch > 0")):
        before, after = passes_after_a_restore()
    assert (before.why, after.why) == ("", ""), "it passed twice"
