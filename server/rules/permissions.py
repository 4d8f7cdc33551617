"""Who may revoke which token, and how long a token may last that another one issues."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Party:
    """A member as permissions see it. `owner`: the person who is accountable for it."""

    member: int
    kind: str
    role: str
    owner: int


def may_revoke(caller: Party, holder: Party, issuer: int | None) -> bool:
    """Whether a caller may revoke a token of a holder. `issuer`: the member whose token issued it, if it is known.

    A room owner may revoke every token, and everybody their own. An operator may revoke what it issued and the tokens
    of its own agents, never those of other people or of a watchdog.
    """
    if caller.role == "owner" or holder.member == caller.member:
        return True
    if holder.kind == "human" or holder.role == "watchdog":
        return False
    return issuer == caller.member or (caller.kind == "human" and holder.owner == caller.member)


def latest_expiry(caller: Party, caller_expires_at: float | None, holder: Party) -> float | None:
    """When a token that a caller issues must expire at the latest; None: it need not expire.

    A token that expires cannot outlive itself through its own member or through a person. Agents' tokens may.
    """
    is_bound = holder.member == caller.member or holder.kind == "human"
    return caller_expires_at if is_bound else None
