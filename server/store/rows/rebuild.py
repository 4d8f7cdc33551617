"""What is read to rebuild rows from the log."""

from typing import NamedTuple


class KeptPart(NamedTuple):
    """What a redaction kept of an entry. `part` is JSON."""

    seq: int
    part: str
