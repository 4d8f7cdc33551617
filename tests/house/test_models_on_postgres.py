"""The most telling models on PostgreSQL, in short, and for each its twin: a fault that it must find there too.

`make faults-postgres` runs all of them, longer.
"""

from collections.abc import Iterator

import pytest

from tests.models.run import run
from tests.models.world import clean_up
from tests.support.postgres import require_server
from tests.support.promises import promise

pytestmark = [
    pytest.mark.postgres,
    promise("ID3", "LOG1", "CTL1", "CTL5", "TSK2", "TSK3", "WAK1", "WAK2", "DEC2", "AUT2"),
]

MODELS = ("standing", "leases", "receipts", "cursors", "decisions")
EXAMPLES, STEPS = 3, 20
TWIN_EXAMPLES, TWIN_STEPS, TWIN_SEEDS = 20, 30, 10


@pytest.fixture(scope="module", autouse=True)
def shared_rooms() -> Iterator[None]:
    require_server()
    with clean_up():
        yield


@pytest.mark.parametrize("name", MODELS)
def test_the_room_does_on_postgres_what_its_model_says_across_crashes(name: str) -> None:
    violation, done = run(name, EXAMPLES, STEPS, engine="postgres", seed=False)
    assert violation is None, violation
    assert done.runs >= EXAMPLES
    assert done.crashes > EXAMPLES


@pytest.mark.parametrize("name", MODELS)
def test_the_model_finds_its_fault_on_postgres(name: str) -> None:
    assert any(
        run(name, TWIN_EXAMPLES, TWIN_STEPS, engine="postgres", twin=True, seed=seed)[0] is not None
        for seed in range(1, 1 + TWIN_SEEDS)
    )
