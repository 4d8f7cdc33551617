"""The models in their short form, and for each its twin: a fault that it must find.

`make models` runs them in full. This short form leaves to it all but the first runs of each model. Of the times at
which the clock is set, it tries a quarter; `make faults` tries all.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice, product

import pytest

from tests.models import approvals, permissions, presence, receipts, spans
from tests.models.run import MODELS, run
from tests.models.world import CLOCK_STEPS, clean_up
from tests.support.promises import promise
from tests.support.strides import stride

pytestmark = [
    promise("ID3", "LOG1", "CTL1", "CTL5", "CTL7", "TSK2", "TSK3", "HND1", "PRS3", "PRS4", "PRS6"),
    promise("REM1", "REM2", "REM3", "REM4", "QUI2", "QUI3", "SAF12"),
    promise("WAK1", "WAK2"),
    promise("DEC2", "DEC3", "DEC4", "AUT2", "AUT3"),
]

EXAMPLES, STEPS = 10, 30
TWIN_EXAMPLES, TWIN_SEEDS = 20, 50
"""A fault is mostly found within some runs. If it is not, other runs begin with the next seed, which is sooner."""


def finds(name: str) -> bool:
    """Whether a model finds the fault of its twin."""
    return any(
        run(name, TWIN_EXAMPLES, STEPS, twin=True, seed=seed)[0] is not None for seed in range(1, 1 + TWIN_SEEDS)
    )


@pytest.fixture(scope="module", autouse=True)
def shared_rooms() -> Iterator[None]:
    with clean_up():
        yield


@pytest.mark.parametrize("name", MODELS)
def test_the_room_does_what_its_model_says_across_crashes(name: str) -> None:
    violation, done = run(name, EXAMPLES, STEPS, seed=False)
    assert violation is None, violation
    assert done.runs >= EXAMPLES
    assert done.crashes > EXAMPLES


@pytest.mark.parametrize("name", MODELS)
def test_the_model_finds_the_fault_that_is_built_in(name: str) -> None:
    assert finds(name)


@pytest.mark.parametrize("fault", receipts.TWINS, ids=lambda fault: fault.__name__)
def test_the_model_of_receipts_finds_each_further_fault(
    fault: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "receipts", (receipts.Receipts, fault))
    assert finds("receipts")


@pytest.mark.parametrize("fault", presence.TWINS, ids=lambda fault: fault.__name__)
def test_the_model_of_presence_finds_each_further_fault_and_nothing_without_it(
    fault: Callable[[], AbstractContextManager[None]],
) -> None:
    presence.walk(presence.TWINS[fault])
    with fault(), pytest.raises(AssertionError):
        presence.walk(presence.TWINS[fault])


@pytest.mark.parametrize("check", permissions.LEFT_OUT)
def test_a_room_that_leaves_one_check_of_permissions_out_is_found(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = (permissions.Permissions, partial(permissions.without, check))
    monkeypatch.setitem(MODELS, "permissions", left_out)
    assert finds("permissions")


@pytest.mark.parametrize("fault", approvals.TWINS, ids=lambda fault: fault.__name__)
def test_the_model_of_approvals_finds_each_further_fault(
    fault: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "approvals", (approvals.Approvals, fault))
    assert finds("approvals")


@pytest.mark.parametrize("name", spans.KINDS)
def test_each_kind_of_span_lasts_as_long_as_it_was_given_for_whenever_the_clock_is_set(name: str) -> None:
    restarts = (False, True) if spans.KINDS[name].restarts else (False,)
    for stops, when, step in islice(product(restarts, spans.WHEN, CLOCK_STEPS), None, None, stride(4)):
        spans.walk(name, step, when, stops)


@pytest.mark.parametrize("name", spans.KINDS)
def test_a_room_that_goes_by_the_clock_on_the_wall_is_found_by_each_kind_of_span(name: str) -> None:
    with spans.TWIN(), pytest.raises(AssertionError):
        spans.walk(name, 90 * spans.DAY, "during", stops=False)
