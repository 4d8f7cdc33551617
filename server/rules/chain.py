"""How the entries of the log are chained: each hash covers the one before it."""

import hashlib
import json
from typing import Any


def entry_hash(previous: str, header: tuple[Any, ...], digest: str) -> str:
    """The hash of an entry, over the hash before it, the header and the content's digest."""
    return hashlib.sha256(f"{previous}\n{json.dumps(header)}\n{digest}".encode()).hexdigest()
