"""How many of the moments at which something may fail a test tries: some of them evenly, or all in `make faults`."""

import os


def stride(short: int) -> int:
    """How many steps lie between two that are tried; 1 in the full form."""
    return int(os.environ.get("TEAMROOM_TEST_STRIDE", short))
