"""Authorisations: what a person lets members do."""

from typing import TYPE_CHECKING, Annotated

import typer

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import cited, plain, print_json, quoted
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.acting import RequestId, act
from teamroom.clients.shell.app import Json, Span, bare, command, span
from teamroom.clients.shell.decisions import SECTION
from teamroom.clients.shell.writing import text_option

if TYPE_CHECKING:
    from teamroom.server.acts.authorizations.authorizations import Authorized


@command(SECTION)
def authorize(
    context: typer.Context,
    place: Place,
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", parser=bare, help="A member's name, or owner:NAME for that owner's agents."),
    ] = None,
    scope: Annotated[str | None, typer.Argument(metavar="SCOPE", help="Such as deploy:staging.")] = None,
    until: Annotated[Span, span("--until", help="How long it lasts, such as 2h. Default: one day.")] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="N", min=1, help="How often. Default: no limit.")
    ] = None,
    reason: Annotated[str | None, text_option("--reason", "The reason. Everybody can read it.")] = None,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="ENTRY", help="Revoke an entry, such as A-4, at once.")
    ] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Let a member do something outside the room, or revoke that.

    A task can require scopes: only an authorised member can claim and complete it. `roster NAME` shows a member's.
    """
    if (revoke is None) == (not target or not scope):
        raise Failure(
            "Give a target and a scope, or an entry to revoke.",
            "For example: teamroom authorize builder deploy:x",
            USAGE,
        )
    given = {"to": target, "scope": scope, "until": until, "uses": uses, "reason": reason, "revoke": revoke}
    reply = act(place, context, "authorize", request_id, **given)
    if json:
        print_json(reply)
        return
    entry: Authorized = shaped(reply)
    often = "" if entry.uses is None else f", used {entry.used} of {entry.uses} time{'s' if entry.uses != 1 else ''}"
    state = "" if entry.state == "in force" else f"; it is {plain(entry.state)}"
    why = f": {quoted(entry.reason)}" if entry.reason else ""
    receipt = f" Receipt {entry.receipt}." if entry.receipt is not None else ""
    print(
        f"{plain(entry.authorization)} lets {plain(entry.to)} {cited(entry.scope)} until "
        f"{plain(date_and_time(entry.until))}{often}{why}{state}.{receipt}"
    )
