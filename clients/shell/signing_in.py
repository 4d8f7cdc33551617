"""Signing in to the page: a link that counts once."""

from typing import TYPE_CHECKING, Annotated

import typer

from teamroom.clients.session.blocking import ask
from teamroom.clients.session.connection import is_this_machine
from teamroom.clients.session.failure import FAILED
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.app import Json, bare, command

if TYPE_CHECKING:
    from teamroom.server.acts.members.sign_in import SignInLink

PHONE = "docs/phone.md"
"""The page that shows how a phone reaches the room."""


@command("Members")
def sign_in(
    place: Place,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", parser=bare, help="The person. Default: you yourself.")
    ] = None,
    qr: Annotated[bool, typer.Option("--qr", help="Show the link as a QR code too, for a phone's camera.")] = False,
    json: Json = False,
) -> None:
    """Print a link with which a person signs in to the room's page. It counts once, for ten minutes."""
    reply = ask(place, "sign_in", **({} if name is None else {"name": name}))
    if json:
        print_json(reply)
        return
    link: SignInLink = shaped(reply)
    if link.url is None:
        print("The link was shown before, and is shown only once.")
        raise typer.Exit(FAILED)
    print(f"@{plain(link.name)} signs in once, until {plain(date_and_time(link.until))}, at\n  {plain(link.url)}")
    if qr:
        _show_qr(link.url)


def _show_qr(url: str) -> None:
    """Print a link as a QR code; and where a phone cannot open it, say so."""
    import segno

    print()
    segno.make(url, error="m").terminal(compact=True)
    if is_this_machine(url):
        print(f"A phone cannot open this address: only this machine can. {PHONE} shows three ways to reach the room.")
