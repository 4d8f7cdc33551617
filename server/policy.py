"""The policy: the settings that a room owner can change while the room runs.

Its values are in the room's database. What it does not set has the value of the settings.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from teamroom.server.rules.wrong_values import say_wrong

TrustLevel = Literal["declared", "attested", "proven"]


class SettingsError(Exception):
    """A value of the policy, in the environment or in room.toml is invalid."""


class Policy(BaseModel):
    """The settings that a room owner can change while the room runs. Acts read them from `tx.policy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trust: TrustLevel = Field("declared", description="Which capabilities count: declared, attested or proven ones.")
    wip_cap: int = Field(
        5, ge=1, le=100, description="Tasks that a member may hold at once; a further claim is refused."
    )
    hop_limit: int = Field(
        5, ge=1, le=50, description="Hand-offs of one task; after these, only the owner can receive it."
    )
    lease_seconds: float = Field(3600, ge=60, le=86_400, description="Shortest lease of a claimed task, in seconds.")
    lease_max_seconds: float = Field(
        86_400, ge=60, le=604_800, description="Longest lease of a claimed task, in seconds."
    )
    busy_max_seconds: float = Field(
        14_400, ge=60, le=86_400, description="Longest work that a member may declare, in seconds."
    )
    offer_seconds: float = Field(900, ge=60, le=86_400, description="Shortest time an offer stays open, in seconds.")
    review_seconds: float = Field(
        3600,
        ge=60,
        le=604_800,
        description="Seconds after which a review also falls to the owner of the member that completed the task.",
    )
    proof_seconds: float = Field(
        604_800, ge=60, le=31_536_000, description="Seconds for which a proof of a capability is valid."
    )
    attestation_seconds: float = Field(
        2_592_000, ge=60, le=31_536_000, description="Seconds for which an attestation of a capability is valid."
    )
    notes_per_hour: int = Field(
        12,
        ge=1,
        le=1000,
        description="Notes of an agent that are shown line by line in an hour; further ones are folded.",
    )
    asks_per_hour: int = Field(
        30, ge=1, le=1000, description="Asks that an agent may post in an hour; further ones are refused."
    )
    alerts_per_hour: int = Field(
        3, ge=1, le=1000, description="Alerts that an agent may post in an hour; further ones are refused."
    )
    exchange_rounds: int = Field(
        6,
        ge=1,
        le=100,
        description="Rounds after which two agents no longer wake each other, if nobody else moves their tasks.",
    )
    retention_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which the room redacts content, as redact --older-than does; 0: never.",
    )


POLICY = tuple(Policy.model_fields)
"""The names of the policy's values."""


def with_policy(configured: Policy, document: str | None) -> Policy:
    """The policy in force: the database's values, and the settings' values for the rest.

    `document`: the text in the database; None if there is none.

    Raises SettingsError if the policy is missing or cannot be read: the caller must then deny.
    """
    if document == "{}":
        return configured
    return configured.model_copy(update=policy_values(document))


@lru_cache(maxsize=8)
def policy_values(document: str | None) -> Mapping[str, Any]:
    """The values that a policy document sets, checked. Raises SettingsError."""
    values, unreadable = salvaged(document)
    if unreadable:
        raise SettingsError(f"the policy cannot be read: {', '.join(unreadable)}")
    return values


def salvaged(document: str | None) -> tuple[dict[str, Any], list[str]]:
    """The readable values of a policy, and the names of unreadable ones: `everything` if it is missing or not JSON."""
    try:
        given = json.loads(document or "")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return {}, ["everything"]
    values, unreadable = {}, []
    for name, value in given.items():
        try:
            values[name] = policy_value(name, value)
        except SettingsError:
            unreadable.append(name)
    return values, unreadable


def policy_value(name: str, value: Any) -> Any:
    """One value of the policy, checked. Raises SettingsError, which names its bounds."""
    if name not in POLICY:
        raise SettingsError(f"{name} is not part of the policy")
    try:
        return getattr(Policy.model_validate({name: value}), name)
    except ValidationError as error:
        raise SettingsError(f"{name}: {say_wrong(error.errors()[0])}") from None
