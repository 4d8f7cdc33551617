"""No act takes more in a large room than in a small one. The full form: `python -m tests.campaigns.sizes 100000`."""

from tests.campaigns.sizes import growth
from tests.support.promises import promise

SMALL, LARGE = 1_500, 6_000
KINDS = 35
"""At least so many kinds of acts and duties are compared."""


@promise("SAF9")
def test_no_act_or_duty_takes_more_the_larger_the_room_is() -> None:
    faults, compared = growth(SMALL, LARGE)
    assert faults == []
    assert compared >= KINDS


@promise("SAF9")
def test_a_claim_that_looks_at_every_open_task_would_be_found() -> None:
    faults, _ = growth(SMALL, LARGE, twin=True)
    assert any(fault.startswith("claim_task") for fault in faults)
