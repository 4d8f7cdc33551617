"""A join proves the wake of each real harness: with what join wrote alone, and by its own command."""

from pathlib import Path

import pytest

from tests.harness.harnesses import Harness
from tests.harness.install import lacking
from tests.harness.joiners import JOINERS
from tests.harness.proving import NAME, Desk, steps, steps_of
from tests.harness.room import free_port, served_room
from tests.harness.scripted_model import ScriptedModel
from tests.harness.verifying import verifying
from tests.support.promises import promise

pytestmark = [pytest.mark.harness, promise("WAK1")]


def unless_missing(harness: Harness) -> object:
    missing = lacking(harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.name, marks=skip)


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in JOINERS])
def test_a_join_alone_wakes_the_harness_once_and_prints_the_times_of_the_three_steps(
    tmp_path: Path, harness: Harness
) -> None:
    with (
        verifying(harness.command, "proof"),
        served_room(tmp_path / "room", free_port(), {}) as served,
        ScriptedModel(harness.api, steps()) as model,
    ):
        done = Desk.empty(harness, served.room, tmp_path, model.url).join()
        assert model.failure is None
        assert done.code == 0, done.err
        assert list(steps_of(done)) == ["notified", "woken", "acted"], f"{done.out[-3000:]}\n{done.err}"
        assert f"@{NAME} wakes." in done.out
