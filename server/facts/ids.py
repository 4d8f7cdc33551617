"""What things are called: ids are parsed and printed here."""

LARGEST_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""


def number(identifier: str) -> int:
    """The number behind `T-12`, `M-7` or `O-3`; -1 when it is beyond what the room can have."""
    value = int(identifier[2:])
    return value if value <= LARGEST_NUMBER else -1
