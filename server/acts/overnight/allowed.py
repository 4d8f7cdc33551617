"""What people let members do: the entries in force, and those that were made, used or revoked in a span."""

from teamroom.server.acts.overnight.sections import Kind, shorten
from teamroom.server.facts.authorization import AuthorizationShown, find_authorization, show_authorization
from teamroom.server.store.transaction import Reading


def list_allowed(tx: Reading, after: int) -> list[Kind[AuthorizationShown]]:
    """The authorisations in force, and those that changed since a number; the newest change first."""
    about = {"after": after, "now": tx.now}

    def first(limit: int) -> list[AuthorizationShown]:
        return [_shown(tx, id_) for id_ in tx.column(int, "authorisations_in_force", **about, limit=limit)]

    return [Kind("authorisation", tx.number("count_authorisations_in_force", **about), first)]


def _shown(tx: Reading, id_: int) -> AuthorizationShown:
    shown = show_authorization(tx, find_authorization(tx, id_))
    return shown.model_copy(update={"reason": shorten(shown.reason), "scope": shorten(shown.scope)})
