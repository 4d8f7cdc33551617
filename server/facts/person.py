"""What only a person may do."""

from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal


def require_person(caller: Caller, why: str, fix: str, subject: str = "") -> None:
    """Refuse an agent. `why`: which act is a person's, as a sentence. Raises Refusal."""
    if caller.kind != "human":
        raise Refusal("not_allowed", why, fix, subject=subject)
