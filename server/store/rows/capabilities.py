"""Row types of capabilities, plants and probes."""

from typing import NamedTuple


class CapabilityRow(NamedTuple):
    """A capability that a member declares, and how it is known. `attester`: the member behind `attested_by`."""

    capability: str
    since: float
    proven_at: float | None
    proven_until: float | None
    attested_at: float | None
    attested_until: float | None
    failed_at: float | None
    proven_by: str | None
    attested_by: str | None
    attester: int | None


class CapableMember(NamedTuple):
    """A member that declares a capability, and how it is known."""

    name: str
    proven_until: float | None
    attested_until: float | None
    failed_at: float | None


class PlantRow(NamedTuple):
    """A planted value without the value. `reads`: the command that prints it."""

    capability: str
    reads: str
    hint: str
    planted_at: float
    planter: str


class PlantedValue(NamedTuple):
    """A planted value and the member that planted it."""

    value: str
    planted_by: int


class ProbeRow(NamedTuple):
    """A capability that a member declares and another member planted. `nonce` None: no probe is open."""

    capability: str
    proven_until: float | None
    reads: str
    hint: str
    planter: str
    nonce: str | None
    opened_at: float | None
