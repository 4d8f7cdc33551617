"""Row types of authorisations."""

from typing import Literal, NamedTuple


class AuthorizationRow(NamedTuple):
    """An entry with the names around it. `uses` 0: without a limit."""

    id: int
    level: Literal["member", "owner"]
    target: int
    scope: str
    uses: int
    used: int
    made_by: int
    created_at: float
    expires_at: float
    reason: str
    revoked_at: float | None
    revoked_by: int | None
    changed_seq: int
    target_name: str
    target_owner: int
    maker_name: str
    revoker_name: str | None
