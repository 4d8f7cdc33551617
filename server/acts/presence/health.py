"""The health of the room's parts, as members see it."""

from pydantic import BaseModel

from teamroom.server.acts.act import Read, always
from teamroom.server.acts.presence.me import Nothing
from teamroom.server.clock import rfc3339
from teamroom.server.identity import Caller
from teamroom.server.store.transaction import Reading


class PartShown(BaseModel):
    """A part of the room. `last`: its last sign of life; `needed`: the room is not ready without it."""

    part: str
    state: str
    last: str | None
    seconds_ago: float | None
    needed: bool
    detail: str


class HealthShown(BaseModel):
    """Every part of the room. `well`: none is dead, hangs or fails."""

    well: bool
    parts: list[PartShown]


def read_health(tx: Reading, caller: Caller, arguments: Nothing) -> HealthShown:
    """Return every part of the server that answers."""
    found = tx.health()
    parts = [
        PartShown(
            part=part.name,
            state=part.state,
            last=None if part.last is None else rfc3339(part.last),
            seconds_ago=None if part.seconds is None else round(part.seconds, 1),
            needed=part.is_needed,
            detail=part.detail,
        )
        for part in found
    ]
    return HealthShown(well=not any(part.is_bad for part in found), parts=parts)


READ_HEALTH = Read("health", Nothing, read_health, is_small=always)
