"""Row types of approvals."""

from typing import Literal, NamedTuple


class ApprovalRuleRow(NamedTuple):
    """A rule with the names around it. `exceptions` is JSON; `scope` '': none."""

    id: int
    level: Literal["member", "owner"]
    target: int
    matched: str
    exceptions: str
    scope: str
    made_by: int
    target_name: str
    target_owner: int
    maker_name: str


class ApprovalRow(NamedTuple):
    """The decision about a call. `used_at`: when the call passed, or could no longer pass."""

    decision: int
    used_at: float | None
