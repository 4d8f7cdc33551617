"""Faults of the server: logged with an id. The caller gets the id and no other detail."""

import logging
import secrets

from teamroom.server.identity import Entropy
from teamroom.server.metrics import Metrics

logger = logging.getLogger("teamroom.fault")

ID_BYTES = 4


class Faults:
    """Reports faults. The code that answers a failed call reports its fault, once."""

    def __init__(self, metrics: Metrics, entropy: Entropy = secrets.token_bytes) -> None:
        self._metrics = metrics
        self._entropy = entropy

    def report(self, what: str) -> str:
        """Log and count the exception that is being handled; returns the text for the caller."""
        id_ = self._entropy(ID_BYTES).hex()
        self._metrics.fault()
        logger.exception("fault %s: %s failed", id_, what, extra={"fault": id_})
        return (
            f"The room failed to carry out the call (fault {id_} in the server's log). Call again; if it fails again, "
            "tell your owner."
        )
