"""Whether a capability counts: pure functions of what is known about it."""

from dataclasses import dataclass
from typing import Literal

from teamroom.server.policy import TrustLevel

State = Literal["declared", "proven", "attested", "failed", "expired"]

COUNTS: dict[TrustLevel, frozenset[State]] = {
    "declared": frozenset({"declared", "attested", "proven", "expired"}),
    "attested": frozenset({"attested", "proven"}),
    "proven": frozenset({"proven"}),
}
"""The states that count at each trust level. An expired proof leaves the declaration valid; a failed one does not."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known about a declared capability. A failed proof ends both the proof and the attestation."""

    proven_until: float | None = None
    attested_until: float | None = None
    failed_at: float | None = None

    def state(self, now: float) -> State:
        """The state to show and to route by: the strongest that is in force."""
        if self.proven_until is not None and self.proven_until > now:
            return "proven"
        if self.attested_until is not None and self.attested_until > now:
            return "attested"
        if self.failed_at is not None:
            return "failed"
        if self.proven_until is not None or self.attested_until is not None:
            return "expired"
        return "declared"

    def counts(self, trust: TrustLevel, now: float) -> bool:
        """Whether it counts as having the capability at the room's trust level."""
        return self.state(now) in COUNTS[trust]
