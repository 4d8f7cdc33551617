"""Row types of offers."""

from typing import NamedTuple


class OfferRow(NamedTuple):
    """An offer with the names around it. `needs` and `artifacts` are JSON."""

    id: int
    task: int
    giver: int
    receiver: int
    note: str
    needs: str
    artifacts: str
    fence: int
    state: str
    created_at: float
    expires_at: float
    answered_at: float | None
    reason: str
    giver_name: str
    giver_owner: int
    receiver_name: str
    title: str


class OfferToMember(NamedTuple):
    """An open offer as its receiver sees it. `needs` and `artifacts` are JSON."""

    id: int
    task: int
    giver_name: str
    note: str
    needs: str
    artifacts: str
    expires_at: float
    title: str
    creator_name: str


class OpenOffer(NamedTuple):
    """An open offer that a member gave or received."""

    id: int
    task: int
    giver: int
    receiver: int
